//! Stored form of message metadata.
//!
//! # Version 4
//!
//! ```text
//! byte 0        version
//! bytes 1–4     checksum of the rest, little-endian
//! varint        size of the message
//! byte          1: has Date, 2: has Message-ID, 4: subject is a reply or forward,
//!                8 16 32 64 128: SEARCH has to read From, To, Cc, Bcc, Subject in the message
//! [signed × 2]  Date: seconds since 1970 UTC, zone in minutes east
//! chunk         header cache: varint of the names with missing fields, then for each field
//!                the row of its name and a chunk
//! excerpt       subject
//! chunks        ENVELOPE, BODY, BODYSTRUCTURE, preview,
//!                From, To, Cc, Bcc, Subject, decoded, where they are missing in the header cache
//! excerpts      base subject, Message-ID
//! chunks        references, entities, field tables
//! ```
//!
//! # Versions 2 and 3
//!
//! Version 4 has no case-folded texts: i;unicode-casemap (RFC 5051) cannot be derived from them, and
//! texts are prepared as fast when they are compared. Versions 2 and 3 have
//!
//! ```text
//! bits 8 to 128 a folded text is cut
//! chunks        folded From, To, Cc, Bcc, Subject
//! excerpts      base subject, its folded form, sort keys: from, to, cc, display from, display to,
//!                Message-ID
//! ```
//!
//! These are skipped. SEARCH uses the header cache, and where that lacks a field, the message.
//! Metadata of version 2 was read from the message by older rules, so that a scan of the same
//! message may give other contents.
//!
//! A chunk is a length and bytes. An excerpt is a chunk, or length and offset of the same bytes in
//! an earlier chunk.
use std::cell::OnceCell;

use super::codec::{Decoder, Encoder, checksum};
use super::envelope::{AddressKey, AddressList, address_key, subject_key};
use super::field_table::{FieldTable, HeaderFields};
use super::header_cache::{CachedFields, CachedNames};
use super::part_table::{Entities, Entity, LeafParts, Part, PartCursor};
use crate::Corrupt;
use crate::message::header::names::FieldName;
use crate::message::header::search_text::append_field_value;
use crate::message::text::collation::Collation;
use crate::wire::ast::{Field, SectionText};

/// Version that `store` writes. Raise it if a scan gives other contents than before.
pub const VERSION: u8 = 4;
const OLDEST_VERSION: u8 = 2;
/// Last version with folded texts.
const FOLDED_VERSION: u8 = 3;

const HAS_DATE: u8 = 1;
const HAS_MESSAGE_ID: u8 = 2;
const IS_REPLY: u8 = 4;
/// Bit of `Field::From`; the bits of the other fields follow.
const INCOMPLETE: u8 = 8;

const UNREADABLE: Corrupt = Corrupt("message metadata is corrupt");
const OTHER_VERSION: Corrupt = Corrupt("message metadata is of another version");

/// Range of bytes of the stored message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// From 0.
    pub offset: u64,
    /// May be 0.
    pub length: u64,
}

/// Fields that have a key of SEARCH, in the order of their texts and bits.
pub(crate) const SEARCH_FIELDS: [Field; 5] = [
    Field::From,
    Field::To,
    Field::Cc,
    Field::Bcc,
    Field::Subject,
];

pub(crate) fn field_name(field: Field) -> FieldName {
    match field {
        Field::From => FieldName::From,
        Field::To => FieldName::To,
        Field::Cc => FieldName::Cc,
        Field::Bcc => FieldName::Bcc,
        Field::Subject => FieldName::Subject,
    }
}

fn field_index(field: Field) -> usize {
    match field {
        Field::From => 0,
        Field::To => 1,
        Field::Cc => 2,
        Field::Bcc => 3,
        Field::Subject => 4,
    }
}

/// Metadata before it is stored.
#[derive(Default)]
pub(crate) struct NewMetadata<'a> {
    pub size: u64,
    pub sent: Option<(i64, i16)>,
    /// Stored form of the header cache.
    pub header_cache: Vec<u8>,
    pub envelope: Vec<u8>,
    pub body: Vec<u8>,
    pub bodystructure: Vec<u8>,
    pub preview: String,
    pub subject: String,
    pub base_subject: String,
    pub is_reply: bool,
    /// Of `SEARCH_FIELDS`, each with whether it is complete.
    pub search_texts: [(String, bool); 5],
    pub message_id: Option<Vec<u8>>,
    pub references: Vec<Vec<u8>>,
    pub entities: Vec<Entity<'a>>,
    pub fields: Vec<FieldTable>,
}

