//! Python faces of `index`.

mod segments;

pub(crate) use segments::*;
