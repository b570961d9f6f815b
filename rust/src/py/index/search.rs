//! SEARCH.

use std::ops::Range;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyMapping;

use crate::index::Record;
use crate::index::search::{self, Context, Decision, TextSearch};
use crate::message::Digest;
use crate::numbers::{Corrupt, Runs};
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
    fn scan(
        &self,
        segments: Vec<Octets<'_>>,
        uids: &PyUidSet,
    ) -> PyResult<(PyUidSet, PyUndecided)> {
        let stored = segments.iter().map(|segment| &**segment);
        let scanned = self.0.scan(stored, &uids.set)?;
        Ok((scanned.found.into(), scanned.open.into()))
    }

    fn decide(
        &self,
        undecided: &PyUndecided,
        digests: &Bound<'_, PyMapping>,
    ) -> PyResult<(PyUidSet, Vec<PyTextSearch>)> {
        let (mut found, mut open) = (Runs::new(), Vec::new());
        for record in undecided.records() {
            let digest: Octets<'_> = digests.get_item(record.body)?.extract()?;
            let digest = Digest::open(&digest).map_err(|_| Corrupt("a digest is damaged"))?;
            match self.0.decide(record, &digest) {
                Decision::Known(true) => found.push(record.uid, record.uid),
                Decision::Known(false) => {}
                Decision::Text(search) => open.push(PyTextSearch {
                    uid: record.uid,
                    body: record.body,
                    search: *search,
                }),
            }
        }
        Ok((found.finish().into(), open))
    }
}

/// `Undecided`
#[pyclass(frozen, name = "Undecided", module = "imapvm._core")]
pub(crate) struct PyUndecided {
    /// Of all batches that were split off, ascending.
    all: Arc<[Record]>,
    /// Which of them are in this one.
    these: Range<usize>,
}

impl From<Vec<Record>> for PyUndecided {
    fn from(records: Vec<Record>) -> Self {
        Self {
            these: 0..records.len(),
            all: records.into(),
        }
    }
}

impl PyUndecided {
    fn records(&self) -> &[Record] {
        self.all.get(self.these.clone()).unwrap_or_default()
    }

    fn part(&self, these: Range<usize>) -> Self {
        Self {
            all: Arc::clone(&self.all),
            these,
        }
    }
}

#[pymethods]
impl PyUndecided {
    fn __len__(&self) -> usize {
        self.these.len()
    }

    #[getter]
    fn bodies(&self) -> Vec<u64> {
        self.records().iter().map(|record| record.body).collect()
    }

    fn split(&self, count: usize) -> (Self, Self) {
        let Range { start, end } = self.these;
        let middle = start.saturating_add(count).min(end);
        (self.part(start..middle), self.part(middle..end))
    }
}

/// `TextSearch`
#[pyclass(name = "TextSearch", module = "imapvm._core")]
pub(crate) struct PyTextSearch {
    uid: u32,
    body: u64,
    search: TextSearch,
}

#[pymethods]
impl PyTextSearch {
    #[getter]
    fn uid(&self) -> u32 {
        self.uid
    }

    #[getter]
    fn body(&self) -> u64 {
        self.body
    }

    fn wanted(&self) -> Option<(u64, u64)> {
        let wanted = self.search.wanted();
        wanted.map(|range| (range.offset, range.length))
    }

    #[allow(clippy::needless_pass_by_value)] // holds the buffer
    fn feed(&mut self, data: Octets<'_>) {
        self.search.feed(&data);
    }

    #[getter]
    fn matched(&self) -> bool {
        self.search.matched()
    }
}