impl NewMetadata<'_> {
    /// Return the stored form.
    pub(crate) fn store(&self) -> Vec<u8> {
        let mut out = Encoder(vec![VERSION, 0, 0, 0, 0]);
        out.number(self.size);
        let mut flags = 0;
        for (flag, set) in [
            (HAS_DATE, self.sent.is_some()),
            (HAS_MESSAGE_ID, self.message_id.is_some()),
            (IS_REPLY, self.is_reply),
        ] {
            flags |= if set { flag } else { 0 };
        }
        for (index, (_, complete)) in self.search_texts.iter().enumerate() {
            flags |= if *complete { 0 } else { INCOMPLETE << index };
        }
        out.0.push(flags);
        if let Some((seconds, zone)) = self.sent {
            out.signed(seconds);
            out.signed(zone.into());
        }
        out.chunk(&self.header_cache);
        out.excerpt(self.subject.as_bytes(), &self.header_cache);
        out.chunk(&self.envelope);
        out.chunk(&self.body);
        out.chunk(&self.bodystructure);
        out.chunk(self.preview.as_bytes());
        for (text, _) in &self.search_texts {
            out.chunk(text.as_bytes());
        }
        out.excerpt(self.base_subject.as_bytes(), self.subject.as_bytes());
        out.excerpt(
            self.message_id.as_deref().unwrap_or_default(),
            &self.envelope,
        );
        let mut references = Encoder::default();
        for reference in &self.references {
            references.excerpt(reference, &self.header_cache);
        }
        out.chunk(&references.0);
        let mut entities = Encoder::default();
        let mut previous = 0;
        for entity in &self.entities {
            entity.write(&mut entities, previous);
            previous = entity.header;
        }
        out.chunk(&entities.0);
        let mut tables = Encoder::default();
        for table in &self.fields {
            table.write(&mut tables);
        }
        out.chunk(&tables.0);
        let sum = out.0.get(5..).map_or(0, checksum).to_le_bytes();
        for (to, from) in out.0.iter_mut().skip(1).zip(sum) {
            *to = from;
        }
        out.0
    }
}

/// Metadata as stored, opened for reading. Nothing is computed by its methods; `open` reads it once
/// from end to end for the checksum.
#[derive(Clone, Debug)]
pub struct MessageMetadata<'a> {
    size: u64,
    flags: u8,
    sent: (i64, i16),
    header_cache: &'a [u8],
    subject: &'a [u8],
    envelope: &'a [u8],
    body: &'a [u8],
    bodystructure: &'a [u8],
    preview: &'a [u8],
    /// Second half, which message lists do not need: as stored, and decoded on first use.
    tail_bytes: &'a [u8],
    tail: OnceCell<Tail<'a>>,
    /// Has folded texts: version 2 or 3.
    is_folded: bool,
}

/// Second half of the metadata.
#[derive(Clone, Copy, Debug, Default)]
struct Tail<'a> {
    search_texts: [&'a [u8]; 5],
    base_subject: &'a [u8],
    message_id: &'a [u8],
    references: &'a [u8],
    entities: &'a [u8],
    fields: &'a [u8],
}

/// Return text: `store` wrote a `str`, and the checksum is right.
fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

impl<'a> MessageMetadata<'a> {
    /// Open the result of [`Scanner::finish`](crate::message::Scanner::finish).
    ///
    /// # Errors
    /// Another version, a wrong checksum, or contents that `store` does not write.
    pub fn open(stored: &'a [u8]) -> Result<Self, Corrupt> {
        let metadata = Self::open_lazily(stored)?;
        metadata.read_tail().ok_or(UNREADABLE)?;
        Ok(metadata)
    }

    /// As `open`, but decode the second half on first use: cheaper for many messages. A second half
    /// that cannot be decoded is empty.
    ///
    /// # Errors
    /// Another version, a wrong checksum, or a first half that `store` does not write.
    pub fn open_lazily(stored: &'a [u8]) -> Result<Self, Corrupt> {
        let (head, contents) = stored.split_at_checked(5).ok_or(UNREADABLE)?;
        let [version @ OLDEST_VERSION..=VERSION, sum @ ..] = head else {
            return Err(OTHER_VERSION);
        };
        if *sum != checksum(contents).to_le_bytes() {
            return Err(UNREADABLE);
        }
        Self::read(*version, Decoder(contents)).ok_or(UNREADABLE)
    }

    /// Open metadata that passed `open` before, without the checksum.
    ///
    /// # Errors
    /// As `open`.
    pub fn reopen(stored: &'a [u8]) -> Result<Self, Corrupt> {
        let (head, contents) = stored.split_at_checked(5).ok_or(UNREADABLE)?;
        let version = head.first().copied().unwrap_or_default();
        let metadata = Self::read(version, Decoder(contents)).ok_or(UNREADABLE)?;
        metadata.read_tail().ok_or(UNREADABLE)?;
        Ok(metadata)
    }

