//! Header column: one header field of many messages, prepared, in one buffer for one search.

use std::ops::Range;

use memchr::memmem::Finder;

use crate::message::{Collation, MessageMetadata};
use crate::numbers::{Runs, UidSet};
use crate::wire::ast::Field;

/// Separator after each text. It is not valid in UTF-8, so no match crosses it.
const BORDER: u8 = 0xFF;
/// Texts between two ranges that are searched along with them rather than skipped, up to this
/// number: skipping costs more.
const GAP: usize = 16;
/// A growing vector gets this fraction of itself as spare room.
const SLACK: usize = 16;

/// Texts of one header field, by UID.
///
/// A UID names one body forever, so entries never become wrong. Entries of expunged messages remain
/// and do no harm: no index contains their UIDs.
#[derive(Debug, Default)]
pub struct Column {
    /// Ascending.
    uids: Vec<u32>,
    /// End of each text, its separator included.
    ends: Vec<u32>,
    text: Vec<u8>,
    /// UIDs whose text is not complete in the metadata, ascending: a needle that is not found may
    /// still be there.
    cut: Vec<u32>,
}

impl Column {
    /// Bytes of memory, except those that do not depend on the contents.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let numbers = self.uids.capacity() + self.ends.capacity() + self.cut.capacity();
        numbers * size_of::<u32>() + self.text.capacity()
    }

    /// Highest UID; 0 if there is no UID.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.uids.last().copied().unwrap_or(0)
    }

    /// Add the text of a message. A UID that is not above the last is ignored.
    pub fn append(
        &mut self,
        uid: u32,
        metadata: &MessageMetadata<'_>,
        field: Field,
        collation: Collation,
    ) {
        if uid <= self.last() {
            return;
        }
        let start = self.text.len();
        let is_complete = metadata.search_text(field, collation, &mut self.text);
        self.text.push(BORDER);
        let Ok(end) = u32::try_from(self.text.len()) else {
            self.text.truncate(start);
            return; // above 4 GiB, messages are searched one by one
        };
        self.uids.push(uid);
        self.ends.push(end);
        if !is_complete {
            self.cut.push(uid);
        }
    }

    /// Add the entries of another column above the last UID, as far as the total stays below
    /// `max_bytes`; return whether all were added.
    #[must_use]
    pub fn extend(&mut self, other: &Self, max_bytes: usize) -> bool {
        let last = self.last();
        let from = other.uids.partition_point(|uid| *uid <= last);
        let fitting = fit(other.uids.len() - from, |count| {
            self.bytes_with(other, from..from + count) <= max_bytes
        });
        let upto = from + fitting;
        let (start, end) = (other.start(from), other.start(upto));
        let text = other.text.get(start..end).unwrap_or_default();
        let cut = other.cut_among(from..upto);
        grow(&mut self.text, text.len());
        grow(&mut self.uids, fitting);
        grow(&mut self.ends, fitting);
        grow(&mut self.cut, cut.len());
        let base = self.text.len();
        self.text.extend_from_slice(text);
        self.cut.extend_from_slice(cut);
        let uids = other.uids.get(from..upto).unwrap_or_default();
        let ends = other.ends.get(from..upto).unwrap_or_default();
        self.uids.extend_from_slice(uids);
        // Below 4 GiB: checked by `bytes_with`.
        let moved = |end: &u32| u32::try_from(base + *end as usize - start).unwrap_or(u32::MAX);
        self.ends.extend(ends.iter().map(moved));
        upto == other.uids.len()
    }

    /// Return `memory_bytes` after adding entries of another column; `usize::MAX` if the text gets
    /// too long for `ends`.
    fn bytes_with(&self, other: &Self, added: Range<usize>) -> usize {
        let text = other.start(added.end) - other.start(added.start);
        if u32::try_from(self.text.len() + text).is_err() {
            return usize::MAX;
        }
        let cut = other.cut_among(added.clone()).len();
        let numbers =
            grown(&self.uids, added.len()) + grown(&self.ends, added.len()) + grown(&self.cut, cut);
        numbers * size_of::<u32>() + grown(&self.text, text)
    }

    /// Return the UIDs with cut text among some entries.
    fn cut_among(&self, places: Range<usize>) -> &[u32] {
        let uids = self.uids.get(places).unwrap_or_default();
        let (Some(first), Some(last)) = (uids.first(), uids.last()) else {
            return &[];
        };
        let from = self.cut.partition_point(|uid| uid < first);
        let upto = self.cut.partition_point(|uid| uid <= last);
        self.cut.get(from..upto).unwrap_or_default()
    }

    /// Return UIDs with a prepared needle in their text: all of `uids` that match, and possibly
    /// others.
    ///
    /// Cost: linear in the texts of `uids`.
    #[must_use]
    pub fn find(&self, needle: &Finder<'_>, uids: &UidSet) -> UidSet {
        let mut found = Runs::new();
        for places in self.ranges(uids) {
            let (mut at, end) = (places.start, self.start(places.end));
            let mut start = self.start(at);
            while let Some(hit) = self.text.get(start..end).and_then(|text| needle.find(text)) {
                at = first_above(&self.ends, at, start + hit);
                let Some(uid) = self.uids.get(at) else { break };
                found.push(*uid, *uid);
                at += 1; // one match per text
                start = self.start(at);
            }
        }
        found.finish()
    }

    /// Return UIDs whose text is accepted: all of `uids` that match, and possibly others.
    #[must_use]
    pub fn find_each(&self, uids: &UidSet, mut accepts: impl FnMut(&[u8]) -> bool) -> UidSet {
        let mut found = Runs::new();
        for places in self.ranges(uids) {
            for at in places {
                let text = self
                    .text
                    .get(self.start(at)..self.start(at + 1).saturating_sub(1));
                if let Some(uid) = self.uids.get(at)
                    && text.is_some_and(&mut accepts)
                {
                    found.push(*uid, *uid);
                }
            }
        }
        found.finish()
    }

    /// Return UIDs whose text is complete: those of `uids`, and possibly others.
    #[must_use]
    pub fn known(&self, uids: &UidSet) -> UidSet {
        let mut known = Runs::new();
        for places in self.ranges(uids) {
            let mut cut = self.cut_among(places.clone()).iter().peekable();
            for uid in self.uids.get(places).unwrap_or_default() {
                if cut.next_if_eq(&uid).is_none() {
                    known.push(*uid, *uid);
                }
            }
        }
        known.finish()
    }

    /// Return ranges of entries that contain all of some UIDs, ascending, and few others.
    fn ranges(&self, uids: &UidSet) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut from = 0;
        for (first, last) in uids.within(1, self.last()) {
            from = first_above(&self.uids, from, first as usize - 1);
            let upto = first_above(&self.uids, from, last as usize);
            match ranges.last_mut() {
                Some(before) if from <= before.end + GAP => before.end = upto,
                _ => ranges.push(from..upto),
            }
            from = upto;
        }
        ranges
    }

    /// Return the start of a text.
    fn start(&self, at: usize) -> usize {
        let before = at.checked_sub(1).and_then(|before| self.ends.get(before));
        before.map_or(0, |end| *end as usize)
    }
}

