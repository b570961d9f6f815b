//! Order of a SORT whose messages change: the results of a context (RFC 5267 section 4.3).
//!
//! Keys of a message never change, so a message keeps its place among the others. Only UIDs are
//! kept: keys are read again for the messages that a binary search compares.

use std::cmp::Ordering;

use super::column::{KeyColumn, append_text};
use super::slots::number;
use super::{CoveredColumn, KeyColumns, KeyKind};
use crate::index::Record;
use crate::index::search::MailboxKey;
use crate::message::{Collation, MessageMetadata};
use crate::numbers::{UidMap, UidSet, put_decimal};
use crate::wire::ast::{SortBy, SortCriterion};

/// Value that one criterion compares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrderKey {
    /// Date or size.
    Number(i64),
    /// Collation key.
    Text(Box<[u8]>),
}

/// Values of one message, in the order of the criteria.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderKeys {
    /// UID, which decides between equal values.
    pub uid: u32,
    values: Vec<OrderKey>,
}

/// Messages at neighbouring places of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Position of the first one; 1 is the first in the order.
    pub position: u32,
    /// The messages.
    pub uids: Vec<u32>,
}

/// UIDs in the order of a SORT, 4 bytes each.
#[derive(Clone, Debug)]
pub struct SortedMessages {
    criteria: Vec<SortCriterion>,
    collation: Collation,
    uids: Vec<u32>,
}

/// Key columns in memory that an order needs, in the order of its criteria; None for criteria that
/// the index answers.
pub struct CriteriaKeys(Vec<Option<CoveredColumn>>);

