//! Segments against a model, a `Vec<Record>`, and every kind of corruption.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::checks::{segments_never_panic, segments_with_valid_checksums_never_panic};
use super::*;
use crate::Corrupt;
use crate::numbers::{Runs, UidSet};
use crate::wire::ast::system;
use crate::wire::command::StoreMode;

prop_compose! {
    pub(super) fn any_record()(
        uid in 1..90_u32,
        size in any::<u32>(),
        flags in any::<u8>(),
        zone in -720..840_i16,
        keyword_set in 0..4_u32,
        modseq in 0..50_u64,
        date in any::<i64>(),
        saved in any::<i64>(),
        body in any::<u64>(),
        thread in any::<u64>(),
    ) -> Record {
        Record { uid, size, flags, zone, keyword_set, modseq, date, saved, body, thread }
    }
}

/// Records of a segment: at most a full one, UIDs ascending.
pub(super) fn any_records() -> impl Strategy<Value = Vec<Record>> {
    proptest::collection::vec(any_record(), 0..=SEGMENT_RECORDS).prop_map(|records| {
        let by_uid: BTreeMap<u32, Record> = records
            .into_iter()
            .map(|record| (record.uid, record))
            .collect();
        by_uid.into_values().collect()
    })
}

fn some_uids() -> impl Strategy<Value = UidSet> {
    proptest::collection::vec(1..90_u32, 0..40).prop_map(|uids| UidSet::of(uids).unwrap())
}

