//! Compression of stored messages with Zstandard.
use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

use crate::Corrupt;

const NOT_A_FRAME: Corrupt = Corrupt("a frame cannot be decompressed");

thread_local! {
    // Allocating and clearing a context of some 150 KiB costs more than compressing a message.
    static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Compress to one frame. Levels are those of zstd: 1 to 3 for mail, negative ones are faster.
#[must_use]
pub fn compress(bytes: &[u8], level: i32) -> Vec<u8> {
    let frame = COMPRESSOR.with_borrow_mut(|kept| -> io::Result<Vec<u8>> {
        let mut made = match kept.take() {
            Some((of, compressor)) if of == level => compressor,
            _ => Compressor::new(level)?,
        };
        let frame = made.compress(bytes);
        *kept = Some((level, made));
        frame
    });
    // Compression fails only if the buffer is too small, and this call allocates it.
    frame.unwrap_or_default()
}

/// Decompress the result of [`compress`] to exactly `size` bytes; no more are ever allocated.
///
/// # Errors
/// The frame is corrupt, or has another size.
pub fn decompress(frame: &[u8], size: usize) -> Result<Vec<u8>, Corrupt> {
    let mut bytes = Vec::with_capacity(size);
    decompress_into(frame, size, &mut bytes)?;
    Ok(bytes)
}

/// As [`decompress`], but append to `out`.
///
/// # Errors
/// As [`decompress`]; `out` is unchanged then.
pub fn decompress_into(frame: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), Corrupt> {
    if frame.is_empty() {
        return Err(NOT_A_FRAME); // zstd takes it for compressed nothing
    }
    let before = out.len();
    out.reserve_exact(size);
    let mut output = io::Cursor::new(std::mem::take(out));
    output.set_position(before as u64);
    let made = DECOMPRESSOR.with_borrow_mut(|kept| -> io::Result<usize> {
        let mut made = match kept.take() {
            Some(decompressor) => decompressor,
            None => Decompressor::new()?,
        };
        let bytes = made.decompress_to_buffer(frame, &mut output);
        *kept = Some(made);
        bytes
    });
    *out = output.into_inner();
    if made.is_ok_and(|made| made == size) && out.len() == before + size {
        return Ok(());
    }
    out.truncate(before);
    Err(NOT_A_FRAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_round_trip() {
        let mail = b"Received: from a by b; Mon, 1 Jan 2024 10:00:00 +0000\r\n".repeat(1000);
        for bytes in [&b""[..], b"x", &mail] {
            for level in [-1, 1, 3, 19, 99] {
                let frame = compress(bytes, level);
                assert_eq!(decompress(&frame, bytes.len()), Ok(bytes.to_vec()));
            }
        }
        assert!(compress(&mail, 1).len() < mail.len() / 50);
    }

    #[test]
    fn other_lengths_and_corrupt_frames_are_refused() {
        let frame = compress(&[7; 1000], 3);
        assert_eq!(decompress(&frame, 999), Err(NOT_A_FRAME));
        assert_eq!(decompress(&frame, 1001), Err(NOT_A_FRAME));
        assert_eq!(decompress(b"", 0), Err(NOT_A_FRAME));
        assert_eq!(decompress(b"not zstd", 8), Err(NOT_A_FRAME));
        assert_eq!(
            decompress(&frame[..frame.len() - 1], 1000),
            Err(NOT_A_FRAME)
        );
    }
}
