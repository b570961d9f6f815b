//! Table `bodies`: reading messages.

use std::borrow::Cow;

use super::Group;
use super::body_layout::{
    HEADER_BYTES, RAW, VALUE_BYTES, VERSION, chunk_key, frame_at, frame_size, stored_bytes,
    to_usize,
};
use super::compress::decompress_into;
use crate::Corrupt;
use crate::pages::TableCursor;

const BAD_HEAD: Corrupt = Corrupt("the header row of a message is corrupt");
const MISSING: Corrupt = Corrupt("a part of a message is missing");

/// Reasons why bytes of a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The message was expunged, and its grace period is over.
    Gone,
    /// The stored form is corrupt.
    Corrupt(Corrupt),
}

impl From<Corrupt> for BodyError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

/// Reader of messages; neighbouring ones are cheaper with one reader.
pub struct Bodies<'a> {
    cursor: TableCursor<'a>,
    /// Buffer for compressed bytes that are not in one row.
    scratch: Vec<u8>,
    /// Last frame that was read in part: parts of a message are often read in order.
    frame: Vec<u8>,
    /// Body and number of that frame.
    framed: Option<(u64, u64)>,
}

/// Lengths of a stored message.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyLayout {
    /// Bytes of the message.
    pub size: u64,
    /// Number of rows, row 0 included.
    pub rows: usize,
    /// First length that is wrong.
    pub error: Option<String>,
}

/// Return the number of rows of a message, row 0 included, from row 0.
///
/// # Errors
/// The row is corrupt.
pub fn body_rows(row0: &[u8]) -> Result<usize, Corrupt> {
    Ok(read_head(0, row0).ok_or(BAD_HEAD)?.rows())
}

/// Contents of row 0.
struct BodyHeader<'a> {
    number: u64,
    size: u64,
    /// Stored lengths of the frames.
    table: &'a [[u8; 4]],
    /// Stored bytes in row 0.
    inline: &'a [u8],
}

impl BodyHeader<'_> {
    fn stored(&self) -> usize {
        self.table.iter().map(|entry| stored_bytes(*entry)).sum()
    }

    fn rows(&self) -> usize {
        let beyond = self.stored().saturating_sub(self.inline.len());
        1 + beyond.div_ceil(VALUE_BYTES)
    }

    /// Return what is wrong with the lengths of the frames.
    fn error(&self) -> Option<String> {
        let mut start = 0;
        for (number, entry) in (0..).zip(self.table) {
            let plain = frame_size(number).min(self.size - start);
            start += plain;
            let stored = stored_bytes(*entry) as u64;
            let right = if u32::from_le_bytes(*entry) & RAW != 0 {
                stored == plain
            } else {
                0 < stored && stored < plain
            };
            if !right {
                return Some(format!(
                    "frame {number} has {stored} stored bytes for {plain}"
                ));
            }
        }
        let more = self.inline.len() > self.stored();
        more.then(|| "row 0 has more bytes than all frames".to_string())
    }
}

impl<'a> Bodies<'a> {
    /// Create a reader for a group.
    ///
    /// # Errors
    /// The file is corrupt.
    pub fn new(group: Group<'a>) -> Result<Self, Corrupt> {
        Ok(Self {
            cursor: group.table("bodies")?.cursor(),
            scratch: Vec::new(),
            frame: Vec::new(),
            framed: None,
        })
    }

    /// Append a range of a message, cut at its end, to `out`. The cost is proportional to the
    /// range, plus at most one frame.
    ///
    /// # Errors
    /// [`BodyError`]; part of the range may be in `out` then.
    pub fn read(
        &mut self,
        body: u64,
        offset: u64,
        length: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), BodyError> {
        let head = self.head(body)?;
        let end = offset.saturating_add(length).min(head.size);
        if offset >= end {
            return Ok(());
        }
        out.reserve(usize::try_from(end - offset).unwrap_or(0));
        let (first, mut start) = frame_at(offset);
        let (before, frames) = head.table.split_at_checked(first).ok_or(BAD_HEAD)?;
        let mut position: usize = before.iter().map(|entry| stored_bytes(*entry)).sum();
        for (number, entry) in (first as u64..).zip(frames) {
            if start >= end {
                break;
            }
            let plain = frame_size(number).min(head.size - start);
            let stored = stored_bytes(*entry);
            let low = to_usize(offset.saturating_sub(start));
            let high = to_usize((end - start).min(plain));
            if u32::from_le_bytes(*entry) & RAW != 0 {
                if stored as u64 != plain {
                    return Err(BodyError::Corrupt(BAD_HEAD));
                }
                self.copy(&head, position + low, high - low, out)?;
            } else if (low, high as u64) == (0, plain) {
                self.decompress(&head, position, stored, high, out)?;
            } else {
                let frame = self.frame(&head, number, position, stored, to_usize(plain))?;
                out.extend_from_slice(frame.get(low..high).unwrap_or_default());
            }
            position += stored;
            start += plain;
        }
        Ok(())
    }

