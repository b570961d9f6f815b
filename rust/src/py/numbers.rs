//! Python classes of `numbers`.

use pyo3::IntoPyObjectExt as _;
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::CorruptError;
use super::buffer::ReadBuffer;
use super::wire::PySequenceSet;
use crate::Corrupt;
use crate::index::Segment;
use crate::numbers::{BadRun, Run, Runs, UidMap, UidSet};
use crate::wire::ast::Window;

/// The only place that turns corrupt data into an exception.
impl From<Corrupt> for PyErr {
    fn from(corrupt: Corrupt) -> Self {
        CorruptError::new_err(corrupt.0)
    }
}

fn bad_run(run: BadRun) -> PyErr {
    PyValueError::new_err(format!("not a run of UIDs: {}:{}", run.0, run.1))
}

/// Extract a number of a set. One that does not fit is a `ValueError`, as zero is.
fn number(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    value.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            PyValueError::new_err(format!("not a UID: it is not between 1 and {}", u32::MAX))
        } else {
            error
        }
    })
}

/// `UidSet`
#[pyclass(frozen, name = "UidSet", module = "imapvm._core")]
pub(crate) struct PyUidSet {
    pub(crate) set: UidSet,
}

impl From<UidSet> for PyUidSet {
    fn from(set: UidSet) -> Self {
        Self { set }
    }
}

#[pymethods]
impl PyUidSet {
    #[new]
    #[pyo3(signature = (runs=None), text_signature = "(runs=())")]
    fn new(runs: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let mut collected: Vec<Run> = Vec::new();
        if let Some(runs) = runs {
            for run in runs.try_iter()? {
                let (first, last): (Bound<'_, PyAny>, Bound<'_, PyAny>) = run?.extract()?;
                collected.push((number(&first)?, number(&last)?));
            }
        }
        UidSet::from_runs(collected)
            .map(Self::from)
            .map_err(bad_run)
    }

    #[staticmethod]
    fn of(uids: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut collected = Vec::new();
        for uid in uids.try_iter()? {
            collected.push(number(&uid?)?);
        }
        UidSet::of(collected).map(Self::from).map_err(bad_run)
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)] // holds the buffer
    fn from_bytes(stored: ReadBuffer<'_>) -> PyResult<Self> {
        Ok(UidSet::from_bytes(&stored)?.into())
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.set.to_bytes())
    }

    fn to_imap<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.set.to_imap())
    }

    fn runs(&self) -> Vec<Run> {
        self.set.runs().to_vec()
    }

    #[getter]
    fn ranges(&self) -> usize {
        self.set.runs().len()
    }

    #[getter]
    fn first(&self) -> Option<u32> {
        self.set.first()
    }

    #[getter]
    fn last(&self) -> Option<u32> {
        self.set.last()
    }

    fn split(&self, count: u64) -> (Self, Self) {
        let (low, high) = self.set.split(u32::try_from(count).unwrap_or(u32::MAX));
        (low.into(), high.into())
    }

    fn window(&self, one: i64, other: i64) -> Self {
        self.set.window(Window { one, other }).into()
    }

    fn __len__(&self) -> usize {
        self.set.len() as usize
    }

    fn __bool__(&self) -> bool {
        !self.set.is_empty()
    }

    fn __contains__(&self, uid: i64) -> bool {
        u32::try_from(uid).is_ok_and(|uid| self.set.contains(uid))
    }

    fn __iter__(&self) -> PyUids {
        PyUids {
            set: self.set.clone(),
            at: 0,
            next: None,
        }
    }

    fn __richcmp__(&self, other: &Self, op: CompareOp, py: Python<'_>) -> PyResult<Py<PyAny>> {
        equality(self.set == other.set, op, py)
    }

    fn __hash__(&self) -> u64 {
        hash(&self.set)
    }

    fn __or__(&self, other: &Self) -> Self {
        self.set.union(&other.set).into()
    }

    fn __and__(&self, other: &Self) -> Self {
        self.set.intersection(&other.set).into()
    }

    fn __sub__(&self, other: &Self) -> Self {
        self.set.difference(&other.set).into()
    }

    fn __repr__(&self) -> String {
        format!("UidSet({})", String::from_utf8_lossy(&self.set.to_imap()))
    }
}

