//! Python faces of `wire`.

use pyo3::prelude::*;

use crate::wire::ast::{FetchItem, SearchKey, SequenceSet};

/// `SequenceSet`: what a client wrote, not yet looked up.
#[pyclass(frozen, name = "SequenceSet", module = "imapvm._core")]
pub(crate) struct PySequenceSet {
    pub(crate) set: SequenceSet,
}

/// `FetchItems`: what FETCH asks for.
#[pyclass(frozen, name = "FetchItems", module = "imapvm._core")]
pub(crate) struct PyFetchItems {
    pub(crate) items: Vec<FetchItem>,
}

/// `SearchProgram`: its methods are in `index.rs`, which carries it out.
#[pyclass(frozen, name = "SearchProgram", module = "imapvm._core")]
pub(crate) struct PySearchProgram {
    pub(crate) key: SearchKey,
}
