//! Reproducible random numbers: `SplitMix64`, a few instructions and eight bytes of state.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Make stream number `stream` of a seed; streams are independent.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut start = Self(seed ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03));
        Self(start.bits())
    }

    /// Return 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Return a uniform number in `first..=last`; `first` where that is empty.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        let span = u128::from(last.saturating_sub(first)) + 1;
        let offset = (u128::from(self.bits()) * span) >> 64;
        first.saturating_add(u64::try_from(offset).unwrap_or(0))
    }

    /// Return the first and last of `count` consecutive numbers in `1..=limit`; all of them where
    /// `count` is larger.
    pub fn range(&mut self, count: u64, limit: u64) -> (u64, u64) {
        let count = count.clamp(1, limit.max(1));
        let first = self.between(1, limit.saturating_sub(count).saturating_add(1));
        (first, first.saturating_add(count - 1))
    }

    /// Return a uniform number in 0..1.
    pub fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
        let bits = (self.bits() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// Return an exponentially distributed number with mean 1: the time between Poisson events.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_reproducible_and_streams_differ() {
        let take = |seed, stream| {
            let mut random = Random::new(seed, stream);
            [(); 8].map(|()| random.bits())
        };
        assert_eq!(take(1, 0), take(1, 0));
        assert_ne!(take(1, 0), take(1, 1));
        assert_ne!(take(1, 0), take(2, 0));
    }

    #[test]
    fn a_range_has_its_length_reaches_both_ends_and_stays_within() {
        let mut random = Random::new(1, 0);
        let found: std::collections::BTreeSet<_> = std::iter::repeat_with(|| random.range(3, 5))
            .take(200)
            .collect();
        assert_eq!(Vec::from_iter(found), [(1, 3), (2, 4), (3, 5)]);
        assert_eq!(random.range(50, 7), (1, 7));
        assert_eq!(random.range(50, 0), (1, 1));
        assert_eq!(random.range(1, 1), (1, 1));
    }

    #[test]
    fn between_reaches_both_ends_and_nothing_else() {
        let mut random = Random::new(7, 0);
        let mut seen = [0_u32; 5];
        for _ in 0..5_000 {
            seen[usize::try_from(random.between(1, 3)).unwrap()] += 1;
        }
        assert_eq!((seen[0], seen[4]), (0, 0));
        assert!(
            seen[1..4]
                .iter()
                .all(|count| (1_500..1_850).contains(count)),
            "{seen:?}"
        );
        assert_eq!(random.between(9, 9), 9);
        assert_eq!(random.between(9, 3), 9);
        let _whole_range_does_not_overflow = random.between(0, u64::MAX);
    }

    #[test]
    fn times_between_poisson_events_have_mean_one() {
        let mut random = Random::new(3, 0);
        let sum: f64 = (0..100_000).map(|_| random.exponential()).sum();
        assert!((0.98..1.02).contains(&(sum / 100_000.0)), "{sum}");
    }
}
