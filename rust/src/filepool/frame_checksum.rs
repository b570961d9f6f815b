//! Checksum of one stored frame of a body, for format 2. Format 1 has no place for it.

use crate::message::checksum;

/// Return the checksum of a frame as stored.
///
/// Body and number of the frame are part of it, so that a frame in the place of another is found.
/// Every change of a single bit is found, and all but one in 2^32 of other changes. Costs about
/// 3 us for a frame of 64 KiB.
#[must_use]
pub fn frame_checksum(body: u64, number: u32, stored: &[u8]) -> u32 {
    let [b0, b1, b2, b3, b4, b5, b6, b7] = body.to_le_bytes();
    let [n0, n1, n2, n3] = number.to_le_bytes();
    let [c0, c1, c2, c3] = checksum(stored).to_le_bytes();
    checksum(&[
        b0, b1, b2, b3, b4, b5, b6, b7, n0, n1, n2, n3, c0, c1, c2, c3,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_changes_it() {
        let mut frame: Vec<u8> = (0..2000_u32)
            .map(|at| ((at * at) >> 3).to_le_bytes()[0])
            .collect();
        let right = frame_checksum(7, 1, &frame);
        for bit in 0..frame.len() * 8 {
            frame[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(frame_checksum(7, 1, &frame), right, "bit {bit}");
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(frame_checksum(7, 1, &frame), right);
    }

    #[test]
    fn it_depends_on_place_and_length() {
        let sums = [
            frame_checksum(1, 0, b"frame"),
            frame_checksum(2, 0, b"frame"),
            frame_checksum(1, 1, b"frame"),
            frame_checksum(1, 0, b"frame\0"),
            frame_checksum(1, 0, b""),
        ];
        for (at, sum) in sums.iter().enumerate() {
            assert!(!sums[at + 1..].contains(sum));
        }
    }

    #[test]
    #[ignore = "asserts nothing: prints the cost, with --release --ignored --nocapture"]
    fn cost() {
        let frame = vec![0x55; 64 * 1024];
        let started = std::time::Instant::now();
        let mut sum = 0;
        for number in 0..10_000 {
            sum ^= frame_checksum(1, number, std::hint::black_box(&frame));
        }
        println!("{:?} each, {sum}", started.elapsed() / 10_000);
    }
}
