//! Header columns beside the metadata that they were put together from.

use proptest::prelude::*;

use super::model::{self, Mailbox, Text, has, joined, mailbox, simple, texts_by_uid, textual};
use super::*;
use crate::message::limits::FOLDED_BYTES;

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
        );
    }
    column
}

/// A bound search for a subject, in a mailbox of which the client knows everything.
fn subject(needle: &str) -> BoundSearch {
    let mailbox = Mailbox {
        records: vec![],
        numbers: UidMap::new(UidSet::run(1, u32::MAX)),
        saved: UidSet::empty(),
        recent: UidSet::empty(),
    };
    let key = SearchKey::Field(Field::Subject, needle.into());
    mailbox.bind(&key).unwrap()
}

/// What a column says of all messages: those that have a needle, those about which it knows all.
fn said(columns: &HeaderColumns, needle: &str, uids: &UidSet) -> Option<(Vec<u32>, Vec<u32>)> {
    let answers = subject(needle).look_up(columns, PLACE, uids);
    let answer = answers.0.into_iter().next().unwrap()?;
    let found = answer.found.intersection(uids).iter().collect();
    Some((found, answer.known.intersection(uids).iter().collect()))
}

fn keep(columns: &HeaderColumns, field: Field, range: (u32, u32), parts: &[&Column]) {
    columns.keep(PLACE, field, range, parts.iter().copied());
}

/// UIDs up to 99 with their subjects, ascending.
fn subjects() -> impl Strategy<Value = Vec<(u32, String)>> {
    let word = || prop_oneof![Just("Alpha"), Just("beta"), Just("Stra\u{df}e"), Just("")];
    let short = proptest::collection::vec(word(), 0..4).prop_map(|words| words.join(" "));
    let cut = word().prop_map(|word| "-".repeat(FOLDED_BYTES) + word);
    let text = prop_oneof![20 => short, 1 => cut];
    proptest::collection::btree_map(1..100_u32, text, 0..60)
        .prop_map(|texts| texts.into_iter().collect())
}

