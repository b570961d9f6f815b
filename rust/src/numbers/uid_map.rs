//! Map between message numbers and UIDs, for one mailbox as one client has counted it.

use std::sync::Arc;

use super::uid_set::{Runs, UidSet};
use crate::wire::ast::{End, SequenceSet};

/// Map between message numbers and UIDs: a set of UIDs, and for each run the number of UIDs before
/// it. Cheap to clone.
///
/// ```
/// use imapvm_core::numbers::{UidMap, UidSet};
///
/// let map = UidMap::new(UidSet::run(11, 13));
/// assert_eq!(map.uid(2), Some(12));
/// let (map, numbers) = map.without(&UidSet::run(12, 12));
/// assert_eq!(numbers, [2]);
/// assert_eq!(map.uid(2), Some(13));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UidMap {
    uids: UidSet,
    before: Arc<[u32]>,
}

impl UidMap {
    /// Number the UIDs of a set from 1.
    #[must_use]
    pub fn new(uids: UidSet) -> Self {
        let mut count = 0;
        let before = uids.runs().iter().map(|(first, last)| {
            let before = count;
            count += last - first + 1;
            before
        });
        let before = before.collect();
        Self { uids, before }
    }

    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> u32 {
        match (self.uids.runs().last(), self.before.last()) {
            (Some((first, last)), Some(before)) => before + (last - first + 1),
            _ => 0,
        }
    }

