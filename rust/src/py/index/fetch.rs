//! FETCH.

use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMapping};

use crate::index::fetch::{self, BinarySlice, BodySlice, Piece, Request, Source};
use crate::py::buffer::ReadBuffer;
use crate::py::numbers::{PyUidMap, PyUidSet};
use crate::py::wire::PyFetchItems;

/// `BodySlice`
#[pyclass(frozen, eq, hash, name = "BodySlice", module = "imapvm._core")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct PyBodySlice(BodySlice);

#[pymethods]
impl PyBodySlice {
    #[getter]
    fn body(&self) -> u64 {
        self.0.body
    }

    #[getter]
    fn offset(&self) -> u64 {
        self.0.offset
    }

    #[getter]
    fn length(&self) -> u64 {
        self.0.length
    }

    fn __repr__(&self) -> String {
        let BodySlice {
            body,
            offset,
            length,
        } = self.0;
        format!("BodySlice(body={body}, offset={offset}, length={length})")
    }
}

/// `BinarySlice`
#[pyclass(frozen, eq, hash, name = "BinarySlice", module = "imapvm._core")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct PyBinarySlice(pub(crate) BinarySlice);

#[pymethods]
impl PyBinarySlice {
    #[getter]
    fn body(&self) -> u64 {
        self.0.body
    }

    #[getter]
    fn offset(&self) -> u64 {
        self.0.offset
    }

    #[getter]
    fn length(&self) -> u64 {
        self.0.length
    }

    #[getter]
    fn encoding(&self) -> i8 {
        self.0.encoding
    }

    #[getter]
    fn start(&self) -> u64 {
        self.0.start
    }

    #[getter]
    fn count(&self) -> Option<u64> {
        self.0.count
    }

    #[getter]
    fn size_only(&self) -> bool {
        self.0.size_only
    }
}

/// Keyword names and metadata from the caller's mappings.
struct Mappings<'a, 'py> {
    keywords: &'a Bound<'py, PyMapping>,
    metadata: &'a Bound<'py, PyMapping>,
}

impl<'py> Source for Mappings<'_, 'py> {
    type Error = PyErr;
    type Bytes = ReadBuffer<'py>;

    fn keywords(&self, set: u32) -> PyResult<ReadBuffer<'py>> {
        self.keywords.get_item(set)?.extract()
    }

    fn metadata(&self, body: u64) -> PyResult<ReadBuffer<'py>> {
        self.metadata.get_item(body)?.extract()
    }
}

#[pyfunction]
#[pyo3(signature = (
    items, numbers, wanted, segments, *, keywords, recent, metadata, flags_too=None
))]
#[allow(clippy::too_many_arguments)] // named ones
#[allow(clippy::needless_pass_by_value)] // holds the buffers
pub(crate) fn render_fetch<'py>(
    py: Python<'py>,
    items: &PyFetchItems,
    numbers: &PyUidMap,
    wanted: &PyUidSet,
    segments: Vec<ReadBuffer<'py>>,
    keywords: &Bound<'py, PyMapping>,
    recent: Option<&PyUidSet>,
    metadata: &Bound<'py, PyMapping>,
    flags_too: Option<&PyUidSet>,
) -> PyResult<Vec<Py<PyAny>>> {
    let request = Request {
        items: &items.items,
        numbers: &numbers.map,
        wanted: &wanted.set,
        recent: recent.map(|recent| &recent.set),
        seen: None,
        id_bits: 0,
        flags_too: flags_too.map(|uids| &uids.set),
        uid_fetch: items.uid_fetch,
    };
    let stored = segments.iter().map(|segment| &**segment);
    let pieces = fetch::render(&request, stored, &Mappings { keywords, metadata })?;
    let python = pieces.into_iter().map(|piece| match piece {
        Piece::Text { bytes, .. } => PyBytes::new(py, &bytes).into_py_any(py),
        Piece::Body(slice) => PyBodySlice(slice).into_py_any(py),
        Piece::Binary(slice) => PyBinarySlice(slice).into_py_any(py),
    });
    python.collect()
}
