//! Header columns against the metadata that they were built from.

use proptest::prelude::*;

use super::model::{
    self, Mailbox, MessageContent, has, joined, mailbox, simple, texts_by_uid, textual,
};
use super::*;
use crate::index::lru::ENTRY_BYTES;
use crate::message::limits::SEARCH_TEXT_BYTES;

const PLACE: MailboxKey = MailboxKey {
    group: 1,
    mailbox: 7,
};
const PLENTY: usize = 1 << 20;

fn column(messages: impl IntoIterator<Item = (u32, String)>) -> Column {
    let mut column = Column::default();
    for (uid, subject) in messages {
        let stored = metadata(format!("Subject: {subject}\r\n\r\n").as_bytes());
        column.append(
            uid,
            &MessageMetadata::open(&stored).unwrap(),
            Field::Subject,
            Collation::default(),
        );
    }
    column
}

/// Bind a search for a subject, in a mailbox of which the client has counted all messages.
fn subject(needle: &str) -> BoundSearch {
    let mailbox = Mailbox {
        records: vec![],
        numbers: UidMap::new(UidSet::run(1, u32::MAX)),
        saved: UidSet::empty(),
        recent: UidSet::empty(),
    };
    let key = SearchKey::Field(Field::Subject, needle.into());
    mailbox.bind(&key)
}

/// Return the result of a column for all messages: matches, and UIDs with complete text.
fn lookup(columns: &HeaderColumns, needle: &str, uids: &UidSet) -> Option<(Vec<u32>, Vec<u32>)> {
    let answers = subject(needle).look_up(columns, PLACE, uids);
    let answer = answers.0.into_iter().next().unwrap()?;
    let found = answer.found.intersection(uids).iter().collect();
    Some((found, answer.known.intersection(uids).iter().collect()))
}

fn keep(columns: &HeaderColumns, field: Field, range: (u32, u32), parts: &[&Column]) {
    columns.add(
        (PLACE, field, Collation::default()),
        range,
        parts.iter().copied(),
    );
}

/// Subjects of UIDs up to 99, ascending.
fn subjects() -> impl Strategy<Value = Vec<(u32, String)>> {
    let word = || prop_oneof![Just("Alpha"), Just("beta"), Just("Stra\u{df}e"), Just("")];
    let short = proptest::collection::vec(word(), 0..4).prop_map(|words| words.join(" "));
    let cut = word().prop_map(|word| "-".repeat(SEARCH_TEXT_BYTES) + word);
    let text = prop_oneof![20 => short, 1 => cut];
    proptest::collection::btree_map(1..100_u32, text, 0..60)
        .prop_map(|texts| texts.into_iter().collect())
}

proptest! {
    /// Built at once or in steps, in parts, with overlapping and repeated work.
    #[test]
    fn a_column_agrees_with_its_metadata(
        subjects in subjects(),
        cuts in proptest::collection::vec((1..100_u32, 0..50_u32), 1..8),
        needle in prop_oneof![Just("alpha"), Just("ETA"), Just("STRAßE"), Just("a b"), Just("-")],
        requested in proptest::collection::btree_set(1..100_u32, 1..99),
    ) {
        let columns = HeaderColumns::new(PLENTY);
        let gather = |first: u32, last: u32| column(
            subjects.iter().filter(|(uid, _)| (first..=last).contains(uid)).cloned()
        );
        let mut covered = 0;
        for (upto, back) in cuts {
            // The search started when there were fewer messages than now.
            let from = covered - back.min(covered);
            let half = from.midpoint(upto.max(from));
            let parts = [gather(from + 1, half), gather(half + 1, upto)];
            keep(&columns, Field::Subject, (from, upto), &[&parts[0], &parts[1]]);
            covered = covered.max(upto);
        }
        let uids = UidSet::of(requested.iter().copied().collect()).unwrap();
        let (found, known) = lookup(&columns, needle, &uids).unwrap();
        let (mut here, mut whole) = (Vec::new(), Vec::new());
        for (uid, subject) in &subjects {
            if *uid <= covered && requested.contains(uid) {
                let stored = metadata(format!("Subject: {subject}\r\n\r\n").as_bytes());
                let metadata = MessageMetadata::open(&stored).unwrap();
                let mut text = Vec::new();
                let collation = Collation::default();
                let is_complete = metadata.search_text(Field::Subject, collation, &mut text);
                let needle = collation.prepare(needle);
                let has = text.windows(needle.len()).any(|part| part == needle);
                here.extend(has.then_some(*uid));
                whole.extend(is_complete.then_some(*uid));
            }
        }
        prop_assert_eq!((found, known), (here, whole));
    }

    /// With columns for some of the messages, searches find the same as without.
    #[test]
    fn columns_decide_like_metadata(
        mailbox in mailbox(),
        texts in texts_by_uid(),
        key in joined(prop_oneof![simple().boxed(), textual().boxed(), textual().boxed()]),
        covered in 0..120_u32,
    ) {
        let columns = HeaderColumns::new(PLENTY);
        let mut subjects = Column::default();
        for uid in 1..=covered {
            let stored = metadata(&texts[uid as usize].message());
            let metadata = MessageMetadata::open(&stored).unwrap();
            subjects.append(uid, &metadata, Field::Subject, Collation::default());
        }
        keep(&columns, Field::Subject, (0, covered), &[&subjects]);
        let bound = mailbox.bind(&key);
        let all = UidSet::run(1, u32::MAX);
        let scanned = mailbox.scan_with(&bound, &bound.look_up(&columns, PLACE, &all));
        let without = mailbox.scan(&bound);
        prop_assert!(scanned.undecided.iter().all(|record| without.undecided.contains(record)));
        let is_open = |uid| scanned.undecided.iter().any(|record| record.uid == uid);
        for record in &mailbox.records {
            let text: &MessageContent = &texts[record.uid as usize];
            let expected = mailbox.numbers.uids().contains(record.uid)
                && mailbox.matches(&key, record, text);
            prop_assert!(is_open(record.uid) || scanned.found.contains(record.uid) == expected);
            prop_assert!(!scanned.found.contains(record.uid) || expected);
            if bound.lookups() == bound.program.leaves.len() {
                prop_assert_eq!(is_open(record.uid) && record.uid <= covered, false);
            }
        }
    }
}

