//! FETCH responses, rendered from index segments and message metadata (RFC 9051 section 7.5.2).

mod plan;
mod sections;

#[cfg(test)]
mod tests;

use std::ops::Deref;

use self::plan::{FetchPlan, ItemValue};
use super::change::with_seen;
use super::record::PackedRecord;
use super::segment::{OUT_OF_ORDER, Segment};
use super::writing::put_date_time;
use crate::Corrupt;
use crate::message::MessageMetadata;
use crate::numbers::{Runs, UidMap, UidSet, put_decimal};
use crate::wire::ast::{FetchItem, Partial, Section, system};
use crate::wire::writer::string;

/// Cost of one call of [`render_some`]: bytes of metadata read, and [`FIELD_COST`] for each header
/// field that is compared. Some milliseconds; only messages with large headers and small responses
/// reach it before the size of the response ends the call.
pub const STEP_COST: usize = 4 * 1024 * 1024;

/// Cost of comparing the name of one header field, about 50 ns.
const FIELD_COST: usize = 64;

/// Range of a stored message to insert into the response; see `_core.pyi` about NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BodySlice {
    /// Body id.
    pub body: u64,
    /// From 0.
    pub offset: u64,
    /// At least 1.
    pub length: u64,
}

/// Part to insert into the response, its transfer encoding decoded (RFC 3516).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BinarySlice {
    /// Body id.
    pub body: u64,
    /// Offset of the encoded part.
    pub offset: u64,
    /// Bytes of the encoded part.
    pub length: u64,
    /// 0: none, 1: base64, 2: quoted-printable, -1: unknown.
    pub encoding: i8,
    /// First decoded byte.
    pub start: u64,
    /// Maximum number of decoded bytes.
    pub count: Option<u64>,
    /// True if only the decoded size is requested.
    pub size_only: bool,
}

/// Piece of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes to send; the last `open` of them belong to a response that continues in the next piece.
    Text {
        /// To send.
        bytes: Vec<u8>,
        /// 0 if a response ends with them.
        open: usize,
    },
    /// Bytes that the caller reads from the message.
    Body(BodySlice),
    /// Bytes that the caller reads from the message and decodes.
    Binary(BinarySlice),
}

/// Source of data that is not in the index.
pub trait Source {
    /// Error of a lookup.
    type Error: From<Corrupt>;
    /// Bytes, owned or borrowed.
    type Bytes: Deref<Target = [u8]>;
    /// Return the names of a keyword set, joined by spaces.
    ///
    /// # Errors
    /// There is no such set.
    fn keywords(&self, set: u32) -> Result<Self::Bytes, Self::Error>;
    /// Return the metadata of a body.
    ///
    /// # Errors
    /// There is no metadata for the body.
    fn metadata(&self, body: u64) -> Result<Self::Bytes, Self::Error>;
}

/// FETCH request.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Items of each response.
    pub items: &'a [FetchItem],
    /// Message numbers of the client; UIDs that are not in it are skipped.
    pub numbers: &'a UidMap,
    /// UIDs of the requested messages.
    pub wanted: &'a UidSet,
    /// UIDs with `\Recent`; None if the flag is not shown to the client.
    pub recent: Option<&'a UidSet>,
    /// UIDs with `\Seen`, for a reader with flags of its own; None for that of the records.
    pub seen: Option<&'a UidSet>,
    /// Bits that are added to the ids of EMAILID and THREADID: they differ in each storage group.
    pub id_bits: u64,
    /// UIDs whose FLAGS are returned even if not requested.
    pub flags_too: Option<&'a UidSet>,
    /// Write UIDFETCH responses, which have the UID in place of the number (RFC 9586 section 3.3).
    pub uid_fetch: bool,
}

/// Buffer for the pieces of a response; adjacent texts are joined.
#[derive(Default)]
struct PieceBuffer {
    text: Vec<u8>,
    pieces: Vec<Piece>,
    /// Bytes of all pieces.
    before: usize,
    /// See [`STEP_COST`].
    cost: usize,
    /// Offset in `text` of the response that is being written; None between responses.
    start: Option<usize>,
}

impl PieceBuffer {
    /// Return the size of the response, encoded parts counted as stored.
    fn size(&self) -> usize {
        self.before.saturating_add(self.text.len())
    }

