//! The binding: the only directory that knows Python.
use pyo3::prelude::*;

/// `imapvm._core`; documented in `python/imapvm/_core.pyi`.
#[pymodule(gil_used = true)]
mod _core {}
