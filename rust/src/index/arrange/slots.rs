//! Table of numbers by number, for trees whose nodes are numbers.

/// Absent number.
pub(super) const NONE: u32 = u32::MAX;

/// Table of `u32` by `u32`. A number outside the table has `NONE`, and setting it has no effect.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots(Vec<u32>);

impl Slots {
    /// Create a table of `count` times `NONE`.
    pub(super) fn new(count: usize) -> Self {
        Self(vec![NONE; count])
    }

    pub(super) fn get(&self, at: u32) -> u32 {
        self.0.get(at as usize).copied().unwrap_or(NONE)
    }

    pub(super) fn set(&mut self, at: u32, value: u32) {
        if let Some(slot) = self.0.get_mut(at as usize) {
            *slot = value;
        }
    }

    pub(super) fn push(&mut self, value: u32) {
        self.0.push(value);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[cfg(test)]
    pub(super) fn as_slice(&self) -> &[u32] {
        &self.0
    }
}

impl FromIterator<u32> for Slots {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        Self(numbers.into_iter().collect())
    }
}

/// Return a count as a number; there are fewer messages and Message-IDs than `u32::MAX`.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(NONE)
}
