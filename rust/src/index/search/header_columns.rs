//! Header columns that a process keeps, within a bound.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memchr::memmem::Finder;

use super::column::Column;
use crate::numbers::UidSet;
use crate::wire::ast::Field;

/// Counted for each column besides what is in it: its row, and the pieces of memory themselves.
pub const COLUMN_OCTETS: usize = 256;

/// A mailbox; its id is unique in its storage group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
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
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    columns: BTreeMap<(Place, Field), Entry>,
    /// Counts uses.
    clock: u64,
    octets: usize,
}

#[derive(Debug, Default)]
struct Entry {
    column: Column,
    /// No message up to this UID is to be added any more.
    covered: u32,
    /// There is no room for more.
    is_full: bool,
    used: u64,
}

/// What a column says of some messages, and perhaps of others.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// For each needle, those that have it.
    pub found: Vec<UidSet>,
    /// Those that have nothing else.
    pub known: UidSet,
}

/// Columns that have to be brought up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Which.
    pub fields: Vec<Field>,
    /// Messages up to this UID are in all of them.
    pub covered: u32,
}

impl HeaderColumns {
    /// Keep so many octets at most.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            kept: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Octets of memory in use.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.lock().octets
    }

    /// Look for needles in the texts of some messages.
    pub(super) fn find(
        &self,
        place: Place,
        field: Field,
        needles: &[&Finder<'_>],
        uids: &UidSet,
    ) -> Option<Said> {
        let mut kept = self.lock();
        kept.clock += 1;
        let now = kept.clock;
        let entry = kept.columns.get_mut(&(place, field))?;
        entry.used = now;
        Some(Said {
            found: needles
                .iter()
                .map(|needle| entry.column.find(needle, uids))
                .collect(),
            known: entry.column.known(uids),
        })
    }

    /// Which of some columns have to be filled, so that messages up to a UID are in them; None
    /// where there is nothing to be done.
    #[must_use]
    pub fn behind(&self, place: Place, fields: &[Field], upto: u32) -> Option<Behind> {
        let kept = self.lock();
        let mut behind = Behind {
            fields: Vec::new(),
            covered: upto,
        };
        for field in fields {
            let entry = kept.columns.get(&(place, *field));
            if entry.is_some_and(|entry| entry.is_full) {
                continue;
            }
            let covered = entry.map_or(0, |entry| entry.covered);
            if covered < upto {
                behind.fields.push(*field);
                behind.covered = behind.covered.min(covered);
            }
        }
        (!behind.fields.is_empty()).then_some(behind)
    }

    /// Add to a column what was gathered of all messages whose UID is above `covered`, and not
    /// above `upto`; parts ascending. Nothing happens if the column has been dropped meanwhile,
    /// and what another search has added is not added again.
    pub fn keep<'a>(
        &self,
        place: Place,
        field: Field,
        (covered, upto): (u32, u32),
        parts: impl IntoIterator<Item = &'a Column>,
    ) {
        let mut kept = self.lock();
        kept.clock += 1;
        let Kept {
            columns,
            clock,
            octets,
        } = &mut *kept;
        let key = (place, field);
        let entry = columns.entry(key).or_insert_with(|| {
            *octets += COLUMN_OCTETS;
            Entry::default()
        });
        entry.used = *clock;
        if entry.covered >= covered && entry.covered < upto && !entry.is_full {
            *octets -= entry.column.octets();
            let room = self.most.saturating_sub(COLUMN_OCTETS);
            entry.is_full = parts
                .into_iter()
                .any(|part| !entry.column.extend(part, room));
            entry.covered = upto;
            *octets += entry.column.octets();
        }
        while *octets > self.most {
            let others = columns.iter().filter(|(other, _)| **other != key);
            let Some(oldest) = others
                .min_by_key(|(_, entry)| entry.used)
                .map(|(key, _)| *key)
            else {
                break;
            };
            if let Some(gone) = columns.remove(&oldest) {
                *octets -= COLUMN_OCTETS + gone.column.octets();
            }
        }
    }
}
