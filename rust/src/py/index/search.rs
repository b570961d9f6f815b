//! SEARCH.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::of_group::OfGroup;
use crate::filepool::{ColumnBuilder, KeywordTable, SearchTask, Segments, pending_messages};
use crate::index::Record;
use crate::index::search::{
    self, Answers, Collation, HeaderColumns, MailboxKey, SearchContext, Tolerance,
};
use crate::py::numbers::{PyUidMap, PyUidSet};
use crate::py::snapshot::PySnapshot;
use crate::py::wire::PySearchProgram;
use crate::wire::filters::{filter_names, replace_filters};

/// `bind(tolerance=)`
pub(crate) const FUZZY_NONE: u8 = 0;
/// `bind(tolerance=)`
pub(crate) const FUZZY_WORDS: u8 = 1;
/// `bind(tolerance=)`
pub(crate) const FUZZY_EDITS: u8 = 2;

/// `bind(collation=)`
pub(crate) const UNICODE_CASEMAP: u8 = 0;
/// `bind(collation=)`
pub(crate) const ASCII_CASEMAP: u8 = 1;
/// `bind(collation=)`
pub(crate) const COMPARE_BYTES: u8 = 2;

/// Return the collation with such a number.
pub(super) fn collation_of(number: u8) -> Collation {
    match number {
        ASCII_CASEMAP => Collation::AsciiCasemap,
        COMPARE_BYTES => Collation::Bytes,
        _ => Collation::UnicodeCasemap,
    }
}

#[pymethods]
impl PySearchProgram {
    #[getter]
    fn needs_metadata(&self) -> bool {
        search::needs_metadata(&self.key)
    }

    #[getter]
    fn has_extensions(&self) -> bool {
        search::has_extensions(&self.key)
    }

    #[getter]
    fn needs_modseq(&self) -> bool {
        search::needs_modseq(&self.key)
    }

    #[getter]
    fn has_numbers(&self) -> bool {
        search::has_numbers(&self.key)
    }

    #[getter]
    fn filters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, filter_names(&self.key))
    }

    fn replace_filters(
        &self,
        known: HashMap<String, PyRef<'_, PySearchProgram>>,
        max_keys: usize,
    ) -> Option<Self> {
        let known = known
            .into_iter()
            .map(|(name, program)| (name, program.key.clone()))
            .collect();
        let mut left = max_keys;
        let collation = self.collation;
        replace_filters(&self.key, &known, &mut left).map(|key| Self { key, collation })
    }

    #[pyo3(signature = (numbers, saved, *, collation=0))]
    fn with_uids(&self, numbers: &PyUidMap, saved: &PyUidSet, collation: u8) -> Self {
        let key = search::with_uids(&self.key, &numbers.map, &saved.set);
        Self { key, collation }
    }

    #[getter]
    fn ranges(&self) -> usize {
        search::ranges(&self.key)
    }

    fn aged(&self, seconds: u32) -> Option<Self> {
        let collation = self.collation;
        search::aged(&self.key, seconds).map(|key| Self { key, collation })
    }

    #[getter]
    fn fuzzy_texts(&self) -> Option<usize> {
        search::fuzzy_texts(&self.key)
    }

    #[pyo3(signature = (*, numbers, saved, recent, keywords, now, seen=None, id_bits=0, tolerance=2, collation=None))]
    #[allow(clippy::too_many_arguments)] // named ones
    fn bind(
        &self,
        numbers: &PyUidMap,
        saved: &PyUidSet,
        recent: &PyUidSet,
        keywords: Option<(PyRef<'_, PySnapshot>, u64, u32)>,
        now: i64,
        seen: Option<&PyUidSet>,
        id_bits: u64,
        tolerance: u8,
        collation: Option<u8>,
    ) -> PyResult<PyBoundSearch> {
        let wanted = search::keywords(&self.key);
        let sets = match keywords {
            Some((snapshot, mailbox, last)) if !wanted.is_empty() => {
                KeywordTable::new(snapshot.group()?, mailbox)?.sets_with(last, wanted)?
            }
            _ => HashMap::new(),
        };
        let context = SearchContext {
            numbers: &numbers.map,
            saved: &saved.set,
            recent: &recent.set,
            seen: seen.map(|seen| &seen.set),
            id_bits,
            keyword_sets: &sets,
            now,
            tolerance: match tolerance {
                FUZZY_NONE => Tolerance::None,
                FUZZY_WORDS => Tolerance::Words,
                _ => Tolerance::Edits,
            },
            collation: collation_of(collation.unwrap_or(self.collation)),
        };
        let bound = search::BoundSearch::new(&self.key, &context);
        Ok(PyBoundSearch(Arc::new(bound)))
    }
}

/// `HeaderColumns`
#[pyclass(frozen, name = "HeaderColumns", module = "imapvm._core")]
pub(crate) struct PyHeaderColumns(OfGroup<HeaderColumns>);

#[pymethods]
impl PyHeaderColumns {
    #[new]
    fn new(max_bytes: usize) -> Self {
        Self(OfGroup::new(HeaderColumns::new(max_bytes)))
    }

    fn of_group(&self, group: u32) -> Self {
        Self(self.0.of_group(group))
    }