#[test]
fn no_match_crosses_two_messages() {
    let columns = HeaderColumns::new(PLENTY);
    let texts = column([(1, "one".into()), (2, "two".into()), (4, "two".into())]);
    keep(&columns, Field::Subject, (0, 4), &[&texts]);
    let all = UidSet::run(1, 9);
    for (needle, found) in [
        ("onetwo", &[][..]),
        ("one two", &[]),
        ("o", &[1, 2, 4]),
        ("TWO", &[2, 4]),
        ("\u{ff}", &[]),
    ] {
        assert_eq!(lookup(&columns, needle, &all).unwrap().0, found, "{needle}");
    }
    assert!(has("one", "ONE"), "as the model has it");
}

/// An expunged message without an entry does not count as a message without a subject.
#[test]
fn a_message_without_an_entry_stays_undecided() {
    let columns = HeaderColumns::new(PLENTY);
    keep(
        &columns,
        Field::Subject,
        (0, 9),
        &[&column([(1, "x".into()), (3, "y".into())])],
    );
    let (_, known) = lookup(&columns, "x", &UidSet::run(1, 9)).unwrap();
    assert_eq!(known, [1, 3]);
}

#[test]
fn the_highest_uids_are_found() {
    let last = u32::MAX;
    let columns = HeaderColumns::new(PLENTY);
    let texts = [last - 1, last].map(|uid| (uid, "x".into()));
    keep(&columns, Field::Subject, (0, last), &[&column(texts)]);
    let (found, known) = lookup(&columns, "x", &UidSet::run(1, last)).unwrap();
    assert_eq!((found, known), (vec![last - 1, last], vec![last - 1, last]));
    let one = model::any_record_with_uid(last);
    let segment = crate::index::append(b"", &[one]).unwrap();
    let bound = subject("x");
    let answers = bound.look_up(&columns, PLACE, bound.candidates());
    let scanned = bound.scan([Ok(&*segment)], &UidSet::run(1, last), &answers);
    assert_eq!(scanned.unwrap().found, UidSet::run(last, last));
}

#[test]
fn stale_columns_are_listed_by_field() {
    let columns = HeaderColumns::new(PLENTY);
    let fields = [Field::From, Field::Subject];
    let stale = |fields: &[Field], covered| {
        Some(StaleColumns {
            fields: fields.to_vec(),
            covered,
        })
    };
    assert_eq!(
        columns.stale((PLACE, Collation::default()), &fields, 5),
        stale(&fields, 0)
    );
    keep(&columns, Field::From, (0, 5), &[]);
    assert_eq!(
        columns.stale((PLACE, Collation::default()), &fields, 5),
        stale(&fields[1..], 0)
    );
    keep(&columns, Field::Subject, (0, 7), &[]);
    assert_eq!(
        columns.stale((PLACE, Collation::default()), &fields, 5),
        None
    );
    assert_eq!(
        columns.stale((PLACE, Collation::default()), &fields, 9),
        stale(&fields, 5)
    );
    assert_eq!(columns.stale((PLACE, Collation::default()), &[], 9), None);
    let elsewhere = MailboxKey { group: 2, ..PLACE };
    assert_eq!(
        columns.stale((elsewhere, Collation::default()), &fields, 5),
        stale(&fields, 0)
    );
}

