//! Record of one message in the index: 56 bytes, little-endian, every field aligned to its width.
//!
//! | at | field | |
//! |---|---|---|
//! | 0 | uid | u32 |
//! | 4 | size | u32, RFC822.SIZE |
//! | 8 | flags | u8, bits of [`crate::wire::ast::system`] |
//! | 9 | – | u8, zero |
//! | 10 | zone | i16, minutes east of UTC that INTERNALDATE was given in |
//! | 12 | keyword set | u32, 0 is the empty set |
//! | 16 | modseq | u64 |
//! | 24 | date | i64, INTERNALDATE, seconds since 1970 UTC |
//! | 32 | saved | i64, SAVEDATE, seconds since 1970 UTC |
//! | 40 | body | u64 |
//! | 48 | thread | u64 |

/// Bytes of a packed record.
pub const RECORD_BYTES: usize = 56;

/// Record of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // documented in the table above
pub struct Record {
    pub uid: u32,
    pub size: u32,
    pub flags: u8,
    pub zone: i16,
    pub keyword_set: u32,
    pub modseq: u64,
    pub date: i64,
    pub saved: i64,
    pub body: u64,
    pub thread: u64,
}

impl Record {
    /// Return the packed form.
    #[must_use]
    pub fn pack(&self) -> [u8; RECORD_BYTES] {
        let words = [
            u64::from(self.uid) | u64::from(self.size) << 32,
            u64::from(self.flags)
                | u64::from(self.zone.cast_unsigned()) << 16
                | u64::from(self.keyword_set) << 32,
            self.modseq,
            self.date.cast_unsigned(),
            self.saved.cast_unsigned(),
            self.body,
            self.thread,
        ];
        let mut out = [0; RECORD_BYTES];
        for (place, word) in out.as_chunks_mut().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        out
    }
}

/// Packed record, whose fields are read one by one.
#[derive(Clone, Copy)]
pub struct PackedRecord<'a>(pub &'a [u8; RECORD_BYTES]);

#[allow(missing_docs)] // documented in the table above
impl PackedRecord<'_> {
    #[must_use]
    pub fn uid(self) -> u32 {
        let [a, b, c, d, ..] = *self.0;
        u32::from_le_bytes([a, b, c, d])
    }

    #[must_use]
    pub fn size(self) -> u32 {
        let r = self.0;
        u32::from_le_bytes([r[4], r[5], r[6], r[7]])
    }

    #[must_use]
    pub fn flags(self) -> u8 {
        self.0[8]
    }

    #[must_use]
    pub fn zone(self) -> i16 {
        let r = self.0;
        i16::from_le_bytes([r[10], r[11]])
    }

    #[must_use]
    pub fn keyword_set(self) -> u32 {
        let r = self.0;
        u32::from_le_bytes([r[12], r[13], r[14], r[15]])
    }

    #[must_use]
    pub fn modseq(self) -> u64 {
        let r = self.0;
        u64::from_le_bytes([r[16], r[17], r[18], r[19], r[20], r[21], r[22], r[23]])
    }

    #[must_use]
    pub fn date(self) -> i64 {
        let r = self.0;
        i64::from_le_bytes([r[24], r[25], r[26], r[27], r[28], r[29], r[30], r[31]])
    }

    #[must_use]
    pub fn saved(self) -> i64 {
        let r = self.0;
        i64::from_le_bytes([r[32], r[33], r[34], r[35], r[36], r[37], r[38], r[39]])
    }

    #[must_use]
    pub fn body(self) -> u64 {
        let r = self.0;
        u64::from_le_bytes([r[40], r[41], r[42], r[43], r[44], r[45], r[46], r[47]])
    }

    #[must_use]
    pub fn thread(self) -> u64 {
        let r = self.0;
        u64::from_le_bytes([r[48], r[49], r[50], r[51], r[52], r[53], r[54], r[55]])
    }

    /// Return all fields.
    #[must_use]
    pub fn unpack(self) -> Record {
        Record {
            uid: self.uid(),
            size: self.size(),
            flags: self.flags(),
            zone: self.zone(),
            keyword_set: self.keyword_set(),
            modseq: self.modseq(),
            date: self.date(),
            saved: self.saved(),
            body: self.body(),
            thread: self.thread(),
        }
    }
}

/// Set the fields of a packed record that STORE changes.
pub(super) fn set_flags(record: &mut [u8; RECORD_BYTES], flags: u8, keyword_set: u32, modseq: u64) {
    record[8] = flags;
    record[12..16].copy_from_slice(&keyword_set.to_le_bytes());
    record[16..24].copy_from_slice(&modseq.to_le_bytes());
}

/// Iterate over adjacent packed records; a partial record at the end is ignored.
pub(crate) fn records_of(bytes: &[u8]) -> impl Iterator<Item = Record> + '_ {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|record| PackedRecord(record).unpack())
}
