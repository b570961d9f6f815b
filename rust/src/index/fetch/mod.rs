//! FETCH answers, from index segments and metadata (RFC 9051 section 7.5.2).

mod plan;
mod sections;

#[cfg(test)]
mod tests;

use std::ops::Deref;

use self::plan::{ItemValue, Plan};
use super::record::PackedRecord;
use super::segment::{OUT_OF_ORDER, Segment};
use super::writing::put_date_time;
use crate::Corrupt;
use crate::message::MessageMetadata;
use crate::numbers::{UidMap, UidSet, put_decimal};
use crate::wire::ast::{FetchItem, system};
use crate::wire::writer::string;

/// A stretch of a stored message that belongs here in the answer; see `_core.pyi` about NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BodySlice {
    /// Whose bytes.
    pub body: u64,
    /// From 0.
    pub offset: u64,
    /// Never 0.
    pub length: u64,
}

/// A part whose transfer encoding, if it has one, is to be undone here (RFC 3516).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BinarySlice {
    /// Whose bytes.
    pub body: u64,
    /// Where the encoded part begins.
    pub offset: u64,
    /// Bytes of the encoded part.
    pub length: u64,
    /// 0: none, 1: base64, 2: quoted-printable, -1: unknown.
    pub encoding: i8,
    /// First decoded byte.
    pub start: u64,
    /// Maximum number of decoded bytes.
    pub count: Option<u64>,
    /// Their number is asked for, not the bytes.
    pub size_only: bool,
}

/// What an answer is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes to send.
    Text(Vec<u8>),
    /// Bytes that somebody has to read.
    Body(BodySlice),
    /// Bytes that somebody has to read and decode.
    Binary(BinarySlice),
}

/// Where FETCH finds what is not in the index.
pub trait Source {
    /// Why something is not there, or is damaged.
    type Error: From<Corrupt>;
    /// Bytes, owned or lent.
    type Bytes: Deref<Target = [u8]>;
    /// Names of a keyword set, joined by spaces.
    ///
    /// # Errors
    /// There is no such set.
    fn keywords(&self, set: u32) -> Result<Self::Bytes, Self::Error>;
    /// The metadata of a body.
    ///
    /// # Errors
    /// There is no such metadata.
    fn metadata(&self, body: u64) -> Result<Self::Bytes, Self::Error>;
}

/// What is asked.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// What to value of each message.
    pub items: &'a [FetchItem],
    /// The client's message numbers; a UID that is not in it is passed over.
    pub numbers: &'a UidMap,
    /// Of which messages.
    pub wanted: &'a UidSet,
    /// For `\Recent`; None where the client is not to see it.
    pub recent: Option<&'a UidSet>,
    /// UIDs that get FLAGS even if not asked.
    pub flags_too: Option<&'a UidSet>,
}

/// The pieces of an answer; text that follows text joins it.
#[derive(Default)]
struct PieceBuffer {
    text: Vec<u8>,
    pieces: Vec<Piece>,
    /// Of all pieces.
    before: usize,
}

impl PieceBuffer {
    /// How long the answer is, encoded parts counted as they are stored.
    fn bytes(&self) -> usize {
        self.before.saturating_add(self.text.len())
    }

    fn add(&mut self, piece: Piece, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.before = self.before.saturating_add(bytes);
        self.pieces.push(piece);
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            let text = std::mem::take(&mut self.text);
            let bytes = text.len() as u64;
            self.add(Piece::Text(text), bytes);
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

/// A part of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// What is to be sent behind the text.
    pub pieces: Vec<Piece>,
    /// The wanted messages that it does not speak of yet.
    pub rest: UidSet,
    /// Some that it should speak of are not in the index.
    pub missing: bool,
}

/// FETCH responses of the wanted messages, ascending.
///
/// # Errors
/// A damaged segment or metadata, segments out of order, or what `source` says.
pub fn render<'a, S: Source>(
    request: &Request<'_>,
    segments: impl IntoIterator<Item = &'a [u8]>,
    source: &S,
) -> Result<Vec<Piece>, S::Error> {
    let segments = segments.into_iter().map(Ok);
    let mut text = Vec::new();
    let rendered = render_some(request, segments, source, usize::MAX, &mut text)?;
    let text = (!text.is_empty()).then_some(Piece::Text(text));
    Ok(text.into_iter().chain(rendered.pieces).collect())
}

