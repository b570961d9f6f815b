//! Segment: a header, and up to [`SEGMENT_RECORDS`] records of consecutive messages.
//!
//! | at | field | |
//! |---|---|---|
//! | 0 | version | u8, 1 |
//! | 1 | count | u8, records; at least 1 |
//! | 2 | – | u16, zero |
//! | 4 | checksum | u32, of all other bytes |
//! | 8 | first | u32, the first UID, which is also the key in the table |
//! | 12 | last | u32, the last UID |
//! | 16 | records | 56 bytes each, UIDs ascending |

use super::record::{self, PackedRecord, RECORD_BYTES, Record};
use crate::Corrupt;
use crate::numbers::{Runs, UidMap};

/// Maximum bytes of a segment. A segment and its key fit into an LMDB leaf page, which has room for
/// 2,038 bytes of node header, key and value; larger values get overflow pages
/// (`docs/decisions/0008-lmdb-engine-and-settings.md`).
pub const SEGMENT_BYTES_MAX: usize = 2_000;

/// Bytes before the first record.
pub const HEADER_BYTES: usize = 16;

/// Maximum number of records of one segment: 35.
pub const SEGMENT_RECORDS: usize = (SEGMENT_BYTES_MAX - HEADER_BYTES) / RECORD_BYTES;

const VERSION: u8 = 1;

/// Segment with valid length and checksum, and ascending UIDs.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    records: &'a [[u8; RECORD_BYTES]],
    contiguous: bool,
}

impl<'a> Segment<'a> {
    /// Open stored bytes; no bytes are an empty segment.
    ///
    /// # Errors
    /// Another version, a wrong length or checksum, or UIDs that do not ascend. Every change of a
    /// single byte is detected.
    pub fn open(stored: &'a [u8]) -> Result<Self, Corrupt> {
        if stored.is_empty() {
            return Ok(Self {
                records: &[],
                contiguous: true,
            });
        }
        let Some((header, body)) = stored.split_first_chunk::<HEADER_BYTES>() else {
            return Err(Corrupt("index segment: cut short"));
        };
        if header[0] != VERSION {
            return Err(Corrupt("index segment: not a version this server reads"));
        }
        let (records, rest) = body.as_chunks::<RECORD_BYTES>();
        let count = usize::from(header[1]);
        if !rest.is_empty() || records.len() != count || !(1..=SEGMENT_RECORDS).contains(&count) {
            return Err(Corrupt("index segment: its length is wrong"));
        }
        if checksum(header, records)
            != u32::from_le_bytes([header[4], header[5], header[6], header[7]])
        {
            return Err(Corrupt("index segment: its checksum is wrong"));
        }
        let (mut before, mut ascending) = (0, true);
        let mut unused = header[2] | header[3];
        for record in records {
            let uid = PackedRecord(record).uid();
            ascending &= uid > before;
            before = uid;
            unused |= record[9];
        }
        if unused != 0 {
            return Err(Corrupt("index segment: an unused byte is used"));
        }
        let first = records
            .first()
            .map_or(0, |record| PackedRecord(record).uid());
        if !ascending || ends(header) != (first, before) {
            return Err(Corrupt("index segment: its UIDs do not ascend"));
        }
        Ok(Self {
            records,
            contiguous: (before - first) as usize + 1 == count,
        })
    }

    /// Return the records as stored.
    pub(crate) fn packed(self) -> &'a [[u8; RECORD_BYTES]] {
        self.records
    }

    /// Iterate over the records, ascending.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = PackedRecord<'a>> + ExactSizeIterator {
        self.records.iter().map(PackedRecord)
    }

    /// Return the records, unpacked.
    #[must_use]
    pub fn unpack(self) -> Vec<Record> {
        self.iter().map(PackedRecord::unpack).collect()
    }

    /// Number of records.
    #[must_use]
    pub fn len(self) -> usize {
        self.records.len()
    }

    /// True for the empty segment.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.records.is_empty()
    }

    /// First UID.
    #[must_use]
    pub fn first(self) -> Option<u32> {
        self.records
            .first()
            .map(|record| PackedRecord(record).uid())
    }

    /// Last UID.
    #[must_use]
    pub fn last(self) -> Option<u32> {
        self.records.last().map(|record| PackedRecord(record).uid())
    }

    /// Add the UIDs to runs that end below the segment.
    ///
    /// # Errors
    /// The runs do not end below the segment.
    pub fn add_uids(self, runs: &mut Runs) -> Result<(), Corrupt> {
        let (Some(first), Some(last)) = (self.first(), self.last()) else {
            return Ok(());
        };
        if first <= runs.last() {
            return Err(OUT_OF_ORDER);
        }
        if self.contiguous {
            runs.push(first, last);
        } else {
            for record in self.iter() {
                let uid = record.uid();
                runs.push(uid, uid);
            }
        }
        Ok(())
    }
}

/// Error of segments that do not ascend within a mailbox.
pub(crate) const OUT_OF_ORDER: Corrupt = Corrupt("index segments do not ascend");

