//! Cache of header columns, one per process, with a memory limit.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memchr::memmem::Finder;

use super::column::Column;
use crate::numbers::UidSet;
use crate::wire::ast::Field;

/// Bytes counted for each column in addition to its contents: map entry and allocations.
pub const COLUMN_BYTES: usize = 256;

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
    max_bytes: usize,
    kept: Mutex<CachedColumns>,
}

#[derive(Debug, Default)]
struct CachedColumns {
    columns: BTreeMap<(MailboxKey, Field), CachedColumn>,
    /// Number of uses so far.
    clock: u64,
    bytes: usize,
}

#[derive(Debug, Default)]
struct CachedColumn {
    column: Column,
    /// All messages up to this UID have been added.
    covered: u32,
    /// No more room.
    is_full: bool,
    used: u64,
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
            max_bytes,
            kept: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, CachedColumns> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of memory in use.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Search the texts of some messages for needles.
    pub(super) fn find(
        &self,
        mailbox_key: MailboxKey,
        field: Field,
        needles: &[&Finder<'_>],
        uids: &UidSet,
    ) -> Option<ColumnMatches> {
        let mut kept = self.lock();
        kept.clock += 1;
        let now = kept.clock;
        let cached = kept.columns.get_mut(&(mailbox_key, field))?;
        cached.used = now;
        Some(ColumnMatches {
            found: needles
                .iter()
                .map(|needle| cached.column.find(needle, uids))
                .collect(),
            known: cached.column.known(uids),
        })
    }

    /// Return the columns among `fields` that need messages up to a UID; None if they are complete
    /// or full.
    #[must_use]
    pub fn stale(
        &self,
        mailbox_key: MailboxKey,
        fields: &[Field],
        upto: u32,
    ) -> Option<StaleColumns> {
        let kept = self.lock();
        let mut stale = StaleColumns {
            fields: Vec::new(),
            covered: upto,
        };
        for field in fields {
            let cached = kept.columns.get(&(mailbox_key, *field));
            if cached.is_some_and(|cached| cached.is_full) {
                continue;
            }
            let covered = cached.map_or(0, |cached| cached.covered);
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
        mailbox_key: MailboxKey,
        field: Field,
        (covered, upto): (u32, u32),
        parts: impl IntoIterator<Item = &'a Column>,
    ) {
        let mut kept = self.lock();
        kept.clock += 1;
        let CachedColumns {
            columns,
            clock,
            bytes,
        } = &mut *kept;
        let key = (mailbox_key, field);
        let cached = columns.entry(key).or_insert_with(|| {
            *bytes += COLUMN_BYTES;
            CachedColumn::default()
        });
        cached.used = *clock;
        if cached.covered >= covered && cached.covered < upto && !cached.is_full {
            *bytes -= cached.column.memory_bytes();
            let room = self.max_bytes.saturating_sub(COLUMN_BYTES);
            cached.is_full = parts
                .into_iter()
                .any(|part| !cached.column.extend(part, room));
            cached.covered = upto;
            *bytes += cached.column.memory_bytes();
        }
        while *bytes > self.max_bytes {
            let others = columns.iter().filter(|(other, _)| **other != key);
            let Some(oldest) = others
                .min_by_key(|(_, cached)| cached.used)
                .map(|(key, _)| *key)
            else {
                break;
            };
            if let Some(gone) = columns.remove(&oldest) {
                *bytes -= COLUMN_BYTES + gone.column.memory_bytes();
            }
        }
    }
}
