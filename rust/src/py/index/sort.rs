//! SORT and THREAD.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::of_group::OfGroup;
use super::search::collation_of;
use crate::filepool::{KeyBuilder, KeyError, Segments, insert_in_order};
use crate::index::arrange::{
    Arranged, Arrangement, Arranger, Esearch, KeyColumns, Placed, SortedMessages, in_window,
    placed_text,
};
use crate::numbers::UidSet;
use crate::py::buffer::ReadBuffer;
use crate::py::numbers::{PyUidMap, PyUidSet};
use crate::py::snapshot::PySnapshot;
use crate::py::wire::PyResponseWriter;
use crate::wire::ast::{SortBy, Window};

impl From<KeyError> for PyErr {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::TooLarge => {
                PyOverflowError::new_err("the keys of these messages are too long")
            }
            KeyError::Corrupt(corrupt) => corrupt.into(),
        }
    }
}

/// `KeyColumns`
#[pyclass(frozen, name = "KeyColumns", module = "imapvm._core")]
pub(crate) struct PyKeyColumns(OfGroup<KeyColumns>);

#[pymethods]
impl PyKeyColumns {
    #[new]
    fn new(max_bytes: usize) -> Self {
        Self(OfGroup::new(KeyColumns::new(max_bytes)))
    }

    fn of_group(&self, group: u32) -> Self {
        Self(self.0.of_group(group))
    }

    #[getter]
    fn memory_bytes(&self) -> usize {
        self.0.cache.memory_bytes()
    }
}

/// `Arrangement`
#[pyclass(frozen, name = "Arrangement", module = "imapvm._core")]
pub(crate) struct PyArrangement(pub(crate) Arrangement);

#[pymethods]
impl PyArrangement {
    #[getter]
    fn by_relevancy(&self) -> bool {
        match &self.0 {
            Arrangement::Sort(criteria) => {
                let mut criteria = criteria.iter();
                criteria.any(|criterion| criterion.by == SortBy::Relevancy)
            }
            Arrangement::Thread(_) => false,
        }
    }

    #[pyo3(signature = (*, found, numbers, columns, mailbox, collation=0, descending=false))]
    #[allow(clippy::too_many_arguments)] // named ones
    fn arranger(
        &self,
        found: &PyUidSet,
        numbers: &PyUidMap,
        columns: &PyKeyColumns,
        mailbox: u64,
        collation: u8,
        descending: bool,
    ) -> PyArranger {
        let mut arrangement = self.0.clone();
        if descending {
            arrangement.invert_texts();
        }
        let arranger = Arranger::new(
            (arrangement, collation_of(collation)),
            &found.set,
            &numbers.map,
            &columns.0.cache,
            columns.0.mailbox(mailbox),
        );
        PyArranger {
            arranger: Some(arranger),
            mailbox,
        }
    }
}

/// `Arranger`
#[pyclass(name = "Arranger", module = "imapvm._core")]
pub(crate) struct PyArranger {
    /// None after `arrange`.
    arranger: Option<Arranger>,
    mailbox: u64,
}

#[pymethods]
impl PyArranger {
    #[getter]
    fn wanted(&self) -> PyUidSet {
        let wanted = self.arranger.as_ref().map(Arranger::wanted);
        wanted.cloned().unwrap_or_default().into()
    }

    fn read_index(&mut self, snapshot: &PySnapshot, uids: &PyUidSet) -> PyResult<()> {
        if let Some(arranger) = &mut self.arranger {
            let segments = Segments::new(snapshot.group()?, self.mailbox, Some(&uids.set))?;
            arranger.read_index(segments, &uids.set)?;
        }
        Ok(())
    }

    fn score(&mut self, uids: &PyUidSet, score: u8) {
        if let Some(arranger) = &mut self.arranger {
            arranger.score(uids.set.clone(), score);
        }
    }

    fn key_builders(&mut self, limit: usize, max_bytes: usize) -> Vec<PyKeyBuilder> {
        let Some(arranger) = &mut self.arranger else {
            return Vec::new();
        };
        let room = Arc::new(AtomicUsize::new(max_bytes));
        let missing = Arc::new(arranger.take_missing());
        let each = missing.len().div_ceil(limit.max(1)).max(1);
        let starts = (0..missing.len()).step_by(each);
        starts
            .map(|start| {
                let part = start..missing.len().min(start + each);
                let (columns, room) = (arranger.new_columns(), Arc::clone(&room));
                PyKeyBuilder(KeyBuilder::new(columns, Arc::clone(&missing), part, room))
            })
            .collect()
    }