impl SortedMessages {
    /// Keep messages that are in the order of the criteria.
    #[must_use]
    pub fn new(criteria: Vec<SortCriterion>, collation: Collation, uids: Vec<u32>) -> Self {
        Self {
            criteria,
            collation,
            uids,
        }
    }

    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.uids.len()
    }

    /// True if there are no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty()
    }

    /// Return the UID at an index, from 0.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<u32> {
        self.uids.get(at).copied()
    }

    /// Look up the columns of the criteria.
    #[must_use]
    pub fn cached_keys(&self, cache: &KeyColumns, mailbox: MailboxKey) -> CriteriaKeys {
        let columns = self.criteria.iter().map(|criterion| {
            let kind = criterion.by.column()?;
            Some(cache.get((mailbox, kind, kind.collation(self.collation))))
        });
        CriteriaKeys(columns.collect())
    }

    /// Return the keys of a message from columns in memory, and from its record where it is given.
    ///
    /// None if that is not enough: the record, or else its metadata, has to be read.
    #[must_use]
    pub fn keys_in_memory(
        &self,
        uid: u32,
        record: Option<&Record>,
        cached: &CriteriaKeys,
    ) -> Option<OrderKeys> {
        let values = self.criteria.iter().zip(&cached.0);
        let values = values.map(|(criterion, column)| match column {
            Some(keys) => keys.column.key_of(uid, record),
            None => record.map(|record| of_index(criterion.by, record)),
        });
        let values = values.collect::<Option<_>>()?;
        Some(OrderKeys { uid, values })
    }

    /// Return the keys of a message from its metadata.
    #[must_use]
    pub fn keys(&self, record: &Record, metadata: &MessageMetadata<'_>) -> OrderKeys {
        let values = self
            .criteria
            .iter()
            .map(|criterion| match criterion.by.column() {
                None => of_index(criterion.by, record),
                Some(KeyKind::Sent) => {
                    let sent = metadata.sent().map_or(record.date, |(seconds, _)| seconds);
                    OrderKey::Number(sent)
                }
                Some(kind) => {
                    let mut text = Vec::new();
                    append_text(kind, self.collation, metadata, &mut text);
                    OrderKey::Text(text.into())
                }
            });
        OrderKeys {
            uid: record.uid,
            values: values.collect(),
        }
    }

    /// Compare two messages by the criteria; equal ones by UID (RFC 5256 section 3).
    #[must_use]
    pub fn compare(&self, one: &OrderKeys, other: &OrderKeys) -> Ordering {
        let values = one.values.iter().zip(&other.values);
        let decided = self.criteria.iter().zip(values);
        let decided = decided.map(|(criterion, (one, other))| {
            let order = one.cmp(other);
            if criterion.reverse {
                order.reverse()
            } else {
                order
            }
        });
        let decided = decided.fold(Ordering::Equal, Ordering::then);
        decided.then(one.uid.cmp(&other.uid))
    }

    /// Remove those of some messages that are not in `found`.
    ///
    /// Return them, each position as it is when those before have been removed, and the messages
    /// of both sets that are in the order. Cost: linear in its length.
    pub fn remove(&mut self, changed: &UidSet, found: &UidSet) -> (Vec<Placed>, UidSet) {
        let mut removed: Vec<Placed> = Vec::new();
        let mut inside = Vec::new();
        let (Some(first), Some(last)) = (changed.first(), changed.last()) else {
            return (removed, UidSet::empty());
        };
        let mut kept = 0;
        let mut adjoins = false;
        self.uids.retain(|uid| {
            let is_changed = (first..=last).contains(uid) && changed.contains(*uid);
            let stays = !is_changed || found.contains(*uid);
            if stays {
                kept += 1;
                adjoins = false;
                if is_changed {
                    inside.push(*uid);
                }
            } else {
                add(&mut removed, adjoins, number(kept + 1), *uid);
                adjoins = true;
            }
            stays
        });
        (removed, UidSet::of(inside).unwrap_or_default())
    }

    /// Insert messages, each with the number of messages in the order before it.
    ///
    /// Return them, each position as it is when those before have been inserted.
    pub fn insert(&mut self, mut new: Vec<(usize, OrderKeys)>) -> Vec<Placed> {
        new.sort_by(|one, other| {
            let places = one.0.cmp(&other.0);
            places.then_with(|| self.compare(&one.1, &other.1))
        });
        let mut end = self.uids.len();
        let mut to = end + new.len();
        self.uids.resize(to, 0);
        for (before, keys) in new.iter().rev() {
            let before = (*before).min(end);
            to -= end - before;
            self.uids.copy_within(before..end, to);
            end = before;
            to -= 1;
            if let Some(place) = self.uids.get_mut(to) {
                *place = keys.uid;
            }
        }
        let mut inserted = Vec::new();
        let mut last = None;
        for (count, (before, keys)) in new.iter().enumerate() {
            let adjoins = last == Some(*before);
            add(&mut inserted, adjoins, number(before + count + 1), keys.uid);
            last = Some(*before);
        }
        inserted
    }
}

fn of_index(by: SortBy, record: &Record) -> OrderKey {
    OrderKey::Number(match by {
        SortBy::Size => record.size.into(),
        _ => record.date, // ARRIVAL: an order by relevancy is not kept
    })
}

impl KeyColumn {
    /// Return the value of a message as an order compares it.
    ///
    /// None if it has no entry, or no Date field and no record is given.
    fn key_of(&self, uid: u32, record: Option<&Record>) -> Option<OrderKey> {
        let at = self.place(uid)?;
        if let Some(text) = self.text(at) {
            return Some(OrderKey::Text(text.into()));
        }
        let sent = self.sent_at(at).or(record.map(|record| record.date));
        sent.map(OrderKey::Number)
    }
}

fn add(pairs: &mut Vec<Placed>, adjoins: bool, position: u32, uid: u32) {
    match pairs.last_mut() {
        Some(pair) if adjoins => pair.uids.push(uid),
        _ => pairs.push(Placed {
            position,
            uids: vec![uid],
        }),
    }
}

