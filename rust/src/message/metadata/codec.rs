//! How numbers and octets stand in a stored digest: varints, and chunks with their length in front.

/// Writes a digest.
#[derive(Default)]
pub(crate) struct Out(pub(crate) Vec<u8>);

impl Out {
    /// Seven bits an octet, lowest first.
    pub(crate) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    /// A size in memory.
    pub(crate) fn count(&mut self, value: usize) {
        self.number(value as u64);
    }

    /// Zigzag: small numbers of either sign stay short.
    pub(crate) fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    pub(crate) fn chunk(&mut self, octets: &[u8]) {
        self.count(octets.len());
        self.0.extend_from_slice(octets);
    }

    /// Octets that very often stand in `whole` already: then only where.
    pub(crate) fn excerpt(&mut self, octets: &[u8], whole: &[u8]) {
        match memchr::memmem::find(whole, octets) {
            Some(offset) if !octets.is_empty() => {
                self.count(octets.len() << 1 | 1);
                self.count(offset);
            }
            _ => {
                self.count(octets.len() << 1);
                self.0.extend_from_slice(octets);
            }
        }
    }
}

/// Reads a digest; None where it ends too soon.
#[derive(Clone, Copy)]
pub(crate) struct In<'a>(pub(crate) &'a [u8]);

impl<'a> In<'a> {
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn octet(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Most are lengths below 16,384: those take no loop.
    #[allow(clippy::inline_always)] // by itself it is called, which costs more than it does
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
            let octet = self.octet()?;
            if shift == 63 && octet > 1 {
                return None; // does not fit 64 bits
            }
            value |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
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
    pub(crate) fn octets(&mut self, count: usize) -> Option<&'a [u8]> {
        let (octets, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(octets)
    }

    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(crate) fn chunk(&mut self) -> Option<&'a [u8]> {
        let count = self.count()?;
        self.octets(count)
    }

    #[inline]
    pub(crate) fn excerpt(&mut self, whole: &'a [u8]) -> Option<&'a [u8]> {
        let head = self.count()?;
        let count = head >> 1;
        if head & 1 == 0 {
            return self.octets(count);
        }
        let offset = self.count()?;
        whole.get(offset..offset.checked_add(count)?)
    }
}

/// Octets that the checksum takes in a step.
const BLOCK: usize = 32;

/// 32 bits over octets: finds torn and foreign values. Part of the format.
///
/// Each of four lanes takes one word of every block (`lane = (lane ^ word) * odd`, which no two
/// different words can bring to the same state), so that the multiplications overlap.
pub(crate) fn checksum(octets: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 / golden ratio, odd
    let mut lanes = [octets.len() as u64, FACTOR, FACTOR, FACTOR];
    let mut mix = |block: &[u8; BLOCK]| {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
            *lane = (*lane ^ u64::from_le_bytes(*word))
                .wrapping_mul(FACTOR)
                .rotate_left(29);
        }
    };
    let (blocks, tail) = octets.as_chunks::<BLOCK>();
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
    fn numbers_come_back() {
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
            let mut out = Out::default();
            out.number(value);
            assert_eq!(In(&out.0).number(), Some(value));
            for end in 0..out.0.len() {
                assert_eq!(In(&out.0[..end]).number(), None);
            }
        }
        for value in [0, -1, 1, -64, 64, i64::MIN, i64::MAX] {
            let mut out = Out::default();
            out.signed(value);
            assert_eq!(In(&out.0).signed(), Some(value));
        }
    }

    #[test]
    fn a_number_above_64_bits_is_refused() {
        assert_eq!(In(&[0xff; 11]).number(), None);
        assert_eq!(
            In(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]).number(),
            None
        );
    }

    #[test]
    fn an_excerpt_is_stored_once() {
        let whole = b"joe doe <joe@example.org>";
        for (text, stored) in [(&b"joe doe"[..], 2), (b"", 1), (b"jane", 5)] {
            let mut out = Out::default();
            out.excerpt(text, whole);
            assert_eq!(out.0.len(), stored);
            assert_eq!(In(&out.0).excerpt(whole), Some(text));
        }
        assert_eq!(In(&[5, 24]).excerpt(whole), None, "outside the whole");
    }

    #[test]
    fn every_octet_counts_for_the_checksum() {
        let octets: Vec<u8> = (0..100).collect();
        let right = checksum(&octets);
        assert_eq!(
            right, 655_790_929,
            "stored digests hold it: it may not change"
        );
        for at in 0..octets.len() {
            let mut wrong = octets.clone();
            wrong[at] ^= 1;
            assert_ne!(checksum(&wrong), right);
            assert_ne!(checksum(&octets[..at]), right);
        }
    }
}
