//! Model: a mailbox as a list, and the definition of each key in the simplest form.
#![allow(clippy::format_push_string)] // short messages

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::*;
use crate::index::{SEGMENT_RECORDS, append};
use crate::numbers::{UidMap, UidSet};
use crate::wire::ast::{End, Field, Flag, SequenceSet, When};

const DAY: i64 = 24 * 60 * 60;
/// Time of all searches of these tests.
pub(super) const NOW: i64 = 20 * DAY;

/// The same by keyword, as a search gets them.
fn sets_by_keyword() -> HashMap<Vec<u8>, Arc<[u32]>> {
    let mut found: HashMap<Vec<u8>, Vec<u32>> = HashMap::new();
    for (id, names) in keyword_sets() {
        for name in names {
            let sets = found.entry(name.to_lowercase().into_bytes()).or_default();
            sets.push(id);
            sets.sort_unstable();
        }
    }
    found
        .into_iter()
        .map(|(name, sets)| (name, sets.into()))
        .collect()
}

/// Keyword sets of the mailbox.
pub(super) fn keyword_sets() -> Vec<(u32, Vec<String>)> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_string()).collect();
    vec![
        (3, names(&["Junk", "$Forwarded"])),
        (1, names(&["junk"])),
        (2, names(&["$MDNSent"])),
    ]
}

prop_compose! {
    fn any_record()(
        uid in 1..120_u32,
        size in 0..9_u32,
        flags in 0..32_u8,
        zone in prop_oneof![Just(0_i16), Just(-720), Just(840)],
        keyword_set in 0..4_u32,
        modseq in 1..9_u64,
        date in -2 * DAY..NOW,
        saved in 0..NOW,
        body in 1..9_u64,
        thread in 0..4_u64,
    ) -> Record {
        Record { uid, size, flags, zone, keyword_set, modseq, date, saved, body, thread }
    }
}

pub(super) fn any_record_with_uid(uid: u32) -> Record {
    Record {
        uid,
        ..plain_record()
    }
}

pub(super) fn end() -> impl Strategy<Value = End> {
    prop_oneof![4 => (1..125_u32).prop_map(End::Number), 1 => Just(End::Last)]
}

pub(super) fn sequence() -> impl Strategy<Value = SequenceSet> {
    prop_oneof![
        1 => Just(SequenceSet::Saved),
        5 => proptest::collection::vec((end(), end()), 1..4).prop_map(SequenceSet::Ranges),
    ]
}

pub(super) fn when() -> impl Strategy<Value = When> {
    prop_oneof![Just(When::Before), Just(When::On), Just(When::Since)]
}

/// Key that the index answers. Message numbers equal UIDs; `numbers` tests the others.
pub(super) fn simple() -> impl Strategy<Value = SearchKey> {
    let day = -3..22_i64;
    prop_oneof![
        Just(SearchKey::All),
        Just(SearchKey::SaveDateSupported),
        (0..5_u8).prop_map(|bit| SearchKey::Flag(Flag::System(1 << bit))),
        Just(SearchKey::Flag(Flag::Recent)),
        prop_oneof![Just("JUNK"), Just("$forwarded"), Just("none")]
            .prop_map(|name| SearchKey::Flag(Flag::Keyword(name.into()))),
        sequence().prop_map(SearchKey::Uids),
        (when(), day.clone()).prop_map(|(when, day)| SearchKey::InternalDate(when, day)),
        (when(), day).prop_map(|(when, day)| SearchKey::SavedDate(when, day)),
        (0..9_u64).prop_map(SearchKey::Larger),
        (0..9_u64).prop_map(SearchKey::Smaller),
        (1..25 * 86_400_u32).prop_map(SearchKey::Older),
        (1..25 * 86_400_u32).prop_map(SearchKey::Younger),
        (1..9_u64).prop_map(SearchKey::ModSeq),
        proptest::option::of(1..9_u64).prop_map(SearchKey::EmailId),
        proptest::option::of(0..4_u64).prop_map(SearchKey::ThreadId),
    ]
}

/// Keys, joined in every way.
pub(super) fn joined<S: Strategy<Value = SearchKey> + 'static>(
    leaf: S,
) -> impl Strategy<Value = SearchKey> {
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(SearchKey::And),
            (inner.clone(), inner.clone()).prop_map(|pair| SearchKey::Or(Box::new(pair))),
            inner.prop_map(|key| SearchKey::Not(Box::new(key))),
        ]
    })
}

