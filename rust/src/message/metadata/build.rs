//! Derive the metadata from the values that the scanner collected.
use super::field_table::FieldTable;
use super::header_cache::HeaderCache;
use super::part_table::{Entity, Kind};
use super::render::{self, Description, StructureNode};
use super::stored::{NewMetadata, SEARCH_FIELDS, field_name};
use crate::message::header::date;
use crate::message::header::encoded_words::decoded;
use crate::message::header::message_id;
use crate::message::header::names::FieldName;
use crate::message::header::search_text::value_text;
use crate::message::header::subject::base_subject;
use crate::message::header::values::Headers;
use crate::message::limits::SEARCH_TEXT_BYTES;
use crate::message::mime::ContentType;
use crate::message::text::preview::Excerpt;
use crate::wire::ast::Field;

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

/// Return the text of the fields of a name as SEARCH compares it, before it is prepared, and whether
/// it is whole: empty if the header cache has the fields, and if there are several.
fn search_text(field: Field, root: &Headers, cache: &HeaderCache) -> (String, bool) {
    let name = field_name(field);
    if cache.has_all(name) {
        return (String::new(), true);
    }
    match root.get(name) {
        Some(value) if !root.is_repeated(name) => cut(
            value_text(value, field != Field::Subject),
            SEARCH_TEXT_BYTES,
        ),
        _ => (String::new(), false),
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
        base_subject: base.text,
        is_reply: base.is_reply_or_forward,
        search_texts: SEARCH_FIELDS.map(|field| search_text(field, root, header_cache)),
        subject,
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
