//! Table `keywords`: keyword sets of a mailbox.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Group;
use super::body_layout::chunk_key;
use crate::Corrupt;
use crate::pages::TableCursor;

const MISSING: Corrupt = Corrupt("a keyword set is missing");

/// Reader of the sets of one mailbox. They are numbered from 1 and never change.
pub struct KeywordTable<'a> {
    cursor: TableCursor<'a>,
    mailbox: u64,
}

impl<'a> KeywordTable<'a> {
    /// Create a reader for a mailbox of a group.
    ///
    /// # Errors
    /// The file is corrupt.
    pub fn new(group: Group<'a>, mailbox: u64) -> Result<Self, Corrupt> {
        let cursor = group.table("keywords")?.cursor();
        Ok(Self { cursor, mailbox })
    }

    /// Return the names in a set, separated by spaces.
    ///
    /// # Errors
    /// There is no such set, or the file is corrupt.
    pub fn get(&mut self, set: u32) -> Result<&'a [u8], Corrupt> {
        let row = self.cursor.get(&chunk_key(self.mailbox, set))?;
        row.ok_or(MISSING)
    }

    /// Return the different names in the sets `first..=last`, in order, each in its first spelling.
    ///
    /// Costs about 30 ns for each name in each set. Ends when it has `max` names.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn different_names(
        &mut self,
        first: u32,
        last: u32,
        max: usize,
    ) -> Result<Vec<&'a [u8]>, Corrupt> {
        let mut found = Vec::new();
        let mut known: HashSet<Vec<u8>> = HashSet::new();
        let mut folded = Vec::new();
        for set in first..=last {
            for name in names(self.get(set)?) {
                if found.len() >= max {
                    return Ok(found);
                }
                fold(name, &mut folded);
                if !known.contains(folded.as_slice()) {
                    known.insert(folded.clone());
                    found.push(name);
                }
            }
        }
        Ok(found)
    }

    /// Return, for each of some names in lower case, the sets up to `last` that have it, ascending.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn sets_with(
        &mut self,
        last: u32,
        wanted: HashSet<Vec<u8>>,
    ) -> Result<HashMap<Vec<u8>, Arc<[u32]>>, Corrupt> {
        let mut found: HashMap<Vec<u8>, Vec<u32>> =
            wanted.into_iter().map(|name| (name, Vec::new())).collect();
        let mut folded = Vec::new();
        for set in 1..=last {
            for name in names(self.get(set)?) {
                fold(name, &mut folded);
                if let Some(sets) = found.get_mut(folded.as_slice()) {
                    sets.push(set);
                }
            }
        }
        Ok(found
            .into_iter()
            .map(|(name, sets)| (name, sets.into()))
            .collect())
    }
}

fn names(row: &[u8]) -> impl Iterator<Item = &[u8]> {
    row.split(|byte| *byte == b' ')
}

fn fold(name: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend(name.iter().map(u8::to_ascii_lowercase));
}