    /// Return the lengths of a message, and check those of its frames and rows.
    ///
    /// # Errors
    /// [`BodyError`]: row 0 cannot be read.
    pub fn layout(&mut self, body: u64) -> Result<BodyLayout, BodyError> {
        let head = self.head(body)?;
        let rows = head.rows();
        let mut error = head.error();
        let mut remaining = head.stored().saturating_sub(head.inline.len());
        for row in 1..rows {
            let number = u32::try_from(row).map_err(|_| BAD_HEAD)?;
            let length = self.cursor.get(&chunk_key(body, number))?.map(<[u8]>::len);
            let expected = remaining.min(VALUE_BYTES);
            if error.is_none() && length != Some(expected) {
                error = Some(format!("row {row} is missing or has a wrong length"));
            }
            remaining -= expected;
        }
        let reserved = self.cursor.get(&chunk_key(body, 0))?.unwrap_or_default();
        if reserved.get(6..8) != Some(&[0, 0]) {
            error = Some("a byte of its header is not zero".to_string());
        }
        Ok(BodyLayout {
            size: head.size,
            rows,
            error,
        })
    }

    fn head(&mut self, body: u64) -> Result<BodyHeader<'a>, BodyError> {
        let row = self
            .cursor
            .get(&chunk_key(body, 0))?
            .ok_or(BodyError::Gone)?;
        read_head(body, row).ok_or(BodyError::Corrupt(BAD_HEAD))
    }

    /// Return a frame, decompressed.
    fn frame(
        &mut self,
        head: &BodyHeader<'a>,
        number: u64,
        position: usize,
        stored: usize,
        plain: usize,
    ) -> Result<&[u8], BodyError> {
        let wanted = Some((head.number, number));
        if self.framed != wanted {
            self.framed = None;
            let mut frame = std::mem::take(&mut self.frame);
            frame.clear();
            let unpacked = self.decompress(head, position, stored, plain, &mut frame);
            self.frame = frame;
            unpacked?;
            self.framed = wanted;
        }
        Ok(&self.frame)
    }

    /// Decompress a frame into `out`.
    fn decompress(
        &mut self,
        head: &BodyHeader<'a>,
        position: usize,
        stored: usize,
        plain: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), BodyError> {
        let packed = self.stored(head, position, stored)?;
        let unpacked = decompress_into(&packed, plain, out);
        self.give_back(packed);
        Ok(unpacked?)
    }

    fn give_back(&mut self, packed: Cow<'_, [u8]>) {
        if let Cow::Owned(scratch) = packed {
            self.scratch = scratch;
        }
    }

    /// Return stored bytes; borrowed if they are in one row.
    fn stored(
        &mut self,
        head: &BodyHeader<'a>,
        position: usize,
        length: usize,
    ) -> Result<Cow<'a, [u8]>, BodyError> {
        if let Some(bytes) = head.inline.get(position..position + length) {
            return Ok(Cow::Borrowed(bytes));
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        self.copy(head, position, length, &mut scratch)?;
        Ok(Cow::Owned(scratch))
    }

    /// Append stored bytes to `out`.
    fn copy(
        &mut self,
        head: &BodyHeader<'a>,
        position: usize,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), BodyError> {
        let end = out.len() + length;
        let mut take = |bytes: Option<&[u8]>| {
            let bytes = bytes.unwrap_or_default();
            let wanted = bytes.len().min(end - out.len());
            out.extend_from_slice(bytes.get(..wanted).unwrap_or_default());
            end - out.len()
        };
        let mut left = take(head.inline.get(position..));
        let beyond = position.saturating_sub(head.inline.len());
        let mut chunk = 1 + beyond / VALUE_BYTES;
        let mut skip = beyond % VALUE_BYTES;
        while left > 0 {
            let number = u32::try_from(chunk).map_err(|_| MISSING)?;
            let key = chunk_key(head.number, number);
            let row = self.cursor.get(&key)?.ok_or(MISSING)?;
            let before = left;
            left = take(row.get(skip..));
            if left == before {
                return Err(MISSING.into());
            }
            chunk += 1;
            skip = 0;
        }
        Ok(())
    }
}

fn read_head(number: u64, row: &[u8]) -> Option<BodyHeader<'_>> {
    let (head, rest) = row.split_first_chunk::<HEADER_BYTES>()?;
    let [version, zero, a, b, c, d, _, _, size @ ..] = *head;
    let inline = usize::from(u16::from_le_bytes([a, b]));
    let frames = usize::from(u16::from_le_bytes([c, d]));
    let size = u64::from_le_bytes(size);
    let (table, stored) = rest.split_at_checked(4 * frames)?;
    let right = version == VERSION
        && zero == 0
        && stored.len() == inline
        && frames
            == if size == 0 {
                0
            } else {
                frame_at(size - 1).0 + 1
            };
    right.then_some(BodyHeader {
        number,
        size,
        table: table.as_chunks::<4>().0,
        inline: stored,
    })
}
