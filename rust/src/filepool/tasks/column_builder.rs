//! Builder of header columns from message metadata.

use crate::Corrupt;
use crate::filepool::{Group, MetadataTable, Segments};
use crate::index::Segment;
use crate::index::search::Column;
use crate::message::{Collation, MessageMetadata};
use crate::numbers::UidSet;
use crate::wire::ast::Field;

/// Message whose metadata is to read.
#[derive(Clone, Copy, Debug)]
pub struct PendingMessage {
    uid: u32,
    body: u64,
}

/// Return the messages of a mailbox with a UID above `covered` and not above `upto`.
///
/// # Errors
/// A segment is corrupt.
pub fn pending_messages(
    group: Group<'_>,
    mailbox: u64,
    covered: u32,
    upto: u32,
) -> Result<Vec<PendingMessage>, Corrupt> {
    let wanted = UidSet::run(covered.saturating_add(1), upto);
    let mut pending = Vec::new();
    for stored in Segments::new(group, mailbox, Some(&wanted))? {
        let records = Segment::open(stored?)?.iter();
        let new = records.filter(|record| wanted.contains(record.uid()));
        pending.extend(new.map(|record| PendingMessage {
            uid: record.uid(),
            body: record.body(),
        }));
    }
    Ok(pending)
}

/// Builds header columns of some messages, in steps.
pub struct ColumnBuilder {
    columns: Vec<(Field, Column)>,
    collation: Collation,
    pending: Vec<PendingMessage>,
    /// Index of the next message to read.
    at: usize,
}

impl ColumnBuilder {
    /// Build columns for some messages, in ascending order of UIDs.
    #[must_use]
    pub fn new(fields: &[Field], collation: Collation, pending: Vec<PendingMessage>) -> Self {
        let columns = fields.iter().map(|field| (*field, Column::default()));
        Self {
            columns: columns.collect(),
            collation,
            pending,
            at: 0,
        }
    }

    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// True if there are no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Read metadata until `max_bytes` are reached; return true when all messages are done.
    ///
    /// A message with unreadable metadata is left out: a search for it reports the error.
    ///
    /// # Errors
    /// The table of metadata is missing.
    pub fn step(&mut self, group: Group<'_>, max_bytes: u64) -> Result<bool, Corrupt> {
        let mut metadata = MetadataTable::new(group)?;
        let mut read = 0;
        while let Some(PendingMessage { uid, body }) = self.pending.get(self.at).copied() {
            if read >= max_bytes {
                return Ok(false);
            }
            self.at += 1;
            if let Ok(Some(stored)) = metadata.get(body)
                && let Ok(metadata) = MessageMetadata::open(&stored)
            {
                read += stored.len() as u64;
                for (field, column) in &mut self.columns {
                    column.append(uid, &metadata, *field, self.collation);
                }
            }
        }
        Ok(true)
    }

    /// Return the column of a field.
    #[must_use]
    pub fn column(&self, field: Field) -> Option<&Column> {
        let mut columns = self.columns.iter();
        columns
            .find(|(gathered, _)| *gathered == field)
            .map(|(_, column)| column)
    }
}
