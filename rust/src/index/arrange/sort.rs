//! SORT: order of messages by criteria (RFC 5256 section 3).

use super::columns::Columns;
use super::slots::number;
use crate::index::Record;
use crate::wire::ast::{SortBy, SortCriterion};

/// Return the indices of records in the order of the criteria; equal ones keep their order.
///
/// `scores` has the relevancy of each record, if it is a criterion.
pub(super) fn sort(
    records: &[Record],
    criteria: &[SortCriterion],
    columns: &Columns,
    scores: &[u8],
) -> Vec<u32> {
    let mut order: Vec<u32> = (0..number(records.len())).collect();
    // Stable sorts, the most important criterion last.
    for criterion in criteria.iter().rev() {
        let mut keys = keys(records, criterion.by, columns, scores);
        if criterion.reverse {
            for key in &mut keys {
                *key = !*key; // descending, and equal keys still keep their order
            }
        }
        order.sort_by_key(|at| keys.get(*at as usize).copied());
    }
    order
}

fn keys(records: &[Record], by: SortBy, columns: &Columns, scores: &[u8]) -> Vec<i64> {
    match by {
        SortBy::Relevancy => scores.iter().map(|score| -i64::from(*score)).collect(),
        SortBy::Arrival => records.iter().map(|record| record.date).collect(),
        SortBy::Size => records.iter().map(|record| record.size.into()).collect(),
        SortBy::Date => columns.sent(records),
        _ => columns.ranks(by.column()).map(i64::from).collect(),
    }
}
