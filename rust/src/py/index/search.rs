//! SEARCH.

use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyMapping;

use super::segments::PyRecord;
use crate::index::search::{self, Context, Decision, TextSearch};
use crate::message::Digest;
use crate::numbers::Corrupt;
use crate::py::buffer::Octets;
use crate::py::numbers::{PyUidMap, PyUidSet};
use crate::py::wire::PySearchProgram;

#[pymethods]
impl PySearchProgram {
    #[getter]
    fn needs_digest(&self) -> bool {
        search::needs_digest(&self.key)
    }

    #[getter]
    fn asks_modseq(&self) -> bool {
        search::asks_modseq(&self.key)
    }

    #[pyo3(signature = (*, numbers, saved, recent, keyword_sets, now))]
    fn bind(
        &self,
        numbers: &PyUidMap,
        saved: &PyUidSet,
        recent: &PyUidSet,
        keyword_sets: &Bound<'_, PyMapping>,
        now: i64,
    ) -> PyResult<Option<PyBoundSearch>> {
        let sets: Vec<(u32, Vec<String>)> = if search::asks_keywords(&self.key) {
            let items = keyword_sets.items()?;
            items
                .iter()
                .map(|item| item.extract())
                .collect::<PyResult<_>>()?
        } else {
            Vec::new()
        };
        let context = Context {
            numbers: &numbers.map,
            saved: &saved.set,
            recent: &recent.set,
            keyword_sets: &sets,
            now,
        };
        Ok(search::Bound::new(&self.key, &context).map(PyBoundSearch))
    }
}

/// `BoundSearch`
#[pyclass(frozen, name = "BoundSearch", module = "imapvm._core")]
pub(crate) struct PyBoundSearch(search::Bound);

#[pymethods]
impl PyBoundSearch {
    #[getter]
    fn candidates(&self) -> PyUidSet {
        self.0.candidates().clone().into()
    }

    #[allow(clippy::needless_pass_by_value)] // holds the buffers
    fn scan(&self, segments: Vec<Octets<'_>>) -> PyResult<(PyUidSet, Vec<PyRecord>)> {
        let scanned = self.0.scan(segments.iter().map(|segment| &**segment))?;
        let open = scanned.open.into_iter().map(PyRecord::from);
        Ok((scanned.found.into(), open.collect()))
    }

    #[allow(clippy::needless_pass_by_value)] // holds the buffers
    fn decide<'py>(
        &self,
        py: Python<'py>,
        records: Vec<PyRef<'py, PyRecord>>,
        digests: Vec<Octets<'py>>,
    ) -> PyResult<Vec<Py<PyAny>>> {
        if records.len() != digests.len() {
            return Err(PyValueError::new_err(
                "as many digests as records are needed",
            ));
        }
        let each = records.iter().zip(&digests).map(|(record, digest)| {
            let digest = Digest::open(digest).map_err(|_| Corrupt("a digest is damaged"))?;
            match self.0.decide(&record.record, &digest) {
                Decision::Known(known) => known.into_py_any(py),
                Decision::Text(search) => PyTextSearch(*search).into_py_any(py),
            }
        });
        each.collect()
    }
}

/// `TextSearch`
#[pyclass(name = "TextSearch", module = "imapvm._core")]
pub(crate) struct PyTextSearch(TextSearch);

#[pymethods]
impl PyTextSearch {
    fn wanted(&self) -> Option<(u64, u64)> {
        self.0.wanted().map(|range| (range.offset, range.length))
    }

    #[allow(clippy::needless_pass_by_value)] // holds the buffer
    fn feed(&mut self, data: Octets<'_>) {
        self.0.feed(&data);
    }

    #[getter]
    fn matched(&self) -> bool {
        self.0.matched()
    }
}
