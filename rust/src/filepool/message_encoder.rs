//! The table `bodies`: a message on its way in.

use super::VALUE_BYTES;
use super::bodies::{HEAD_BYTES, RAW, VERSION, frame_bytes, to_usize};
use super::compress::compress;
use crate::message::{MessageMetadata, Scanner, thread_hash};

/// A frame with fewer bytes stays as it is: undoing it costs more than the pages it would save.
const COMPRESS_FROM: usize = 16 * 1024;
const LEVEL: i32 = 1;

/// Scans a message as it arrives, and cuts it into frames, each compressed where that pays.
///
/// Holds at limit one frame, what is packed and was not taken, and what one `feed` brought.
#[derive(Default)]
pub struct MessageEncoder {
    scanner: Scanner,
    size: u64,
    frame: Vec<u8>,
    /// The frames' stored lengths.
    lengths: Vec<u32>,
    /// What is packed and was not taken.
    stored: Vec<u8>,
}

/// A message that is ready to be stored.
pub struct EncodedMessage {
    /// Chunk numbers and values of the table `bodies`; those that were taken are not here.
    pub rows: Vec<(u32, Vec<u8>)>,
    /// The message's metadata, as stored.
    pub metadata: Vec<u8>,
    /// Hashes of the Message-IDs that tell its thread, the limit telling first.
    pub threads: Vec<u64>,
}

impl MessageEncoder {
    /// Bytes of the message so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that are packed and were not taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.stored.len()
    }

    /// Bytes in memory.
    #[must_use]
    pub fn held(&self) -> usize {
        self.stored.len() + self.frame.len()
    }

    /// The message's next bytes, in any portions.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.scanner.feed(bytes);
        self.size += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            let whole = to_usize(frame_bytes(self.lengths.len() as u64));
            let room = whole - self.frame.len();
            let (piece, tail) = rest.split_at_checked(room).unwrap_or((rest, b""));
            self.frame.extend_from_slice(piece);
            rest = tail;
            if self.frame.len() == whole {
                self.close_frame();
            }
        }
    }

    /// Whole values of what is packed, to be stored before the message is complete.
    pub fn take_values(&mut self) -> Vec<Vec<u8>> {
        let whole = self.stored.len() - self.stored.len() % VALUE_BYTES;
        let values = self.stored.drain(..whole).collect::<Vec<u8>>();
        values.chunks(VALUE_BYTES).map(<[u8]>::to_vec).collect()
    }

    /// The message is complete.
    ///
    /// `first` is the number of the chunk behind row 0 that comes next: 1 where nothing was taken,
    /// and then row 0 holds as much as it can. Of more references than `references` the nearest
    /// count, and the first, which began the thread.
    #[must_use]
    pub fn finish(mut self, first: u32, references: usize) -> EncodedMessage {
        if !self.frame.is_empty() {
            self.close_frame();
        }
        let before = HEAD_BYTES + 4 * self.lengths.len();
        let inline = if first == 1 {
            VALUE_BYTES.saturating_sub(before).min(self.stored.len())
        } else {
            0
        };
        let (here, tail) = self.stored.split_at_checked(inline).unwrap_or_default();
        let mut head = Vec::with_capacity(before + inline);
        head.extend([VERSION, 0]);
        // No number is cut off: a value has 4,080 bytes, and the largest message 768 frames.
        head.extend(u16::try_from(inline).unwrap_or(u16::MAX).to_le_bytes());
        head.extend(
            u16::try_from(self.lengths.len())
                .unwrap_or(u16::MAX)
                .to_le_bytes(),
        );
        head.extend([0, 0]);
        head.extend(self.size.to_le_bytes());
        head.extend(self.lengths.iter().flat_map(|length| length.to_le_bytes()));
        head.extend_from_slice(here);
        let mut rows = vec![(0, head)];
        rows.extend((first..).zip(tail.chunks(VALUE_BYTES).map(<[u8]>::to_vec)));
        let metadata = self.scanner.finish();
        let threads = MessageMetadata::reopen(&metadata).map_or_else(
            |_| Vec::new(), // it was made just now
            |metadata| thread_hashes(&metadata, references),
        );
        EncodedMessage {
            rows,
            metadata,
            threads,
        }
    }

    fn close_frame(&mut self) {
        let packed = if self.frame.len() >= COMPRESS_FROM {
            Some(compress(&self.frame, LEVEL))
        } else {
            None
        };
        // Base64 loses a quarter and would be read three times slower: docs/decisions/0003.
        let packed = packed.filter(|packed| packed.len() * 3 <= self.frame.len() * 2);
        if let Some(packed) = packed {
            self.lengths.push(length(packed.len()));
            self.stored.extend_from_slice(&packed);
        } else {
            self.lengths.push(length(self.frame.len()) | RAW);
            self.stored.extend_from_slice(&self.frame);
        }
        self.frame.clear();
    }
}

/// A frame is 128 KiB at limit.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Its own id (an answer may have come before it), then what it refers to, nearest first.
fn thread_hashes(metadata: &MessageMetadata<'_>, limit: usize) -> Vec<u64> {
    let references: Vec<&[u8]> = metadata.references().collect();
    let skipped = references.len().saturating_sub(limit);
    let nearest = references
        .iter()
        .skip(if skipped > 0 { skipped + 1 } else { 0 })
        .rev();
    let oldest = references.first().filter(|_| skipped > 0);
    let mut hashes = Vec::with_capacity(limit + 1);
    for id in metadata.message_id().iter().chain(nearest).chain(oldest) {
        let hash = thread_hash(id);
        if !hashes.contains(&hash) {
            hashes.push(hash);
        }
    }
    hashes
}
