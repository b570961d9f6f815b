//! Index segments.

use std::collections::{BTreeSet, HashMap};

use pyo3::basic::CompareOp;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySet};

use crate::index::{self, AppendError, FlagChange, Record, StoreResult, columns};
use crate::numbers::Runs;
use crate::py::buffer::ReadBuffer;
use crate::py::numbers::{PyUidSet, equality, hash};
use crate::py::wire::{STORE_ADD, STORE_REMOVE, STORE_REPLACE};
use crate::wire::command::StoreMode;

/// `Record`
#[pyclass(frozen, name = "Record", module = "imapvm._core")]
pub(crate) struct PyRecord {
    pub(crate) record: Record,
}

impl From<Record> for PyRecord {
    fn from(record: Record) -> Self {
        Self { record }
    }
}

#[pymethods]
impl PyRecord {
    #[new]
    #[pyo3(signature = (
        *, uid, size, flags, keyword_set, modseq, date, zone, saved, body, thread
    ))]
    #[allow(clippy::too_many_arguments)] // they are the fields
    fn new(
        uid: u32,
        size: u32,
        flags: u8,
        keyword_set: u32,
        modseq: u64,
        date: i64,
        zone: i16,
        saved: i64,
        body: u64,
        thread: u64,
    ) -> Self {
        Record {
            uid,
            size,
            flags,
            zone,
            keyword_set,
            modseq,
            date,
            saved,
            body,
            thread,
        }
        .into()
    }

    #[getter]
    fn uid(&self) -> u32 {
        self.record.uid
    }

    #[getter]
    fn size(&self) -> u32 {
        self.record.size
    }

    #[getter]
    fn flags(&self) -> u8 {
        self.record.flags
    }

    #[getter]
    fn keyword_set(&self) -> u32 {
        self.record.keyword_set
    }

    #[getter]
    fn modseq(&self) -> u64 {
        self.record.modseq
    }

    #[getter]
    fn date(&self) -> i64 {
        self.record.date
    }

    #[getter]
    fn zone(&self) -> i16 {
        self.record.zone
    }

    #[getter]
    fn saved(&self) -> i64 {
        self.record.saved
    }

    #[getter]
    fn body(&self) -> u64 {
        self.record.body
    }

    #[getter]
    fn thread(&self) -> u64 {
        self.record.thread
    }

    fn __richcmp__(&self, other: &Self, op: CompareOp, py: Python<'_>) -> PyResult<Py<PyAny>> {
        equality(self.record == other.record, op, py)
    }

    fn __hash__(&self) -> u64 {
        hash(&self.record)
    }

    fn __repr__(&self) -> String {
        let Record {
            uid,
            size,
            flags,
            zone,
            keyword_set,
            modseq,
            date,
            saved,
            body,
            thread,
        } = self.record;
        format!(
            "Record(uid={uid}, size={size}, flags={flags}, keyword_set={keyword_set}, \
             modseq={modseq}, date={date}, zone={zone}, saved={saved}, body={body}, \
             thread={thread})"
        )
    }
}

fn python(records: Vec<Record>) -> Vec<PyRecord> {
    records.into_iter().map(PyRecord::from).collect()
}

impl From<AppendError> for PyErr {
    fn from(refused: AppendError) -> Self {
        match refused {
            AppendError::Corrupt(corrupt) => corrupt.into(),
            AppendError::NotAscending(uid) => {
                PyValueError::new_err(format!("UID {uid} is not above the one before it"))
            }
            AppendError::Full => PyValueError::new_err("more than SEGMENT_RECORDS"),
        }
    }
}

#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // holds the buffer
pub(crate) fn segment_append<'py>(
    py: Python<'py>,
    segment: ReadBuffer<'py>,
    records: Vec<PyRef<'py, PyRecord>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let records: Vec<Record> = records.iter().map(|record| record.record).collect();
    Ok(PyBytes::new(py, &index::append(&segment, &records)?))
}

#[pyfunction]
#[pyo3(signature = (segment, uids=None))]
#[allow(clippy::needless_pass_by_value)] // holds the buffer
pub(crate) fn segment_records(
    segment: ReadBuffer<'_>,
    uids: Option<&PyUidSet>,
) -> PyResult<Vec<PyRecord>> {
    Ok(python(columns::records(
        &segment,
        uids.map(|uids| &uids.set),
    )?))
}

#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // holds the buffer
pub(crate) fn segment_uids(segment: ReadBuffer<'_>) -> PyResult<PyUidSet> {
    let mut runs = Runs::new();
    index::Segment::open(&segment)?.add_uids(&mut runs)?;
    Ok(runs.finish().into())
}

