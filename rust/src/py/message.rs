//! Python classes of `message`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::buffer::ReadBuffer;
use crate::filepool::MessageEncoder;
use crate::message::{MessageMetadata, Range, Scanner, TransferDecoder};
use crate::wire::ast::SectionText;

/// `Scanner`
#[pyclass(name = "Scanner", module = "imapvm._core")]
#[derive(Default)]
pub(crate) struct PyScanner {
    /// None after `finish`.
    scanner: Option<Scanner>,
}

fn finished() -> PyErr {
    PyValueError::new_err("the scanner is finished")
}

#[pymethods]
impl PyScanner {
    #[new]
    fn new() -> Self {
        Self {
            scanner: Some(Scanner::new()),
        }
    }

    fn feed(&mut self, data: ReadBuffer<'_>) -> PyResult<()> {
        self.scanner.as_mut().ok_or_else(finished)?.feed(&data);
        Ok(())
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let scanner = self.scanner.take().ok_or_else(finished)?;
        Ok(PyBytes::new(py, &scanner.finish()))
    }
}

/// `MessageEncoder`
#[pyclass(name = "MessageEncoder", module = "imapvm._core")]
#[derive(Default)]
pub(crate) struct PyMessageEncoder {
    encoder: MessageEncoder,
}

type Rows<'py> = Vec<(u32, Bound<'py, PyBytes>)>;

#[pymethods]
impl PyMessageEncoder {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    #[getter]
    fn size(&self) -> u64 {
        self.encoder.size()
    }

    #[getter]
    fn held(&self) -> usize {
        self.encoder.held()
    }

    fn feed(&mut self, data: ReadBuffer<'_>) -> usize {
        self.encoder.feed(&data);
        self.encoder.waiting()
    }

    fn take_values<'py>(&mut self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let values = self.encoder.take_values();
        values.iter().map(|value| PyBytes::new(py, value)).collect()
    }

    fn finish<'py>(
        &mut self,
        py: Python<'py>,
        first: u32,
        references: usize,
    ) -> PyResult<(Rows<'py>, Bound<'py, PyBytes>, Bound<'py, PyTuple>)> {
        let packed = std::mem::take(&mut self.encoder).finish(first, references);
        let rows = packed.rows.iter();
        Ok((
            rows.map(|(chunk, value)| (*chunk, PyBytes::new(py, value)))
                .collect(),
            PyBytes::new(py, &packed.metadata),
            PyTuple::new(py, &packed.threads)?,
        ))
    }
}

/// `MessageMetadata`
#[pyclass(frozen, name = "MessageMetadata", module = "imapvm._core")]
pub(crate) struct PyMessageMetadata {
    /// Verified when it was opened; opened again without its checksum.
    stored: Py<PyBytes>,
}

impl PyMessageMetadata {
    fn metadata<'a>(&'a self, py: Python<'a>) -> PyResult<MessageMetadata<'a>> {
        Ok(MessageMetadata::reopen(self.stored.as_bytes(py))?)
    }
}

/// `section-spec` without HEADER.FIELDS; None for anything else.
fn section(text: &str) -> Option<(Vec<u32>, SectionText)> {
    let mut part = Vec::new();
    let mut tail = text;
    while tail.starts_with(|char: char| char.is_ascii_digit()) {
        let (number, following) = tail.split_once('.').unwrap_or((tail, ""));
        part.push(number.parse().ok()?);
        if following.is_empty() && tail.ends_with('.') {
            return None;
        }
        tail = following;
    }
    let what = match tail.to_ascii_uppercase().as_str() {
        "" => SectionText::All,
        "HEADER" => SectionText::Header,
        "TEXT" => SectionText::Text,
        "MIME" => SectionText::Mime,
        _ => return None,
    };
    Some((part, what))
}

#[pymethods]
impl PyMessageMetadata {
    #[new]
    fn new(stored: Bound<'_, PyBytes>) -> PyResult<Self> {
        MessageMetadata::open(stored.as_bytes())?;
        Ok(Self {
            stored: stored.unbind(),
        })
    }

    #[getter]
    fn size(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.metadata(py)?.size())
    }

    #[getter]
    fn header_size(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.metadata(py)?.header_size())
    }

    #[getter]
    fn envelope<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.metadata(py)?.envelope()))
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.metadata(py)?.body()))
    }

    #[getter]
    fn bodystructure<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.metadata(py)?.bodystructure()))
    }

    #[getter]
    fn preview(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.metadata(py)?.preview().to_owned())
    }

    #[getter]
    fn sent(&self, py: Python<'_>) -> PyResult<Option<i64>> {
        Ok(self.metadata(py)?.sent().map(|(seconds, _)| seconds))
    }

    #[getter]
    fn subject(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.metadata(py)?.subject().to_owned())
    }

    #[getter]
    fn base_subject(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.metadata(py)?.base_subject().to_owned())
    }

    #[getter]
    fn message_id<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        Ok(self
            .metadata(py)?
            .message_id()
            .map(|id| PyBytes::new(py, id)))
    }

    #[getter]
    fn references<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        Ok(self
            .metadata(py)?
            .references()
            .map(|id| PyBytes::new(py, id))
            .collect())
    }

    #[getter]
    fn part_count(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.metadata(py)?.part_count())
    }

    fn locate(&self, py: Python<'_>, section: &str) -> PyResult<Option<(u64, u64)>> {
        let Some((part, text)) = self::section(section) else {
            return Ok(None);
        };
        let found = self.metadata(py)?.locate(&part, &text);
        Ok(found.map(|Range { offset, length }| (offset, length)))
    }
}

/// `TransferDecoder`
#[pyclass(name = "TransferDecoder", module = "imapvm._core")]
pub(crate) struct PyTransferDecoder {
    decoder: TransferDecoder,
}

#[pymethods]
impl PyTransferDecoder {
    #[new]
    fn new(encoding: i64) -> PyResult<Self> {
        match i8::try_from(encoding) {
            Ok(encoding @ 0..=2) => Ok(Self {
                decoder: TransferDecoder::new(encoding),
            }),
            _ => Err(PyValueError::new_err("unknown transfer encoding")),
        }
    }

    fn feed<'py>(&mut self, py: Python<'py>, data: ReadBuffer<'_>) -> Bound<'py, PyBytes> {
        let mut decoded = Vec::new();
        self.decoder.feed(&data, &mut decoded);
        PyBytes::new(py, &decoded)
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut decoded = Vec::new();
        self.decoder.finish(&mut decoded);
        PyBytes::new(py, &decoded)
    }
}
