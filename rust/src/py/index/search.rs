//! SEARCH.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyMapping;

use crate::filepool::{Searching, Segments};
use crate::index::Record;
use crate::index::search::{self, Context};
use crate::py::numbers::{PyUidMap, PyUidSet};
use crate::py::snapshot::PySnapshot;
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
        Ok(search::Bound::new(&self.key, &context).map(|bound| PyBoundSearch(Arc::new(bound))))
    }
}

/// `BoundSearch`
#[pyclass(frozen, name = "BoundSearch", module = "imapvm._core")]
pub(crate) struct PyBoundSearch(Arc<search::Bound>);

#[pymethods]
impl PyBoundSearch {
    #[getter]
    fn candidates(&self) -> PyUidSet {
        self.0.candidates().clone().into()
    }

    fn scan(
        &self,
        snapshot: &PySnapshot,
        mailbox: u64,
        uids: &PyUidSet,
    ) -> PyResult<(PyUidSet, PyUndecided)> {
        let segments = Segments::new(snapshot.group()?, mailbox, Some(&uids.set))?;
        let scanned = self.0.scan(segments, &uids.set)?;
        let undecided = PyUndecided {
            bound: Arc::clone(&self.0),
            records: scanned.open,
        };
        Ok((scanned.found.into(), undecided))
    }
}

/// `Undecided`
#[pyclass(frozen, name = "Undecided", module = "imapvm._core")]
pub(crate) struct PyUndecided {
    bound: Arc<search::Bound>,
    records: Vec<Record>,
}

#[pymethods]
impl PyUndecided {
    fn __len__(&self) -> usize {
        self.records.len()
    }

    fn parts(&self, count: usize) -> Vec<PySearching> {
        let records = self.records.len().div_ceil(count.max(1)).max(1);
        let parts = self.records.chunks(records);
        parts
            .map(|part| PySearching(Searching::new(Arc::clone(&self.bound), part.to_vec())))
            .collect()
    }
}

/// `Searching`
#[pyclass(name = "Searching", module = "imapvm._core")]
pub(crate) struct PySearching(Searching);

#[pymethods]
impl PySearching {
    fn step(&mut self, py: Python<'_>, snapshot: &PySnapshot, most: u64) -> PyResult<bool> {
        let group = snapshot.group()?;
        let search = &mut self.0;
        Ok(py.detach(|| search.step(group, most))?)
    }

    #[getter]
    fn found(&self) -> PyUidSet {
        self.0.found().into()
    }
}
