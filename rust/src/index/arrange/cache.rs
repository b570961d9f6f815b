//! Cache of key columns, one per process, with a memory limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::column::{IdHasher, KeyColumn, KeyKind};
use crate::index::lru::Lru;
use crate::index::search::MailboxKey;
use crate::message::Collation;

type CachedKeys = Lru<KeyColumnKey, CoveredColumn>;

/// Column: mailbox, kind, and the collation that its texts are prepared by.
pub(super) type KeyColumnKey = (MailboxKey, KeyKind, Collation);

/// Cache of key columns of any mailboxes, with eviction of the least recently used.
///
/// The lock is held while a column is looked up or stored, never while one is built or read.
#[derive(Debug)]
pub struct KeyColumns {
    hasher: IdHasher,
    cached: Mutex<CachedKeys>,
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
            hasher: IdHasher::new(),
            cached: Mutex::new(Lru::new(max_bytes)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, CachedKeys> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of memory in use.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.lock().memory_bytes()
    }

    /// Hash function of all Message-IDs in the cache.
    pub(super) fn hasher(&self) -> IdHasher {
        self.hasher.clone()
    }

    /// Return a column, empty if it is not cached.
    pub(super) fn get(&self, key: KeyColumnKey) -> CoveredColumn {
        let mut cached = self.lock();
        let (_, kind, collation) = key;
        cached.get(key).cloned().unwrap_or_else(|| CoveredColumn {
            column: Arc::new(KeyColumn::new(kind, collation)),
            covered: 0,
        })
    }

    /// Remove a column, so that its user can change it without a copy. Nothing happens if it was
    /// replaced meanwhile.
    pub(super) fn take(&self, key: KeyColumnKey, column: &Arc<KeyColumn>) {
        let mut cached = self.lock();
        let found = cached.peek(key);
        if found.is_some_and(|found| Arc::ptr_eq(&found.column, column)) {
            cached.remove(key);
        }
    }

    /// Store a column, unless the cache has one that is as complete, or the column alone is larger
    /// than the cache.
    pub(super) fn store(&self, key: KeyColumnKey, keys: CoveredColumn) {
        let bytes = keys.column.memory_bytes();
        let mut cached = self.lock();
        let found = cached.peek(key);
        if cached.room().is_none_or(|room| bytes > room)
            || found.is_some_and(|found| found.covered >= keys.covered)
        {
            return;
        }
        cached.insert(key, keys, bytes);
    }
}
