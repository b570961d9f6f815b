//! SEARCH.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyMapping;

use crate::filepool::{ColumnBuilder, SearchTask, Segments, pending_messages};
use crate::index::Record;
use crate::index::search::{self, Answers, Context, HeaderColumns, MailboxKey};
use crate::py::numbers::{PyUidMap, PyUidSet};
use crate::py::snapshot::PySnapshot;
use crate::py::wire::PySearchProgram;

#[pymethods]
impl PySearchProgram {
    #[getter]
    fn needs_digest(&self) -> bool {
        search::needs_metadata(&self.key)
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
        Ok(search::BoundSearch::new(&self.key, &context)
            .map(|bound| PyBoundSearch(Arc::new(bound))))
    }
}

/// `HeaderColumns`
#[pyclass(frozen, name = "HeaderColumns", module = "imapvm._core")]
pub(crate) struct PyHeaderColumns {
    columns: Arc<HeaderColumns>,
    group: u32,
}

#[pymethods]
impl PyHeaderColumns {
    #[new]
    fn new(most: usize) -> Self {
        Self {
            columns: Arc::new(HeaderColumns::new(most)),
            group: 0,
        }
    }

    fn of_group(&self, group: u32) -> Self {
        Self {
            columns: Arc::clone(&self.columns),
            group,
        }
    }

    #[getter]
    fn octets(&self) -> usize {
        self.columns.memory_bytes()
    }
}

/// `BoundSearch`
#[pyclass(frozen, name = "BoundSearch", module = "imapvm._core")]
pub(crate) struct PyBoundSearch(Arc<search::BoundSearch>);

#[pymethods]
impl PyBoundSearch {
    #[getter]
    fn candidates(&self) -> PyUidSet {
        self.0.candidates().clone().into()
    }

    #[getter]
    fn lookups(&self) -> usize {
        self.0.lookups()
    }

    #[pyo3(signature = (snapshot, mailbox, uids, columns=None))]
    fn scan(
        &self,
        snapshot: &PySnapshot,
        mailbox: u64,
        uids: &PyUidSet,
        columns: Option<&PyHeaderColumns>,
    ) -> PyResult<(PyUidSet, PyUndecided)> {
        let segments = Segments::new(snapshot.group()?, mailbox, Some(&uids.set))?;
        let asked = columns.map(|columns| Asked {
            columns: Arc::clone(&columns.columns),
            place: MailboxKey {
                group: columns.group,
                mailbox,
            },
            upto: uids.set.last().unwrap_or(0),
        });
        let answers = asked.as_ref().map_or_else(Answers::default, |asked| {
            self.0.look_up(&asked.columns, asked.place, &uids.set)
        });
        let scanned = self.0.scan(segments, &uids.set, &answers)?;
        let undecided = PyUndecided {
            bound: Arc::clone(&self.0),
            records: scanned.undecided,
            asked,
        };
        Ok((scanned.found.into(), undecided))
    }
}

/// Header columns that were looked up, and for messages up to which UID.
struct Asked {
    columns: Arc<HeaderColumns>,
    place: MailboxKey,
    upto: u32,
}

/// Columns are filled where at least one of so many digests would have to be read anyway.
const WORTHWHILE: usize = 4;

/// `Undecided`
#[pyclass(frozen, name = "Undecided", module = "imapvm._core")]
pub(crate) struct PyUndecided {
    bound: Arc<search::BoundSearch>,
    records: Vec<Record>,
    asked: Option<Asked>,
}

#[pymethods]
impl PyUndecided {
    fn __len__(&self) -> usize {
        self.records.len()
    }

    fn gather(&self, snapshot: &PySnapshot, parts: usize) -> PyResult<Vec<PyColumnBuilder>> {
        let Some(Asked {
            columns,
            place,
            upto,
        }) = &self.asked
        else {
            return Ok(Vec::new());
        };
        let Some(behind) = columns.stale(*place, &self.bound.fields(), *upto) else {
            return Ok(Vec::new());
        };
        let known = |record: &Record| record.uid <= behind.covered;
        let asking = self.records.len() - self.records.partition_point(known);
        if asking == 0 {
            return Ok(Vec::new());
        }
        let unread = pending_messages(snapshot.group()?, place.mailbox, behind.covered, *upto)?;
        if unread.len() > asking.saturating_mul(WORTHWHILE) {
            return Ok(Vec::new());
        }
        let covered = behind.covered;
        let each = unread.len().div_ceil(parts.max(1)).max(1);
        let parts = unread.chunks(each);
        Ok(parts
            .map(|part| PyColumnBuilder {
                gathering: ColumnBuilder::new(&behind.fields, part.to_vec()),
                covered,
            })
            .collect())
    }

    fn keep(&self, gathered: Vec<PyRef<'_, PyColumnBuilder>>) {
        let (Some(asked), Some(covered)) = (&self.asked, gathered.first().map(|part| part.covered))
        else {
            return;
        };
        for field in self.bound.fields() {
            let parts = gathered.iter().map(|part| part.gathering.column(field));
            let parts: Option<Vec<_>> = parts.collect();
            if let Some(parts) = parts {
                let range = (covered, asked.upto);
                asked.columns.add(asked.place, field, range, parts);
            }
        }
    }

    fn parts(&self, count: usize) -> Vec<PySearchTask> {
        let records = self.records.len().div_ceil(count.max(1)).max(1);
        let parts = self.records.chunks(records);
        parts
            .map(|part| PySearchTask(SearchTask::new(Arc::clone(&self.bound), part.to_vec())))
            .collect()
    }
}

/// `Searching`
#[pyclass(name = "Searching", module = "imapvm._core")]
pub(crate) struct PySearchTask(SearchTask);

#[pymethods]
impl PySearchTask {
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

/// `Gathering`
#[pyclass(name = "Gathering", module = "imapvm._core")]
pub(crate) struct PyColumnBuilder {
    gathering: ColumnBuilder,
    /// What was gathered begins behind this UID.
    covered: u32,
}

#[pymethods]
impl PyColumnBuilder {
    fn __len__(&self) -> usize {
        self.gathering.len()
    }

    fn step(&mut self, py: Python<'_>, snapshot: &PySnapshot, most: u64) -> PyResult<bool> {
        let group = snapshot.group()?;
        let gathering = &mut self.gathering;
        Ok(py.detach(|| gathering.step(group, most))?)
    }
}
