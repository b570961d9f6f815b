//! Builder of key columns from message metadata.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Corrupt;
use crate::filepool::{Group, MetadataTable};
use crate::index::arrange::{IdHasher, KeyColumn, MissingKeys};
use crate::message::MessageMetadata;

/// Builds key columns of some messages, in steps.
pub struct KeyBuilder {
    columns: Vec<KeyColumn>,
    hasher: IdHasher,
    missing: Arc<Vec<MissingKeys>>,
    /// Number of messages.
    messages: usize,
    /// Indices of the messages that are not read yet.
    unread: Range<usize>,
    /// Bytes that all builders of the command may still use.
    room: Arc<AtomicUsize>,
    /// Bytes that this one has taken from it.
    used: usize,
}

/// Error of a builder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The keys need more memory than the limit.
    TooLarge,
    /// The filepool is corrupt.
    Corrupt(Corrupt),
}

impl From<Corrupt> for KeyError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

impl KeyBuilder {
    /// Build columns for a range of messages, in ascending order of UIDs. All builders of a command
    /// share `missing` and `room`.
    #[must_use]
    pub fn new(
        (columns, hasher): (Vec<KeyColumn>, IdHasher),
        missing: Arc<Vec<MissingKeys>>,
        unread: Range<usize>,
        room: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            columns,
            hasher,
            missing,
            messages: unread.len(),
            unread,
            room,
            used: 0,
        }
    }

    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages
    }

    /// True if there are no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Read metadata until `max_bytes` are reached; return true when all messages are done.
    ///
    /// A message with unreadable metadata is left out: a command for it reports the error.
    ///
    /// # Errors
    /// The table of metadata is missing, or the columns are too large.
    pub fn step(&mut self, group: Group<'_>, max_bytes: u64) -> Result<bool, KeyError> {
        let mut metadata = MetadataTable::new(group)?;
        let mut read = 0;
        while !self.unread.is_empty() {
            if read >= max_bytes {
                self.take_room()?;
                return Ok(false);
            }
            let next = self.unread.next().and_then(|at| self.missing.get(at));
            let Some(MissingKeys { uid, body }) = next.copied() else {
                break;
            };
            if let Ok(Some(stored)) = metadata.get(body)
                && let Ok(metadata) = MessageMetadata::open(&stored)
            {
                read += stored.len() as u64;
                for column in &mut self.columns {
                    column.append(uid, &metadata, &self.hasher);
                }
            }
        }
        self.take_room()?;
        Ok(true)
    }

    fn take_room(&mut self) -> Result<(), KeyError> {
        let bytes: usize = self.columns.iter().map(KeyColumn::memory_bytes).sum();
        let more = bytes.saturating_sub(self.used);
        self.used += more;
        let room = self
            .room
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| {
                room.checked_sub(more)
            });
        room.map(|_| ()).map_err(|_| KeyError::TooLarge)
    }

    /// Return the columns, and leave none.
    pub fn take(&mut self) -> Vec<KeyColumn> {
        std::mem::take(&mut self.columns)
    }
}