/// Return the first index, from `from`, with a number above `value`, or the length. Cost:
/// logarithmic in the distance.
fn first_above(ascending: &[u32], from: usize, value: usize) -> usize {
    let rest = ascending.get(from..).unwrap_or_default();
    let is_below = |number: &u32| *number as usize <= value;
    let mut step = 1;
    while rest.get(step - 1).is_some_and(is_below) {
        step *= 2;
    }
    let (low, high) = (step / 2, step.min(rest.len()));
    let between = rest.get(low..high).unwrap_or_default();
    from + low + between.partition_point(is_below)
}

/// Return the largest count up to `all` that fits; `fits` is monotonic.
fn fit(all: usize, fits: impl Fn(usize) -> bool) -> usize {
    if fits(all) {
        return all;
    }
    let (mut low, mut high) = (0, all);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if fits(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

/// Return the capacity after `grow`.
fn grown<T>(vector: &Vec<T>, more: usize) -> usize {
    let needed = vector.len() + more;
    if needed <= vector.capacity() {
        vector.capacity()
    } else {
        needed + vector.len() / SLACK
    }
}

/// Reserve room, with less to spare than `Vec` would.
fn grow<T>(vector: &mut Vec<T>, more: usize) {
    let capacity = grown(vector, more);
    vector.reserve_exact(capacity - vector.len());
}
