//! Builder of key columns from message metadata.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Group, MetadataTable};
use crate::Corrupt;
use crate::index::arrange::{IdHasher, KeyColumn, MissingKeys};
use crate::message::MessageMetadata;

/// Builds key columns of some messages, in steps.
pub struct KeyBuilder {
    columns: Vec<KeyColumn>,
    hasher: IdHasher,
    missing: Vec<MissingKeys>,
    /// Index of the next message to read.
    at: usize,
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
    /// Build columns for some messages, in ascending order of UIDs. All builders of a command share
    /// `room`.
    #[must_use]
    pub fn new(
        (columns, hasher): (Vec<KeyColumn>, IdHasher),
        missing: Vec<MissingKeys>,
        room: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            columns,
            hasher,
            missing,
            at: 0,
            room,
            used: 0,
        }
    }

    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.missing.len()
    }

    /// True if there are no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty()
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
        while let Some(MissingKeys { uid, body }) = self.missing.get(self.at).copied() {
            if read >= max_bytes {
                self.take_room()?;
                return Ok(false);
            }
            self.at += 1;
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
