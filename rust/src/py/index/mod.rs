//! Python faces of `index`.

mod fetch;
mod segments;

pub(crate) use fetch::*;
pub(crate) use segments::*;