    fn add(&mut self, piece: Piece, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.before = self.before.saturating_add(bytes);
        self.pieces.push(piece);
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            let bytes = std::mem::take(&mut self.text);
            let length = bytes.len();
            let open = self.start.map_or(0, |start| length - start);
            self.start = self.start.map(|_| 0);
            self.add(Piece::Text { bytes, open }, length as u64);
        }
    }

    fn body(&mut self, slice: BodySlice) {
        if slice.length > 0 {
            self.flush();
            self.add(Piece::Body(slice), slice.length);
        }
    }

    fn binary(&mut self, slice: BinarySlice) {
        self.flush();
        self.add(Piece::Binary(slice), slice.length);
    }
}

/// Part of a response.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Bytes at the end of the leading text that belong to a response which continues in `pieces`.
    pub open: usize,
    /// Pieces to send after the text.
    pub pieces: Vec<Piece>,
    /// Requested messages that are not in it yet.
    pub remaining: UidSet,
    /// True if some requested messages are not in the index.
    pub missing: bool,
}

/// Render FETCH responses of the requested messages, ascending.
///
/// # Errors
/// A corrupt segment or metadata, segments out of order, or an error of `source`.
pub fn render<'a, S: Source>(
    request: &Request<'_>,
    segments: impl IntoIterator<Item = &'a [u8]>,
    source: &S,
) -> Result<Vec<Piece>, S::Error> {
    let segments = segments.into_iter().map(Ok);
    let mut text = Vec::new();
    let all = (usize::MAX, usize::MAX);
    let rendered = render_some(request, segments, source, all, &mut text)?;
    let text = (!text.is_empty()).then_some(Piece::Text {
        bytes: text,
        open: rendered.open,
    });
    Ok(text.into_iter().chain(rendered.pieces).collect())
}

/// As [`render`], but stop after the message with which the response reaches `max_bytes`, or its
/// cost `max_cost`, usually [`STEP_COST`]. Leading text is appended to `text`.
///
/// # Errors
/// As [`render`], or an error of `segments`; `text` is unchanged then.
pub fn render_some<'a, S: Source>(
    request: &Request<'_>,
    segments: impl IntoIterator<Item = Result<&'a [u8], Corrupt>>,
    source: &S,
    (max_bytes, max_cost): (usize, usize),
    text: &mut Vec<u8>,
) -> Result<Rendered, S::Error> {
    let before = text.len();
    let mut writer = ResponseRenderer {
        request,
        plan: FetchPlan::new(request.items),
        source,
        keywords: None,
        out: PieceBuffer {
            text: std::mem::take(text),
            ..PieceBuffer::default()
        },
    };
    let rendered = writer.messages(segments, before.saturating_add(max_bytes), max_cost);
    writer.out.flush();
    let mut pieces = writer.out.pieces.into_iter();
    // Every response starts with text, so the first piece is the old text followed by the new one.
    let mut leading = 0;
    if let Some(Piece::Text { bytes, open }) = pieces.next() {
        *text = bytes;
        leading = open;
    }
    match rendered {
        Ok((remaining, missing)) => Ok(Rendered {
            open: leading,
            pieces: pieces.collect(),
            remaining,
            missing,
        }),
        Err(error) => {
            text.truncate(before);
            Err(error)
        }
    }
}

/// Return the bytes of a section of a message in pieces, without NUL replaced, and their number; None
/// if there is no such part.
#[must_use]
pub fn section_bytes(
    section: &Section,
    partial: Option<Partial>,
    record: PackedRecord<'_>,
    metadata: &MessageMetadata<'_>,
) -> Option<(Vec<Piece>, u64)> {
    let item = plan::body_section(&section.part, &section.text, partial);
    sections::content(&item, record, Some(metadata))
}