/// As [`render`], up to the message with which the answer reaches `max_bytes` bytes. What can be written
/// at once is put behind `text`.
///
/// # Errors
/// As there, or what the iterator over segments says; `text` is then as it was.
pub fn render_some<'a, S: Source>(
    request: &Request<'_>,
    segments: impl IntoIterator<Item = Result<&'a [u8], Corrupt>>,
    source: &S,
    max_bytes: usize,
    text: &mut Vec<u8>,
) -> Result<Rendered, S::Error> {
    let before = text.len();
    let mut writer = Writer {
        request,
        plan: Plan::new(request.items),
        source,
        keywords: None,
        out: PieceBuffer {
            text: std::mem::take(text),
            ..PieceBuffer::default()
        },
    };
    let rendered = writer.messages(segments, before.saturating_add(max_bytes));
    writer.out.flush();
    let mut pieces = writer.out.pieces.into_iter();
    // Each answer begins with text, so what was there and what follows it is the first piece.
    if let Some(Piece::Text(first)) = pieces.next() {
        *text = first;
    }
    match rendered {
        Ok((rest, missing)) => Ok(Rendered {
            pieces: pieces.collect(),
            rest,
            missing,
        }),
        Err(error) => {
            text.truncate(before);
            Err(error)
        }
    }
}

struct Writer<'a, S: Source> {
    request: &'a Request<'a>,
    plan: Plan<'a>,
    source: &'a S,
    /// The keyword set named last: neighbours mostly have the same.
    keywords: Option<(u32, S::Bytes)>,
    out: PieceBuffer,
}

impl<S: Source> Writer<'_, S> {
    /// Write messages until `max_bytes` are reached; return those that are left, and whether one
    /// of the others is missing.
    fn messages<'a>(
        &mut self,
        segments: impl IntoIterator<Item = Result<&'a [u8], Corrupt>>,
        max_bytes: usize,
    ) -> Result<(UidSet, bool), S::Error> {
        let request = self.request;
        let (mut before, mut found, mut rest) = (0, 0, UidSet::empty());
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
                if self.out.bytes() >= max_bytes {
                    let left = request.wanted.within(uid, u32::MAX).collect();
                    rest = UidSet::from_runs(left).unwrap_or_default();
                    break 'all;
                }
                found += 1;
                if let Some(number) = request.numbers.number(uid) {
                    self.message(number, record)?;
                }
            }
        }
        let missing = found + rest.len() < request.wanted.len();
        Ok((rest, missing))
    }

    fn message(&mut self, number: u32, record: PackedRecord<'_>) -> Result<(), S::Error> {
        let stored = if self.plan.needs_metadata {
            Some(self.source.metadata(record.body())?)
        } else {
            None
        };
        let metadata = match &stored {
            Some(stored) => Some(MessageMetadata::open_lazily(stored)?),
            None => None,
        };
        self.out.text.extend_from_slice(b"* ");
        put_decimal(&mut self.out.text, number.into());
        self.out.text.extend_from_slice(b" FETCH (");
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
            ItemValue::EmailId => put_object_id(text, b'M', record.body()),
            ItemValue::ThreadId if record.thread() == 0 => text.extend_from_slice(b"NIL"),
            ItemValue::ThreadId => put_object_id(text, b'T', record.thread()),
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
                // NUL may stand in no string that every client reads.
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

    /// `FLAGS (…)`: `\Recent` first, then the system flags, then keywords.
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
        let flags = record.flags();
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

/// `objectid` of RFC 8474: a letter and 16 lower-case hexadecimal digits, in parentheses.
fn put_object_id(out: &mut Vec<u8>, letter: u8, id: u64) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    out.extend_from_slice(&[b'(', letter]);
    for shift in (0..16).rev() {
        let digit = (id >> (shift * 4) & 0xF) as usize;
        out.push(HEX.get(digit).copied().unwrap_or(b'0'));
    }
    out.push(b')');
}