    #[pyo3(signature = (built, *, numbers=None, esearch=None, returns=None, window=None, modseq=None))]
    #[allow(clippy::too_many_arguments)] // named ones
    fn arrange(
        &mut self,
        py: Python<'_>,
        built: Vec<PyRefMut<'_, PyKeyBuilder>>,
        numbers: Option<&PyUidMap>,
        esearch: Option<ReadBuffer<'_>>,
        returns: Option<HashSet<String>>,
        window: Option<(i64, i64)>,
        modseq: Option<u64>,
    ) -> PyResult<PyArranged> {
        let Some(mut arranger) = self.arranger.take() else {
            return Err(PyValueError::new_err("already arranged"));
        };
        let mut built = built;
        let built: Vec<_> = built.iter_mut().map(|part| part.0.take()).collect();
        let returns = returns.unwrap_or_default();
        let esearch = esearch.map(|head| Esearch {
            head: head.to_vec(),
            min: returns.contains("MIN"),
            max: returns.contains("MAX"),
            all: returns.contains("ALL"),
            count: returns.contains("COUNT"),
            window: window.map(|(one, other)| Window { one, other }),
            relevancy: returns.contains("RELEVANCY"),
        });
        let numbers = numbers.map(|numbers| &numbers.map);
        let Arranged { response, uids } = py.detach(|| {
            arranger.add(&built);
            arranger.arrange(numbers, esearch.as_ref(), modseq)
        })?;
        Ok(PyArranged {
            response,
            written: 0,
            uids,
        })
    }
}

/// `KeyBuilder`
#[pyclass(name = "KeyBuilder", module = "imapvm._core")]
pub(crate) struct PyKeyBuilder(KeyBuilder);

#[pymethods]
impl PyKeyBuilder {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn step(&mut self, py: Python<'_>, snapshot: &PySnapshot, max_bytes: u64) -> PyResult<bool> {
        let group = snapshot.group()?;
        let builder = &mut self.0;
        Ok(py.detach(|| builder.step(group, max_bytes))?)
    }
}

/// `ArrangedMessages`
#[pyclass(name = "ArrangedMessages", module = "imapvm._core")]
pub(crate) struct PyArranged {
    response: Vec<u8>,
    /// Bytes of it that are written.
    written: usize,
    uids: Vec<u32>,
}

#[pymethods]
impl PyArranged {
    #[getter]
    fn first(&self) -> Option<u32> {
        self.uids.first().copied()
    }

    #[getter]
    fn last(&self) -> Option<u32> {
        self.uids.last().copied()
    }

    #[pyo3(signature = (arrangement, *, collation=0, descending=false))]
    fn order(
        &self,
        arrangement: &PyArrangement,
        collation: u8,
        descending: bool,
    ) -> PySortedMessages {
        let mut arrangement = arrangement.0.clone();
        if descending {
            arrangement.invert_texts();
        }
        let criteria = match arrangement {
            Arrangement::Sort(criteria) => criteria,
            Arrangement::Thread(_) => Vec::new(),
        };
        let collation = collation_of(collation);
        PySortedMessages(SortedMessages::new(criteria, collation, self.uids.clone()))
    }

    fn window(&self, one: i64, other: i64) -> PyUidSet {
        let uids = in_window(&self.uids, Window { one, other });
        UidSet::of(uids.to_vec()).unwrap_or_default().into()
    }

    fn write(&mut self, out: &mut PyResponseWriter, max_bytes: usize) -> bool {
        let rest = self.response.get(self.written..).unwrap_or_default();
        let (piece, tail) = rest.split_at_checked(max_bytes).unwrap_or((rest, &[]));
        self.written += piece.len();
        let is_done = tail.is_empty();
        let open = if is_done { 0 } else { piece.len() };
        out.writer.raw(piece);
        out.writer.mark_unfinished(piece.len(), open);
        is_done
    }
}

/// `SortedMessages`
#[pyclass(name = "SortedMessages", module = "imapvm._core")]
pub(crate) struct PySortedMessages(SortedMessages);

#[pymethods]
impl PySortedMessages {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn remove<'py>(
        &mut self,
        py: Python<'py>,
        changed: &PyUidSet,
        found: &PyUidSet,
        numbers: Option<&PyUidMap>,
    ) -> (Bound<'py, PyBytes>, PyUidSet) {
        let (removed, inside) = self.0.remove(&changed.set, &found.set);
        (placed(py, &removed, numbers), inside.into())
    }

    #[allow(clippy::too_many_arguments)] // the place of the messages, and a limit
    fn insert<'py>(
        &mut self,
        py: Python<'py>,
        snapshot: &PySnapshot,
        mailbox: u64,
        uids: &PyUidSet,
        columns: &PyKeyColumns,
        numbers: Option<&PyUidMap>,
        max_bytes: u64,
    ) -> PyResult<(Bound<'py, PyBytes>, PyUidSet)> {
        let group = snapshot.group()?;
        let order = &mut self.0;
        let cached = order.cached_keys(&columns.0.cache, columns.0.mailbox(mailbox));
        let (inserted, remaining) =
            insert_in_order(order, group, mailbox, &uids.set, &cached, max_bytes)?;
        Ok((placed(py, &inserted, numbers), remaining.into()))
    }
}

fn placed<'py>(
    py: Python<'py>,
    pairs: &[Placed],
    numbers: Option<&PyUidMap>,
) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &placed_text(pairs, numbers.map(|numbers| &numbers.map)))
}