    fn read(version: u8, mut input: Decoder<'a>) -> Option<Self> {
        let size = input.number()?;
        let flags = input.byte()?;
        let sent = if flags & HAS_DATE == 0 {
            (0, 0)
        } else {
            (input.signed()?, i16::try_from(input.signed()?).ok()?)
        };
        let header_cache = input.chunk()?;
        Some(Self {
            size,
            flags,
            sent,
            header_cache,
            subject: input.excerpt(header_cache)?,
            envelope: input.chunk()?,
            body: input.chunk()?,
            bodystructure: input.chunk()?,
            preview: input.chunk()?,
            tail_bytes: input.0,
            tail: OnceCell::new(),
            is_folded: version <= FOLDED_VERSION,
        })
    }

    fn tail(&self) -> &Tail<'a> {
        self.tail
            .get_or_init(|| self.read_tail().unwrap_or_default())
    }

    fn read_tail(&self) -> Option<Tail<'a>> {
        let mut input = Decoder(self.tail_bytes);
        let mut search_texts = [&b""[..]; 5];
        for text in &mut search_texts {
            *text = input.chunk()?;
        }
        let base_subject = input.excerpt(self.subject)?;
        if self.is_folded {
            let [from, to, cc, _, subject] = search_texts;
            for whole in [subject, from, to, cc, from, to] {
                input.excerpt(whole)?;
            }
        }
        let message_id = input.excerpt(self.envelope)?;
        let references = input.chunk()?;
        let entities = input.chunk()?;
        let fields = input.chunk()?;
        PartCursor::root(entities)?;
        input.is_empty().then_some(Tail {
            search_texts,
            base_subject,
            message_id,
            references,
            entities,
            fields,
        })
    }

    fn root(&self) -> Option<PartCursor<'a>> {
        PartCursor::root(self.tail().entities)
    }

    /// RFC822.SIZE: bytes of the message.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of the header, the empty line included.
    #[must_use]
    pub fn header_size(&self) -> u64 {
        self.root().map_or(0, |root| root.entity.header_length)
    }

    /// ENVELOPE as written in a FETCH response, parentheses included. May contain literals.
    #[must_use]
    pub fn envelope(&self) -> &'a [u8] {
        self.envelope
    }

    /// BODY: the structure without extension data.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// BODYSTRUCTURE.
    #[must_use]
    pub fn bodystructure(&self) -> &'a [u8] {
        self.bodystructure
    }

    /// First characters of the message text, at most 200 (RFC 8970).
    #[must_use]
    pub fn preview(&self) -> &'a str {
        text(self.preview)
    }

    /// True if there is a preview. Then the message has a body.
    #[must_use]
    pub fn has_preview(&self) -> bool {
        !self.preview.is_empty()
    }

    /// Date field: seconds since 1970 UTC, and the zone in minutes east of UTC. None if it is
    /// missing or not a date.
    #[must_use]
    pub fn sent(&self) -> Option<(i64, i16)> {
        (self.flags & HAS_DATE != 0).then_some(self.sent)
    }

    /// Subject, unfolded and decoded.
    #[must_use]
    pub fn subject(&self) -> &'a str {
        text(self.subject)
    }

    /// Base subject (RFC 5256 section 2.1) for display; compare by `subject_sort_key`.
    #[must_use]
    pub fn base_subject(&self) -> &'a str {
        text(self.tail().base_subject)
    }

    /// True if the subject marks a reply or a forwarded message (RFC 5256 section 2.1).
    #[must_use]
    pub fn is_reply_or_forward(&self) -> bool {
        self.flags & IS_REPLY != 0
    }

    /// Message-ID without angle brackets.
    #[must_use]
    pub fn message_id(&self) -> Option<&'a [u8]> {
        (self.flags & HAS_MESSAGE_ID != 0).then_some(self.tail().message_id)
    }

    /// Message-IDs of References, otherwise the first one of In-Reply-To (RFC 5256 section 3),
    /// without angle brackets, oldest first, at most
    /// [`REFERENCES`](crate::message::limits::REFERENCES).
    #[must_use = "iterators are lazy"]
    pub fn references(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut input = Decoder(self.tail().references);
        let header_cache = self.header_cache;
        std::iter::from_fn(move || {
            if input.is_empty() {
                None
            } else {
                input.excerpt(header_cache)
            }
        })
    }

    /// Append the sort key of the base subject: compare bytes.
    pub fn subject_sort_key(&self, collation: Collation, to: &mut Vec<u8>) {
        subject_key(self.envelope, self.base_subject(), collation, to);
    }

    /// Append the sort key of the first address of a list. From ENVELOPE, which RFC 5957 section 4
    /// asks for.
    pub fn address_sort_key(
        &self,
        list: AddressList,
        key: AddressKey,
        collation: Collation,
        to: &mut Vec<u8>,
    ) {
        address_key(self.envelope, list, key, collation, to);
    }

    /// Append the text of the fields of a name, decoded and prepared for comparison: each field, then
    /// lines with addresses that the text does not contain as ENVELOPE shows them, all separated by
    /// line feeds. Return false if it is not complete: a needle that is not found in it may still be
    /// in the message.
    #[must_use]
    pub fn search_text(&self, field: Field, collation: Collation, to: &mut Vec<u8>) -> bool {
        let name = field_name(field);
        let names = CachedNames::of_known(name);
        if let Some(fields) = names.and_then(|names| self.cached_fields(names)) {
            let start = to.len();
            for field in fields {
                if to.len() > start {
                    to.push(b'\n');
                }
                append_field_value(field, collation, to);
            }
            return true;
        }
        if self.is_folded {
            return false;
        }
        let index = field_index(field);
        let stored = self.tail().search_texts.get(index);
        collation.prepare_utf8(stored.copied().unwrap_or_default(), to);
        self.flags & INCOMPLETE << index == 0
    }

    /// Range of `BODY[…]` (RFC 9051 section 6.4.5.1); None if there is no such part. `HeaderFields`
    /// and `HeaderFieldsNot` give the whole header.
    #[must_use]
    pub fn locate(&self, part: &[u32], text: &SectionText) -> Option<Range> {
        let whole = Range {
            offset: 0,
            length: self.size,
        };
        if part.is_empty() && *text == SectionText::All {
            return Some(whole);
        }
        let range = match text {
            SectionText::All => {
                let entity = self.root()?.resolve(part)?.entity;
                Range {
                    offset: entity.body(),
                    length: entity.body_length,
                }
            }
            SectionText::Mime => {
                let entity = self.root()?.resolve(part)?.entity;
                Range {
                    offset: entity.header,
                    length: entity.header_length,
                }
            }
            SectionText::Text => {
                let (inner, _) = self.message(part)?;
                Range {
                    offset: inner.body(),
                    length: inner.body_length,
                }
            }
            SectionText::Header
            | SectionText::HeaderFields(_)
            | SectionText::HeaderFieldsNot(_) => {
                let (inner, _) = self.message(part)?;
                Range {
                    offset: inner.header,
                    length: inner.header_length,
                }
            }
        };
        Some(range)
    }

    /// Return the body of a message and the index of its field table: of this message for an empty
    /// path, otherwise of the message in that part.
    fn message(&self, part: &[u32]) -> Option<(Entity<'a>, usize)> {
        let root = self.root()?;
        if part.is_empty() {
            return Some((root.entity, 0));
        }
        let at = root.resolve(part)?;
        Some((at.inner()?.entity, at.fields_of_inner()))
    }

    /// Fields of a header in their order: of this message for an empty path, otherwise of the
    /// message in that part. None if the part is not a message. The fields are adjacent and
    /// followed by the [`empty_line`](Self::empty_line).
    #[must_use]
    pub fn header_fields(&self, part: &[u32]) -> Option<HeaderFields<'a>> {
        let (inner, index) = self.message(part)?;
        HeaderFields::new(self.tail().fields, index, inner.header)
    }

    /// Fields of some names as received, line ends included, in the order of the header: the bytes
    /// at the ranges of [`header_fields`](Self::header_fields). None if one of them is not cached.
    #[must_use]
    pub fn cached_fields(&self, names: CachedNames) -> Option<CachedFields<'a>> {
        CachedFields::new(self.header_cache, names)
    }

    /// Empty line that ends the header of this message or of an embedded one. Its length is 2 for
    /// CRLF, 1 for a bare LF, and 0 if the header has no empty line.
    #[must_use]
    pub fn empty_line(&self, part: &[u32]) -> Option<Range> {
        let (inner, _) = self.message(part)?;
        let length = u64::from(inner.empty_line);
        Some(Range {
            offset: inner.body().saturating_sub(length),
            length,
        })
    }

    /// Leaf parts in message order.
    #[must_use = "iterators are lazy"]
    pub fn leaf_parts(&self) -> LeafParts<'a> {
        LeafParts::new(self.tail().entities)
    }

    /// One part; the whole message for an empty path. None if there is no such part.
    #[must_use]
    pub fn part(&self, path: &[u32]) -> Option<Part<'a>> {
        if path.is_empty() {
            return Some(Part {
                path: Vec::new(),
                media: "",
                subtype: "",
                charset: "",
                encoding: 0,
                offset: 0,
                length: self.size,
                lines: 0,
            });
        }
        let at = self.root()?.resolve(path)?;
        Some(Part::new(&at.entity, path.to_vec()))
    }

    pub(crate) fn entities(&self) -> Entities<'a> {
        Entities::new(self.tail().entities)
    }

    /// Number of leaf parts.
    #[must_use]
    pub fn part_count(&self) -> usize {
        self.leaf_parts().count()
    }
}
