//! Python classes of `index`.

mod fetch;
mod of_group;
mod search;
mod segments;
mod sort;

pub(crate) use fetch::*;
pub(crate) use search::*;
pub(crate) use segments::*;
pub(crate) use sort::*;