/// Return the UIDs of messages of which BINARY or BINARY.SIZE requests a part with an unknown
/// transfer encoding: `NO [UNKNOWN-CTE]` (RFC 3516 section 4.3). Also return those that are left when
/// `max_cost` is reached, usually [`STEP_COST`].
///
/// # Errors
/// A corrupt segment or metadata, or an error of `segments` or `metadata`.
pub fn undecodable<'a, E, B>(
    items: &[FetchItem],
    wanted: &UidSet,
    segments: impl IntoIterator<Item = Result<&'a [u8], Corrupt>>,
    mut metadata: impl FnMut(u64) -> Result<B, E>,
    max_cost: usize,
) -> Result<(UidSet, UidSet), E>
where
    E: From<Corrupt>,
    B: Deref<Target = [u8]>,
{
    let parts: Vec<&[u32]> = items.iter().filter_map(FetchItem::decoded_part).collect();
    let mut found = Runs::new();
    let mut cost = 0_usize;
    for stored in segments {
        for record in Segment::open(stored?)?.iter() {
            if !wanted.contains(record.uid()) {
                continue;
            }
            if cost >= max_cost {
                let left = wanted.within(record.uid(), u32::MAX).collect();
                return Ok((found.finish(), UidSet::from_runs(left).unwrap_or_default()));
            }
            let stored = metadata(record.body())?;
            cost = cost.saturating_add(stored.len());
            let metadata = MessageMetadata::open_lazily(&stored)?;
            let is_unknown = |path: &&[u32]| {
                let part = metadata.part(path);
                part.is_some_and(|part| part.encoding < 0)
            };
            if parts.iter().any(is_unknown) {
                found.push(record.uid(), record.uid());
            }
        }
    }
    Ok((found.finish(), UidSet::empty()))
}

struct ResponseRenderer<'a, S: Source> {
    request: &'a Request<'a>,
    plan: FetchPlan<'a>,
    source: &'a S,
    /// Keyword set used last: neighbours usually have the same.
    keywords: Option<(u32, S::Bytes)>,
    out: PieceBuffer,
}