proptest! {
    /// However it was put together: at once or bit by bit, in parts, with searches that overtake
    /// each other and whose work is done twice.
    #[test]
    fn a_column_says_what_its_metadata_say(
        subjects in subjects(),
        cuts in proptest::collection::vec((1..100_u32, 0..50_u32), 1..8),
        needle in prop_oneof![Just("alpha"), Just("ETA"), Just("strasse"), Just("a b"), Just("-")],
        asked in proptest::collection::btree_set(1..100_u32, 1..99),
    ) {
        let columns = HeaderColumns::new(PLENTY);
        let gather = |first: u32, last: u32| column(
            subjects.iter().filter(|(uid, _)| (first..=last).contains(uid)).cloned()
        );
        let mut covered = 0;
        for (upto, back) in cuts {
            // It began when less was there than is now.
            let from = covered - back.min(covered);
            let half = from.midpoint(upto.max(from));
            let parts = [gather(from + 1, half), gather(half + 1, upto)];
            keep(&columns, Field::Subject, (from, upto), &[&parts[0], &parts[1]]);
            covered = covered.max(upto);
        }
        let uids = UidSet::of(asked.iter().copied().collect()).unwrap();
        let (found, known) = said(&columns, needle, &uids).unwrap();
        let (mut here, mut whole) = (Vec::new(), Vec::new());
        for (uid, subject) in &subjects {
            if *uid <= covered && asked.contains(uid) {
                let stored = metadata(format!("Subject: {subject}\r\n\r\n").as_bytes());
                let metadata = MessageMetadata::open(&stored).unwrap();
                let has = metadata.folded(Field::Subject).contains(&crate::message::fold(needle));
                here.extend(has.then_some(*uid));
                whole.extend(metadata.folded_is_whole(Field::Subject).then_some(*uid));
            }
        }
        prop_assert_eq!((found, known), (here, whole));
    }

    /// With columns that know some of the messages, all programs find what they find without.
    #[test]
    fn columns_decide_as_metadata_do(
        mailbox in mailbox(),
        texts in texts_by_uid(),
        key in joined(prop_oneof![simple().boxed(), textual().boxed(), textual().boxed()]),
        covered in 0..120_u32,
    ) {
        let columns = HeaderColumns::new(PLENTY);
        let mut subjects = Column::default();
        for uid in 1..=covered {
            let stored = metadata(&texts[uid as usize].message());
            subjects.append(uid, &MessageMetadata::open(&stored).unwrap(), Field::Subject);
        }
        keep(&columns, Field::Subject, (0, covered), &[&subjects]);
        let bound = mailbox.bind(&key).unwrap();
        let all = UidSet::run(1, u32::MAX);
        let scanned = mailbox.scan_with(&bound, &bound.look_up(&columns, PLACE, &all));
        let without = mailbox.scan(&bound);
        prop_assert!(scanned.open.iter().all(|record| without.open.contains(record)));
        let is_open = |uid| scanned.open.iter().any(|record| record.uid == uid);
        for record in &mailbox.records {
            let text: &Text = &texts[record.uid as usize];
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
fn nothing_is_found_across_two_messages() {
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
        assert_eq!(said(&columns, needle, &all).unwrap().0, found, "{needle}");
    }
    assert!(has("one", "ONE"), "as the model has it");
}

/// What was expunged before it was gathered is not taken for a message without a subject.
#[test]
fn a_message_that_is_not_in_the_column_stays_open() {
    let columns = HeaderColumns::new(PLENTY);
    keep(
        &columns,
        Field::Subject,
        (0, 9),
        &[&column([(1, "x".into()), (3, "y".into())])],
    );
    let (_, known) = said(&columns, "x", &UidSet::run(1, 9)).unwrap();
    assert_eq!(known, [1, 3]);
}

#[test]
fn the_highest_uids_are_found() {
    let last = u32::MAX;
    let columns = HeaderColumns::new(PLENTY);
    let texts = [last - 1, last].map(|uid| (uid, "x".into()));
    keep(&columns, Field::Subject, (0, last), &[&column(texts)]);
    let (found, known) = said(&columns, "x", &UidSet::run(1, last)).unwrap();
    assert_eq!((found, known), (vec![last - 1, last], vec![last - 1, last]));
    let one = model::any_record_with_uid(last);
    let segment = crate::index::append(b"", &[one]).unwrap();
    let bound = subject("x");
    let answers = bound.look_up(&columns, PLACE, bound.candidates());
    let scanned = bound.scan([Ok(&*segment)], &UidSet::run(1, last), &answers);
    assert_eq!(scanned.unwrap().found, UidSet::run(last, last));
}

#[test]
fn what_is_behind_is_told_by_field() {
    let columns = HeaderColumns::new(PLENTY);
    let fields = [Field::From, Field::Subject];
    let stale = |fields: &[Field], covered| {
        Some(StaleColumns {
            fields: fields.to_vec(),
            covered,
        })
    };
    assert_eq!(columns.stale(PLACE, &fields, 5), stale(&fields, 0));
    keep(&columns, Field::From, (0, 5), &[]);
    assert_eq!(columns.stale(PLACE, &fields, 5), stale(&fields[1..], 0));
    keep(&columns, Field::Subject, (0, 7), &[]);
    assert_eq!(columns.stale(PLACE, &fields, 5), None);
    assert_eq!(columns.stale(PLACE, &fields, 9), stale(&fields, 5));
    assert_eq!(columns.stale(PLACE, &[], 9), None);
    let elsewhere = MailboxKey { group: 2, ..PLACE };
    assert_eq!(columns.stale(elsewhere, &fields, 5), stale(&fields, 0));
}

/// A column was dropped while somebody gathered what comes stale its end: there would be a gap
/// that nobody fills.
#[test]
fn what_does_not_begin_where_a_column_ends_is_not_kept() {
    let columns = HeaderColumns::new(PLENTY);
    keep(
        &columns,
        Field::Subject,
        (5, 9),
        &[&column([(7, "x".into())])],
    );
    assert_eq!(
        columns.stale(PLACE, &[Field::Subject], 9).unwrap().covered,
        0
    );
    let all = UidSet::run(1, 9);
    assert_eq!(said(&columns, "x", &all), Some((vec![], vec![])));
}

#[test]
fn a_column_that_is_too_large_keeps_what_there_is_room_for() {
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
    assert_eq!(said(&enough, "number", &all).unwrap().0.len(), 100);
    assert_eq!(
        enough.stale(PLACE, &[Field::Subject], 101).unwrap().covered,
        100
    );

    let narrow = HeaderColumns::new(needed - 1);
    keep(&narrow, Field::Subject, (0, 100), &[&column(texts)]);
    assert!(narrow.memory_bytes() < needed);
    let known = said(&narrow, "number", &all).unwrap().1;
    assert_eq!(known, (1..=99).collect::<Vec<_>>());
    // It does not grow any more, so nobody gathers for it.
    assert_eq!(narrow.stale(PLACE, &[Field::Subject], 101), None);
    keep(
        &narrow,
        Field::Subject,
        (100, 101),
        &[&column([(101, String::new())])],
    );
    assert_eq!(said(&narrow, "number", &all).unwrap().1, known);
}

#[test]
fn the_column_that_was_not_used_for_longest_goes() {
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
    assert!(said(&columns, "x", &all).is_some()); // From is the older one now
    keep(&columns, Field::To, (0, 1), &[&text(1)]);
    assert_eq!(
        columns.memory_bytes(),
        2 * one,
        "what was dropped is given back"
    );
    assert!(said(&columns, "x", &all).is_some());
    let is_there = |field| columns.stale(PLACE, &[field], 1).is_none();
    assert!(is_there(Field::To) && !is_there(Field::From));
}

/// Two searches gather the same messages, and both put them there.
#[test]
fn threads_that_fill_one_column_do_not_fill_it_twice() {
    let columns = HeaderColumns::new(PLENTY);
    let expected: Vec<u32> = (1..=400).collect();
    std::thread::scope(|scope| {
        for step in [7, 10, 25, 400] {
            let columns = &columns;
            scope.spawn(move || {
                while let Some(StaleColumns { covered, .. }) =
                    columns.stale(PLACE, &[Field::Subject], 400)
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
        said(&columns, "x", &all).unwrap(),
        (expected.clone(), expected)
    );
    let texts = 400 * (2 * size_of::<u32>() + 2);
    let spare = texts / 8;
    assert!(columns.memory_bytes() <= COLUMN_BYTES + texts + spare);
}
