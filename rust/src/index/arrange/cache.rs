//! Cache of key columns, one per process, with a memory limit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::column::{IdHasher, KeyColumn, KeyKind};
use crate::index::search::{COLUMN_BYTES, MailboxKey};

/// Cache of key columns of any mailboxes, with eviction of the least recently used.
///
/// The lock is held while a column is looked up or stored, never while one is built or read.
#[derive(Debug)]
pub struct KeyColumns {
    max_bytes: usize,
    hasher: IdHasher,
    cached: Mutex<Cached>,
}

#[derive(Debug, Default)]
struct Cached {
    columns: BTreeMap<(MailboxKey, KeyKind), CachedKeys>,
    /// Number of uses so far.
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
struct CachedKeys {
    keys: CoveredColumn,
    bytes: usize,
    used: u64,
}

/// Column, and how far it is complete.
#[derive(Clone, Debug)]
pub(super) struct CoveredColumn {
    pub column: Arc<KeyColumn>,
    /// All messages up to this UID are in the column.
    pub covered: u32,
}

impl KeyColumns {
    /// Create a cache of at most `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            hasher: IdHasher::new(),
            cached: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cached> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of memory in use.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Hash function of all Message-IDs in the cache.
    pub(super) fn hasher(&self) -> IdHasher {
        self.hasher.clone()
    }

    /// Return a column, empty if it is not cached.
    pub(super) fn get(&self, mailbox: MailboxKey, kind: KeyKind) -> CoveredColumn {
        let mut cached = self.lock();
        cached.clock += 1;
        let now = cached.clock;
        match cached.columns.get_mut(&(mailbox, kind)) {
            Some(found) => {
                found.used = now;
                found.keys.clone()
            }
            None => CoveredColumn {
                column: Arc::new(KeyColumn::new(kind)),
                covered: 0,
            },
        }
    }

    /// Remove a column, so that its user can change it without a copy. Nothing happens if it was
    /// replaced meanwhile.
    pub(super) fn take(&self, mailbox: MailboxKey, kind: KeyKind, column: &Arc<KeyColumn>) {
        let mut cached = self.lock();
        let key = (mailbox, kind);
        let found = cached.columns.get(&key);
        if found.is_some_and(|found| Arc::ptr_eq(&found.keys.column, column)) {
            cached.remove(key);
        }
    }

    /// Store a column, unless the cache has one that is as complete, or the column alone is larger
    /// than the cache.
    pub(super) fn store(&self, mailbox: MailboxKey, kind: KeyKind, keys: CoveredColumn) {
        let bytes = COLUMN_BYTES + keys.column.memory_bytes();
        let mut cached = self.lock();
        let key = (mailbox, kind);
        let found = cached.columns.get(&key);
        if bytes > self.max_bytes || found.is_some_and(|found| found.keys.covered >= keys.covered) {
            return;
        }
        cached.remove(key);
        cached.clock += 1;
        let used = cached.clock;
        cached.bytes += bytes;
        cached.columns.insert(key, CachedKeys { keys, bytes, used });
        while cached.bytes > self.max_bytes {
            let oldest = cached.columns.iter().min_by_key(|(_, found)| found.used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                break;
            };
            cached.remove(oldest);
        }
    }
}

impl Cached {
    fn remove(&mut self, key: (MailboxKey, KeyKind)) {
        if let Some(gone) = self.columns.remove(&key) {
            self.bytes -= gone.bytes;
        }
    }
}
