//! Keys of a search that is repeated while its mailbox changes (RFC 5267 section 4.3).

use crate::numbers::{UidMap, UidSet};
use crate::wire::ast::{End, SearchKey, SequenceSet};

/// Replace message numbers and `$` by the UIDs that they are now (RFC 5267 section 4.3). `*` stays
/// in sets of UIDs.
///
/// Recursive: keys are nested as deep as a command may be, and its filters.
#[must_use]
pub fn with_uids(key: &SearchKey, numbers: &UidMap, saved: &UidSet) -> SearchKey {
    let inner = |key: &SearchKey| with_uids(key, numbers, saved);
    match key {
        SearchKey::And(keys) => SearchKey::And(keys.iter().map(inner).collect()),
        SearchKey::Or(pair) => SearchKey::Or(Box::new((inner(&pair.0), inner(&pair.1)))),
        SearchKey::Not(key) => SearchKey::Not(Box::new(inner(key))),
        SearchKey::Fuzzy(key) => SearchKey::Fuzzy(Box::new(inner(key))),
        SearchKey::Numbers(set) => uids(&numbers.cover(set, false, saved)),
        SearchKey::Uids(SequenceSet::Saved) => uids(saved),
        other => other.clone(),
    }
}

fn uids(set: &UidSet) -> SearchKey {
    if set.is_empty() {
        return SearchKey::Not(Box::new(SearchKey::All));
    }
    let runs = set.runs().iter();
    let ranges = runs.map(|(first, last)| (End::Number(*first), End::Number(*last)));
    SearchKey::Uids(SequenceSet::Ranges(ranges.collect()))
}

/// Return the number of ranges in all sets of message numbers and UIDs.
#[must_use]
pub fn ranges(key: &SearchKey) -> usize {
    let mut count = 0;
    super::program::any(key, |key| {
        if let SearchKey::Numbers(SequenceSet::Ranges(ranges))
        | SearchKey::Uids(SequenceSet::Ranges(ranges)) = key
        {
            count += ranges.len();
        }
        false
    });
    count
}

/// Return a key for the messages whose OLDER or YOUNGER has changed in the last `seconds`; None
/// without such keys (RFC 5032).
#[must_use]
pub fn aged(key: &SearchKey, seconds: u32) -> Option<SearchKey> {
    let mut changed = Vec::new();
    super::program::any(key, |key| {
        // OLDER includes the second at which YOUNGER ends.
        let between = |age: u32| {
            SearchKey::And(vec![
                SearchKey::Older(age),
                SearchKey::Younger(age.saturating_add(seconds).saturating_add(1)),
            ])
        };
        if let SearchKey::Older(age) | SearchKey::Younger(age) = key {
            changed.push(between(*age));
        }
        false
    });
    let keys = changed.into_iter();
    keys.reduce(|one, other| SearchKey::Or(Box::new((one, other))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u32, last: u32) -> SearchKey {
        let range = (End::Number(first), End::Number(last));
        SearchKey::Uids(SequenceSet::Ranges(vec![range]))
    }

    #[test]
    fn message_numbers_become_uids() {
        let numbers = UidMap::new(UidSet::run(11, 13));
        let saved = UidSet::run(12, 12);
        let of = |set| with_uids(&SearchKey::Numbers(set), &numbers, &saved);
        let ranges = |one, other| SequenceSet::Ranges(vec![(one, other)]);
        assert_eq!(of(ranges(End::Number(2), End::Last)), range(12, 13));
        assert_eq!(of(SequenceSet::Saved), range(12, 12));
        let none = SearchKey::Not(Box::new(SearchKey::All));
        assert_eq!(of(ranges(End::Number(4), End::Number(5))), none);
        let open = SearchKey::Uids(ranges(End::Number(12), End::Last));
        assert_eq!(with_uids(&open, &numbers, &saved), open);
        let nested = SearchKey::Not(Box::new(SearchKey::Or(Box::new((
            SearchKey::Uids(SequenceSet::Saved),
            SearchKey::And(vec![SearchKey::All]),
        )))));
        let expected = SearchKey::Not(Box::new(SearchKey::Or(Box::new((
            range(12, 12),
            SearchKey::And(vec![SearchKey::All]),
        )))));
        assert_eq!(with_uids(&nested, &numbers, &saved), expected);
        assert_eq!(super::ranges(&expected), 1);
    }

    #[test]
    fn keys_with_ages_are_found_at_any_depth() {
        assert_eq!(aged(&SearchKey::All, 60), None);
        let key = SearchKey::Not(Box::new(SearchKey::Younger(100)));
        let changed = [SearchKey::Older(100), SearchKey::Younger(161)];
        assert_eq!(aged(&key, 60), Some(SearchKey::And(changed.to_vec())));
        let both = SearchKey::And(vec![SearchKey::Older(1), SearchKey::Younger(2)]);
        assert!(matches!(aged(&both, 1), Some(SearchKey::Or(_))));
    }
}
