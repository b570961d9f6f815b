//! Derive the metadata from the values that the scanner collected.
use super::field_table::FieldTable;
use super::header_cache::HeaderCache;
use super::part_table::{Entity, Kind};
use super::render::{self, Description, StructureNode};
use super::stored::NewMetadata;
use crate::message::header::addr_spec::append_addresses;
use crate::message::header::address::{Address, first_address};
use crate::message::header::date;
use crate::message::header::encoded_words::decoded;
use crate::message::header::message_id;
use crate::message::header::names::FieldName;
use crate::message::header::subject::base_subject;
use crate::message::header::values::Headers;
use crate::message::limits::{FOLDED_BYTES, SORT_KEY_BYTES};
use crate::message::mime::ContentType;
use crate::message::text::fold::fold;
use crate::message::text::preview::Excerpt;

/// One entity of the message: values from its header, and the extent of its body.
pub(crate) struct ScannedEntity {
    pub kind: Kind,
    pub depth: usize,
    pub header: u64,
    pub header_length: u64,
    pub empty_line: u8,
    pub body_length: u64,
    pub lines: u64,
    pub content: ContentType,
    pub charset: String,
    pub encoding: i8,
    pub description: Description,
    /// ENVELOPE of the message whose body this is; otherwise empty.
    pub envelope: Vec<u8>,
}

/// First bytes of a text part, as stored: the preview is made from them.
pub(crate) struct Capture {
    /// Index of the part's entity.
    pub index: usize,
    pub bytes: Vec<u8>,
}

/// Return the last character boundary up to some bytes.
fn boundary(text: &str, bytes: usize) -> usize {
    let inside = |index: &usize| text.is_char_boundary(*index);
    let mut indexes = (0..=bytes.min(text.len())).rev();
    indexes.find(inside).unwrap_or(0)
}

/// Cut a text at a character boundary; return whether it was whole.
fn cut(mut text: String, bytes: usize) -> (String, bool) {
    let whole = text.len() <= bytes;
    text.truncate(boundary(&text, bytes));
    (text, whole)
}

/// Fold the start of a text, up to some bytes; return whether it was whole. Folding shortens no text to
/// less than a third.
fn cut_folded(text: &str, bytes: usize) -> (String, bool) {
    let start = boundary(text, 4 * bytes);
    let (head, tail) = text.split_at_checked(start).unwrap_or((text, ""));
    let (folded, whole) = cut(fold(head), bytes);
    (folded, whole && tail.is_empty())
}

/// Return an address list as SEARCH compares it, and whether it is whole.
fn folded_list(value: Option<&[u8]>) -> (String, bool) {
    let (mut text, whole) = cut_folded(&decoded(value), FOLDED_BYTES);
    if whole {
        append_addresses(&mut text, value.unwrap_or_default());
        return cut(text, FOLDED_BYTES);
    }
    (text, false)
}

/// Return the mailbox that RFC 5256 section 3 sorts by and the display name of RFC 5957 section
/// 2.1.
fn sort_keys(value: Option<&[u8]>) -> [String; 2] {
    let key = |text: &[u8]| cut_folded(&decoded(Some(text)), SORT_KEY_BYTES).0;
    match first_address(value.unwrap_or_default()) {
        Some(Address::Group(name)) => [key(&name), key(&name)],
        Some(Address::Mailbox {
            name, local, host, ..
        }) => {
            let display = match name.as_deref().map(key) {
                Some(name) if !name.is_empty() => name,
                _ if host.is_empty() => key(&local),
                _ => key(&[local.as_slice(), b"@", &host].concat()),
            };
            [key(&local), display]
        }
        _ => Default::default(),
    }
}

fn references(root: &Headers) -> Vec<Vec<u8>> {
    let references = message_id::references(root.get(FieldName::References).unwrap_or_default());
    if !references.is_empty() {
        return references;
    }
    // RFC 5256 section 3: only the first Message-ID of In-Reply-To.
    let mut answered = message_id::references(root.get(FieldName::InReplyTo).unwrap_or_default());
    answered.truncate(1);
    answered
}

fn preview(entities: &[ScannedEntity], mut captures: Vec<Capture>) -> String {
    captures.sort_by_key(|capture| capture.index);
    let mut previews = captures.iter().filter_map(|capture| {
        let entity = entities.get(capture.index)?;
        let excerpt = Excerpt {
            bytes: &capture.bytes,
            encoding: entity.encoding,
            charset: &entity.charset,
            is_html: entity.content.is("text", "html"),
        };
        Some(excerpt.preview())
    });
    previews
        .find(|preview| !preview.is_empty())
        .unwrap_or_default()
}

fn nodes(entities: &[ScannedEntity]) -> impl Iterator<Item = StructureNode<'_>> {
    entities.iter().map(|entity| StructureNode {
        kind: entity.kind,
        depth: entity.depth,
        description: &entity.description,
        envelope: &entity.envelope,
        media: &entity.content.media,
        bytes: entity.body_length,
        lines: entity.lines,
    })
}

/// Result of a scan.
pub(crate) struct ScanResult<'a> {
    pub size: u64,
    /// Header of the message itself.
    pub root: &'a Headers,
    pub entities: &'a [ScannedEntity],
    pub tables: Vec<FieldTable>,
    pub header_cache: &'a HeaderCache,
}

/// Build the metadata of a message.
pub(crate) fn build(message: ScanResult<'_>, captures: Vec<Capture>) -> NewMetadata<'_> {
    let ScanResult {
        size,
        root,
        entities,
        tables,
        header_cache,
    } = message;
    let subject = decoded(root.get(FieldName::Subject));
    let base = base_subject(&subject);
    let destinations = [
        FieldName::From,
        FieldName::To,
        FieldName::Cc,
        FieldName::Bcc,
    ];
    let [from, to, cc, bcc] = destinations.map(|name| folded_list(root.get(name)));
    let [from_mailbox, from_display] = sort_keys(root.get(FieldName::From));
    let [to_mailbox, to_display] = sort_keys(root.get(FieldName::To));
    let [cc_mailbox, _] = sort_keys(root.get(FieldName::Cc));
    NewMetadata {
        size,
        header_cache: header_cache.stored(),
        sent: root.get(FieldName::Date).and_then(date::parse),
        envelope: entities
            .first()
            .map(|root| root.envelope.clone())
            .unwrap_or_default(),
        body: render::structure(nodes(entities), false),
        bodystructure: render::structure(nodes(entities), true),
        preview: preview(entities, captures),
        base_subject_key: cut_folded(&base.text, SORT_KEY_BYTES).0,
        base_subject: base.text,
        is_reply: base.is_reply_or_forward,
        folded: [from, to, cc, bcc, cut_folded(&subject, FOLDED_BYTES)],
        subject,
        sort_keys: [
            from_mailbox,
            to_mailbox,
            cc_mailbox,
            from_display,
            to_display,
        ],
        message_id: root
            .get(FieldName::MessageId)
            .and_then(message_id::message_id),
        references: references(root),
        entities: entities
            .iter()
            .map(|entity| Entity {
                kind: entity.kind,
                depth: entity.depth,
                header: entity.header,
                header_length: entity.header_length,
                empty_line: entity.empty_line,
                body_length: entity.body_length,
                lines: entity.lines,
                media: &entity.content.media,
                subtype: &entity.content.subtype,
                charset: &entity.charset,
                encoding: entity.encoding,
            })
            .collect(),
        fields: tables,
    }
}