pub(super) struct Mailbox {
    pub records: Vec<Record>,
    pub numbers: UidMap,
    pub saved: UidSet,
    pub recent: UidSet,
}

/// Return a record with UID 1, body 1, and neither flags nor dates.
pub(super) fn plain_record() -> Record {
    Record {
        uid: 1,
        size: 1,
        flags: 0,
        zone: 0,
        keyword_set: 0,
        modseq: 1,
        date: 0,
        saved: 0,
        body: 1,
        thread: 1,
    }
}

impl Mailbox {
    /// Return a mailbox of one message with UID 1.
    pub(super) fn of_one(record: Record) -> Self {
        Self {
            records: vec![record],
            numbers: UidMap::new(UidSet::run(1, 1)),
            saved: UidSet::empty(),
            recent: UidSet::empty(),
        }
    }

    pub(super) fn bind(&self, key: &SearchKey) -> BoundSearch {
        let context = SearchContext {
            numbers: &self.numbers,
            saved: &self.saved,
            recent: &self.recent,
            seen: None,
            id_bits: 0,
            keyword_sets: &sets_by_keyword(),
            now: NOW,
            tolerance: Tolerance::Edits,
            collation: Collation::default(),
        };
        BoundSearch::new(key, &context)
    }

    fn segments(&self) -> Vec<Vec<u8>> {
        let each = self.records.chunks(SEGMENT_RECORDS.min(7));
        each.map(|records| append(b"", records).unwrap()).collect()
    }

    pub(super) fn scan(&self, bound: &BoundSearch) -> Scanned {
        self.scan_with(bound, &Answers::default())
    }

    pub(super) fn scan_with(&self, bound: &BoundSearch, answers: &Answers) -> Scanned {
        bound
            .scan(
                self.segments().iter().map(|segment| Ok(&**segment)),
                &UidSet::run(1, u32::MAX),
                answers,
            )
            .unwrap()
    }

    /// Evaluate a key by its definition, in the simplest form.
    pub(super) fn matches(&self, key: &SearchKey, record: &Record, text: &MessageContent) -> bool {
        let local = |seconds: i64, zone: i16| (seconds + i64::from(zone) * 60).div_euclid(DAY);
        let day_is = |when: &When, day: i64, it_was: i64| match when {
            When::Before => it_was < day,
            When::On => it_was == day,
            When::Since => it_was >= day,
        };
        match key {
            SearchKey::All | SearchKey::SaveDateSupported => true,
            SearchKey::And(keys) => keys.iter().all(|key| self.matches(key, record, text)),
            SearchKey::Or(pair) => {
                self.matches(&pair.0, record, text) || self.matches(&pair.1, record, text)
            }
            SearchKey::Not(key) => !self.matches(key, record, text),
            SearchKey::Fuzzy(_) => unreachable!("see message::search::fuzzy"),
            SearchKey::Flag(Flag::System(bit)) => record.flags & bit != 0,
            SearchKey::Flag(Flag::Recent) => self.recent.contains(record.uid),
            SearchKey::Flag(Flag::Keyword(name)) => keyword_sets().iter().any(|(id, names)| {
                *id == record.keyword_set && names.iter().any(|one| one.eq_ignore_ascii_case(name))
            }),
            SearchKey::Numbers(set) | SearchKey::Uids(set) => {
                let is_uids = matches!(key, SearchKey::Uids(_));
                self.numbers
                    .select(set, is_uids, &self.saved)
                    .unwrap()
                    .contains(record.uid)
            }
            SearchKey::InternalDate(when, day) => {
                day_is(when, *day, local(record.date, record.zone))
            }
            SearchKey::SavedDate(when, day) => day_is(when, *day, local(record.saved, 0)),
            SearchKey::SentDate(when, day) => {
                let (sent, zone) = text.sent.unwrap_or((record.date, record.zone));
                day_is(when, *day, local(sent, zone))
            }
            SearchKey::Larger(size) => u64::from(record.size) > *size,
            SearchKey::Smaller(size) => u64::from(record.size) < *size,
            SearchKey::Older(age) => record.date <= NOW - i64::from(*age),
            SearchKey::Younger(age) => record.date >= NOW - i64::from(*age),
            SearchKey::ModSeq(least) => record.modseq >= *least,
            SearchKey::EmailId(id) => Some(record.body) == *id,
            SearchKey::ThreadId(id) => record.thread != 0 && Some(record.thread) == *id,
            SearchKey::Field(field, needle) => {
                assert_eq!(*field, Field::Subject);
                has(text.subject, needle)
            }
            SearchKey::Filter(_) => false,
            SearchKey::Header(name, needle) => match name.as_slice() {
                b"subject" => has(text.subject, needle),
                b"x-note" | b"x-mailer" => text.note.is_some_and(|note| has(note, needle)),
                _ => false,
            },
            SearchKey::Body(needle) => has(text.body, needle),
            SearchKey::Text(needle) => {
                has(text.body, needle)
                    || has(text.subject, needle)
                    || text.note.is_some_and(|note| has(note, needle))
            }
        }
    }
}

