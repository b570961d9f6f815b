//! Header columns of messages, put together from their digests.

use super::{Digests, Group, Segments};
use crate::index::Segment;
use crate::index::search::Column;
use crate::message::Digest;
use crate::numbers::{Corrupt, UidSet};
use crate::wire::ast::Field;

/// A message of which something is to be gathered.
#[derive(Clone, Copy, Debug)]
pub struct Unread {
    uid: u32,
    body: u64,
}

/// All messages of a mailbox whose UID is above `covered`, and not above `upto`.
///
/// # Errors
/// A segment is damaged.
pub fn unread(
    group: Group<'_>,
    mailbox: u64,
    covered: u32,
    upto: u32,
) -> Result<Vec<Unread>, Corrupt> {
    let wanted = UidSet::run(covered.saturating_add(1), upto);
    let mut unread = Vec::new();
    for stored in Segments::new(group, mailbox, Some(&wanted))? {
        let records = Segment::open(stored?)?.iter();
        let new = records.filter(|record| wanted.contains(record.uid()));
        unread.extend(new.map(|record| Unread {
            uid: record.uid(),
            body: record.body(),
        }));
    }
    Ok(unread)
}

/// Gathers some fields of some messages, step by step.
pub struct Gathering {
    columns: Vec<(Field, Column)>,
    unread: Vec<Unread>,
    /// The first whose digest has not been looked at.
    at: usize,
}

impl Gathering {
    /// Gather from some messages; UIDs ascending.
    #[must_use]
    pub fn new(fields: &[Field], unread: Vec<Unread>) -> Self {
        let columns = fields.iter().map(|field| (*field, Column::default()));
        Self {
            columns: columns.collect(),
            unread,
            at: 0,
        }
    }

    /// How many messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.unread.len()
    }

    /// True where there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }

    /// Look at digests until so many octets were read; true when all is gathered.
    ///
    /// A message whose digest cannot be read is left out: who has to know of it finds out why.
    ///
    /// # Errors
    /// There is no table of digests.
    pub fn step(&mut self, group: Group<'_>, most: u64) -> Result<bool, Corrupt> {
        let mut digests = Digests::new(group)?;
        let mut read = 0;
        while let Some(Unread { uid, body }) = self.unread.get(self.at).copied() {
            if read >= most {
                return Ok(false);
            }
            self.at += 1;
            if let Ok(Some(stored)) = digests.get(body)
                && let Ok(digest) = Digest::open(&stored)
            {
                read += stored.len() as u64;
                for (field, column) in &mut self.columns {
                    column.append(uid, &digest, *field);
                }
            }
        }
        Ok(true)
    }

    /// What was gathered of a field.
    #[must_use]
    pub fn column(&self, field: Field) -> Option<&Column> {
        let mut columns = self.columns.iter();
        columns
            .find(|(gathered, _)| *gathered == field)
            .map(|(_, column)| column)
    }
}
