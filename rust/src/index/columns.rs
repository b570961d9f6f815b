//! Queries over one field of the records of segments.

use std::collections::BTreeSet;

use super::record::{PackedRecord, Record};
use super::segment::Segment;
use crate::Corrupt;
use crate::numbers::{Runs, UidSet};
use crate::wire::ast::system;

/// Counts of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentCounts {
    /// Messages.
    pub messages: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Bytes of all messages.
    pub bytes: u64,
}

/// Count the messages of a segment.
///
/// # Errors
/// The segment is corrupt.
pub fn counts(stored: &[u8]) -> Result<SegmentCounts, Corrupt> {
    let mut counts = SegmentCounts::default();
    for record in Segment::open(stored)?.iter() {
        counts.messages += 1;
        counts.unseen += u32::from(record.flags() & system::SEEN == 0);
        counts.deleted += u32::from(record.flags() & system::DELETED != 0);
        counts.bytes += u64::from(record.size());
    }
    Ok(counts)
}

/// Return the records of a segment, or those of some UIDs, ascending.
///
/// # Errors
/// The segment is corrupt.
pub fn records(stored: &[u8], uids: Option<&UidSet>) -> Result<Vec<Record>, Corrupt> {
    let segment = Segment::open(stored)?;
    let wanted = segment
        .iter()
        .filter(|record| uids.is_none_or(|uids| uids.contains(record.uid())));
    Ok(wanted.map(PackedRecord::unpack).collect())
}

/// Add the keyword-set ids (0 for the empty set) that a segment, or some of its UIDs, use.
///
/// # Errors
/// The segment is corrupt.
pub fn keyword_sets(
    stored: &[u8],
    uids: Option<&UidSet>,
    found: &mut BTreeSet<u32>,
) -> Result<(), Corrupt> {
    let mut before = None;
    for record in Segment::open(stored)?.iter() {
        let set = record.keyword_set();
        // Neighbours usually have the same set: search the tree only when it changes.
        if before != Some(set) && uids.is_none_or(|uids| uids.contains(record.uid())) {
            found.insert(set);
            before = Some(set);
        }
    }
    Ok(())
}

/// Add the UIDs of a segment with `flags & mask == value`. Call it for ascending segments.
///
/// # Errors
/// The segment is corrupt, or not above those before.
pub fn with_flags(stored: &[u8], mask: u8, value: u8, found: &mut Runs) -> Result<(), Corrupt> {
    matching(stored, found, |record| record.flags() & mask == value)
}

/// Add the UIDs of a segment with a MODSEQ above `since`. Call it for ascending segments.
///
/// # Errors
/// The segment is corrupt, or not above those before.
pub fn modified(stored: &[u8], since: u64, found: &mut Runs) -> Result<(), Corrupt> {
    matching(stored, found, |record| record.modseq() > since)
}

/// Return the highest MODSEQ of some UIDs in a segment; 0 if it has none of them.
///
/// # Errors
/// The segment is corrupt.
pub fn highest_modseq(stored: &[u8], uids: &UidSet) -> Result<u64, Corrupt> {
    let records = Segment::open(stored)?;
    let found = records.iter().filter(|record| uids.contains(record.uid()));
    Ok(found.map(PackedRecord::modseq).max().unwrap_or(0))
}

fn matching(
    stored: &[u8],
    found: &mut Runs,
    wanted: impl Fn(PackedRecord<'_>) -> bool,
) -> Result<(), Corrupt> {
    let segment = Segment::open(stored)?;
    if segment.first().is_some_and(|first| first <= found.last()) {
        return Err(super::segment::OUT_OF_ORDER);
    }
    for record in segment.iter().filter(|record| wanted(*record)) {
        let uid = record.uid();
        found.push(uid, uid);
    }
    Ok(())
}