pub(super) fn has(text: &str, needle: &str) -> bool {
    let [text, needle] = [text, needle].map(|text| Collation::default().prepare(text));
    needle.is_empty() || text.windows(needle.len()).any(|part| part == needle)
}

/// Contents of a message.
#[derive(Clone, Debug, Default)]
pub(super) struct MessageContent {
    subject: &'static str,
    note: Option<&'static str>,
    body: &'static str,
    space: usize,
    sent: Option<(i64, i16)>,
}

impl MessageContent {
    pub(super) fn message(&self) -> Vec<u8> {
        let mut out = format!("Subject: {}\r\n", self.subject);
        if let Some(note) = self.note {
            // X-Mailer is in the header cache unless it is too long; white space is collapsed.
            let space = " ".repeat(self.space);
            out += &format!("X-Note: {note}\r\nX-Mailer:{space}{note}\r\n");
        }
        if let Some((sent, zone)) = self.sent {
            // Written by hand: all dates are in January 1970.
            let local = sent + i64::from(zone) * 60;
            let (day, hour) = (local.div_euclid(DAY) + 1, local.rem_euclid(DAY) / 3600);
            let sign = if zone < 0 { '-' } else { '+' };
            out += &format!(
                "Date: {day} Jan 1970 {hour}:00 {sign}{:02}00\r\n",
                zone.abs() / 60
            );
        }
        out += "\r\n";
        out += self.body;
        out.into_bytes()
    }
}

pub(super) fn texts() -> impl Strategy<Value = MessageContent> {
    let word = || prop_oneof![Just("Alpha beta"), Just("gamma"), Just("BETA"), Just("")];
    let hour = (2 * 24..18 * 24_i64).prop_map(|hour| hour * 3600);
    let sent = (hour, prop_oneof![Just(0_i16), Just(-720), Just(600)]);
    let fields = (
        word(),
        proptest::option::of(word()),
        word(),
        prop_oneof![Just(1), Just(2000)],
        proptest::option::of(sent),
    );
    fields.prop_map(|(subject, note, body, space, sent)| MessageContent {
        subject,
        note,
        body,
        space,
        sent,
    })
}

pub(super) fn texts_by_uid() -> impl Strategy<Value = Vec<MessageContent>> {
    proptest::collection::vec(texts(), 120)
}

prop_compose! {
    pub(super) fn mailbox()(
        records in proptest::collection::vec(any_record(), 0..60),
        unknown in proptest::collection::vec(1..120_u32, 0..6),
        saved in proptest::collection::vec(1..120_u32, 0..20),
        recent in proptest::collection::vec(1..120_u32, 0..20),
    ) -> Mailbox {
        let records: BTreeMap<u32, Record> =
            records.into_iter().map(|record| (record.uid, record)).collect();
        let uids = UidSet::of(records.keys().copied().collect()).unwrap();
        // Some messages arrived after the last update to the client.
        let numbers = UidMap::new(uids.difference(&UidSet::of(unknown).unwrap()));
        Mailbox {
            records: records.into_values().collect(),
            numbers,
            saved: UidSet::of(saved).unwrap(),
            recent: UidSet::of(recent).unwrap(),
        }
    }
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(&self.records)
            .entry(&self.numbers)
            .finish()
    }
}

pub(super) fn textual() -> impl Strategy<Value = SearchKey> {
    let needle =
        || prop_oneof![Just("beta"), Just("GAMMA"), Just("ha be"), Just("")].prop_map(String::from);
    let name = prop_oneof![
        Just("subject"),
        Just("x-note"),
        Just("x-mailer"),
        Just("x-none")
    ];
    prop_oneof![
        (when(), 0..20_i64).prop_map(|(when, day)| SearchKey::SentDate(when, day)),
        needle().prop_map(|needle| SearchKey::Field(Field::Subject, needle)),
        (name, needle()).prop_map(|(name, needle)| SearchKey::Header(name.into(), needle)),
        needle().prop_map(SearchKey::Body),
        needle().prop_map(SearchKey::Text),
    ]
}
