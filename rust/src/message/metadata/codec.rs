//! Encoding of numbers and bytes in stored metadata: varints, and chunks prefixed with their
//! length.

/// Bytes of an excerpt that is searched for.
const SEARCHED_BYTES: usize = 64 * 1024;

/// Encoder of metadata.
#[derive(Default)]
pub(crate) struct Encoder(pub(crate) Vec<u8>);

impl Encoder {
    /// Write a varint: seven bits a byte, lowest first.
    pub(crate) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    /// Write a size in memory as a varint.
    pub(crate) fn count(&mut self, value: usize) {
        self.number(value as u64);
    }

    /// Write a signed number with zigzag encoding, which keeps small numbers of either sign short.
    pub(crate) fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    pub(crate) fn chunk(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Write bytes that usually occur in `whole`: as an offset where they do. Long ones are compared
    /// with its end only, where a base subject is: preparing a search costs 20 ns a byte.
    pub(crate) fn excerpt(&mut self, bytes: &[u8], whole: &[u8]) {
        let found = if bytes.len() <= SEARCHED_BYTES {
            memchr::memmem::find(whole, bytes)
        } else {
            whole.strip_suffix(bytes).map(<[u8]>::len)
        };
        match found {
            Some(offset) if !bytes.is_empty() => {
                self.count(bytes.len() << 1 | 1);
                self.count(offset);
            }
            _ => {
                self.count(bytes.len() << 1);
                self.0.extend_from_slice(bytes);
            }
        }
    }
}

/// Decoder of metadata. Every method returns None at the end of the input.
#[derive(Clone, Copy)]
pub(crate) struct Decoder<'a>(pub(crate) &'a [u8]);

impl<'a> Decoder<'a> {
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Read a varint. Most are lengths below 16,384, which take no loop. The compiler would not
    /// inline it, and the call costs more than the work.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(crate) fn number(&mut self) -> Option<u64> {
        match self.0 {
            [a, rest @ ..] if *a < 0x80 => {
                self.0 = rest;
                Some(u64::from(*a))
            }
            [a, b, rest @ ..] if *b < 0x80 => {
                self.0 = rest;
                Some(u64::from(*a & 0x7f) | u64::from(*b) << 7)
            }
            _ => self.long_number(),
        }
    }

    fn long_number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return None; // above 64 bits
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
            shift += 7;
            if shift > 63 {
                return None;
            }
        }
    }

    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(crate) fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    #[inline]
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(crate) fn chunk(&mut self) -> Option<&'a [u8]> {
        let count = self.count()?;
        self.bytes(count)
    }

    #[inline]
    pub(crate) fn excerpt(&mut self, whole: &'a [u8]) -> Option<&'a [u8]> {
        let head = self.count()?;
        let count = head >> 1;
        if head & 1 == 0 {
            return self.bytes(count);
        }
        let offset = self.count()?;
        whole.get(offset..offset.checked_add(count)?)
    }
}

/// Bytes of one step of the checksum.
const BLOCK: usize = 32;

/// Return a 32-bit checksum that detects torn and other values. Part of the format.
///
/// Each of four lanes takes one word of every block: `lane = (lane ^ word) * odd` maps different
/// words to different states, and the multiplications overlap.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 / golden ratio, odd
    let mut lanes = [bytes.len() as u64, FACTOR, FACTOR, FACTOR];
    let mut mix = |block: &[u8; BLOCK]| {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
            *lane = (*lane ^ u64::from_le_bytes(*word))
                .wrapping_mul(FACTOR)
                .rotate_left(29);
        }
    };
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    for block in blocks {
        mix(block);
    }
    let mut last = [0; BLOCK];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    mix(&last);
    let sum = lanes.into_iter().fold(0_u64, |sum, lane| {
        let sum = (sum ^ lane).wrapping_mul(FACTOR);
        sum ^ sum >> 32
    });
    let [a, b, c, d, ..] = sum.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for value in [
            0,
            1,
            127,
            128,
            16_383,
            16_384,
            u64::from(u32::MAX),
            u64::MAX - 1,
            u64::MAX,
        ] {
            let mut out = Encoder::default();
            out.number(value);
            assert_eq!(Decoder(&out.0).number(), Some(value));
            for end in 0..out.0.len() {
                assert_eq!(Decoder(&out.0[..end]).number(), None);
            }
        }
        for value in [0, -1, 1, -64, 64, i64::MIN, i64::MAX] {
            let mut out = Encoder::default();
            out.signed(value);
            assert_eq!(Decoder(&out.0).signed(), Some(value));
        }
    }

    #[test]
    fn a_number_above_64_bits_is_refused() {
        assert_eq!(Decoder(&[0xff; 11]).number(), None);
        assert_eq!(
            Decoder(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]).number(),
            None
        );
    }

    #[test]
    fn an_excerpt_of_known_bytes_is_stored_as_an_offset() {
        let whole = b"joe doe <joe@example.org>";
        let long = vec![b'x'; SEARCHED_BYTES + 2];
        for (length, stored) in [
            (SEARCHED_BYTES, 4),
            (SEARCHED_BYTES + 1, 4),
            (SEARCHED_BYTES + 2, 4),
        ] {
            let mut out = Encoder::default();
            out.excerpt(&long[..length], &long);
            assert_eq!(out.0.len(), stored);
            assert_eq!(Decoder(&out.0).excerpt(&long), Some(&long[..length]));
            let mut out = Encoder::default();
            out.excerpt(&long[..length], &long[1..length]);
            assert!(out.0.len() > length);
        }
        for (text, stored) in [(&b"joe doe"[..], 2), (b"", 1), (b"jane", 5)] {
            let mut out = Encoder::default();
            out.excerpt(text, whole);
            assert_eq!(out.0.len(), stored);
            assert_eq!(Decoder(&out.0).excerpt(whole), Some(text));
        }
        assert_eq!(Decoder(&[5, 24]).excerpt(whole), None, "outside the whole");
    }

    #[test]
    fn the_checksum_depends_on_every_byte() {
        let bytes: Vec<u8> = (0..100).collect();
        let right = checksum(&bytes);
        assert_eq!(right, 655_790_929, "stored metadata depends on it");
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert_ne!(checksum(&wrong), right);
            assert_ne!(checksum(&bytes[..at]), right);
        }
    }
}
