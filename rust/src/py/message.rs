//! Python faces of `message`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::buffer::Octets;
use crate::filepool::{self, MessageEncoder};
use crate::message::{MessageMetadata, Range, Scanner, TransferDecoder};
use crate::wire::ast::SectionText;

/// `Scanner`
#[pyclass(name = "Scanner", module = "imapvm._core")]
#[derive(Default)]
pub(crate) struct PyScanner {
    /// None once it is finished.
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

    fn feed(&mut self, data: Octets<'_>) -> PyResult<()> {
        self.scanner.as_mut().ok_or_else(finished)?.feed(&data);
        Ok(())
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let scanner = self.scanner.take().ok_or_else(finished)?;
        Ok(PyBytes::new(py, &scanner.finish()))
    }
}

/// `Packer`
#[pyclass(name = "Packer", module = "imapvm._core")]
#[derive(Default)]
pub(crate) struct PyMessageEncoder {
    packing: MessageEncoder,
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
        self.packing.size()
    }

    #[getter]
    fn held(&self) -> usize {
        self.packing.held()
    }

    fn feed(&mut self, data: Octets<'_>) -> usize {
        self.packing.feed(&data);
        self.packing.waiting()
    }

    fn take_values<'py>(&mut self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let values = self.packing.take_values();
        values.iter().map(|value| PyBytes::new(py, value)).collect()
    }

    fn finish<'py>(
        &mut self,
        py: Python<'py>,
        first: u32,
        references: usize,
    ) -> PyResult<(Rows<'py>, Bound<'py, PyBytes>, Bound<'py, PyTuple>)> {
        let packed = std::mem::take(&mut self.packing).finish(first, references);
        let rows = packed.rows.iter();
        Ok((
            rows.map(|(chunk, value)| (*chunk, PyBytes::new(py, value)))
                .collect(),
            PyBytes::new(py, &packed.metadata),
            PyTuple::new(py, &packed.threads)?,
        ))
    }
}

/// `Digest`
#[pyclass(frozen, name = "Digest", module = "imapvm._core")]
pub(crate) struct PyMessageMetadata {
    /// Was opened once, so that it can be opened again without its checksum.
    stored: Py<PyBytes>,
}

impl PyMessageMetadata {
    fn digest<'a>(&'a self, py: Python<'a>) -> PyResult<MessageMetadata<'a>> {
        Ok(MessageMetadata::reopen(self.stored.as_bytes(py))?)
    }
}

/// `section-spec` without HEADER.FIELDS; None for anything else.
fn section(text: &str) -> Option<(Vec<u32>, SectionText)> {
    let mut part = Vec::new();
    let mut rest = text;
    while rest.starts_with(|char: char| char.is_ascii_digit()) {
        let (number, behind) = rest.split_once('.').unwrap_or((rest, ""));
        part.push(number.parse().ok()?);
        if behind.is_empty() && rest.ends_with('.') {
            return None;
        }
        rest = behind;
    }
    let what = match rest.to_ascii_uppercase().as_str() {
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
        Ok(self.digest(py)?.size())
    }

    #[getter]
    fn header_size(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.digest(py)?.header_size())
    }

    #[getter]
    fn envelope<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.digest(py)?.envelope()))
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.digest(py)?.body()))
    }

    #[getter]
    fn bodystructure<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.digest(py)?.bodystructure()))
    }

    #[getter]
    fn preview(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.digest(py)?.preview().to_owned())
    }

    #[getter]
    fn sent(&self, py: Python<'_>) -> PyResult<Option<i64>> {
        Ok(self.digest(py)?.sent().map(|(seconds, _)| seconds))
    }

    #[getter]
    fn subject(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.digest(py)?.subject().to_owned())
    }

    #[getter]
    fn base_subject(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.digest(py)?.base_subject().to_owned())
    }

    #[getter]
    fn message_id<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        Ok(self.digest(py)?.message_id().map(|id| PyBytes::new(py, id)))
    }

    #[getter]
    fn references<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        Ok(self
            .digest(py)?
            .references()
            .map(|id| PyBytes::new(py, id))
            .collect())
    }

    #[getter]
    fn part_count(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.digest(py)?.part_count())
    }

    fn locate(&self, py: Python<'_>, section: &str) -> PyResult<Option<(u64, u64)>> {
        let Some((part, text)) = self::section(section) else {
            return Ok(None);
        };
        let found = self.digest(py)?.locate(&part, &text);
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
            _ => Err(PyValueError::new_err("no encoding that can be undone")),
        }
    }

    fn feed<'py>(&mut self, py: Python<'py>, data: Octets<'_>) -> Bound<'py, PyBytes> {
        let mut octets = Vec::new();
        self.decoder.feed(&data, &mut octets);
        PyBytes::new(py, &octets)
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut octets = Vec::new();
        self.decoder.finish(&mut octets);
        PyBytes::new(py, &octets)
    }
}

/// `decompress`
#[pyfunction]
#[pyo3(signature = (data, *, size))]
pub(crate) fn decompress<'py>(
    py: Python<'py>,
    data: Octets<'_>,
    size: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &filepool::decompress(&data, size)?))
}
