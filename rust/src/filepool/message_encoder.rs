//! Table `bodies`: encoding a message for storage.

use super::body_layout::{HEADER_BYTES, RAW, VALUE_BYTES, VERSION, frame_size, to_usize};
use super::compress::compress;
use crate::message::{MessageMetadata, Scanner, thread_hash};

/// Smallest frame that is compressed. Decompressing a smaller one costs more than the pages it
/// saves.
const COMPRESS_FROM: usize = 16 * 1024;
const LEVEL: i32 = 1;

/// Encoder of a message: scans it as it arrives, and cuts it into frames, which are compressed if
/// worthwhile.
///
/// Holds at most one frame, the encoded bytes that were not taken, and those of one `feed`.
#[derive(Default)]
pub struct MessageEncoder {
    scanner: Scanner,
    size: u64,
    frame: Vec<u8>,
    /// Stored lengths of the frames.
    lengths: Vec<u32>,
    /// Encoded bytes that were not taken.
    stored: Vec<u8>,
}

/// Message in the form in which it is stored.
pub struct EncodedMessage {
    /// Chunk numbers and values of table `bodies`, without those already taken.
    pub rows: Vec<(u32, Vec<u8>)>,
    /// Metadata of the message, as stored.
    pub metadata: Vec<u8>,
    /// Hashes of the Message-IDs that determine its thread, most significant first.
    pub threads: Vec<u64>,
}

impl MessageEncoder {
    /// Bytes of the message so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Encoded bytes that were not taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.stored.len()
    }

    /// Bytes in memory.
    #[must_use]
    pub fn held(&self) -> usize {
        self.stored.len() + self.frame.len()
    }

    /// Feed the next bytes of the message.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.scanner.feed(bytes);
        self.size += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            let whole = to_usize(frame_size(self.lengths.len() as u64));
            let room = whole - self.frame.len();
            let (piece, tail) = rest.split_at_checked(room).unwrap_or((rest, b""));
            self.frame.extend_from_slice(piece);
            rest = tail;
            if self.frame.len() == whole {
                self.close_frame();
            }
        }
    }

    /// Take complete values, to store them before the message is complete.
    pub fn take_values(&mut self) -> Vec<Vec<u8>> {
        let whole = self.stored.len() - self.stored.len() % VALUE_BYTES;
        let values = self.stored.drain(..whole).collect::<Vec<u8>>();
        values.chunks(VALUE_BYTES).map(<[u8]>::to_vec).collect()
    }

    /// Finish the message.
    ///
    /// `first` is the number of the next chunk: 1 if no value was taken, and then row 0 holds as
    /// many bytes as fit. Of more than `references` references, the nearest count, and the first,
    /// which names the thread.
    #[must_use]
    pub fn finish(mut self, first: u32, references: usize) -> EncodedMessage {
        if !self.frame.is_empty() {
            self.close_frame();
        }
        let before = HEADER_BYTES + 4 * self.lengths.len();
        let inline = if first == 1 {
            VALUE_BYTES.saturating_sub(before).min(self.stored.len())
        } else {
            0
        };
        let (here, tail) = self.stored.split_at_checked(inline).unwrap_or_default();
        let mut head = Vec::with_capacity(before + inline);
        head.extend([VERSION, 0]);
        // No number is cut: a value has 4,080 bytes, and the largest message 768 frames.
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
            |_| Vec::new(), // cannot happen: it was built above
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
        // Base64 shrinks by a quarter and would be read three times slower: docs/decisions/0003.
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

/// Return a length as stored. A frame has at most 128 KiB.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Return the hashes of the message's own id (a reply may have arrived earlier) and of its
/// references, nearest first.
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
