//! `CommandReader`, `Limits` and `DisabledSyntax`.

use std::sync::Arc;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use super::events::to_python;
use crate::wire::disabled::DisabledSyntax;
use crate::wire::limits::Limits;
use crate::wire::reader::Reader;

/// `Limits`
#[pyclass(frozen, name = "Limits", module = "imapvm._core")]
pub(crate) struct PyLimits(Limits);

#[pymethods]
impl PyLimits {
    #[new]
    #[pyo3(signature = (
        *, line = 65536, literal = 65536, command = 262_144, append = 67_108_864, nesting = 64,
        items = 8192
    ))]
    fn new(
        line: usize,
        literal: usize,
        command: usize,
        append: u64,
        nesting: usize,
        items: usize,
    ) -> Self {
        Self(Limits {
            line,
            literal,
            command,
            append,
            nesting,
            items,
        })
    }
}

/// `DisabledSyntax`
#[pyclass(frozen, name = "DisabledSyntax", module = "imapvm._core")]
pub(crate) struct PyDisabledSyntax(Arc<DisabledSyntax>);

#[pymethods]
impl PyDisabledSyntax {
    #[new]
    fn new(entries: Vec<String>) -> PyResult<Self> {
        DisabledSyntax::new(entries.iter().map(String::as_str))
            .map(|disabled| Self(Arc::new(disabled)))
            .map_err(|entry| PyValueError::new_err(format!("no command: {entry}")))
    }
}

/// `CommandReader`
#[pyclass(module = "imapvm._core")]
pub(crate) struct CommandReader {
    reader: Reader,
    /// The object that Python passed.
    limits: Py<PyLimits>,
}

#[pymethods]
impl CommandReader {
    #[new]
    #[pyo3(signature = (limits = None), text_signature = "(limits=...)")]
    fn new(py: Python<'_>, limits: Option<Py<PyLimits>>) -> PyResult<Self> {
        let limits = match limits {
            Some(limits) => limits,
            None => Py::new(py, PyLimits(Limits::default()))?,
        };
        Ok(Self {
            reader: Reader::new(limits.get().0),
            limits,
        })
    }

    #[getter]
    fn limits(&self, py: Python<'_>) -> Py<PyLimits> {
        self.limits.clone_ref(py)
    }

    #[setter]
    fn set_limits(&mut self, limits: Py<PyLimits>) {
        self.reader.limits = limits.get().0;
        self.limits = limits;
    }

    #[getter]
    fn utf8(&self) -> bool {
        self.reader.utf8
    }

    #[setter]
    fn set_utf8(&mut self, utf8: bool) {
        self.reader.utf8 = utf8;
    }

    fn disable(&mut self, syntax: &PyDisabledSyntax) {
        self.reader.disabled = Some(Arc::clone(&syntax.0));
    }

    fn feed(&mut self, data: &[u8]) {
        self.reader.feed(data);
    }

    fn next<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.reader.next() {
            Some(event) => to_python(py, event).map(Some),
            None if self.reader.is_undecided() => Err(PyRuntimeError::new_err(
                "accept or refuse the message first",
            )),
            None => Ok(None),
        }
    }

    fn expect_sasl(&mut self) {
        self.reader.expect_sasl();
    }

    fn accept_literal(&mut self) -> PyResult<()> {
        self.reader
            .accept_literal()
            .map_err(PyRuntimeError::new_err)
    }

    fn refuse_literal(&mut self) {
        self.reader.refuse_literal();
    }

    fn refuse_idle(&mut self) {
        self.reader.refuse_idle();
    }

    #[getter]
    fn buffered(&self) -> usize {
        self.reader.buffered()
    }

    fn clear(&mut self) -> usize {
        self.reader.clear()
    }

    #[getter]
    fn partial(&self) -> bool {
        self.reader.partial()
    }
}
