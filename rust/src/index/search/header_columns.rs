//! Header columns that a process keeps, within a bound.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memchr::memmem::Finder;

use super::column::Column;
use crate::numbers::UidSet;
use crate::wire::ast::Field;

/// Counted for each column besides what is in it: its row, and the pieces of memory themselves.
pub const COLUMN_BYTES: usize = 256;

/// A mailbox; its id is unique in its storage group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailboxKey {
    /// Number of the storage group.
    pub group: u32,
    /// Mailbox id, which is never used again.
    pub mailbox: u64,
}

/// Columns of any mailboxes; the least recently used one goes where there is no room.
///
/// The lock is held while a batch is looked through or added, never while anything is read.
#[derive(Debug)]
pub struct HeaderColumns {
    max_bytes: usize,
    kept: Mutex<CachedColumns>,
}

#[derive(Debug, Default)]
struct CachedColumns {
    columns: BTreeMap<(MailboxKey, Field), CachedColumn>,
    /// Counts uses.
    clock: u64,
    bytes: usize,
}

#[derive(Debug, Default)]
struct CachedColumn {
    column: Column,
    /// No message up to this UID is to be added any more.
    covered: u32,
    /// There is no room for more.
    is_full: bool,
    used: u64,
}

/// What a column says of some messages, and perhaps of others.
#[derive(Debug, Default)]
pub(super) struct ColumnMatches {
    /// For each needle, those that have it.
    pub found: Vec<UidSet>,
    /// Those that have nothing else.
    pub known: UidSet,
}

/// Columns that have to be brought up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleColumns {
    /// Which.
    pub fields: Vec<Field>,
    /// Messages up to this UID are in all of them.
    pub covered: u32,
}

impl HeaderColumns {
    /// Keep at most `max_bytes`.
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

    /// Look for needles in the texts of some messages.
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

    /// Which of some columns have to be filled, so that messages up to a UID are in them; None
    /// where there is nothing to be done.
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

    /// Add to a column what was gathered of all messages whose UID is above `covered`, and not
    /// above `upto`; parts ascending. Nothing happens if the column has been dropped meanwhile,
    /// and what another search has added is not added again.
    pub fn keep<'a>(
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
