//! Properties that hold for any bytes: bodies of fuzz targets, and of tests over a small corpus.
#![allow(clippy::panic, clippy::missing_panics_doc)] // a failed property panics

use std::collections::BTreeSet;

use super::{
    FlagChange, Record, SEGMENT_RECORDS, Segment, StoreResult, append, columns, remove, store,
    uid_map,
};
use crate::Corrupt;
use crate::numbers::{Runs, UidSet};
use crate::wire::command::StoreMode;

const REPLACE: FlagChange = FlagChange {
    mode: StoreMode::Replace,
    flags: 0xFF,
    modseq: 9,
};

/// Bytes taken for a segment are valid or [`Corrupt`]; every segment derived from a valid one is
/// valid.
pub fn segments_never_panic(bytes: &[u8]) {
    let Ok(segment) = Segment::open(bytes) else {
        for error in [
            columns::counts(bytes).err(),
            columns::records(bytes, None).err(),
            remove(bytes, &UidSet::run(1, 9)).err(),
            store(
                bytes,
                &UidSet::run(1, 9),
                REPLACE,
                |_| None,
                &mut StoreResult::default(),
            )
            .err(),
        ] {
            assert!(error.is_some(), "an error that `open` reports is missed");
        }
        // It may have read only the header, which then covers all UIDs of a range.
        if let Ok(map) = uid_map([Ok(bytes)]) {
            assert!(map.len() as usize <= SEGMENT_RECORDS && map.uids().runs().len() == 1);
        }
        return;
    };
    let records = segment.unpack();
    assert!(records.len() <= SEGMENT_RECORDS && records.is_sorted_by_key(|record| record.uid));
    assert_eq!(
        append(b"", &records).as_deref(),
        Ok(bytes),
        "the stored form is not unique"
    );

    let mut runs = Runs::new();
    assert_eq!(segment.add_uids(&mut runs), Ok(()));
    let uids = runs.finish();
    assert_eq!(
        uid_map([Ok(bytes)]).map(|map| map.uids().clone()),
        Ok(uids.clone())
    );
    let (half, _) = uids.split(uids.len() / 2);
    let (left, taken) = whole(remove(bytes, &half));
    assert!(taken.iter().map(|record| record.uid).eq(half.iter()));
    assert_eq!(
        whole(columns::records(&left, None)).len() + taken.len(),
        records.len()
    );
    let mut stored = StoreResult::default();
    let segment = whole(store(
        bytes,
        &half,
        REPLACE,
        |set| Some(set ^ 1),
        &mut stored,
    ));
    assert_eq!(segment.is_none(), half.is_empty());
    let segment = segment.unwrap_or_else(|| bytes.to_vec());
    assert_eq!(stored.changed.finish(), half);
    let (before, after) = (
        whole(columns::counts(bytes)),
        whole(columns::counts(&segment)),
    );
    assert_eq!(
        i64::from(before.unseen) + i64::from(stored.unseen),
        i64::from(after.unseen)
    );
    assert_eq!(
        i64::from(before.deleted) + i64::from(stored.deleted),
        i64::from(after.deleted)
    );
    assert!(columns::keyword_sets(bytes, None, &mut BTreeSet::new()).is_ok());
    assert!(columns::with_flags(bytes, 1, 0, &mut Runs::new()).is_ok());
    assert!(columns::modified(bytes, 0, &mut Runs::new()).is_ok());
}

/// The same with length and checksum made valid, to reach the code after those checks.
pub fn segments_with_valid_checksums_never_panic(bytes: &[u8]) {
    let records: Vec<Record> = super::record::records_of(bytes)
        .take(SEGMENT_RECORDS + 1)
        .collect();
    match append(b"", &records) {
        Ok(segment) => segments_never_panic(&segment),
        Err(refused) => assert!(
            records.len() > SEGMENT_RECORDS
                || records.first().is_some_and(|record| record.uid == 0)
                || !records.is_sorted_by(|one, next| one.uid < next.uid),
            "{refused:?}"
        ),
    }
    let forced = super::segment::pack(&records);
    segments_never_panic(&forced);
    segments_never_panic(bytes);
}

fn whole<T>(result: Result<T, Corrupt>) -> T {
    match result {
        Ok(value) => value,
        Err(Corrupt(why)) => panic!("a segment that opens is not whole: {why}"),
    }
}
