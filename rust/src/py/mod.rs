//! Python binding: the only directory that uses `PyO3`.
#![allow(clippy::needless_pass_by_value)] // PyO3 passes arguments by value

mod buffer;
mod index;
mod message;
mod numbers;
mod sigbus;
mod snapshot;
mod wire;

use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

create_exception!(
    imapvm._core,
    CorruptError,
    PyValueError,
    "Bytes read back from the filepool are not what this extension wrote."
);

/// `imapvm._core`; documented in `python/imapvm/_core.pyi`.
#[pymodule(gil_used = true)]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::CorruptError;

    // PyO3 writes an `__all__`, which the stub would have to repeat name by name.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.delattr("__all__")
    }

    // Numbers, segments, FETCH, SEARCH, SORT, THREAD.
    #[pymodule_export]
    const SEGMENT_RECORDS: usize = crate::index::SEGMENT_RECORDS;
    #[pymodule_export]
    use super::index::{
        PyArranged, PyArrangement, PyArranger, PyBinarySlice, PyBodySlice, PyBoundSearch,
        PyColumnBuilder, PyHeaderColumns, PyKeyBuilder, PyKeyColumns, PyRecord, PySearchTask,
        PySortedMessages, PyUndecidedMessages, keyword_sets, render_fetch, segment_append,
        segment_counts, segment_records, segment_remove, segment_renumber, segment_seen_by_reader,
        segment_uids, segments_store, uids_modified, uids_with_flags,
    };
    #[pymodule_export]
    use super::numbers::{PyUidMap, PyUidSet};

    // The data file of a storage group.
    #[pymodule_export]
    const VALUE_BYTES: usize = crate::filepool::VALUE_BYTES;
    #[pymodule_export]
    const BODY_MAX: u64 = crate::filepool::BODY_MAX;
    #[pymodule_export]
    use super::snapshot::{PyDataFile, PyFetchStream, PySectionStream, PySnapshot, body_rows};

    // Messages.
    #[pymodule_export]
    const METADATA_VERSION: u8 = crate::message::METADATA_VERSION;
    #[pymodule_export]
    use super::message::{PyMessageEncoder, PyMessageMetadata, PyScanner, PyTransferDecoder};

    // Commands and responses.
    #[pymodule_export]
    use super::wire::{
        Append, AppendData, AppendEnd, AppendMessage, AppendMessageEnd, AppendText, AppendUrl,
        Authenticate, CancelUpdate, Capability, Check, Close, CommandReader, Comparator, Compress,
        Copy, Create, Delete, DeleteAcl, Enable, Expunge, Fetch, GetAcl, GetMetadata, GetQuota,
        GetQuotaRoot, Id, Idle, IdleDone, Language, List, ListRights, LiteralWanted, Login, Logout,
        Lsub, Malformed, Move, MultiSearch, MyRights, Namespace, Noop, Notify, PyDisabledSyntax,
        PyDotReader, PyFetchItems, PyLimits, PyListMatcher, PyMessageUrl, PyResponseWriter,
        PySearchProgram, PySequenceSet, Rename, Replace, SaslResponse, Search, Select, SetAcl,
        SetMetadata, SetQuota, Sort, StartTls, Status, Store, Subscribe, Thread, UidBatches,
        Unauthenticate, Unselect, Unsubscribe, decode_utf7, imap_string, mailbox_name,
    };
    #[pymodule_export]
    const FUZZY_NONE: u8 = super::index::FUZZY_NONE;
    #[pymodule_export]
    const FUZZY_WORDS: u8 = super::index::FUZZY_WORDS;
    #[pymodule_export]
    const FUZZY_EDITS: u8 = super::index::FUZZY_EDITS;
    #[pymodule_export]
    const UNICODE_CASEMAP: u8 = super::index::UNICODE_CASEMAP;
    #[pymodule_export]
    const ASCII_CASEMAP: u8 = super::index::ASCII_CASEMAP;
    #[pymodule_export]
    const COMPARE_BYTES: u8 = super::index::COMPARE_BYTES;
    #[pymodule_export]
    const STORE_REPLACE: u8 = super::wire::STORE_REPLACE;
    #[pymodule_export]
    const STORE_ADD: u8 = super::wire::STORE_ADD;
    #[pymodule_export]
    const STORE_REMOVE: u8 = super::wire::STORE_REMOVE;
}