impl<S: Source> ResponseRenderer<'_, S> {
    /// Write messages until `max_bytes` or `max_cost` is reached; return the remaining messages, and
    /// whether one of the others is missing.
    fn messages<'a>(
        &mut self,
        segments: impl IntoIterator<Item = Result<&'a [u8], Corrupt>>,
        max_bytes: usize,
        max_cost: usize,
    ) -> Result<(UidSet, bool), S::Error> {
        let request = self.request;
        let (mut before, mut found, mut remaining) = (0, 0, UidSet::empty());
        'all: for stored in segments {
            let segment = Segment::open(stored?)?;
            let (Some(first), Some(last)) = (segment.first(), segment.last()) else {
                continue;
            };
            if first <= before {
                return Err(OUT_OF_ORDER.into());
            }
            before = last;
            for record in segment.iter() {
                let uid = record.uid();
                if !request.wanted.contains(uid) {
                    continue;
                }
                if self.out.size() >= max_bytes || self.out.cost >= max_cost {
                    let left = request.wanted.within(uid, u32::MAX).collect();
                    remaining = UidSet::from_runs(left).unwrap_or_default();
                    break 'all;
                }
                found += 1;
                if let Some(number) = request.numbers.number(uid) {
                    self.message(number, record)?;
                }
            }
        }
        let missing = found + remaining.len() < request.wanted.len();
        Ok((remaining, missing))
    }

    fn message(&mut self, number: u32, record: PackedRecord<'_>) -> Result<(), S::Error> {
        let stored = if self.plan.needs_metadata {
            Some(self.source.metadata(record.body())?)
        } else {
            None
        };
        let metadata = match &stored {
            Some(stored) => {
                self.out.cost = self.out.cost.saturating_add(stored.len());
                Some(MessageMetadata::open_lazily(stored)?)
            }
            None => None,
        };
        self.out.start = Some(self.out.text.len());
        self.out.text.extend_from_slice(b"* ");
        if self.request.uid_fetch {
            put_decimal(&mut self.out.text, record.uid().into());
            self.out.text.extend_from_slice(b" UIDFETCH (");
        } else {
            put_decimal(&mut self.out.text, number.into());
            self.out.text.extend_from_slice(b" FETCH (");
        }
        for at in 0..self.plan.items.len() {
            if at > 0 {
                self.out.text.push(b' ');
            }
            self.item(at, record, metadata.as_ref())?;
        }
        let too = self
            .request
            .flags_too
            .is_some_and(|uids| uids.contains(record.uid()));
        if too && !self.plan.has_flags {
            if !self.plan.items.is_empty() {
                self.out.text.push(b' ');
            }
            self.flags(record)?;
        }
        self.out.text.extend_from_slice(b")\r\n");
        self.out.start = None;
        Ok(())
    }

    fn item(
        &mut self,
        at: usize,
        record: PackedRecord<'_>,
        metadata: Option<&MessageMetadata<'_>>,
    ) -> Result<(), S::Error> {
        let Some(item) = self.plan.items.get(at) else {
            return Ok(());
        };
        if let ItemValue::Flags = item.value {
            return self.flags(record);
        }
        let text = &mut self.out.text;
        text.extend_from_slice(&item.name);
        match &item.value {
            ItemValue::Flags => {}
            ItemValue::Uid => put_decimal(text, record.uid().into()),
            ItemValue::Size => put_decimal(text, record.size().into()),
            ItemValue::ModSeq => {
                text.push(b'(');
                put_decimal(text, record.modseq());
                text.push(b')');
            }
            ItemValue::InternalDate => put_date_time(text, record.date(), record.zone()),
            ItemValue::SaveDate => put_date_time(text, record.saved(), 0),
            ItemValue::EmailId => {
                put_object_id(text, b'M', record.body() | self.request.id_bits);
            }
            ItemValue::ThreadId if record.thread() == 0 => text.extend_from_slice(b"NIL"),
            ItemValue::ThreadId => {
                put_object_id(text, b'T', record.thread() | self.request.id_bits);
            }
            ItemValue::Envelope => {
                text.extend_from_slice(metadata.map_or(b"NIL", MessageMetadata::envelope));
            }
            ItemValue::Body => {
                text.extend_from_slice(metadata.map_or(b"NIL", MessageMetadata::body));
            }
            ItemValue::BodyStructure => {
                text.extend_from_slice(metadata.map_or(b"NIL", MessageMetadata::bodystructure));
            }
            ItemValue::Preview => {
                // Not every client can read a string with NUL.
                let preview = metadata
                    .map_or("", MessageMetadata::preview)
                    .replace('\0', "");
                text.extend_from_slice(&string(preview.as_bytes(), false));
            }
            ItemValue::BodySection(section) => {
                sections::body(&mut self.out, section, record, metadata);
            }
            ItemValue::BinarySection(binary) => {
                sections::binary(&mut self.out, binary, record, metadata);
            }
        }
        Ok(())
    }

    /// Write `FLAGS (…)`: `\Recent`, then system flags, then keywords.
    fn flags(&mut self, record: PackedRecord<'_>) -> Result<(), S::Error> {
        const NAMES: [(u8, &[u8]); 5] = [
            (system::ANSWERED, b"\\Answered "),
            (system::FLAGGED, b"\\Flagged "),
            (system::DELETED, b"\\Deleted "),
            (system::SEEN, b"\\Seen "),
            (system::DRAFT, b"\\Draft "),
        ];
        let text = &mut self.out.text;
        text.extend_from_slice(b"FLAGS (");
        if self
            .request
            .recent
            .is_some_and(|uids| uids.contains(record.uid()))
        {
            text.extend_from_slice(b"\\Recent ");
        }
        let mut flags = record.flags();
        if let Some(seen) = self.request.seen {
            flags = with_seen(flags, seen.contains(record.uid()));
        }
        for (bit, name) in NAMES {
            if flags & bit != 0 {
                text.extend_from_slice(name);
            }
        }
        let set = record.keyword_set();
        if set != 0 {
            if self.keywords.as_ref().is_none_or(|(id, _)| *id != set) {
                self.keywords = Some((set, self.source.keywords(set)?));
            }
            if let Some((_, names)) = &self.keywords {
                text.extend_from_slice(names);
                text.push(b' ');
            }
        }
        if text.last() == Some(&b' ') {
            text.pop();
        }
        text.push(b')');
        Ok(())
    }
}

/// Write an `objectid` of RFC 8474 in parentheses: a letter and 16 lower-case hexadecimal digits.
fn put_object_id(out: &mut Vec<u8>, letter: u8, id: u64) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    out.extend_from_slice(&[b'(', letter]);
    for shift in (0..16).rev() {
        let digit = (id >> (shift * 4) & 0xF) as usize;
        out.push(HEX.get(digit).copied().unwrap_or(b'0'));
    }
    out.push(b')');
}
