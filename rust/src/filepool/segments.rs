//! Table `index`: segments that contain some UIDs.

use super::Group;
use crate::Corrupt;
use crate::numbers::UidSet;
use crate::pages::{Table, TableCursor};

/// Iterator over the segments of a mailbox, ascending, that can contain some UIDs. Others are
/// skipped without reading them.
pub struct Segments<'a, 'u> {
    cursor: TableCursor<'a>,
    mailbox: u64,
    wanted: Option<&'u UidSet>,
    /// First UID that is not yet covered; None at the end.
    from: Option<u32>,
}

impl<'a, 'u> Segments<'a, 'u> {
    /// Iterate over segments with any of `wanted` between their first and last UID, or over all.
    ///
    /// # Errors
    /// The file is corrupt.
    pub fn new(
        group: Group<'a>,
        mailbox: u64,
        wanted: Option<&'u UidSet>,
    ) -> Result<Self, Corrupt> {
        Ok(Self::of_table(group.table("index")?, mailbox, wanted))
    }

    /// As `new`, with the table of the group.
    #[must_use]
    pub fn of_table(table: Table<'a>, mailbox: u64, wanted: Option<&'u UidSet>) -> Self {
        Self {
            cursor: table.cursor(),
            mailbox,
            wanted,
            from: Some(0),
        }
    }

    fn find(&mut self) -> Result<Option<&'a [u8]>, Corrupt> {
        while let Some(from) = self.from.and_then(|from| self.next_wanted(from)) {
            let mut found = self.cursor.seek_back(&self.key(from))?;
            if self
                .first_uid(found)
                .is_none_or(|first| Some(first) < self.from)
            {
                // Before the first segment of the mailbox, or after the last one returned.
                found = self.cursor.seek(&self.key(from))?;
            }
            let Some((first, (_, segment))) = self.first_uid(found).zip(found) else {
                return Ok(None);
            };
            let last = first.max(last_uid(segment));
            self.from = last.checked_add(1);
            if self.is_wanted(first, last) {
                return Ok(Some(segment));
            }
        }
        Ok(None)
    }

    fn is_wanted(&self, first: u32, last: u32) -> bool {
        self.wanted
            .is_none_or(|uids| uids.within(first, last).next().is_some())
    }

    fn next_wanted(&self, from: u32) -> Option<u32> {
        match self.wanted {
            None => Some(from),
            Some(uids) => uids.within(from, u32::MAX).next().map(|run| run.0),
        }
    }

    fn key(&self, uid: u32) -> [u8; 12] {
        let mut key = [0; 12];
        let (mailbox, first) = key.split_at_mut(8);
        mailbox.copy_from_slice(&self.mailbox.to_be_bytes());
        first.copy_from_slice(&uid.to_be_bytes());
        key
    }

    /// Return the first UID from the key of a segment, if it is of this mailbox.
    fn first_uid(&self, entry: Option<(&[u8], &[u8])>) -> Option<u32> {
        let (mailbox, first) = entry?.0.split_first_chunk::<8>()?;
        (u64::from_be_bytes(*mailbox) == self.mailbox)
            .then(|| first.try_into().ok())
            .flatten()
            .map(u32::from_be_bytes)
    }
}

/// Segments as stored.
impl<'a> Iterator for Segments<'a, '_> {
    type Item = Result<&'a [u8], Corrupt>;

    fn next(&mut self) -> Option<Self::Item> {
        self.find().transpose()
    }
}

/// Return the last UID from the header of a segment; 0 without a header.
fn last_uid(segment: &[u8]) -> u32 {
    let last = segment.get(12..).and_then(|rest| rest.first_chunk());
    last.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
