//! Sets against `BTreeSet`, maps against `Vec`.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::Corrupt;
use crate::wire::ast::{End, SequenceSet, Window};

/// Numbers close together, so that runs touch and overlap, and some near the maximum.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 1..60_u32, 1 => 1000..1010_u32, 1 => (u32::MAX - 20)..=u32::MAX]
}

fn numbers() -> impl Strategy<Value = BTreeSet<u32>> {
    proptest::collection::btree_set(number(), 0..50)
}

fn set(numbers: &BTreeSet<u32>) -> UidSet {
    UidSet::of(numbers.iter().copied().collect()).unwrap()
}

fn model(set: &UidSet) -> BTreeSet<u32> {
    set.iter().collect()
}

/// Assert the invariants of the runs of a set.
fn is_canonical(set: &UidSet) -> bool {
    set.runs()
        .iter()
        .all(|(first, last)| 0 < *first && first <= last)
        && set.runs().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0)
}

proptest! {
    #[test]
    fn set_algebra_agrees_with_a_tree(a in numbers(), b in numbers()) {
        let (left, right) = (set(&a), set(&b));
        for (made, expected) in [
            (left.union(&right), &a | &b),
            (left.intersection(&right), &a & &b),
            (left.difference(&right), &a - &b),
        ] {
            prop_assert!(is_canonical(&made));
            prop_assert_eq!(model(&made), expected);
        }
        prop_assert_eq!(left.len() as usize, a.len());
        prop_assert_eq!((left.first(), left.last()), (a.first().copied(), a.last().copied()));
        for number in b {
            prop_assert_eq!(left.contains(number), a.contains(&number));
        }
    }

    #[test]
    fn windows_agree_with_a_list(
        a in numbers(),
        one in 1..70_i64,
        other in prop_oneof![1..70_i64, Just(i64::from(u32::MAX))],
        from_end: bool,
    ) {
        let sign = if from_end { -1 } else { 1 };
        let found = set(&a).window(Window { one: one * sign, other: other * sign });
        prop_assert!(is_canonical(&found));
        let (low, high) = (one.min(other), one.max(other));
        let mut list: Vec<u32> = a.iter().copied().collect();
        if from_end {
            list.reverse();
        }
        let positions = (1..).zip(list);
        let expected: BTreeSet<u32> = positions
            .filter(|(position, _)| (low..=high).contains(position))
            .map(|(_, number)| number)
            .collect();
        prop_assert_eq!(model(&found), expected);
    }

    #[test]
    fn algebra_of_few_runs_with_many_agrees_too(few in proptest::collection::btree_set(1..400_u32, 0..3)) {
        let odd: BTreeSet<u32> = (1..400).filter(|n| n % 2 == 1).collect();
        let (left, right) = (set(&few), set(&odd));
        prop_assert_eq!(model(&left.intersection(&right)), &few & &odd);
        prop_assert_eq!(model(&right.intersection(&left)), &few & &odd);
        prop_assert_eq!(model(&right.difference(&left)), &odd - &few);
    }

    #[test]
    fn runs_in_any_order_make_the_same_set(
        runs in proptest::collection::vec((1..80_u32, 0..12_u32), 0..20)
    ) {
        let runs: Vec<Run> = runs.into_iter().map(|(first, more)| (first, first + more)).collect();
        let expected: BTreeSet<u32> = runs.iter().flat_map(|(first, last)| *first..=*last).collect();
        let made = UidSet::from_runs(runs).unwrap();
        prop_assert!(is_canonical(&made));
        prop_assert_eq!(model(&made), expected);
    }

    #[test]
    fn stored_form_is_read_back(a in numbers()) {
        let made = set(&a);
        prop_assert_eq!(UidSet::from_bytes(&made.to_bytes()), Ok(made));
    }

    #[test]
    fn any_bytes_are_the_stored_form_of_a_set_or_corrupt(
        bytes in proptest::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..24)
    ) {
        if let Ok(read) = UidSet::from_bytes(&bytes) {
            prop_assert!(is_canonical(&read));
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn split_cuts_after_count_numbers(a in numbers(), count in 0..60_u32) {
        let (low, high) = set(&a).split(count);
        prop_assert!(is_canonical(&low) && is_canonical(&high));
        prop_assert!(low.iter().eq(a.iter().copied().take(count as usize)));
        prop_assert!(high.iter().eq(a.iter().copied().skip(count as usize)));
    }

    #[test]
    fn map_agrees_with_a_list(a in numbers(), b in numbers()) {
        let map = UidMap::new(set(&a));
        let list: Vec<u32> = a.iter().copied().collect();
        prop_assert_eq!(map.len() as usize, list.len());
        prop_assert_eq!(map.uid(0), None);
        for number in 1..=list.len() + 2 {
            prop_assert_eq!(map.uid(u32::try_from(number).unwrap()), list.get(number - 1).copied());
        }
        for uid in a.iter().chain(&b).copied() {
            let position = list.iter().position(|one| *one == uid);
            prop_assert_eq!(map.number(uid).map(|number| number as usize), position.map(|at| at + 1));
            let rank = list.iter().filter(|one| **one <= uid).count();
            prop_assert_eq!(map.rank(uid) as usize, rank);
        }
        let numbers: Vec<u32> =
            (1_u32..).zip(&list).filter(|(_, uid)| b.contains(uid)).map(|(number, _)| number).collect();
        prop_assert!(map.numbers(&set(&b)).iter().eq(numbers.iter().copied()));

        let (left, announced) = map.without(&set(&b));
        prop_assert_eq!(model(left.uids()), &a - &b);
        prop_assert_eq!(&left, &UidMap::new(left.uids().clone()));
        // Announced in this order, they remove exactly these UIDs from a client's list.
        let mut client = list.clone();
        for number in announced {
            client.remove(number as usize - 1);
        }
        prop_assert!(left.uids().iter().eq(client));
    }

    #[test]
    fn appended_requires_uids_above_the_last(a in numbers(), b in numbers()) {
        let made = UidMap::new(set(&a)).appended(&set(&b));
        if b.is_empty() || a.last() < b.first() {
            prop_assert_eq!(made, Some(UidMap::new(set(&(&a | &b)))));
        } else {
            prop_assert_eq!(made, None);
        }
    }

    #[test]
    fn cover_has_the_uids_that_match_and_few_runs(
        a in numbers(),
        saved in numbers(),
        ranges in proptest::collection::vec((end(), end()), 1..6),
        uid in any::<bool>(),
    ) {
        let map = UidMap::new(set(&a));
        let wanted = SequenceSet::Ranges(ranges.clone());
        let cover = map.cover(&wanted, uid, &set(&saved));
        if let Some(selected) = map.select(&wanted, uid, &set(&saved)) {
            prop_assert_eq!(map.uids().intersection(&cover), selected);
        }
        prop_assert!(cover.runs().len() <= ranges.len());
        let cover = map.cover(&SequenceSet::Saved, uid, &set(&saved));
        prop_assert_eq!(
            Some(map.uids().intersection(&cover)),
            map.select(&SequenceSet::Saved, uid, &set(&saved))
        );
    }

    #[test]
    fn cover_ignores_message_numbers_past_the_end(a in numbers(), past in 1..100_u32) {
        let map = UidMap::new(set(&a));
        let count = map.len();
        let range = |one, other| {
            let ranges = vec![(End::Number(one), End::Number(other))];
            map.cover(&SequenceSet::Ranges(ranges), false, &UidSet::empty())
        };
        let found = map.uids().intersection(&range(1, count + past));
        prop_assert_eq!(&found, map.uids());
        prop_assert!(range(count + past, count + past + 1).is_empty());
    }

    #[test]
    fn select_agrees_with_a_list(
        a in numbers(),
        saved in numbers(),
        ranges in proptest::collection::vec((end(), end()), 1..6),
    ) {
        let map = UidMap::new(set(&a));
        let list: Vec<u32> = a.iter().copied().collect();
        let wanted = SequenceSet::Ranges(ranges.clone());

        let last = list.last().copied().unwrap_or(0);
        let mut uids = BTreeSet::new();
        for (one, other) in &ranges {
            let (one, other) = (value(*one, last), value(*other, last));
            uids.extend(a.iter().filter(|uid| (one.min(other)..=one.max(other)).contains(uid)));
        }
        prop_assert_eq!(map.select(&wanted, true, &set(&saved)).as_ref().map(model), Some(uids));

        let count = u32::try_from(list.len()).unwrap();
        let mut named = Some(BTreeSet::new());
        for (one, other) in &ranges {
            let (one, other) = (value(*one, count), value(*other, count));
            if one.max(other) > count || one.min(other) == 0 {
                named = None;
            } else if let Some(named) = &mut named {
                named.extend(&list[one.min(other) as usize - 1..one.max(other) as usize]);
            }
        }
        prop_assert_eq!(map.select(&wanted, false, &set(&saved)).as_ref().map(model), named);

        let dollar = map.select(&SequenceSet::Saved, true, &set(&saved));
        prop_assert_eq!(dollar.as_ref().map(model), Some(&a & &saved));
    }
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![4 => (1..60_u32).prop_map(End::Number), 1 => Just(End::Last)]
}

fn value(end: End, last: u32) -> u32 {
    match end {
        End::Number(number) => number,
        End::Last => last,
    }
}

#[test]
fn bad_runs_are_named() {
    assert_eq!(UidSet::from_runs(vec![(1, 2), (0, 3)]), Err(BadRun(0, 3)));
    assert_eq!(UidSet::from_runs(vec![(1, 2), (9, 3)]), Err(BadRun(9, 3)));
    assert_eq!(UidSet::of(vec![3, 0]), Err(BadRun(0, 0)));
}

#[test]
fn stored_forms_never_change() {
    let table: [(&[Run], &[u8]); 4] = [
        (&[], b""),
        (&[(1, 1)], b"\x01\x00"),
        (&[(1, 3), (7, 7)], b"\x01\x02\x04\x00"),
        (&[(300, u32::MAX)], b"\xAC\x02\xD3\xFD\xFF\xFF\x0F"),
    ];
    for (runs, stored) in table {
        let set = UidSet::from_runs(runs.to_vec()).unwrap();
        assert_eq!(set.to_bytes(), stored);
        assert_eq!(UidSet::from_bytes(stored), Ok(set));
    }
}

#[test]
fn corrupt_stored_forms_are_refused() {
    for (stored, why) in [
        (&b"\x01"[..], "cut short"),
        (b"\x81", "cut short"),
        (b"\x00\x00", "adjacent"),
        (b"\x01\x00\x01\x00", "adjacent"),
        (b"\x81\x00\x00", "shortest form"),
        (b"\xFF\xFF\xFF\xFF\x1F\x00", "above 4294967295"),
        (b"\xFF\xFF\xFF\xFF\x8F\x00", "too long"),
        (b"\xFF\xFF\xFF\xFF\x0F\x01", "above 4294967295"),
    ] {
        let Corrupt(reason) = UidSet::from_bytes(stored).unwrap_err();
        assert!(reason.contains(why), "{stored:?}: {reason}");
    }
}

#[test]
fn imap_form_is_ascending_runs() {
    let set = UidSet::from_runs(vec![(7, 7), (1, 3), (9, u32::MAX)]).unwrap();
    assert_eq!(set.to_imap(), b"1:3,7,9:4294967295");
    assert_eq!(UidSet::empty().to_imap(), b"");
}

#[test]
fn all_possible_uids_are_counted() {
    let all = UidSet::run(1, u32::MAX);
    assert_eq!(all.len(), u32::MAX);
    let map = UidMap::new(all.clone());
    assert_eq!(map.uid(u32::MAX), Some(u32::MAX));
    assert_eq!(map.number(u32::MAX), Some(u32::MAX));
    assert_eq!(all.split(u32::MAX), (all.clone(), UidSet::empty()));
    assert_eq!(all.difference(&UidSet::run(2, u32::MAX)), UidSet::run(1, 1));
}

/// RFC 9051 section 6.4.8: "a UID range of 559:* always includes the UID of the last message in
/// the mailbox, even if 559 is higher than any assigned UID value".
#[test]
fn star_is_the_last_message_even_below_the_other_number() {
    let map = UidMap::new(UidSet::of(vec![4, 7]).unwrap());
    let wanted = SequenceSet::Ranges(vec![(End::Number(559), End::Last)]);
    assert_eq!(
        map.select(&wanted, true, &UidSet::empty()),
        Some(UidSet::run(7, 7))
    );
    // A message number that does not exist is an error, and so is `*` in an empty mailbox.
    assert_eq!(map.select(&wanted, false, &UidSet::empty()), None);
    let star = SequenceSet::Ranges(vec![(End::Last, End::Last)]);
    assert_eq!(
        UidMap::default().select(&star, false, &UidSet::empty()),
        None
    );
    assert_eq!(
        UidMap::default().select(&star, true, &UidSet::empty()),
        Some(UidSet::empty())
    );
}

#[test]
fn decimals_agree_with_std() {
    for value in [
        0,
        1,
        9,
        10,
        99,
        100,
        u64::from(u32::MAX),
        u64::MAX - 1,
        u64::MAX,
    ] {
        let mut out = Vec::new();
        put_decimal(&mut out, value);
        assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
    }
}