/// Return the result of `==` or `!=`; other comparisons are not implemented.
pub(super) fn equality(equal: bool, op: CompareOp, py: Python<'_>) -> PyResult<Py<PyAny>> {
    match op {
        CompareOp::Eq => equal.into_py_any(py),
        CompareOp::Ne => (!equal).into_py_any(py),
        _ => Ok(py.NotImplemented()),
    }
}

/// Equal in every process. No peer chooses the values, so collisions cannot be provoked.
pub(super) fn hash(value: &impl std::hash::Hash) -> u64 {
    use std::hash::Hasher as _;
    let mut hasher = std::hash::DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Iterator over a `UidSet`.
#[pyclass]
pub(crate) struct PyUids {
    set: UidSet,
    at: usize,
    next: Option<u32>,
}

#[pymethods]
impl PyUids {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&mut self) -> Option<u32> {
        let &(first, last) = self.set.runs().get(self.at)?;
        let uid = self.next.unwrap_or(first);
        if uid == last {
            self.at += 1;
            self.next = None;
        } else {
            self.next = Some(uid + 1);
        }
        Some(uid)
    }
}

/// `UidMap`
#[pyclass(frozen, name = "UidMap", module = "imapvm._core")]
pub(crate) struct PyUidMap {
    pub(crate) map: UidMap,
}

impl From<UidMap> for PyUidMap {
    fn from(map: UidMap) -> Self {
        Self { map }
    }
}

#[pymethods]
impl PyUidMap {
    #[new]
    #[pyo3(signature = (uids=None), text_signature = "(uids=...)")]
    fn new(uids: Option<&PyUidSet>) -> Self {
        UidMap::new(uids.map_or_else(UidSet::empty, |uids| uids.set.clone())).into()
    }

    #[staticmethod]
    fn from_segments(segments: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut runs = Runs::new();
        for stored in segments.try_iter()? {
            Segment::open(&stored?.extract::<ReadBuffer<'_>>()?)?.add_uids(&mut runs)?;
        }
        Ok(UidMap::new(runs.finish()).into())
    }

    fn __len__(&self) -> usize {
        self.map.len() as usize
    }

    fn __richcmp__(&self, other: &Self, op: CompareOp, py: Python<'_>) -> PyResult<Py<PyAny>> {
        equality(self.map == other.map, op, py)
    }

    fn __hash__(&self) -> u64 {
        hash(&self.map)
    }

    #[getter]
    fn uids(&self) -> PyUidSet {
        self.map.uids().clone().into()
    }

    #[getter]
    fn last_uid(&self) -> Option<u32> {
        self.map.uids().last()
    }

    fn uid(&self, number: i64) -> Option<u32> {
        self.map.uid(u32::try_from(number).ok()?)
    }

    fn number(&self, uid: i64) -> Option<u32> {
        self.map.number(u32::try_from(uid).ok()?)
    }

    #[pyo3(signature = (wanted, *, uid, saved))]
    fn select(&self, wanted: &PySequenceSet, uid: bool, saved: &PyUidSet) -> Option<PyUidSet> {
        self.map
            .select(&wanted.set, uid, &saved.set)
            .map(PyUidSet::from)
    }

    fn appended(&self, uids: &PyUidSet) -> PyResult<Self> {
        let map = self.map.appended(&uids.set);
        map.map(Self::from)
            .ok_or_else(|| PyValueError::new_err("a UID is not above the last one"))
    }

    fn without(&self, gone: &PyUidSet) -> (Self, Vec<u32>) {
        let (map, numbers) = self.map.without(&gone.set);
        (map.into(), numbers)
    }

    fn numbers(&self, uids: &PyUidSet) -> PyUidSet {
        self.map.numbers(&uids.set).into()
    }

    fn __repr__(&self) -> String {
        format!(
            "UidMap({})",
            String::from_utf8_lossy(&self.map.uids().to_imap())
        )
    }
}
