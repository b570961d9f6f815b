//! Cache of header columns, one per process, with a memory limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::column::Column;
use super::program::SearchNeedle;
use crate::index::lru::Lru;
use crate::message::Collation;
use crate::message::search::FuzzyMatcher;
use crate::numbers::UidSet;
use crate::wire::ast::Field;

type CachedTexts = Lru<ColumnKey, CachedColumn>;

/// Column: mailbox, field, and the collation that its texts are prepared by.
pub type ColumnKey = (MailboxKey, Field, Collation);

/// Mailbox of a storage group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailboxKey {
    /// Number of the storage group.
    pub group: u32,
    /// Mailbox id; never reused.
    pub mailbox: u64,
}

/// Cache of columns of any mailboxes, with eviction of the least recently used.
///
/// The lock is held while a batch is searched or added, never during I/O.
#[derive(Debug)]
pub struct HeaderColumns {
    cached: Mutex<CachedTexts>,
}

#[derive(Debug, Default)]
struct CachedColumn {
    column: Column,
    /// All messages up to this UID have been added.
    covered: u32,
    /// No more room.
    is_full: bool,
}

/// Result of a search in a column; may include other messages.
#[derive(Debug, Default)]
pub(super) struct ColumnMatches {
    /// For each needle, the UIDs that contain it.
    pub found: Vec<UidSet>,
    /// UIDs whose text is complete.
    pub known: UidSet,
}

/// Columns that need further messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleColumns {
    /// Fields of the columns.
    pub fields: Vec<Field>,
    /// Messages up to this UID are in all of them.
    pub covered: u32,
}

impl HeaderColumns {
    /// Create a cache of at most `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            cached: Mutex::new(Lru::new(max_bytes)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, CachedTexts> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of memory in use.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.lock().memory_bytes()
    }

    /// Search the texts of some messages for needles.
    pub(super) fn find(
        &self,
        key: ColumnKey,
        needles: &[&SearchNeedle],
        uids: &UidSet,
    ) -> Option<ColumnMatches> {
        let mut cached = self.lock();
        let CachedColumn { column, .. } = cached.get(key)?;
        Some(ColumnMatches {
            found: needles
                .iter()
                .map(|needle| match &needle.fuzzy {
                    None => column.find(&needle.in_fields, uids),
                    Some(words) => {
                        let mut words = FuzzyMatcher::new(Arc::clone(words));
                        column.find_each(uids, |text| {
                            needle.in_fields.find(text).is_some() || words.is_in(text)
                        })
                    }
                })
                .collect(),
            known: column.known(uids),
        })
    }

    /// Return the columns among `fields` that need messages up to a UID; None if they are complete
    /// or full.
    #[must_use]
    pub fn stale(
        &self,
        (mailbox, collation): (MailboxKey, Collation),
        fields: &[Field],
        upto: u32,
    ) -> Option<StaleColumns> {
        let cached = self.lock();
        let mut stale = StaleColumns {
            fields: Vec::new(),
            covered: upto,
        };
        for field in fields {
            let found = cached.peek((mailbox, *field, collation));
            if found.is_some_and(|found| found.is_full) {
                continue;
            }
            let covered = found.map_or(0, |found| found.covered);
            if covered < upto {
                stale.fields.push(*field);
                stale.covered = stale.covered.min(covered);
            }
        }
        (!stale.fields.is_empty()).then_some(stale)
    }

    /// Add texts of all messages with a UID above `covered` and not above `upto` to a column; parts
    /// ascending. Nothing is added if the column was evicted in the meantime, or if another search
    /// has added the same.
    pub fn add<'a>(
        &self,
        key: ColumnKey,
        (covered, upto): (u32, u32),
        parts: impl IntoIterator<Item = &'a Column>,
    ) {
        let mut cached = self.lock();
        let room = cached.room().unwrap_or(0);
        let mut found = cached.remove(key).unwrap_or_default();
        if found.covered >= covered && found.covered < upto && !found.is_full {
            found.is_full = parts
                .into_iter()
                .any(|part| !found.column.extend(part, room));
            found.covered = upto;
        }
        let bytes = found.column.memory_bytes();
        cached.insert(key, found, bytes);
    }
}
