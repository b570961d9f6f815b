//! Map with a limit of bytes, and eviction of the least recently used entries.

use std::collections::BTreeMap;

/// Bytes counted for each entry in addition to its contents: map entry and allocations.
pub(super) const ENTRY_BYTES: usize = 256;

/// Map of entries, each with the bytes of its contents.
///
/// Eviction looks at all entries: insertion past the limit costs time in proportion to them.
#[derive(Debug)]
pub(super) struct Lru<K, V> {
    max_bytes: usize,
    entries: BTreeMap<K, CachedEntry<V>>,
    /// Number of uses so far.
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
struct CachedEntry<V> {
    value: V,
    /// `ENTRY_BYTES` included.
    bytes: usize,
    used: u64,
}

impl<K: Copy + Ord, V> Lru<K, V> {
    /// Create a map of at most `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            entries: BTreeMap::new(),
            clock: 0,
            bytes: 0,
        }
    }

    /// Bytes of memory in use.
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Return the maximum bytes of the contents of one entry; None if no entry fits.
    pub fn room(&self) -> Option<usize> {
        self.max_bytes.checked_sub(ENTRY_BYTES)
    }

    /// Return a value, and note its use.
    pub fn get(&mut self, key: K) -> Option<&V> {
        self.clock += 1;
        let found = self.entries.get_mut(&key)?;
        found.used = self.clock;
        Some(&found.value)
    }

    /// Return a value without noting its use.
    pub fn peek(&self, key: K) -> Option<&V> {
        self.entries.get(&key).map(|found| &found.value)
    }

    /// Remove an entry, and return its value.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let gone = self.entries.remove(&key)?;
        self.bytes -= gone.bytes;
        Some(gone.value)
    }

    /// Add or replace an entry with contents of so many bytes, and evict others until all fit.
    ///
    /// The new entry is never evicted: the caller compares its size with [`room`](Self::room).
    pub fn insert(&mut self, key: K, value: V, contents: usize) {
        self.remove(key);
        self.clock += 1;
        let bytes = ENTRY_BYTES + contents;
        let used = self.clock;
        self.bytes += bytes;
        self.entries.insert(key, CachedEntry { value, bytes, used });
        while self.bytes > self.max_bytes && self.entries.len() > 1 {
            let oldest = self.entries.iter().min_by_key(|(_, found)| found.used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                break;
            };
            self.remove(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_used_least_recently_is_evicted_first() {
        let mut lru = Lru::new(3 * ENTRY_BYTES + 30);
        for key in 0..3 {
            lru.insert(key, key, 10);
        }
        assert_eq!(lru.memory_bytes(), 3 * ENTRY_BYTES + 30);
        assert_eq!(lru.get(0), Some(&0));
        assert_eq!(lru.peek(1), Some(&1));
        lru.insert(3, 3, 10);
        assert_eq!(
            [0, 1, 2, 3].map(|key| lru.peek(key).is_some()),
            [true, false, true, true]
        );
        lru.insert(4, 4, 11); // one byte too many for two others
        assert_eq!(
            [0, 2, 3, 4].map(|key| lru.peek(key).is_some()),
            [false, false, true, true]
        );
        assert_eq!(lru.memory_bytes(), 2 * ENTRY_BYTES + 21);
    }

    #[test]
    fn bytes_follow_replaced_and_removed_entries() {
        let mut lru = Lru::new(10 * ENTRY_BYTES);
        lru.insert("a", 1, 100);
        lru.insert("a", 2, 50);
        assert_eq!(lru.memory_bytes(), ENTRY_BYTES + 50);
        assert_eq!(lru.remove("a"), Some(2));
        assert_eq!(lru.remove("a"), None);
        assert_eq!(lru.memory_bytes(), 0);
    }

    #[test]
    fn new_entry_stays_even_if_it_is_too_large() {
        let mut lru = Lru::new(2 * ENTRY_BYTES);
        lru.insert(1, (), 0);
        lru.insert(2, (), lru.room().unwrap() + 1);
        assert!(lru.peek(1).is_none() && lru.peek(2).is_some());
        assert_eq!(lru.room(), Some(ENTRY_BYTES));
        assert_eq!(Lru::<u8, ()>::new(ENTRY_BYTES).room(), Some(0));
        assert_eq!(Lru::<u8, ()>::new(ENTRY_BYTES - 1).room(), None);
    }
}