/// Build the message numbers of a mailbox from all its segments, ascending.
///
/// Usually the headers are enough: if the count of records equals the number of UIDs from first to
/// last, all of them exist, and no single wrong byte produces such a header. The records are not
/// read then, which saves 55 MB in a mailbox of a million messages. Reading a record checks its
/// segment.
///
/// # Errors
/// A segment is corrupt, or not above the one before.
pub fn uid_map<'a>(
    segments: impl IntoIterator<Item = Result<&'a [u8], Corrupt>>,
) -> Result<UidMap, Corrupt> {
    let mut runs = Runs::new();
    for stored in segments {
        let stored = stored?;
        match uids_by_head(stored) {
            Some((first, last)) if first > runs.last() => runs.push(first, last),
            _ => Segment::open(stored)?.add_uids(&mut runs)?,
        }
    }
    Ok(UidMap::new(runs.finish()))
}

/// Return first and last UID if the header proves that all UIDs between them exist.
fn uids_by_head(stored: &[u8]) -> Option<(u32, u32)> {
    let (header, records) = stored.split_first_chunk::<HEADER_BYTES>()?;
    let count = usize::from(header[1]);
    let (first, last) = ends(header);
    let says_all = header[0] == VERSION
        && (1..=SEGMENT_RECORDS).contains(&count)
        && records.len() == count * RECORD_BYTES
        && first > 0
        && last
            .checked_sub(first)
            .map(|distance| distance as usize + 1)
            == Some(count);
    says_all.then_some((first, last))
}

/// Return first and last UID from the header.
fn ends(header: &[u8; HEADER_BYTES]) -> (u32, u32) {
    let h = header;
    (
        u32::from_le_bytes([h[8], h[9], h[10], h[11]]),
        u32::from_le_bytes([h[12], h[13], h[14], h[15]]),
    )
}

/// Pack records, ascending and at most [`SEGMENT_RECORDS`], into a segment; empty for none.
pub(crate) fn pack(records: &[Record]) -> Vec<u8> {
    let (Some(first), Some(last), Ok(count)) =
        (records.first(), records.last(), u8::try_from(records.len()))
    else {
        return Vec::new();
    };
    let mut header = [0; HEADER_BYTES];
    header[0] = VERSION;
    header[1] = count;
    [header[8], header[9], header[10], header[11]] = first.uid.to_le_bytes();
    [header[12], header[13], header[14], header[15]] = last.uid.to_le_bytes();
    let packed: Vec<_> = records.iter().map(Record::pack).collect();
    [header[4], header[5], header[6], header[7]] = checksum(&header, &packed).to_le_bytes();
    let mut out = Vec::with_capacity(HEADER_BYTES + packed.len() * RECORD_BYTES);
    out.extend_from_slice(&header);
    out.extend_from_slice(packed.as_flattened());
    out
}

/// Copy of a segment in which flags are changed. UIDs and length stay.
pub(super) struct SegmentEditor {
    bytes: Vec<u8>,
}

impl SegmentEditor {
    /// Copy a segment that was opened.
    pub(super) fn new(stored: &[u8]) -> Self {
        Self {
            bytes: stored.to_vec(),
        }
    }

    /// Set the fields that STORE changes; `at` is the position of the record.
    pub(super) fn set(&mut self, at: usize, flags: u8, keyword_set: u32, modseq: u64) {
        let records = self.bytes.get_mut(HEADER_BYTES..).unwrap_or_default();
        if let Some(record) = records.as_chunks_mut().0.get_mut(at) {
            record::set_flags(record, flags, keyword_set, modseq);
        }
    }

    /// Return the segment, with its checksum.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if let Some((header, records)) = self.bytes.split_first_chunk_mut::<HEADER_BYTES>() {
            let sum = checksum(header, records.as_chunks().0);
            [header[4], header[5], header[6], header[7]] = sum.to_le_bytes();
        }
        self.bytes
    }
}

/// Odd factor, so that multiplication is reversible; from the golden ratio.
const PRIME: u64 = 0x9E37_79B9_7F4A_7C15;

/// Return a 32-bit checksum of everything but the checksum itself.
///
/// Each of seven lanes takes one word of every record: `lane = (lane ^ word) * odd` maps different
/// words to different states, and the multiplications overlap. 0.1 µs for a full segment. It
/// detects corruption, not forgery.
pub(super) fn checksum(header: &[u8; HEADER_BYTES], records: &[[u8; RECORD_BYTES]]) -> u32 {
    let h = header;
    let mut lanes = [
        PRIME ^ u64::from_le_bytes([h[0], h[1], h[2], h[3], 0, 0, 0, 0]),
        PRIME ^ u64::from_le_bytes([h[8], h[9], h[10], h[11], h[12], h[13], h[14], h[15]]),
        PRIME,
        PRIME,
        PRIME,
        PRIME,
        PRIME,
    ];
    for record in records {
        for (lane, word) in lanes.iter_mut().zip(record.as_chunks::<8>().0) {
            *lane = (*lane ^ u64::from_le_bytes(*word))
                .wrapping_mul(PRIME)
                .rotate_left(29);
        }
    }
    let mut sum = 0_u64;
    for lane in lanes {
        sum = (sum ^ lane).wrapping_mul(PRIME);
        sum ^= sum >> 32;
    }
    (sum >> 32) as u32
}
