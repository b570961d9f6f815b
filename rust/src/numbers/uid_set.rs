//! Immutable set of UIDs or message numbers, stored as ascending runs.

use std::sync::Arc;

use super::put_decimal;
use crate::Corrupt;
use crate::wire::ast::Window;

/// First and last number of a run, both inclusive.
pub type Run = (u32, u32);

/// Invalid run: it starts at zero, or ends before it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRun(pub u32, pub u32);

/// A number above `u32::MAX`.
const TOO_LARGE: Corrupt = Corrupt("set of UIDs: a number is above 4294967295");

/// Ratio of runs above which an intersection searches the larger set instead of merging.
const SKEW: usize = 16;

/// Builder of a set: collects ascending runs, and joins adjacent ones.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    runs: Vec<Run>,
}

impl Runs {
    /// Create an empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Create a builder with room for some runs.
    #[must_use]
    pub fn with_capacity(runs: usize) -> Self {
        Self {
            runs: Vec::with_capacity(runs),
        }
    }

    /// Add a run that does not start below the run added before.
    pub fn push(&mut self, first: u32, last: u32) {
        match self.runs.last_mut() {
            Some(tail) if first <= tail.1.saturating_add(1) => tail.1 = tail.1.max(last),
            _ => self.runs.push((first, last)),
        }
    }

    /// Return the highest number so far; 0 if there is no number.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.1)
    }

    /// Return the set.
    #[must_use]
    pub fn finish(self) -> UidSet {
        UidSet {
            runs: self.runs.into(),
        }
    }
}

/// Set of numbers as ascending runs with a gap between each two; cheap to clone.
///
/// ```
/// use imapvm_core::numbers::UidSet;
///
/// let set = UidSet::run(1, 5).union(&UidSet::run(9, 9));
/// assert_eq!(set.to_imap(), b"1:5,9");
/// assert_eq!(set.difference(&UidSet::run(2, 3)).to_imap(), b"1,4:5,9");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UidSet {
    runs: Arc<[Run]>,
}

impl UidSet {
    /// Return the empty set.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Return the set of one run; empty if `first > last`.
    #[must_use]
    pub fn run(first: u32, last: u32) -> Self {
        if first > last || first == 0 {
            Self::empty()
        } else {
            Self {
                runs: Arc::new([(first, last)]),
            }
        }
    }

    /// Build a set from runs in any order, overlapping or not.
    ///
    /// # Errors
    /// The first run that starts at zero or ends before it starts.
    pub fn from_runs(mut runs: Vec<Run>) -> Result<Self, BadRun> {
        if let Some(&(first, last)) = runs
            .iter()
            .find(|(first, last)| *first == 0 || first > last)
        {
            return Err(BadRun(first, last));
        }
        if !runs.is_sorted_by_key(|run| run.0) {
            runs.sort_unstable();
        }
        let mut joined = Runs::with_capacity(runs.len());
        for (first, last) in runs {
            joined.push(first, last);
        }
        Ok(joined.finish())
    }

    /// Build a set from numbers in any order.
    ///
    /// # Errors
    /// One of the numbers is zero.
    pub fn of(mut numbers: Vec<u32>) -> Result<Self, BadRun> {
        if !numbers.is_sorted() {
            numbers.sort_unstable();
        }
        if numbers.first() == Some(&0) {
            return Err(BadRun(0, 0));
        }
        let mut joined = Runs::new();
        for number in numbers {
            joined.push(number, number);
        }
        Ok(joined.finish())
    }

