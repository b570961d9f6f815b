//! Key columns of one command, with the place of each of its messages.

use std::sync::Arc;

use super::column::{KeyColumn, KeyKind, Links};
use crate::Corrupt;
use crate::index::Record;

/// Columns that one SORT or THREAD needs.
pub(super) struct Columns(Vec<(KeyKind, Arc<KeyColumn>, Vec<u32>)>);

impl Columns {
    /// Find the entries of records.
    ///
    /// # Errors
    /// A message has no entry: its metadata could not be read.
    pub(super) fn new(
        columns: Vec<(KeyKind, Arc<KeyColumn>)>,
        records: &[Record],
    ) -> Result<Self, Corrupt> {
        let placed = columns.into_iter().map(|(kind, column)| {
            let places = column
                .places(records)
                .ok_or(Corrupt("message metadata is missing or corrupt"))?;
            Ok((kind, column, places))
        });
        placed.collect::<Result<_, _>>().map(Self)
    }

    fn of(&self, kind: Option<KeyKind>) -> Option<(&KeyColumn, &[u32])> {
        let found = self.0.iter().find(|(of, ..)| Some(*of) == kind);
        found.map(|(_, column, places)| (&**column, places.as_slice()))
    }

    /// Return the sent date of each record.
    pub(super) fn sent(&self, records: &[Record]) -> Vec<i64> {
        self.of(Some(KeyKind::Sent))
            .map_or_else(Vec::new, |(column, places)| column.sent(places, records))
    }

    /// Return the rank of each record's text; equal texts have equal ranks.
    pub(super) fn ranks(&self, kind: Option<KeyKind>) -> impl Iterator<Item = u32> {
        let (ranks, places) = self
            .of(kind)
            .map_or((&[][..], &[][..]), |(column, places)| {
                (column.ranks(), places)
            });
        let rank = |at: &u32| ranks.get(*at as usize).copied().unwrap_or(0);
        places.iter().map(rank)
    }

    /// Return the number of ranks of base subjects, and the rank of the empty one.
    pub(super) fn subject_ranks(&self) -> (usize, u32) {
        let subjects = self.of(Some(KeyKind::Subject));
        subjects.map_or((0, 0), |(column, _)| (column.len(), column.empty_rank()))
    }

    /// Return the links, and the entry of each record in them.
    pub(super) fn links(&self) -> Option<(&Links, &[u32])> {
        let (column, places) = self.of(Some(KeyKind::Links))?;
        Some((column.links()?, places))
    }
}
