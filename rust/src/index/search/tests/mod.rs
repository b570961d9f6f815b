//! Programs against a naive evaluation of the keys, record by record.

mod columns;
mod model;

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use self::model::{
    Mailbox, MessageContent, joined, mailbox, plain_record, sequence, simple, texts_by_uid, textual,
};
use super::*;
use crate::message::{Range, Scanner};
use crate::numbers::{UidMap, UidSet};
use crate::wire::ast::{End, Field, Flag, SequenceSet, system};

proptest! {
    #[test]
    fn the_index_agrees_with_the_model(mailbox in mailbox(), key in joined(simple())) {
        let bound = mailbox.bind(&key);
        let scanned = mailbox.scan(&bound);
        let expected: BTreeSet<u32> = mailbox
            .records
            .iter()
            .filter(|record| mailbox.numbers.uids().contains(record.uid))
            .filter(|record| mailbox.matches(&key, record, &MessageContent::default()))
            .map(|record| record.uid)
            .collect();
        prop_assert!(scanned.undecided.is_empty() && !needs_metadata(&key));
        prop_assert!(scanned.found.iter().eq(expected.iter().copied()));
        prop_assert_eq!(&scanned.found.intersection(bound.candidates()), &scanned.found);
    }

    #[test]
    fn metadata_and_bytes_agree_with_the_model(
        mailbox in mailbox(),
        texts in texts_by_uid(),
        key in joined(prop_oneof![simple().boxed(), textual().boxed()]),
        piece in 1..40_usize,
    ) {
        let bound = mailbox.bind(&key);
        let scanned = mailbox.scan(&bound);
        prop_assert!(scanned.undecided.is_empty() || needs_metadata(&key));
        let mut found: BTreeSet<u32> = scanned.found.iter().collect();
        for record in scanned.undecided {
            let message = texts[record.uid as usize].message();
            if decided(&bound, &record, &message, piece) {
                found.insert(record.uid);
            }
        }
        let expected: BTreeSet<u32> = mailbox
            .records
            .iter()
            .filter(|record| mailbox.numbers.uids().contains(record.uid))
            .filter(|record| mailbox.matches(&key, record, &texts[record.uid as usize]))
            .map(|record| record.uid)
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn message_numbers_are_resolved_when_bound(mailbox in mailbox(), set in sequence()) {
        let bound = mailbox.bind(&SearchKey::Not(Box::new(SearchKey::Numbers(set.clone()))));
        let cover = mailbox.numbers.cover(&set, false, &mailbox.saved);
        let uids = mailbox.numbers.uids().intersection(&cover);
        if let Some(selected) = mailbox.numbers.select(&set, false, &mailbox.saved) {
            prop_assert_eq!(&uids, &selected);
        }
        let found = mailbox.scan(&bound).found;
        prop_assert_eq!(found, mailbox.numbers.uids().difference(&uids));
    }
}

fn metadata(message: &[u8]) -> Vec<u8> {
    let mut scanner = Scanner::new();
    scanner.feed(message);
    scanner.finish()
}

/// Decide one message; its bytes are fed in pieces where they are needed.
fn decided(bound: &BoundSearch, record: &Record, message: &[u8], piece: usize) -> bool {
    let stored = metadata(message);
    match bound.decide(record, &MessageMetadata::open(&stored).unwrap()) {
        Decision::Known(known) => known,
        Decision::Text(mut search) => {
            let mut fed = 0;
            while let Some(wanted) = search.wanted() {
                let from = usize::try_from(wanted.offset).unwrap();
                let upto = usize::try_from(wanted.offset + wanted.length).unwrap();
                assert!(wanted.length > 0 && upto <= message.len());
                search.feed(&message[from..upto.min(from + piece)]);
                fed += 1;
                assert!(fed < 10_000, "the search does not end");
            }
            search.matched()
        }
    }
}

/// Search the header of a message that is alone in its mailbox.
fn has_header(message: &str, name: &str, text: &str, piece: usize) -> bool {
    let one = plain_record();
    let mailbox = Mailbox::of_one(one);
    let key = SearchKey::Header(name.as_bytes().to_vec(), text.into());
    decided(&mailbox.bind(&key), &one, message.as_bytes(), piece)
}

fn uids(ranges: &[(u32, u32)]) -> SearchKey {
    let ends = ranges
        .iter()
        .map(|(one, other)| (End::Number(*one), End::Number(*other)));
    SearchKey::Uids(SequenceSet::Ranges(ends.collect()))
}

#[test]
fn candidates_are_bounded_by_sets() {
    let mailbox = Mailbox {
        records: vec![],
        numbers: UidMap::new(UidSet::run(1, 1000)),
        saved: UidSet::empty(),
        recent: UidSet::run(990, 1000),
    };
    let body = || SearchKey::Body("x".into());
    let not = |key| SearchKey::Not(Box::new(key));
    let or = |one, other| SearchKey::Or(Box::new((one, other)));
    let and = SearchKey::And;
    for (key, expected) in [
        (body(), "1:1000"),
        (uids(&[(7, 9), (2000, 3000)]), "7:9"),
        (and(vec![uids(&[(7, 9)]), body(), uids(&[(9, 12)])]), "9"),
        (
            or(uids(&[(7, 9)]), and(vec![body(), uids(&[(20, 20)])])),
            "7:9,20",
        ),
        (or(uids(&[(7, 9)]), body()), "1:1000"),
        (not(uids(&[(7, 9)])), "1:1000"),
        (SearchKey::Flag(Flag::Recent), "990:1000"),
        (SearchKey::EmailId(None), ""),
    ] {
        let bound = mailbox.bind(&key);
        assert_eq!(
            String::from_utf8(bound.candidates().to_imap()).unwrap(),
            expected,
            "{key:?}"
        );
    }
}

/// Thousands of sets in a fragmented mailbox: their memory and time do not multiply.
#[test]
fn candidates_of_many_sets_are_bounded_roughly() {
    let runs = (1..20_000).map(|number| (number * 2, number * 2)).collect();
    let mailbox = Mailbox {
        records: vec![],
        numbers: UidMap::new(UidSet::from_runs(runs).unwrap()),
        saved: UidSet::empty(),
        recent: UidSet::empty(),
    };
    let ranges: Vec<_> = (1..8_000)
        .map(|number| (number * 5, number * 5 + 1))
        .collect();
    let mut keys = vec![uids(&ranges)];
    keys.extend((0..7_000).map(|_| uids(&[(1, 1_000_000)])));
    let bound = mailbox.bind(&SearchKey::And(keys));
    assert_eq!(bound.keys(), 7_002);
    let expected = mailbox
        .numbers
        .uids()
        .intersection(&UidSet::from_runs(ranges).unwrap());
    assert_eq!(bound.candidates(), &expected);
    let bound = mailbox.bind(&SearchKey::Or(Box::new((uids(&[(7, 9)]), uids(&[(3, 4)])))));
    assert_eq!(bound.candidates(), &UidSet::of(vec![4, 8]).unwrap());
}

#[test]
fn keys_that_read_text_are_counted() {
    let mailbox = Mailbox {
        records: vec![],
        numbers: UidMap::new(UidSet::run(1, 10)),
        saved: UidSet::empty(),
        recent: UidSet::empty(),
    };
    let body = || SearchKey::Body("x".into());
    let subject = || SearchKey::Field(Field::Subject, "x".into());
    let keys = vec![
        body(),
        subject(),
        SearchKey::Not(Box::new(body())),
        uids(&[(1, 2)]),
    ];
    let bound = mailbox.bind(&SearchKey::And(keys));
    assert_eq!((bound.keys(), bound.lookups(), bound.texts()), (6, 1, 3));
}

/// `UNSEEN BODY x` is false for a seen message: its body is not read.
#[test]
fn a_body_is_not_read_if_other_keys_decide() {
    let mut seen = Record {
        uid: 1,
        size: 1,
        flags: system::SEEN,
        zone: 0,
        keyword_set: 0,
        modseq: 1,
        date: 0,
        saved: 0,
        body: 1,
        thread: 1,
    };
    let unseen = SearchKey::Not(Box::new(SearchKey::Flag(Flag::System(system::SEEN))));
    let key = SearchKey::And(vec![unseen.clone(), SearchKey::Body("x".into())]);
    let either = SearchKey::Or(Box::new((unseen, SearchKey::Body("x".into()))));
    let mut mailbox = Mailbox {
        records: vec![seen],
        numbers: UidMap::new(UidSet::run(1, 1)),
        saved: UidSet::empty(),
        recent: UidSet::empty(),
    };
    assert_eq!(mailbox.scan(&mailbox.bind(&key)), Scanned::default());
    assert_eq!(mailbox.scan(&mailbox.bind(&either)).undecided, [seen]);
    seen.flags = 0;
    mailbox.records = vec![seen];
    assert_eq!(mailbox.scan(&mailbox.bind(&key)).undecided, [seen]);
    assert_eq!(
        mailbox.scan(&mailbox.bind(&either)).found,
        UidSet::run(1, 1)
    );
}

#[test]
fn segments_are_checked() {
    let mailbox = Mailbox {
        records: vec![],
        numbers: UidMap::new(UidSet::run(1, 9)),
        saved: UidSet::empty(),
        recent: UidSet::empty(),
    };
    let bound = mailbox.bind(&SearchKey::All);
    assert!(
        bound
            .scan(
                [Ok(&b"garbage"[..])],
                bound.candidates(),
                &Answers::default()
            )
            .is_err()
    );
}

/// Records of the same segment that are not in the batch are not decided.
#[test]
fn neighbours_in_a_segment_are_not_decided() {
    let one = plain_record();
    let records = [3, 5, 7].map(|uid| Record { uid, ..one });
    let mailbox = Mailbox {
        records: records.to_vec(),
        numbers: UidMap::new(UidSet::run(1, 9)),
        saved: UidSet::empty(),
        recent: UidSet::empty(),
    };
    let segment = crate::index::append(b"", &records).unwrap();
    let batch = UidSet::run(4, 6);
    for (key, found, undecided) in [
        (
            SearchKey::All,
            batch.intersection(&UidSet::run(5, 5)),
            vec![],
        ),
        (
            SearchKey::Body("x".into()),
            UidSet::empty(),
            vec![records[1]],
        ),
        (uids(&[(7, 9)]), UidSet::empty(), vec![]),
    ] {
        let bound = mailbox.bind(&key);
        let scanned = bound
            .scan([Ok(&*segment)], &batch, &Answers::default())
            .unwrap();
        assert_eq!(scanned, Scanned { found, undecided }, "{key:?}");
    }
}

/// A subject that is cut in the metadata is searched in the message.
#[test]
fn a_subject_cut_in_the_metadata_is_read() {
    let words = "word ".repeat(crate::message::limits::SEARCH_TEXT_BYTES / 5);
    let message = format!("X: y\r\nSubject: {words}\r\n Needle\r\n\r\nbody\r\n");
    let one = plain_record();
    let mailbox = Mailbox::of_one(one);
    let subject = |text: &str| SearchKey::Field(Field::Subject, text.into());
    for (key, expected) in [
        (subject("needle"), true),
        (subject("word needle"), true),
        (subject("word  word"), true), // white space is collapsed in fields and in the needle
        (subject("haystack"), false),
        (SearchKey::Not(Box::new(subject("body"))), true),
        (
            SearchKey::Header(b"SUBJECT".to_vec(), "needle".into()),
            true,
        ),
    ] {
        let bound = mailbox.bind(&key);
        assert_eq!(
            decided(&bound, &one, message.as_bytes(), 1000),
            expected,
            "{key:?}"
        );
    }
}

/// The header cache decides; only fields that are too long for it are read.
#[test]
fn cached_header_fields_are_not_read() {
    let long = "<a@b> ".repeat(crate::message::limits::CACHED_FIELD_BYTES / 6);
    let message = format!(
        "List-Id: =?utf-8?q?Caf=C3=A9?=\r\n talk\r\nX-Mailer: one\r\nX-MAILER: two\r\n\
         References: {long}\r\n\r\nbody\r\n"
    );
    let stored = metadata(message.as_bytes());
    let metadata = MessageMetadata::open(&stored).unwrap();
    let one = plain_record();
    let mailbox = Mailbox::of_one(one);
    for (name, text, expected) in [
        ("list-id", "CAFÉ talk", Some(true)),
        ("List-Id", "list-id", Some(false)),
        ("x-mailer", "two", Some(true)),
        ("x-mailer", "one, two", Some(false)),
        ("Message-ID", "x", Some(false)),
        ("references", "b> <a", None),
        ("references", "", Some(true)),
        ("List-Post", "", Some(false)),
    ] {
        let key = SearchKey::Header(name.as_bytes().to_vec(), text.into());
        let known = match mailbox.bind(&key).decide(&one, &metadata) {
            Decision::Known(known) => Some(known),
            Decision::Text(_) => None,
        };
        assert_eq!(known, expected, "{key:?}");
    }
}

#[test]
fn header_fields_are_searched_by_name() {
    let message = "X-Note: one\r\nX-note: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_aus?=  Bonn\r\n\
         Other: three\r\n\r\nX-Note: body\r\n";
    for (name, text, expected) in [
        ("x-NOTE", "ONE", true),
        ("x-note", "grüße aus bonn", true),
        ("x-note", "three", false),
        ("x-note", "note", false),
        ("x-note", "body", false),
        ("x-note", "", true),
        ("missing", "", false),
        ("missing", "x", false),
        ("other", "three", true),
    ] {
        for piece in [1, 1000] {
            assert_eq!(
                has_header(message, name, text, piece),
                expected,
                "{name}: {text}"
            );
        }
    }
}

#[test]
fn header_fields_are_searched_up_to_the_limit() {
    let limit = crate::message::limits::FIELD_BYTES;
    for (padding, expected) in [(limit - "X-Note: needle".len(), true), (limit, false)] {
        let message = format!("X-Note: {}needle\r\n\r\nx", "y".repeat(padding));
        assert_eq!(has_header(&message, "x-note", "needle", 4096), expected);
    }
}

/// The cost is linear in fields and keys, also if no key matches.
#[test]
fn many_header_fields_are_searched_for_many_keys() {
    use crate::message::limits::FIELDS;
    let fields = |at: usize| format!("X-A: {at}\r\nX-B: {at}\r\nX{at}:\r\n");
    let header: String = (0..FIELDS / 3).map(fields).collect();
    let stored = metadata(header.as_bytes());
    let opened = MessageMetadata::open(&stored).unwrap();
    let key = |name: String, text: &str| SearchKey::Header(name.into_bytes(), text.into());
    let missing = (0..2_000).map(|at| match at % 3 {
        0 => key("x-a".into(), "none"),
        1 => key("X-B".into(), "none"),
        _ => key(format!("y{at}"), ""),
    });
    let joined = |last: SearchKey| {
        missing
            .clone()
            .fold(last, |all, one| SearchKey::Or(Box::new((one, all))))
    };
    let (mailbox, one) = single();
    for (last, expected) in [
        (key("x-c".into(), ""), false),
        (key("x-a".into(), "3332"), true),
        (key("x3332".into(), ""), true),
    ] {
        let bound = mailbox.bind(&joined(last));
        let matched = match bound.decide(&one, &opened) {
            Decision::Known(known) => known,
            Decision::Text(mut search) => {
                let mut offset = 0;
                while let Some(range) = search.wanted() {
                    assert!(range.offset >= offset, "each field is read once");
                    offset = range.offset + range.length;
                    let range =
                        usize::try_from(range.offset).unwrap()..usize::try_from(offset).unwrap();
                    search.feed(&header.as_bytes()[range]);
                }
                search.matched()
            }
        };
        assert_eq!(matched, expected);
    }
}

/// Return a mailbox of one message, and its record.
fn single() -> (Mailbox, Record) {
    let one = plain_record();
    let mailbox = Mailbox::of_one(one);
    (mailbox, one)
}

/// A field that several keys need is read once, and not at all once they are answered.
#[test]
fn a_header_field_is_read_once_for_several_keys() {
    let message = b"X-A: one\r\nX-A: two\r\nX-A: three\r\n\r\n";
    let stored = metadata(message);
    let header = |text: &str| SearchKey::Header(b"x-a".to_vec(), text.into());
    let key = SearchKey::And(vec![header("two"), header("t"), header("W")]);
    let numbers = UidMap::new(UidSet::run(1, 1));
    let context = SearchContext {
        numbers: &numbers,
        saved: &UidSet::empty(),
        recent: &UidSet::empty(),
        seen: None,
        id_bits: 0,
        keyword_sets: &HashMap::new(),
        now: 0,
        tolerance: Tolerance::Edits,
        collation: Collation::default(),
    };
    let bound = BoundSearch::new(&key, &context);
    let record = plain_record();
    let Decision::Text(mut search) =
        bound.decide(&record, &MessageMetadata::open(&stored).unwrap())
    else {
        panic!("it needs bytes");
    };
    let mut read = Vec::new();
    while let Some(Range { offset, length }) = search.wanted() {
        let (from, length) = (
            usize::try_from(offset).unwrap(),
            usize::try_from(length).unwrap(),
        );
        read.extend_from_slice(&message[from..from + length]);
        search.feed(&message[from..from + length]);
    }
    assert!(search.matched());
    assert_eq!(read, b"X-A: one\r\nX-A: two\r\n");
}

/// "Less recent than or equal to the target time", "more recent than or equal to" it: a message of
/// exactly that age is both (RFC 5032 section 3).
#[test]
fn a_message_of_the_exact_age_is_older_and_younger() {
    let mut one = plain_record();
    one.date = model::NOW - 60;
    let mailbox = Mailbox::of_one(one);
    for (key, expected) in [
        (SearchKey::Older(59), 1),
        (SearchKey::Older(60), 1),
        (SearchKey::Older(61), 0),
        (SearchKey::Younger(59), 0),
        (SearchKey::Younger(60), 1),
        (SearchKey::Younger(61), 1),
    ] {
        let found = mailbox.scan(&mailbox.bind(&key)).found;
        assert_eq!(found.len(), expected, "{key:?}");
    }
}