    /// Return the runs: ascending, disjoint, with a gap between each two.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Return the lowest number.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.runs.first().map(|run| run.0)
    }

    /// Return the highest number.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.runs.last().map(|run| run.1)
    }

    /// Return the count of numbers; at most `u32::MAX`, since zero is never a member.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.runs.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// True if the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// True if the number is in the set. Cost: a binary search over runs.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let at = self.runs.partition_point(|run| run.1 < number);
        self.runs.get(at).is_some_and(|run| run.0 <= number)
    }

    /// Iterate over the numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|&(first, last)| first..=last)
    }

    /// Iterate over the runs cut to `first..=last`, found by binary search.
    pub(crate) fn within(&self, first: u32, last: u32) -> impl Iterator<Item = Run> + '_ {
        let from = self.runs.partition_point(|run| run.1 < first);
        let tail = self.runs.get(from..).unwrap_or_default();
        tail.iter()
            .take_while(move |run| run.0 <= last)
            .map(move |run| (run.0.max(first), run.1.min(last)))
    }

    /// Return the union. Cost: linear in the runs of both sets.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        if self.is_empty() {
            return other.clone();
        }
        let mut out = Runs::with_capacity(self.runs.len() + other.runs.len());
        let (mut left, mut right) = (self.runs.iter().peekable(), other.runs.iter().peekable());
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) if a.0 <= b.0 => left.next(),
                (_, Some(_)) => right.next(),
                _ => left.next(),
            };
            let Some(&(first, last)) = next else { break };
            out.push(first, last);
        }
        out.finish()
    }

    /// Return the intersection. Cost: linear in the runs of both sets, or less if one has far
    /// fewer.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (few, many) = if self.runs.len() <= other.runs.len() {
            (self, other)
        } else {
            (other, self)
        };
        if let ([run], [all]) = (&*few.runs, &*many.runs) {
            return Self::run(run.0.max(all.0), run.1.min(all.1));
        }
        let mut out = Runs::new();
        if few.runs.len() * SKEW < many.runs.len() {
            for &(first, last) in few.runs.iter() {
                for (first, last) in many.within(first, last) {
                    out.push(first, last);
                }
            }
            return out.finish();
        }
        let (mut left, mut right) = (few.runs.iter(), many.runs.iter());
        let (mut a, mut b) = (left.next(), right.next());
        while let (Some(&(a_first, a_last)), Some(&(b_first, b_last))) = (a, b) {
            let (first, last) = (a_first.max(b_first), a_last.min(b_last));
            if first <= last {
                out.push(first, last);
            }
            if a_last <= b_last {
                a = left.next();
            } else {
                b = right.next();
            }
        }
        out.finish()
    }

    /// Return the numbers that are not in `other`. Cost: linear in the runs of both sets.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        if self.is_empty() || other.is_empty() {
            return self.clone();
        }
        let mut out = Runs::with_capacity(self.runs.len());
        let mut right = other.runs.iter().peekable();
        for &(mut first, last) in self.runs.iter() {
            let mut rest = true;
            while let Some(&&(gone_first, gone_last)) = right.peek() {
                if gone_last < first {
                    right.next();
                    continue;
                }
                if gone_first > last {
                    break;
                }
                if first < gone_first {
                    out.push(first, gone_first - 1);
                }
                if gone_last >= last {
                    rest = false; // do not advance: it may overlap the next run
                    break;
                }
                first = gone_last + 1;
                right.next();
            }
            if rest {
                out.push(first, last);
            }
        }
        out.finish()
    }

    /// Return the `count` lowest numbers, and the others.
    #[must_use]
    pub fn split(&self, count: u32) -> (Self, Self) {
        if count == 0 {
            return (Self::empty(), self.clone());
        }
        let mut left = count;
        for (at, &(first, last)) in self.runs.iter().enumerate() {
            let here = last - first + 1;
            if here < left {
                left -= here;
                continue;
            }
            let mut low = Runs::with_capacity(at + 1);
            let mut high = Runs::with_capacity(self.runs.len() - at);
            for &(first, last) in self.runs.iter().take(at) {
                low.push(first, last);
            }
            low.push(first, first + (left - 1));
            if here > left {
                high.push(first + left, last);
            }
            for &(first, last) in self.runs.iter().skip(at + 1) {
                high.push(first, last);
            }
            return (low.finish(), high.finish());
        }
        (self.clone(), Self::empty())
    }

    /// Return the numbers in a window, counted from the lowest or the highest one.
    #[must_use]
    pub fn window(&self, window: Window) -> Self {
        let (before, count) = window.within(self.len());
        self.split(before).1.split(count).0
    }

    /// Return the stored form. For each run two varints: the distance from the end of the run
    /// before (from 0 for the first), and the count of numbers after its first. Every set has
    /// exactly one stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.runs.len() * 2);
        let mut before = 0;
        for &(first, last) in self.runs.iter() {
            put_varint(&mut out, first - before);
            put_varint(&mut out, last - first);
            before = last;
        }
        out
    }

    /// Read the result of [`UidSet::to_bytes`].
    ///
    /// # Errors
    /// Input cut short, a varint that is too long or not the shortest form, adjacent runs, or a
    /// number above `u32::MAX`.
    pub fn from_bytes(stored: &[u8]) -> Result<Self, Corrupt> {
        let mut runs = Vec::new();
        Self::read_runs(stored, &mut runs)?;
        Ok(Self { runs: runs.into() })
    }

    /// Append the runs of a stored set to `runs`.
    ///
    /// # Errors
    /// As [`UidSet::from_bytes`].
    pub(crate) fn read_runs(mut stored: &[u8], runs: &mut Vec<Run>) -> Result<(), Corrupt> {
        let mut before = 0_u32;
        while !stored.is_empty() {
            let (gap, more) = (take_varint(&mut stored)?, take_varint(&mut stored)?);
            if gap == 0 || (gap == 1 && before != 0) {
                return Err(Corrupt("set of UIDs: adjacent runs"));
            }
            let first = before.checked_add(gap);
            let run = first.and_then(|first| Some((first, first.checked_add(more)?)));
            let Some(run) = run else {
                return Err(TOO_LARGE);
            };
            before = run.1;
            runs.push(run);
        }
        Ok(())
    }

    /// Return the set as a `uid-set` of RFC 9051 section 9, ascending.
    #[must_use]
    pub fn to_imap(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.runs.len() * 8);
        for &(first, last) in self.runs.iter() {
            if !out.is_empty() {
                out.push(b',');
            }
            put_decimal(&mut out, first.into());
            if first != last {
                out.push(b':');
                put_decimal(&mut out, last.into());
            }
        }
        out
    }
}

/// Append a varint: seven bits a byte, lowest first; the high bit marks that more follow.
fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

fn low_byte(value: u32) -> u8 {
    let [low, ..] = value.to_le_bytes();
    low
}

fn take_varint(stored: &mut &[u8]) -> Result<u32, Corrupt> {
    let mut value = 0_u32;
    for shift in [0_u32, 7, 14, 21, 28] {
        let Some((&byte, rest)) = stored.split_first() else {
            return Err(Corrupt("set of UIDs: cut short"));
        };
        *stored = rest;
        let bits = u32::from(byte & 0x7F);
        if shift == 28 && bits > 0x0F {
            return Err(TOO_LARGE);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            if byte == 0 && shift > 0 {
                return Err(Corrupt("set of UIDs: a number is not in its shortest form"));
            }
            return Ok(value);
        }
    }
    Err(Corrupt("set of UIDs: a number is too long"))
}