/// Return pairs of a position and a set, as ADDTO and REMOVEFROM have them (RFC 5267 section 5):
/// with message numbers if `numbers` is given, else with UIDs.
#[must_use]
pub fn placed_text(pairs: &[Placed], numbers: Option<&UidMap>) -> Vec<u8> {
    let mut to = Vec::new();
    for pair in pairs {
        if !to.is_empty() {
            to.push(b' ');
        }
        put_decimal(&mut to, pair.position.into());
        to.push(b' ');
        match numbers {
            Some(numbers) => {
                let shown = pair.uids.iter().map(|uid| numbers.number(*uid));
                let shown: Vec<u32> = shown.map(Option::unwrap_or_default).collect();
                super::write::sequence_set(&mut to, &shown);
            }
            None => super::write::sequence_set(&mut to, &pair.uids),
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(position: u32, uids: &[u32]) -> Placed {
        Placed {
            position,
            uids: uids.to_vec(),
        }
    }

    fn order(uids: &[u32]) -> SortedMessages {
        let by = SortBy::Size;
        SortedMessages::new(
            vec![SortCriterion { by, reverse: true }],
            Collation::default(),
            uids.to_vec(),
        )
    }

    fn keys(uid: u32, size: i64) -> OrderKeys {
        let values = vec![OrderKey::Number(size)];
        OrderKeys { uid, values }
    }

    fn set(uids: &[u32]) -> UidSet {
        UidSet::of(uids.to_vec()).unwrap_or_default()
    }

    /// Apply pairs as a client does (RFC 5267 sections 4.3.3 and 4.3.4).
    fn apply(list: &mut Vec<u32>, pairs: &[Placed], is_added: bool) {
        for pair in pairs {
            let at = pair.position as usize - 1;
            if is_added {
                list.splice(at..at, pair.uids.iter().copied());
            } else {
                let removed = list.splice(at..at + pair.uids.len(), []);
                assert_eq!(removed.collect::<Vec<_>>(), pair.uids);
            }
        }
    }

    #[test]
    fn removal_names_the_positions_that_a_client_sees() {
        let before = [9, 4, 5, 2, 7];
        let mut kept = order(&before);
        let (removed, inside) = kept.remove(&set(&[2, 4, 5, 9]), &set(&[9]));
        assert_eq!(removed, [placed(2, &[4, 5, 2])]);
        assert_eq!(inside, set(&[9]));
        let (removed, inside) = kept.remove(&set(&[1, 7, 9]), &set(&[1]));
        assert_eq!(removed, [placed(1, &[9, 7])]);
        assert!(inside.is_empty());
        assert!(kept.is_empty());
        let mut kept = order(&before);
        let (removed, _) = kept.remove(&set(&[9, 5, 7]), &set(&[]));
        assert_eq!(removed, [placed(1, &[9]), placed(2, &[5]), placed(3, &[7])]);
        let mut list = before.to_vec();
        apply(&mut list, &removed, false);
        assert_eq!(list, kept.uids);
        assert_eq!(list, [4, 2]);
    }

    #[test]
    fn insertion_names_the_positions_that_a_client_sees() {
        let before = [9, 4, 2];
        let mut kept = order(&before);
        let new = vec![
            (1, keys(6, 40)),
            (3, keys(8, 1)),
            (1, keys(5, 50)),
            (0, keys(7, 99)),
        ];
        let inserted = kept.insert(new);
        assert_eq!(
            inserted,
            [placed(1, &[7]), placed(3, &[5, 6]), placed(7, &[8])]
        );
        let mut list = before.to_vec();
        apply(&mut list, &inserted, true);
        assert_eq!(list, kept.uids);
        assert_eq!(list, [7, 9, 5, 6, 4, 2, 8]);
    }

    #[test]
    fn equal_keys_are_in_the_order_of_uids_also_if_reversed() {
        let kept = order(&[]);
        assert_eq!(kept.compare(&keys(1, 5), &keys(2, 5)), Ordering::Less);
        assert_eq!(kept.compare(&keys(1, 5), &keys(2, 6)), Ordering::Greater);
    }

    #[test]
    fn pairs_are_written_in_order_with_ascending_ranges() {
        let pairs = [placed(1, &[3, 2]), placed(4, &[7, 8, 9])];
        assert_eq!(placed_text(&pairs, None), b"1 3,2 4 7:9");
        let numbers = UidMap::new(set(&[2, 3, 7, 8, 9]));
        assert_eq!(placed_text(&pairs, Some(&numbers)), b"1 2,1 4 3:5");
        assert_eq!(placed_text(&[], None), b"");
    }
}