/// The column was evicted while texts above its end were read: adding them would leave a gap.
#[test]
fn entries_after_a_gap_are_not_added() {
    let columns = HeaderColumns::new(PLENTY);
    keep(
        &columns,
        Field::Subject,
        (5, 9),
        &[&column([(7, "x".into())])],
    );
    assert_eq!(
        columns
            .stale((PLACE, Collation::default()), &[Field::Subject], 9)
            .unwrap()
            .covered,
        0
    );
    let all = UidSet::run(1, 9);
    assert_eq!(lookup(&columns, "x", &all), Some((vec![], vec![])));
}

#[test]
fn a_column_is_filled_up_to_the_limit() {
    let texts: Vec<_> = (1..=100)
        .map(|uid| (uid, format!("number {uid}")))
        .collect();
    let whole = HeaderColumns::new(PLENTY);
    keep(&whole, Field::Subject, (0, 100), &[&column(texts.clone())]);
    let needed = whole.memory_bytes();
    let all = UidSet::run(1, 100);

    let enough = HeaderColumns::new(needed);
    keep(&enough, Field::Subject, (0, 100), &[&column(texts.clone())]);
    assert_eq!(enough.memory_bytes(), needed);
    assert_eq!(lookup(&enough, "number", &all).unwrap().0.len(), 100);
    assert_eq!(
        enough
            .stale((PLACE, Collation::default()), &[Field::Subject], 101)
            .unwrap()
            .covered,
        100
    );

    let narrow = HeaderColumns::new(needed - 1);
    keep(&narrow, Field::Subject, (0, 100), &[&column(texts)]);
    assert!(narrow.memory_bytes() < needed);
    let known = lookup(&narrow, "number", &all).unwrap().1;
    assert_eq!(known, (1..=99).collect::<Vec<_>>());
    // A full column does not grow, so it is not stale.
    assert_eq!(
        narrow.stale((PLACE, Collation::default()), &[Field::Subject], 101),
        None
    );
    keep(
        &narrow,
        Field::Subject,
        (100, 101),
        &[&column([(101, String::new())])],
    );
    assert_eq!(lookup(&narrow, "number", &all).unwrap().1, known);
}

#[test]
fn the_least_recently_used_column_is_evicted() {
    let text = |uid| column([(uid, "x".repeat(1000))]);
    let one = {
        let columns = HeaderColumns::new(PLENTY);
        keep(&columns, Field::Subject, (0, 1), &[&text(1)]);
        columns.memory_bytes()
    };
    let columns = HeaderColumns::new(2 * one);
    keep(&columns, Field::Subject, (0, 1), &[&text(1)]);
    keep(&columns, Field::From, (0, 1), &[&text(1)]);
    assert_eq!(columns.memory_bytes(), 2 * one);
    let all = UidSet::run(1, 1);
    assert!(lookup(&columns, "x", &all).is_some()); // From is the least recently used now
    keep(&columns, Field::To, (0, 1), &[&text(1)]);
    assert_eq!(
        columns.memory_bytes(),
        2 * one,
        "memory of evicted columns is released"
    );
    assert!(lookup(&columns, "x", &all).is_some());
    let is_there = |field| {
        columns
            .stale((PLACE, Collation::default()), &[field], 1)
            .is_none()
    };
    assert!(is_there(Field::To) && !is_there(Field::From));
}

/// Two searches read the same messages and add them both.
#[test]
fn concurrent_additions_are_not_added_twice() {
    let columns = HeaderColumns::new(PLENTY);
    let expected: Vec<u32> = (1..=400).collect();
    std::thread::scope(|scope| {
        for step in [7, 10, 25, 400] {
            let columns = &columns;
            scope.spawn(move || {
                while let Some(StaleColumns { covered, .. }) =
                    columns.stale((PLACE, Collation::default()), &[Field::Subject], 400)
                {
                    let upto = (covered + step).min(400);
                    let texts = column((covered + 1..=upto).map(|uid| (uid, "x".into())));
                    keep(columns, Field::Subject, (covered, upto), &[&texts]);
                }
            });
        }
    });
    let all = UidSet::run(1, 400);
    assert_eq!(
        lookup(&columns, "x", &all).unwrap(),
        (expected.clone(), expected)
    );
    let texts = 400 * (2 * size_of::<u32>() + 2);
    let spare = texts / 8;
    assert!(columns.memory_bytes() <= ENTRY_BYTES + texts + spare);
}
