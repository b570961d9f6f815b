//! An immutable ascending set of UIDs (or message numbers), kept as runs.

use std::sync::Arc;

use super::put_decimal;
use crate::Corrupt;

/// First and last number of a run, both inside.
pub type Run = (u32, u32);

/// A run that names no numbers: it starts at zero, or ends before it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRun(pub u32, pub u32);

/// One set is searched in the other, not merged with it, when it has so many times fewer runs.
const SKEW: usize = 16;

/// Collects runs in ascending order and joins those that touch.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    runs: Vec<Run>,
}

impl Runs {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for so many runs.
    #[must_use]
    pub fn with_capacity(runs: usize) -> Self {
        Self {
            runs: Vec::with_capacity(runs),
        }
    }

    /// Add a run whose first number is not below the first of the run added before it.
    pub fn push(&mut self, first: u32, last: u32) {
        match self.runs.last_mut() {
            Some(tail) if first <= tail.1.saturating_add(1) => tail.1 = tail.1.max(last),
            _ => self.runs.push((first, last)),
        }
    }

    /// The highest number so far; 0 where there is none.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.1)
    }

    /// The set of them.
    #[must_use]
    pub fn finish(self) -> UidSet {
        UidSet {
            runs: self.runs.into(),
        }
    }
}

/// Ascending runs with a gap between each two; cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UidSet {
    runs: Arc<[Run]>,
}

impl UidSet {
    /// No numbers.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// One run; empty where `first > last`.
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

    /// From runs in any order, overlapping or not.
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

    /// From single numbers in any order.
    ///
    /// # Errors
    /// There is a zero among them.
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

    /// Ascending, disjoint, a gap between each two.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The lowest number.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.runs.first().map(|run| run.0)
    }

    /// The highest number.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.runs.last().map(|run| run.1)
    }

    /// How many numbers; at most `u32::MAX`, for zero is none.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.runs.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// True where there is no number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Is the number in the set?
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let at = self.runs.partition_point(|run| run.1 < number);
        self.runs.get(at).is_some_and(|run| run.0 <= number)
    }

    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|&(first, last)| first..=last)
    }

    /// Runs of this set cut to `first..=last`, found by binary search.
    pub(crate) fn within(&self, first: u32, last: u32) -> impl Iterator<Item = Run> + '_ {
        let from = self.runs.partition_point(|run| run.1 < first);
        let tail = self.runs.get(from..).unwrap_or_default();
        tail.iter()
            .take_while(move |run| run.0 <= last)
            .map(move |run| (run.0.max(first), run.1.min(last)))
    }

    /// Numbers of either.
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

    /// Numbers of both.
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

    /// Numbers of this set that the other does not hold.
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
                    rest = false; // it may reach into the next run: keep it
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

    /// The `count` lowest numbers, and the rest.
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

    /// Stored form: for each run, as varints, the distance from the end of the run before (from 0
    /// for the first), and how many numbers follow its first. One set has one such form.
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

    /// Read what [`UidSet::to_bytes`] wrote.
    ///
    /// # Errors
    /// Cut short, a varint that is too long or not the shortest, runs that touch, or a number above
    /// `u32::MAX`.
    pub fn from_bytes(mut stored: &[u8]) -> Result<Self, Corrupt> {
        let mut runs: Vec<Run> = Vec::new();
        let mut before = 0_u32;
        while !stored.is_empty() {
            let (gap, more) = (take_varint(&mut stored)?, take_varint(&mut stored)?);
            if gap == 0 || (gap == 1 && !runs.is_empty()) {
                return Err(Corrupt("set of UIDs: its runs touch"));
            }
            let first = before.checked_add(gap);
            let run = first.and_then(|first| Some((first, first.checked_add(more)?)));
            let Some(run) = run else {
                return Err(Corrupt("set of UIDs: a number is above 4294967295"));
            };
            before = run.1;
            runs.push(run);
        }
        Ok(Self { runs: runs.into() })
    }

    /// `uid-set` of RFC 9051 section 9, ascending.
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

/// Seven bits a byte, low ones first; the high bit says that more follow.
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
            return Err(Corrupt("set of UIDs: a number is above 4294967295"));
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
