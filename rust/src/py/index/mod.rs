//! Python classes of `index`.

mod fetch;
mod search;
mod segments;

pub(crate) use fetch::*;
pub(crate) use search::*;
pub(crate) use segments::*;
