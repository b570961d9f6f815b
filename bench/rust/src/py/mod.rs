//! The extension as Python sees it. Nothing else in this crate knows Python.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::ErrorKind;

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let kinds = ErrorKind::ALL.iter().map(|kind| kind.name());
    module.add("ERROR_KINDS", PyTuple::new(module.py(), kinds)?)
}
