//! Python classes of `wire`.

mod events;
mod mailbox_filters;
mod reader;
mod tools;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::wire::ast::{FetchItem, MessageUrl, SearchKey, SequenceSet};

pub(crate) use events::*;
pub(crate) use reader::{CommandReader, PyDisabledSyntax, PyLimits};
pub(crate) use tools::{
    PyDotReader, PyListMatcher, PyResponseWriter, decode_utf7, imap_string, mailbox_name,
};

/// `SequenceSet`: as a client wrote it, not yet resolved.
#[pyclass(frozen, name = "SequenceSet", module = "imapvm._core")]
pub(crate) struct PySequenceSet {
    pub(crate) set: SequenceSet,
}

#[pymethods]
impl PySequenceSet {
    #[staticmethod]
    fn parse(text: &[u8]) -> Option<Self> {
        SequenceSet::parse(text).map(|set| Self { set })
    }

    #[getter]
    fn is_saved(&self) -> bool {
        self.set == SequenceSet::Saved
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.set.to_imap())
    }
}

/// `MessageUrl`: message or part that CATENATE names.
#[pyclass(frozen, name = "MessageUrl", module = "imapvm._core")]
pub(crate) struct PyMessageUrl {
    pub(crate) url: MessageUrl,
}

#[pymethods]
impl PyMessageUrl {
    #[getter]
    fn mailbox(&self) -> Option<&str> {
        self.url.mailbox.as_deref()
    }

    #[getter]
    fn uid_validity(&self) -> Option<u32> {
        self.url.uid_validity
    }

    #[getter]
    fn uid(&self) -> u32 {
        self.url.uid
    }
}

/// `FetchItems`: data items of a FETCH.
#[pyclass(frozen, name = "FetchItems", module = "imapvm._core")]
pub(crate) struct PyFetchItems {
    pub(crate) items: Vec<FetchItem>,
    /// True if the client asked for UID.
    pub(crate) uid_asked: bool,
    /// True for UIDFETCH responses.
    pub(crate) uid_fetch: bool,
}

impl PyFetchItems {
    /// Return the items with `item` added in front, unless it is there.
    fn with(&self, item: &FetchItem) -> Self {
        let mut items = Vec::with_capacity(self.items.len() + 1);
        if !self.items.contains(item) {
            items.push(item.clone());
        }
        items.extend_from_slice(&self.items);
        Self {
            items,
            uid_asked: self.uid_asked,
            uid_fetch: self.uid_fetch,
        }
    }

    /// Return items of responses that the client has not asked for.
    fn unasked(items: Vec<FetchItem>) -> Self {
        Self {
            items,
            uid_asked: false,
            uid_fetch: false,
        }
    }
}

#[pymethods]
impl PyFetchItems {
    #[staticmethod]
    #[pyo3(signature = (*, uid, modseq))]
    fn flags(uid: bool, modseq: bool) -> Self {
        let mut items = Vec::with_capacity(3);
        if uid {
            items.push(FetchItem::Uid);
        }
        if modseq {
            items.push(FetchItem::ModSeq);
        }
        items.push(FetchItem::Flags);
        Self::unasked(items)
    }

    #[getter]
    fn needs_metadata(&self) -> bool {
        self.items.iter().any(FetchItem::needs_metadata)
    }

    #[getter]
    fn reads_body(&self) -> bool {
        self.items.iter().any(FetchItem::reads_body)
    }

    #[getter]
    fn needs_decoding(&self) -> bool {
        let part = |item: &FetchItem| item.decoded_part().is_some();
        self.items.iter().any(part)
    }

    #[getter]
    fn field_lists(&self) -> usize {
        let lists = self.items.iter().filter(|item| item.selects_fields());
        lists.count()
    }

    #[getter]
    fn sets_seen(&self) -> bool {
        self.items.iter().any(FetchItem::sets_seen)
    }

    #[staticmethod]
    fn uid_and_modseq() -> Self {
        Self::unasked(vec![FetchItem::Uid, FetchItem::ModSeq])
    }

    #[getter]
    fn needs_modseq(&self) -> bool {
        self.items.contains(&FetchItem::ModSeq)
    }

    fn as_uid_fetch(&self) -> Self {
        let mut items = self.items.clone();
        if !self.uid_asked && items.len() > 1 {
            items.retain(|item| *item != FetchItem::Uid);
        }
        Self {
            items,
            uid_asked: self.uid_asked,
            uid_fetch: true,
        }
    }

    fn joined(&self, other: &Self) -> Self {
        let mut items = self.items.clone();
        let new = |item: &&FetchItem| !self.items.contains(item);
        items.extend(other.items.iter().filter(new).cloned());
        Self {
            items,
            uid_asked: self.uid_asked || other.uid_asked,
            uid_fetch: self.uid_fetch,
        }
    }

    fn with_uid(&self) -> Self {
        self.with(&FetchItem::Uid)
    }

    fn with_modseq(&self) -> Self {
        self.with(&FetchItem::ModSeq)
    }
}

/// `SearchProgram`: methods are in `py::index::search`.
#[pyclass(frozen, name = "SearchProgram", module = "imapvm._core")]
pub(crate) struct PySearchProgram {
    pub(crate) key: SearchKey,
    /// As `bind(collation=)`, if that has none.
    pub(crate) collation: u8,
}
