//! Layout of the table `bodies`.
//!
//! A message is cut into frames of fixed size, each stored compressed or raw. The stored bytes of
//! all frames are cut into values of [`VALUE_BYTES`], numbered from 1; row 0 has a header:
//!
//! | at | field |
//! |---|---|
//! | 0 | version, u8 |
//! | 1 | zero, u8 |
//! | 2 | stored bytes that follow in row 0, u16 |
//! | 4 | number of frames, u16 |
//! | 6 | zero, u16 |
//! | 8 | size of the message, u64 |
//! | 16 | stored length of each frame, u32 |

/// Bytes of row 0 before the lengths of the frames.
pub(super) const HEADER_BYTES: usize = 16;
pub(super) const VERSION: u8 = 1;
/// Flag in the length of a frame: stored without compression.
pub(super) const RAW: u32 = 1 << 31;
const SMALL_FRAME: u64 = 64 * 1024;
const LARGE_FRAME: u64 = 128 * 1024;
/// Number of the first large frame.
const SMALL_FRAMES: u64 = 256;
const SMALL_BYTES: u64 = SMALL_FRAMES * SMALL_FRAME;

/// Maximum bytes of a value: one overflow page, so that LMDB never searches its free list for runs.
/// A page has 4,096 bytes, 16 of them its header (docs/decisions/0008).
pub const VALUE_BYTES: usize = 4080;
/// Number of frames whose lengths fit row 0.
const FRAMES_MAX: u64 = 768;
/// Maximum bytes of a message: 80 MiB.
pub const BODY_MAX: u64 = SMALL_BYTES + (FRAMES_MAX - SMALL_FRAMES) * LARGE_FRAME;

const _: () = assert!(HEADER_BYTES + 4 * 768 <= VALUE_BYTES);

/// Return the key of a chunk of a body or of its metadata.
pub(super) fn chunk_key(body: u64, chunk: u32) -> [u8; 12] {
    let mut key = [0; 12];
    let (id, number) = key.split_at_mut(8);
    id.copy_from_slice(&body.to_be_bytes());
    number.copy_from_slice(&chunk.to_be_bytes());
    key
}

/// Return the number of the frame that contains a byte of the message, and the offset of the frame.
pub(super) fn frame_at(offset: u64) -> (usize, u64) {
    let (number, start) = if offset < SMALL_BYTES {
        (offset / SMALL_FRAME, offset - offset % SMALL_FRAME)
    } else {
        let beyond = offset - SMALL_BYTES;
        let number = SMALL_FRAMES + beyond / LARGE_FRAME;
        (number, offset - beyond % LARGE_FRAME)
    };
    (to_usize(number), start)
}

/// Bytes of the message in a frame other than the last.
pub(super) fn frame_size(number: u64) -> u64 {
    if number < SMALL_FRAMES {
        SMALL_FRAME
    } else {
        LARGE_FRAME
    }
}

pub(super) fn stored_bytes(entry: [u8; 4]) -> usize {
    (u32::from_le_bytes(entry) & !RAW) as usize
}

pub(super) fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