    #[getter]
    fn memory_bytes(&self) -> usize {
        self.0.cache.memory_bytes()
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
    fn keys(&self) -> usize {
        self.0.keys()
    }

    #[getter]
    fn lookups(&self) -> usize {
        self.0.lookups()
    }

    #[getter]
    fn texts(&self) -> usize {
        self.0.texts()
    }

    #[pyo3(signature = (snapshot, mailbox, uids, columns=None))]
    fn scan(
        &self,
        snapshot: &PySnapshot,
        mailbox: u64,
        uids: &PyUidSet,
        columns: Option<&PyHeaderColumns>,
    ) -> PyResult<(PyUidSet, PyUndecidedMessages)> {
        let segments = Segments::new(snapshot.group()?, mailbox, Some(&uids.set))?;
        let asked = columns.map(|columns| Asked {
            columns: Arc::clone(&columns.0.cache),
            place: columns.0.mailbox(mailbox),
            upto: uids.set.last().unwrap_or(0),
        });
        let answers = asked.as_ref().map_or_else(Answers::default, |asked| {
            self.0.look_up(&asked.columns, asked.place, &uids.set)
        });
        let scanned = self.0.scan(segments, &uids.set, &answers)?;
        let undecided = PyUndecidedMessages {
            bound: Arc::clone(&self.0),
            records: scanned.undecided,
            asked,
        };
        Ok((scanned.found.into(), undecided))
    }
}

/// Header columns that a scan used, up to UID `upto`.
struct Asked {
    columns: Arc<HeaderColumns>,
    place: MailboxKey,
    upto: u32,
}

/// Build columns only if at least one in so many metadata has to be read in any case.
const WORTHWHILE: usize = 4;

/// `UndecidedMessages`
#[pyclass(frozen, name = "UndecidedMessages", module = "imapvm._core")]
pub(crate) struct PyUndecidedMessages {
    bound: Arc<search::BoundSearch>,
    records: Vec<Record>,
    asked: Option<Asked>,
}

#[pymethods]
impl PyUndecidedMessages {
    fn __len__(&self) -> usize {
        self.records.len()
    }

    fn column_builders(
        &self,
        snapshot: &PySnapshot,
        limit: usize,
    ) -> PyResult<Vec<PyColumnBuilder>> {
        let Some(Asked {
            columns,
            place,
            upto,
        }) = &self.asked
        else {
            return Ok(Vec::new());
        };
        let collation = self.bound.collation();
        let Some(stale) = columns.stale((*place, collation), &self.bound.fields(), *upto) else {
            return Ok(Vec::new());
        };
        let known = |record: &Record| record.uid <= stale.covered;
        let asking = self.records.len() - self.records.partition_point(known);
        if asking == 0 {
            return Ok(Vec::new());
        }
        let unread = pending_messages(snapshot.group()?, place.mailbox, stale.covered, *upto)?;
        if unread.len() > asking.saturating_mul(WORTHWHILE) {
            return Ok(Vec::new());
        }
        let covered = stale.covered;
        let each = unread.len().div_ceil(limit.max(1)).max(1);
        let parts = unread.chunks(each);
        Ok(parts
            .map(|part| PyColumnBuilder {
                builder: ColumnBuilder::new(&stale.fields, collation, part.to_vec()),
                covered,
            })
            .collect())
    }

    fn store_columns(&self, built: Vec<PyRef<'_, PyColumnBuilder>>) {
        let (Some(asked), Some(covered)) = (&self.asked, built.first().map(|part| part.covered))
        else {
            return;
        };
        for field in self.bound.fields() {
            let parts = built.iter().map(|part| part.builder.column(field));
            let parts: Option<Vec<_>> = parts.collect();
            if let Some(parts) = parts {
                let range = (covered, asked.upto);
                let key = (asked.place, field, self.bound.collation());
                asked.columns.add(key, range, parts);
            }
        }
    }

    fn search_tasks(&self, limit: usize) -> Vec<PySearchTask> {
        let records = self.records.len().div_ceil(limit.max(1)).max(1);
        let parts = self.records.chunks(records);
        parts
            .map(|part| PySearchTask(SearchTask::new(Arc::clone(&self.bound), part.to_vec())))
            .collect()
    }
}

/// `SearchTask`
#[pyclass(name = "SearchTask", module = "imapvm._core")]
pub(crate) struct PySearchTask(SearchTask);

#[pymethods]
impl PySearchTask {
    fn step(&mut self, py: Python<'_>, snapshot: &PySnapshot, max_bytes: u64) -> PyResult<bool> {
        let group = snapshot.group()?;
        let search = &mut self.0;
        Ok(py.detach(|| search.step(group, max_bytes))?)
    }

    #[getter]
    fn found(&self) -> PyUidSet {
        self.0.found().into()
    }
}

/// `ColumnBuilder`
#[pyclass(name = "ColumnBuilder", module = "imapvm._core")]
pub(crate) struct PyColumnBuilder {
    builder: ColumnBuilder,
    /// Columns were complete up to this UID.
    covered: u32,
}

#[pymethods]
impl PyColumnBuilder {
    fn __len__(&self) -> usize {
        self.builder.len()
    }

    fn step(&mut self, py: Python<'_>, snapshot: &PySnapshot, max_bytes: u64) -> PyResult<bool> {
        let group = snapshot.group()?;
        let builder = &mut self.builder;
        Ok(py.detach(|| builder.step(group, max_bytes))?)
    }
}
