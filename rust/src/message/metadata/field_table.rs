//! Field table: name and extent of each field of a header.
use super::codec::{Decoder, Encoder};
use crate::message::header::names::FieldName;
use crate::message::limits::NAME_BYTES;

/// Code of a name that is not well-known; the name follows.
const LITERAL_NAME: u8 = 255;

/// Builder of a field table. Fields are adjacent, so lengths are enough.
#[derive(Default)]
pub(crate) struct FieldTable {
    stored: Encoder,
    /// Length of the last field, not yet written.
    last: Option<u64>,
}

impl FieldTable {
    /// Add a field. The name is empty for a line that is not a field and for a name that is too
    /// long.
    pub(crate) fn push(&mut self, known: Option<FieldName>, name: &[u8], length: u64) {
        self.end_last();
        if let Some(known) = known {
            self.stored.0.push(known.code());
        } else if name.is_empty() || name.len() > NAME_BYTES {
            self.stored.0.push(0);
        } else {
            self.stored.0.push(LITERAL_NAME);
            self.stored.chunk(name);
        }
        self.last = Some(length);
    }

    /// Add a continuation line to the last field.
    pub(crate) fn extend_last(&mut self, length: u64) {
        self.last = self.last.map(|last| last + length);
    }

    fn end_last(&mut self) {
        if let Some(length) = self.last.take() {
            self.stored.number(length);
        }
    }

    /// Write the table as a chunk.
    pub(crate) fn write(&self, out: &mut Encoder) {
        let mut stored = Encoder(self.stored.0.clone());
        if let Some(length) = self.last {
            stored.number(length);
        }
        out.chunk(&stored.0);
    }
}

/// One field of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderField<'a> {
    /// Name in its usual spelling where it is well known; compare without regard to case. Empty for
    /// a line that is not a field, and for everything past
    /// [`FIELDS`](crate::message::limits::FIELDS).
    pub name: &'a [u8],
    /// Offset in the message.
    pub offset: u64,
    /// Bytes of the whole field, folding and line end included.
    pub length: u64,
}

/// Fields of a header; see
/// [`MessageMetadata::header_fields`](crate::message::MessageMetadata::header_fields).
#[derive(Clone)]
pub struct HeaderFields<'a> {
    input: Decoder<'a>,
    offset: u64,
}

impl<'a> HeaderFields<'a> {
    /// Read the table number `index` of several stored tables; the header begins at `offset`.
    pub(crate) fn new(stored: &'a [u8], index: usize, offset: u64) -> Option<Self> {
        let mut tables = Decoder(stored);
        for _ in 0..index {
            tables.chunk()?;
        }
        Some(Self {
            input: Decoder(tables.chunk()?),
            offset,
        })
    }

    fn read(&mut self) -> Option<HeaderField<'a>> {
        let name = match self.input.byte()? {
            0 => &b""[..],
            LITERAL_NAME => self.input.chunk()?,
            code => FieldName::from_code(code)?.text(),
        };
        let length = self.input.number()?;
        let offset = self.offset;
        self.offset = offset.checked_add(length)?;
        Some(HeaderField {
            name,
            offset,
            length,
        })
    }
}

impl<'a> Iterator for HeaderFields<'a> {
    type Item = HeaderField<'a>;

    fn next(&mut self) -> Option<HeaderField<'a>> {
        if self.input.is_empty() {
            None
        } else {
            self.read()
        }
    }
}
