//! Names, patterns, responses, dot-stuffing.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::py::buffer::ReadBuffer;
use crate::py::numbers::PyUidSet;
use crate::wire::dots::DotReader;
use crate::wire::names;
use crate::wire::pattern::Pattern;
use crate::wire::writer::{self, ResponseWriter};

/// `mailbox_name`
#[pyfunction]
#[pyo3(signature = (name, *, utf8))]
pub(crate) fn mailbox_name<'py>(py: Python<'py>, name: &str, utf8: bool) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &names::encode(name, utf8))
}

/// `decode_utf7`
#[pyfunction]
pub(crate) fn decode_utf7(name: &str) -> Option<String> {
    names::decode_utf7(name.as_bytes())
}

/// `imap_string`
#[pyfunction]
#[pyo3(signature = (text, *, utf8 = false))]
pub(crate) fn imap_string<'py>(
    py: Python<'py>,
    text: ReadBuffer<'py>,
    utf8: bool,
) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &writer::string(&text, utf8))
}

/// `ListMatcher`
#[pyclass(frozen, name = "ListMatcher", module = "imapvm._core")]
pub(crate) struct PyListMatcher(Vec<Pattern>);

#[pymethods]
impl PyListMatcher {
    #[new]
    #[pyo3(signature = (patterns, delimiter = "/"))]
    fn new(patterns: Vec<String>, delimiter: &str) -> PyResult<Self> {
        let mut characters = delimiter.chars();
        let delimiter = characters.next();
        if characters.next().is_some() {
            return Err(PyValueError::new_err(
                "a delimiter is one character, or none",
            ));
        }
        Ok(Self(
            patterns
                .iter()
                .map(|pattern| Pattern::new(pattern, delimiter))
                .collect(),
        ))
    }

    fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }
}

/// `ResponseWriter`
#[pyclass(name = "ResponseWriter", module = "imapvm._core")]
pub(crate) struct PyResponseWriter {
    pub(crate) writer: ResponseWriter,
    /// Translates human-readable text: LANGUAGE. None costs nothing.
    translate: Option<Py<PyAny>>,
}

impl PyResponseWriter {
    /// Call `write` with a text in the language of the client.
    fn translated(
        &mut self,
        py: Python<'_>,
        text: &str,
        write: impl FnOnce(&mut ResponseWriter, &str),
    ) -> PyResult<()> {
        match &self.translate {
            None => write(&mut self.writer, text),
            Some(translate) => {
                let text: String = translate.call1(py, (text,))?.extract(py)?;
                write(&mut self.writer, &text);
            }
        }
        Ok(())
    }
}

#[pymethods]
impl PyResponseWriter {
    #[new]
    fn new() -> Self {
        Self {
            writer: ResponseWriter::default(),
            translate: None,
        }
    }

    fn __len__(&self) -> usize {
        self.writer.len()
    }

    fn take<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.writer.take_with(|bytes| PyBytes::new(py, bytes))
    }

    fn discard_unfinished(&mut self) -> bool {
        self.writer.discard_unfinished()
    }

    fn raw(&mut self, data: ReadBuffer<'_>) {
        self.writer.raw(&data);
    }

    fn untagged(&mut self, text: ReadBuffer<'_>) {
        self.writer.untagged(&text);
    }

    fn search(&mut self, numbers: &PyUidSet) {
        self.writer.search(&numbers.set);
    }

    #[pyo3(signature = (tag, status, text, code = None))]
    fn tagged(
        &mut self,
        py: Python<'_>,
        tag: ReadBuffer<'_>,
        status: &str,
        text: &str,
        code: Option<&str>,
    ) -> PyResult<()> {
        self.translated(py, text, |out, text| out.tagged(&tag, status, text, code))
    }

    #[pyo3(signature = (translate))]
    fn set_translation(&mut self, translate: Option<Py<PyAny>>) {
        self.writer.set_utf8_texts(translate.is_some());
        self.translate = translate;
    }

    fn prompt(&mut self, py: Python<'_>, text: &str) -> PyResult<()> {
        self.translated(py, text, |out, text| out.continuation(text.as_bytes()))
    }

    #[pyo3(signature = (status, text, code = None))]
    fn condition(
        &mut self,
        py: Python<'_>,
        status: &str,
        text: &str,
        code: Option<&str>,
    ) -> PyResult<()> {
        self.translated(py, text, |out, text| out.condition(status, text, code))
    }

    #[pyo3(signature = (text = None), text_signature = "($self, text=b'')")]
    fn continuation(&mut self, text: Option<ReadBuffer<'_>>) {
        self.writer
            .continuation(text.as_deref().unwrap_or_default());
    }

    fn exists(&mut self, count: u32) {
        self.writer.exists(count);
    }

    fn recent(&mut self, count: u32) {
        self.writer.recent(count);
    }

    fn expunged(&mut self, numbers: Vec<u32>) {
        for number in numbers {
            self.writer.expunged(number);
        }
    }

    #[pyo3(signature = (uids, *, earlier))]
    fn vanished(&mut self, uids: &PyUidSet, earlier: bool) {
        self.writer.vanished(&uids.set.to_imap(), earlier);
    }
}

/// `DotReader`
#[pyclass(name = "DotReader", module = "imapvm._core")]
pub(crate) struct PyDotReader(DotReader);

#[pymethods]
impl PyDotReader {
    #[new]
    fn new() -> Self {
        Self(DotReader::default())
    }

    fn feed<'py>(&mut self, py: Python<'py>, data: ReadBuffer<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.feed(&data))
    }

    #[getter]
    fn done(&self) -> bool {
        self.0.done()
    }

    #[getter]
    fn tail<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.tail())
    }
}
