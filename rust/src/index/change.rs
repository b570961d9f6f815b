//! Changes of segments. Each returns a new segment and leaves the old one unchanged.

use super::record::Record;
use super::segment::{OUT_OF_ORDER, SEGMENT_RECORDS, Segment, SegmentEditor, pack};
use crate::Corrupt;
use crate::numbers::{Runs, UidSet};
use crate::wire::ast::system;
use crate::wire::command::StoreMode;

/// Reasons why records cannot be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The segment is corrupt.
    Corrupt(Corrupt),
    /// A UID is not above the one before it.
    NotAscending(u32),
    /// More than [`SEGMENT_RECORDS`].
    Full,
}

impl From<Corrupt> for AppendError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

/// Return the segment with records appended.
///
/// # Errors
/// [`AppendError`].
pub fn append(stored: &[u8], records: &[Record]) -> Result<Vec<u8>, AppendError> {
    let segment = Segment::open(stored)?;
    if segment.len() + records.len() > SEGMENT_RECORDS {
        return Err(AppendError::Full);
    }
    let mut before = segment.last().unwrap_or(0);
    for record in records {
        if record.uid <= before {
            return Err(AppendError::NotAscending(record.uid));
        }
        before = record.uid;
    }
    let mut all = segment.unpack();
    all.extend_from_slice(records);
    Ok(pack(&all))
}

/// Return the segment without some UIDs (empty if none is left), and the removed records.
///
/// # Errors
/// The segment is corrupt.
pub fn remove(stored: &[u8], uids: &UidSet) -> Result<(Vec<u8>, Vec<Record>), Corrupt> {
    let segment = Segment::open(stored)?;
    let all = segment.unpack().into_iter();
    let (taken, kept): (Vec<Record>, Vec<Record>) = all.partition(|one| uids.contains(one.uid));
    if taken.is_empty() {
        return Ok((stored.to_vec(), taken));
    }
    Ok((pack(&kept), taken))
}

/// Return the segment with consecutive UIDs from `first`, and one MODSEQ in all records.
///
/// None if there are no UIDs left.
///
/// # Errors
/// The segment is corrupt.
pub fn renumber(stored: &[u8], first: u32, modseq: u64) -> Result<Option<Vec<u8>>, Corrupt> {
    let mut records = Segment::open(stored)?.unpack();
    if first == 0 || records.len() > (u32::MAX - first) as usize + 1 {
        return Ok(None);
    }
    for (uid, record) in (first..=u32::MAX).zip(&mut records) {
        record.uid = uid;
        record.modseq = modseq;
    }
    Ok(Some(pack(&records)))
}

/// Return flags with or without `\Seen`.
pub(super) fn with_seen(flags: u8, seen: bool) -> u8 {
    if seen {
        flags | system::SEEN
    } else {
        flags & !system::SEEN
    }
}

/// Return the segment as a reader sees it whose `\Seen` is not that of the records.
///
/// # Errors
/// The segment is corrupt.
pub fn seen_by_reader(stored: &[u8], seen: &UidSet) -> Result<Vec<u8>, Corrupt> {
    let mut records = Segment::open(stored)?.unpack();
    for record in &mut records {
        record.flags = with_seen(record.flags, seen.contains(record.uid));
    }
    Ok(pack(&records))
}

/// System flags. Other bits of a record never change.
const SYSTEM: u8 =
    system::SEEN | system::ANSWERED | system::FLAGGED | system::DELETED | system::DRAFT;

/// Return the flags of a record after STORE (RFC 9051 section 6.4.6).
fn changed_flags(mode: StoreMode, old: u8, named: u8) -> u8 {
    let named = named & SYSTEM;
    match mode {
        StoreMode::Replace => old & !SYSTEM | named,
        StoreMode::Add => old | named,
        StoreMode::Remove => old & !named,
    }
}

/// STORE of system flags.
#[derive(Clone, Copy, Debug)]
pub struct FlagChange {
    /// How `flags` are used.
    pub mode: StoreMode,
    /// Bits of [`crate::wire::ast::system`].
    pub flags: u8,
    /// MODSEQ of the records that change.
    pub modseq: u64,
}

/// Result of STORE on segments, ascending.
#[derive(Debug, Default)]
pub struct StoreResult {
    /// UIDs whose flags or keywords changed.
    pub changed: Runs,
    /// Change of the number of messages without `\Seen`.
    pub unseen: i32,
    /// Change of the number of messages with `\Deleted`.
    pub deleted: i32,
}

/// Change flags and keywords of some UIDs, and set MODSEQ of those that changed.
///
/// `keywords` returns the new keyword-set id for an old one; None keeps it. The changes are added to
/// `result`. Returns the new segment; None if nothing changed.
///
/// # Errors
/// The segment is corrupt, or not above those whose changes are in `result`.
pub fn store(
    stored: &[u8],
    uids: &UidSet,
    change: FlagChange,
    keywords: impl Fn(u32) -> Option<u32>,
    result: &mut StoreResult,
) -> Result<Option<Vec<u8>>, Corrupt> {
    let segment = Segment::open(stored)?;
    let end = result.changed.last();
    if segment.first().is_some_and(|first| first <= end) {
        return Err(OUT_OF_ORDER);
    }
    let mut new = None;
    for (at, record) in segment.iter().enumerate() {
        let uid = record.uid();
        if !uids.contains(uid) {
            continue;
        }
        let (old_flags, old_set) = (record.flags(), record.keyword_set());
        let flags = changed_flags(change.mode, old_flags, change.flags);
        let set = keywords(old_set).unwrap_or(old_set);
        if (flags, set) == (old_flags, old_set) {
            continue;
        }
        new.get_or_insert_with(|| SegmentEditor::new(stored))
            .set(at, flags, set, change.modseq);
        result.changed.push(uid, uid);
        let difference = |bit| i32::from(flags & bit != 0) - i32::from(old_flags & bit != 0);
        result.unseen -= difference(system::SEEN);
        result.deleted += difference(system::DELETED);
    }
    Ok(new.map(SegmentEditor::finish))
}