fn record(uid: u32) -> Record {
    Record {
        uid,
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

proptest! {
    #[test]
    fn records_round_trip(records in any_records(), at in any::<prop::sample::Index>()) {
        let cut = if records.is_empty() { 0 } else { at.index(records.len()) };
        let first = append(b"", &records[..cut]).unwrap();
        let stored = append(&first, &records[cut..]).unwrap();
        prop_assert_eq!(&stored, &append(b"", &records).unwrap());
        prop_assert!(stored.len() <= SEGMENT_BYTES_MAX);
        prop_assert_eq!(columns::records(&stored, None), Ok(records));
    }

    #[test]
    fn renumber_changes_uids_and_modseq_only(
        records in any_records(), first in 1..1000_u32, modseq in any::<u64>()
    ) {
        let renumbered = renumber(&append(b"", &records).unwrap(), first, modseq).unwrap().unwrap();
        let mut expected = records.clone();
        for (uid, record) in (first..).zip(&mut expected) {
            record.uid = uid;
            record.modseq = modseq;
        }
        prop_assert_eq!(Segment::open(&renumbered).unwrap().unpack(), expected);
        prop_assert_eq!(renumber(&append(b"", &records).unwrap(), 0, modseq).unwrap(), None);
        if records.len() > 1 {
            prop_assert_eq!(renumber(&append(b"", &records).unwrap(), u32::MAX, modseq).unwrap(), None);
        }
    }

    #[test]
    fn remove_returns_the_named_records(records in any_records(), uids in some_uids()) {
        let stored = append(b"", &records).unwrap();
        let (left, taken) = remove(&stored, &uids).unwrap();
        let (gone, kept): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| uids.contains(record.uid));
        prop_assert_eq!(columns::records(&left, None), Ok(kept));
        prop_assert_eq!(columns::records(&stored, Some(&uids)), Ok(gone.clone()));
        prop_assert_eq!(taken, gone);
    }

    #[test]
    fn queries_agree_with_a_list(records in any_records(), uids in some_uids(), since in 0..50_u64) {
        let stored = append(b"", &records).unwrap();
        let set = |wanted: &dyn Fn(&Record) -> bool| {
            let uids = records.iter().filter(|record| wanted(record)).map(|record| record.uid);
            UidSet::of(uids.collect()).unwrap()
        };
        let count = |wanted: &dyn Fn(&Record) -> bool| set(wanted).len();
        prop_assert_eq!(
            columns::counts(&stored).unwrap(),
            columns::SegmentCounts {
                messages: count(&|_| true),
                unseen: count(&|record| record.flags & system::SEEN == 0),
                deleted: count(&|record| record.flags & system::DELETED != 0),
                bytes: records.iter().map(|record| u64::from(record.size)).sum(),
            }
        );
        let mut found = Runs::new();
        columns::with_flags(&stored, 9, 1, &mut found).unwrap();
        prop_assert_eq!(found.finish(), set(&|record| record.flags & 9 == 1));
        let mut found = Runs::new();
        columns::modified(&stored, since, &mut found).unwrap();
        prop_assert_eq!(found.finish(), set(&|record| record.modseq > since));
        let chosen = records.iter().filter(|record| uids.contains(record.uid));
        prop_assert_eq!(
            columns::highest_modseq(&stored, &uids).unwrap(),
            chosen.map(|record| record.modseq).max().unwrap_or(0)
        );
        for uids in [None, Some(&uids)] {
            let mut found = std::collections::BTreeSet::new();
            columns::keyword_sets(&stored, uids, &mut found).unwrap();
            let wanted = records.iter().filter(|record| uids.is_none_or(|uids| uids.contains(record.uid)));
            prop_assert!(found.into_iter().eq(
                wanted.map(|record| record.keyword_set).collect::<std::collections::BTreeSet<_>>()
            ));
        }
    }

    #[test]
    fn store_agrees_with_a_list(
        records in any_records(),
        uids in some_uids(),
        mode in prop_oneof![Just(StoreMode::Replace), Just(StoreMode::Add), Just(StoreMode::Remove)],
        flags in 0..32_u8,
    ) {
        let stored = append(b"", &records).unwrap();
        let keywords = |set| (set == 2).then_some(3);
        let mut made = StoreResult::default();
        let change = FlagChange { mode, flags, modseq: 99 };
        let new = store(&stored, &uids, change, keywords, &mut made).unwrap();
        prop_assert_eq!(new.is_none(), made.changed.last() == 0);
        let segment = new.unwrap_or_else(|| stored.clone());
        let mut changed = Vec::new();
        let mut expected = records;
        for record in &mut expected {
            let before = *record;
            if uids.contains(record.uid) {
                record.flags = match mode {
                    StoreMode::Replace => record.flags & 0xE0 | flags,
                    StoreMode::Add => record.flags | flags,
                    StoreMode::Remove => record.flags & !flags,
                };
                if record.keyword_set == 2 {
                    record.keyword_set = 3;
                }
                if *record != before {
                    record.modseq = 99;
                    changed.push(record.uid);
                }
            }
        }
        let (before, after) =
            (columns::counts(&stored).unwrap(), columns::counts(&segment).unwrap());
        prop_assert_eq!(i64::from(made.unseen), i64::from(after.unseen) - i64::from(before.unseen));
        prop_assert_eq!(i64::from(made.deleted), i64::from(after.deleted) - i64::from(before.deleted));
        prop_assert_eq!(columns::records(&segment, None), Ok(expected));
        prop_assert_eq!(made.changed.finish(), UidSet::of(changed).unwrap());
    }

    #[test]
    fn corruption_is_detected(
        records in any_records(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut stored = append(b"", &records).unwrap();
        prop_assume!(!stored.is_empty());
        let cut = cut.index(stored.len());
        prop_assert!(cut == 0 || Segment::open(&stored[..cut]).is_err());
        let at = at.index(stored.len());
        stored[at] ^= flip;
        prop_assert!(Segment::open(&stored).is_err(), "byte {at} changed by {flip}");
        segments_never_panic(&stored);
        stored.push(0);
        prop_assert!(Segment::open(&stored).is_err());
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2100)) {
        segments_with_valid_checksums_never_panic(&bytes);
    }
}

/// Every byte of a full segment, with each bit and with all bits changed.
#[test]
fn every_changed_byte_is_detected() {
    let records: Vec<Record> = (1..=35).map(record).collect();
    let stored = append(b"", &records).unwrap();
    for at in 0..stored.len() {
        for flip in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
            let mut changed = stored.clone();
            changed[at] ^= flip;
            assert!(
                Segment::open(&changed).is_err(),
                "byte {at} changed by {flip}"
            );
        }
    }
}

#[test]
fn a_segment_is_limited_to_segment_records() {
    assert_eq!(SEGMENT_RECORDS, 35);
    let records: Vec<Record> = (1..=36).map(record).collect();
    let full = append(b"", &records[..35]).unwrap();
    assert!(full.len() <= SEGMENT_BYTES_MAX && full.len() + RECORD_BYTES > SEGMENT_BYTES_MAX);
    assert_eq!(append(&full, &records[35..]), Err(AppendError::Full));
    assert_eq!(append(b"", &records), Err(AppendError::Full));
}