    /// True if there are no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty()
    }

    /// The UIDs.
    #[must_use]
    pub fn uids(&self) -> &UidSet {
        &self.uids
    }

    /// Return the UID of a message number; None for 0 and past the end. Cost: a binary search over
    /// runs.
    #[must_use]
    pub fn uid(&self, number: u32) -> Option<u32> {
        let at = self.run_of(number)?;
        let (first, last) = self.uids.runs().get(at)?;
        let uid = first.checked_add(number - self.before.get(at)? - 1)?;
        (uid <= *last).then_some(uid)
    }

    /// Return the message number of a UID; None if there is no such message. Cost: a binary search
    /// over runs.
    #[must_use]
    pub fn number(&self, uid: u32) -> Option<u32> {
        let at = self.uids.runs().partition_point(|run| run.1 < uid);
        let (first, _) = self.uids.runs().get(at)?;
        Some(self.before.get(at)? + uid.checked_sub(*first)? + 1)
    }

    /// Return the number of messages whose UID is at most `uid`.
    #[must_use]
    pub fn rank(&self, uid: u32) -> u32 {
        let at = self.uids.runs().partition_point(|run| run.0 <= uid);
        match at
            .checked_sub(1)
            .map(|at| (self.uids.runs().get(at), self.before.get(at)))
        {
            Some((Some((first, last)), Some(before))) => before + (uid.min(*last) - first + 1),
            _ => 0,
        }
    }

    /// Return the index of the run that contains a message number, or of the last run for numbers
    /// past the end.
    fn run_of(&self, number: u32) -> Option<usize> {
        self.before
            .partition_point(|before| *before < number)
            .checked_sub(1)
    }

    /// Resolve a sequence set to existing UIDs; `saved` is the value of `$`.
    ///
    /// None if a message number does not exist, which includes `*` in an empty mailbox (RFC 9051
    /// section 9, `seq-number`). UIDs that do not exist are skipped.
    #[must_use]
    pub fn select(&self, wanted: &SequenceSet, uid: bool, saved: &UidSet) -> Option<UidSet> {
        let ranges = match wanted {
            SequenceSet::Saved => return Some(self.uids.intersection(saved)),
            SequenceSet::Ranges(ranges) => ranges,
        };
        let named = self.named(ranges, uid)?;
        Some(if uid {
            self.uids.intersection(&named)
        } else {
            self.at(&named)
        })
    }

    /// Resolve the sequence set of a search key to a set that contains those UIDs of the map that
    /// match, and no others of the map. Message numbers that do not exist match nothing.
    ///
    /// Has at most as many runs as the sequence set, however many the map has.
    #[must_use]
    pub fn cover(&self, wanted: &SequenceSet, uid: bool, saved: &UidSet) -> UidSet {
        let ranges = match wanted {
            SequenceSet::Saved => return saved.clone(),
            SequenceSet::Ranges(ranges) => ranges,
        };
        if uid {
            return self.named(ranges, true).unwrap_or_default();
        }
        let named = self.numbers_in(ranges);
        let mut out = Runs::with_capacity(named.runs().len());
        for &(first, last) in named.runs() {
            if let (Some(low), Some(high)) = (self.uid(first), self.uid(last.min(self.len()))) {
                out.push(low, high);
            }
        }
        out.finish()
    }

    /// Return the UIDs or message numbers that ranges name; None if a message number does not
    /// exist.
    fn named(&self, ranges: &[(End, End)], uid: bool) -> Option<UidSet> {
        let highest = if uid {
            self.uids.last()
        } else {
            Some(self.len()).filter(|len| *len > 0)
        };
        let mut runs = Vec::with_capacity(ranges.len());
        for &(one, other) in ranges {
            let Some(last) = highest else {
                // An empty mailbox: no UID matches, and no message number exists.
                return uid.then(UidSet::empty);
            };
            let number = |end| match end {
                End::Number(number) => number,
                End::Last => last,
            };
            let (one, other) = (number(one), number(other));
            if !uid && one.max(other) > last {
                return None;
            }
            runs.push((one.min(other), one.max(other)));
        }
        // Zero is not an `nz-number`: the parser refuses it.
        UidSet::from_runs(runs).ok()
    }

    /// Return the message numbers that ranges name, whether they exist or not; none if the map is
    /// empty.
    fn numbers_in(&self, ranges: &[(End, End)]) -> UidSet {
        if self.is_empty() {
            return UidSet::empty();
        }
        let number = |end| match end {
            End::Number(number) => number,
            End::Last => self.len(),
        };
        let runs = ranges.iter().map(|&(one, other)| {
            let (one, other) = (number(one), number(other));
            (one.min(other), one.max(other))
        });
        UidSet::from_runs(runs.collect()).unwrap_or_default()
    }

    /// Return the UIDs of message numbers; numbers past the end are skipped.
    #[must_use]
    pub fn at(&self, numbers: &UidSet) -> UidSet {
        if numbers.runs() == [(1, self.len())] {
            return self.uids.clone();
        }
        let mut out = Runs::new();
        for &(first, last) in numbers.runs() {
            let last = last.min(self.len());
            if let (Some(low), Some(high)) = (self.uid(first), self.uid(last)) {
                for (first, last) in self.uids.within(low, high) {
                    out.push(first, last);
                }
            }
        }
        out.finish()
    }

    /// Return the message numbers of UIDs; unknown UIDs are skipped.
    #[must_use]
    pub fn numbers(&self, uids: &UidSet) -> UidSet {
        let mut out = Runs::new();
        for &(first, last) in uids.runs() {
            let (below, upto) = (self.rank(first - 1), self.rank(last));
            if below < upto {
                out.push(below + 1, upto);
            }
        }
        out.finish()
    }

    /// Return the map with further UIDs at the end; None if one of them is not above the last UID.
    #[must_use]
    pub fn appended(&self, uids: &UidSet) -> Option<Self> {
        match (self.uids.last(), uids.first()) {
            (_, None) => Some(self.clone()),
            (Some(last), Some(first)) if first <= last => None,
            _ => Some(Self::new(self.uids.union(uids))),
        }
    }

    /// Return the map without some UIDs, and the message numbers of those that it contained,
    /// highest first.
    #[must_use]
    pub fn without(&self, gone: &UidSet) -> (Self, Vec<u32>) {
        let numbers = self.numbers(gone);
        if numbers.is_empty() {
            return (self.clone(), Vec::new());
        }
        let mut announced: Vec<u32> = numbers.iter().collect();
        announced.reverse();
        (Self::new(self.uids.difference(gone)), announced)
    }
}