#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // holds the buffer
pub(crate) fn segment_remove<'py>(
    py: Python<'py>,
    segment: ReadBuffer<'py>,
    uids: &PyUidSet,
) -> PyResult<(Bound<'py, PyBytes>, Vec<PyRecord>)> {
    let (left, taken) = index::remove(&segment, &uids.set)?;
    Ok((PyBytes::new(py, &left), python(taken)))
}

/// `segment_renumber`
#[pyfunction]
pub(crate) fn segment_renumber<'py>(
    py: Python<'py>,
    segment: ReadBuffer<'py>,
    first: u32,
    modseq: u64,
) -> PyResult<Bound<'py, PyBytes>> {
    match index::renumber(&segment, first, modseq)? {
        Some(renumbered) => Ok(PyBytes::new(py, &renumbered)),
        None => Err(PyValueError::new_err("no UIDs are left")),
    }
}

/// `segment_seen_by_reader`
#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // holds the buffer
pub(crate) fn segment_seen_by_reader<'py>(
    py: Python<'py>,
    segment: ReadBuffer<'py>,
    seen: &PyUidSet,
) -> PyResult<Bound<'py, PyBytes>> {
    let segment = index::seen_by_reader(&segment, &seen.set)?;
    Ok(PyBytes::new(py, &segment))
}

/// Segments after STORE, or None; UIDs that changed; changes of the counts of unseen and deleted.
type Stored<'py> = (Vec<Option<Bound<'py, PyBytes>>>, PyUidSet, i32, i32);

/// `segments_store`
#[pyfunction]
#[pyo3(signature = (segments, uids, *, mode, flags, keyword_map, modseq))]
#[allow(clippy::needless_pass_by_value)] // made from a dict
pub(crate) fn segments_store<'py>(
    segments: &Bound<'py, PyAny>,
    uids: &PyUidSet,
    mode: u8,
    flags: u8,
    keyword_map: HashMap<u32, u32>,
    modseq: u64,
) -> PyResult<Stored<'py>> {
    let mode = match mode {
        STORE_REPLACE => StoreMode::Replace,
        STORE_ADD => StoreMode::Add,
        STORE_REMOVE => StoreMode::Remove,
        _ => {
            return Err(PyValueError::new_err(
                "mode is STORE_REPLACE, STORE_ADD or STORE_REMOVE",
            ));
        }
    };
    let change = FlagChange {
        mode,
        flags,
        modseq,
    };
    let keywords = |old| keyword_map.get(&old).copied();
    let mut result = StoreResult::default();
    let mut changed = Vec::new();
    for stored in segments.try_iter()? {
        let stored: ReadBuffer<'_> = stored?.extract()?;
        let segment = index::store(&stored, &uids.set, change, keywords, &mut result)?;
        changed.push(segment.map(|segment| PyBytes::new(segments.py(), &segment)));
    }
    Ok((
        changed,
        result.changed.finish().into(),
        result.unseen,
        result.deleted,
    ))
}

#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // holds the buffer
pub(crate) fn segment_counts(segment: ReadBuffer<'_>) -> PyResult<(u32, u32, u32, u64)> {
    let counts = columns::counts(&segment)?;
    Ok((counts.messages, counts.unseen, counts.deleted, counts.bytes))
}

#[pyfunction]
#[pyo3(signature = (segments, uids=None))]
pub(crate) fn keyword_sets<'py>(
    segments: &Bound<'py, PyAny>,
    uids: Option<&PyUidSet>,
) -> PyResult<Bound<'py, PySet>> {
    let mut found = BTreeSet::new();
    for stored in segments.try_iter()? {
        let stored: ReadBuffer<'_> = stored?.extract()?;
        columns::keyword_sets(&stored, uids.map(|uids| &uids.set), &mut found)?;
    }
    PySet::new(segments.py(), found)
}

#[pyfunction]
pub(crate) fn uids_with_flags(
    segments: &Bound<'_, PyAny>,
    mask: u8,
    value: u8,
) -> PyResult<PyUidSet> {
    let mut found = Runs::new();
    for stored in segments.try_iter()? {
        columns::with_flags(
            &stored?.extract::<ReadBuffer<'_>>()?,
            mask,
            value,
            &mut found,
        )?;
    }
    Ok(found.finish().into())
}

#[pyfunction]
pub(crate) fn uids_modified(segments: &Bound<'_, PyAny>, since: u64) -> PyResult<PyUidSet> {
    let mut found = Runs::new();
    for stored in segments.try_iter()? {
        columns::modified(&stored?.extract::<ReadBuffer<'_>>()?, since, &mut found)?;
    }
    Ok(found.finish().into())
}