#[test]
fn uids_ascend() {
    let stored = append(b"", &[record(5)]).unwrap();
    for (records, refused) in [
        (vec![record(5)], 5),
        (vec![record(7), record(6)], 6),
        (vec![record(7), record(7)], 7),
    ] {
        assert_eq!(
            append(&stored, &records),
            Err(AppendError::NotAscending(refused))
        );
    }
    assert_eq!(append(b"", &[record(0)]), Err(AppendError::NotAscending(0)));
    let later = append(b"", &[record(9), record(u32::MAX)]).unwrap();
    let uids = UidSet::from_runs(vec![(5, 5), (9, 9), (u32::MAX, u32::MAX)]).unwrap();
    assert_eq!(uids_of([&*stored, b"", &later]), Ok(uids));
    assert!(uids_of([&*later, &stored]).is_err());
    assert!(uids_of([&*stored, &stored]).is_err());
}

#[test]
fn a_wrong_byte_is_detected_by_reading_the_header_alone() {
    let consecutive: Vec<Record> = (300..=330).map(record).collect();
    let stored = append(b"", &consecutive).unwrap();
    assert_eq!(uids_of([&*stored]), Ok(UidSet::run(300, 330)));
    let read = [0, 1].into_iter().chain(8..HEADER_BYTES);
    for (at, wrong) in read.flat_map(|at| (0..=255).map(move |wrong| (at, wrong))) {
        let mut changed = stored.clone();
        changed[at] = wrong;
        assert_eq!(
            uids_of([&*changed]).is_ok(),
            changed == stored,
            "{at}: {wrong}"
        );
    }
    for cut in 0..stored.len() {
        assert_eq!(uids_of([&stored[..cut]]).is_ok(), cut == 0, "{cut}");
    }
}

fn uids_of<'a>(segments: impl IntoIterator<Item = &'a [u8]>) -> Result<UidSet, Corrupt> {
    uid_map(segments.into_iter().map(Ok)).map(|map| map.uids().clone())
}

/// Existing filepools contain this form: it must stay readable.
#[test]
fn the_stored_form_never_changes() {
    let one = Record {
        uid: 0x0403_0201,
        size: 0x0807_0605,
        flags: 0x09,
        zone: -2,
        keyword_set: 0x0F0E_0D0C,
        modseq: 0x1716_1514_1312_1110,
        date: -1,
        saved: 0x2726_2524_2322_2120,
        body: 0x2F2E_2D2C_2B2A_2928,
        thread: 0x3736_3534_3332_3130,
    };
    let stored = append(b"", &[one]).unwrap();
    let mut expected = vec![1, 1, 0, 0, 0x0E, 0x06, 0x8C, 0x52, 1, 2, 3, 4, 1, 2, 3, 4];
    expected.extend([
        1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0xFE, 0xFF, 0x0C, 0x0D, 0x0E, 0x0F,
    ]);
    expected.extend(0x10..=0x17);
    expected.extend([0xFF; 8]);
    expected.extend(0x20..=0x37);
    assert_eq!(stored, expected);
}

/// Wrong contents with a right checksum: bytes of another version, or a bug of ours.
#[test]
fn a_right_checksum_is_not_enough() {
    let stored = append(b"", &[record(3), record(7)]).unwrap();
    for (at, byte, why) in [
        (0, 2, "version"),
        (1, 3, "length"),
        (1, 0, "length"),
        (2, 1, "unused"),
        (3, 1, "unused"),
        (HEADER_BYTES + 9, 1, "unused"),
        (8, 2, "ascend"),
        (12, 9, "ascend"),
        (HEADER_BYTES, 8, "ascend"),
        (HEADER_BYTES, 7, "ascend"),
    ] {
        let mut resealed = stored.clone();
        resealed[at] = byte;
        let (header, records) = resealed.split_first_chunk::<HEADER_BYTES>().unwrap();
        let sum = super::segment::checksum(header, records.as_chunks().0);
        resealed[4..8].copy_from_slice(&sum.to_le_bytes());
        let reason = Segment::open(&resealed).err().map(|corrupt| corrupt.0);
        assert!(
            reason.is_some_and(|reason| reason.contains(why)),
            "byte {at}: {reason:?}"
        );
        segments_never_panic(&resealed);
    }
}
