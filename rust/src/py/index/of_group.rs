//! Cache of all storage groups, as one group uses it.

use std::sync::Arc;

use crate::index::search::MailboxKey;

pub(super) struct OfGroup<T> {
    pub cache: Arc<T>,
    group: u32,
}

impl<T> OfGroup<T> {
    /// Take a cache, for group 0.
    pub fn new(cache: T) -> Self {
        Self {
            cache: Arc::new(cache),
            group: 0,
        }
    }

    /// Return the same cache for another group.
    pub fn of_group(&self, group: u32) -> Self {
        Self {
            cache: Arc::clone(&self.cache),
            group,
        }
    }

    /// Return the key of a mailbox of the group.
    pub fn mailbox(&self, mailbox: u64) -> MailboxKey {
        MailboxKey {
            group: self.group,
            mailbox,
        }
    }
}
