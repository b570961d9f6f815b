//! The table of header fields: where each field of a message's header stands.
use super::codec::{Decoder, Encoder};
use super::codes;
use crate::message::limits::NAME_BYTES;

/// Stands for a name that is no row of the table of names.
const SPELT_OUT: u8 = 255;

/// The fields of one header, on the way into message metadata. They stand one behind the other without
/// gaps, so that lengths are enough.
#[derive(Default)]
pub(crate) struct FieldTable {
    stored: Encoder,
    /// Length of the last field, not yet stored.
    last: Option<u64>,
}

impl FieldTable {
    /// Add a field. An empty name: a line that is no field, or one whose name is too long.
    pub(crate) fn push(&mut self, name: &[u8], length: u64) {
        self.end_last();
        if name.is_empty() || name.len() > NAME_BYTES {
            self.stored.0.push(0);
        } else if let Some(code) = codes::field_code(name) {
            self.stored.0.push(code);
        } else {
            self.stored.0.push(SPELT_OUT);
            self.stored.chunk(name);
        }
        self.last = Some(length);
    }

    /// The last field goes on.
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
    /// Compare it without regard to case: a well-known name comes in its usual spelling. Empty
    /// for lines that are no field, and for all that is past [`FIELDS`](crate::message::limits::FIELDS).
    pub name: &'a [u8],
    /// Where it begins in the message.
    pub offset: u64,
    /// Bytes of the whole field, with its folding and its line end.
    pub length: u64,
}

/// See [`MessageMetadata::header_fields`](crate::message::MessageMetadata::header_fields).
#[derive(Clone)]
pub struct HeaderFields<'a> {
    input: Decoder<'a>,
    offset: u64,
}

impl<'a> HeaderFields<'a> {
    /// The `index`th table of many stored one behind the other; the header begins at `offset`.
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
            SPELT_OUT => self.input.chunk()?,
            code => codes::field_name(code)?,
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
