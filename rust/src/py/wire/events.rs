//! Events for Python: one frozen class for each command, documented in `_core.pyi`.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFrozenSet, PyTuple};

use super::mailbox_filters::{ends, event_groups, mailbox_filters, update_items};
use super::{PyFetchItems, PyMessageUrl, PySearchProgram, PySequenceSet};
use crate::index::arrange::Arrangement;
use crate::py::index::PyArrangement;
use crate::wire::ast::{SearchKey, SequenceSet};
use crate::wire::command::{self, Event, Qresync, StoreMode, Verb};

/// UIDVALIDITY, MODSEQ, known UIDs, (numbers, UIDs).
type QresyncParts = (
    u32,
    u64,
    Option<Py<PySequenceSet>>,
    Option<(Py<PySequenceSet>, Py<PySequenceSet>)>,
);

/// `Store.mode`
pub(crate) const STORE_REPLACE: u8 = 0;
/// `Store.mode`
pub(crate) const STORE_ADD: u8 = 1;
/// `Store.mode`
pub(crate) const STORE_REMOVE: u8 = 2;

/// Define frozen classes with fields that Python reads.
macro_rules! events {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty),* })*) => {$(
        $(#[$doc])*
        #[pyclass(frozen, get_all, module = "imapvm._core")]
        pub(crate) struct $name {
            $($field: $kind,)*
        }
    )*};
}

events! {
    /// Input that is not a command.
    Malformed { tag: Option<Py<PyBytes>>, message: String, name: Option<&'static str>, code: Option<&'static str>, is_no: bool, fatal: bool }
    /// Send "+".
    LiteralWanted { size: u64 }
    /// DONE.
    IdleDone {}
    /// SASL response.
    SaslResponse { data: Option<Py<PyBytes>> }
    /// Head of an appended message.
    AppendMessage { flags: u8, keywords: Py<PyTuple>, date: Option<(i64, i32)>, size: u64, waits: bool, binary: bool, utf8: bool, catenate: bool, too_big: bool }
    /// TEXT of CATENATE.
    AppendText { size: u64, waits: bool, too_big: bool }
    /// URL of CATENATE.
    AppendUrl { received: Py<PyBytes>, target: Option<Py<PyMessageUrl>> }
    /// Bytes of an appended message.
    AppendData { data: Py<PyBytes> }
    /// End of an appended message.
    AppendMessageEnd {}
    /// End of the APPEND command.
    AppendEnd {}
    /// RFC 2971.
    Id { tag: Py<PyBytes>, params: Py<PyTuple> }
    /// AUTHENTICATE.
    Authenticate { tag: Py<PyBytes>, mechanism: String, initial: Option<Py<PyBytes>> }
    /// LOGIN.
    Login { tag: Py<PyBytes>, user: Py<PyBytes>, password: Py<PyBytes> }
    /// ENABLE.
    Enable { tag: Py<PyBytes>, names: Py<PyTuple> }
    /// LANGUAGE.
    Language { tag: Py<PyBytes>, ranges: Py<PyTuple> }
    /// COMPARATOR.
    Comparator { tag: Py<PyBytes>, orders: Py<PyTuple> }
    /// SELECT and EXAMINE.
    Select { tag: Py<PyBytes>, mailbox: String, read_only: bool, condstore: bool, qresync: Option<QresyncParts> }
    /// CREATE.
    Create { tag: Py<PyBytes>, mailbox: String, special_use: Py<PyTuple> }
    /// DELETE.
    Delete { tag: Py<PyBytes>, mailbox: String }
    /// RENAME.
    Rename { tag: Py<PyBytes>, mailbox: String, to: String }
    /// SETACL.
    SetAcl { tag: Py<PyBytes>, mailbox: String, identifier: Py<PyBytes>, rights: Py<PyBytes> }
    /// DELETEACL.
    DeleteAcl { tag: Py<PyBytes>, mailbox: String, identifier: Py<PyBytes> }
    /// GETACL.
    GetAcl { tag: Py<PyBytes>, mailbox: String }
    /// LISTRIGHTS.
    ListRights { tag: Py<PyBytes>, mailbox: String, identifier: Py<PyBytes> }
    /// MYRIGHTS.
    MyRights { tag: Py<PyBytes>, mailbox: String }
    /// SUBSCRIBE.
    Subscribe { tag: Py<PyBytes>, mailbox: String }
    /// UNSUBSCRIBE.
    Unsubscribe { tag: Py<PyBytes>, mailbox: String }
    /// LIST.
    List { tag: Py<PyBytes>, reference: String, patterns: Py<PyTuple>, extended: bool, selection: Py<PyFrozenSet>, returns: Py<PyFrozenSet>, status: Option<Py<PyTuple>>, metadata: Option<Py<PyTuple>> }
    /// LSUB.
    Lsub { tag: Py<PyBytes>, reference: String, pattern: String }
    /// STATUS.
    Status { tag: Py<PyBytes>, mailbox: String, items: Py<PyTuple> }
    /// GETMETADATA.
    GetMetadata { tag: Py<PyBytes>, mailbox: String, entries: Py<PyTuple>, max_size: Option<u64>, depth: &'static str }
    /// SETMETADATA.
    SetMetadata { tag: Py<PyBytes>, mailbox: String, values: Py<PyTuple> }
    /// NOTIFY.
    Notify { tag: Py<PyBytes>, status: bool, groups: Option<Py<PyTuple>> }
    /// APPEND.
    Append { tag: Py<PyBytes>, mailbox: String }
    /// GETQUOTA.
    GetQuota { tag: Py<PyBytes>, root: String }
    /// GETQUOTAROOT.
    GetQuotaRoot { tag: Py<PyBytes>, mailbox: String }
    /// SETQUOTA.
    SetQuota { tag: Py<PyBytes>, root: String, limits: Py<PyTuple> }
    /// REPLACE and UID REPLACE.
    Replace { tag: Py<PyBytes>, uid: bool, set: Py<PySequenceSet>, mailbox: String }
    /// EXPUNGE and UID EXPUNGE.
    Expunge { tag: Py<PyBytes>, uids: Option<Py<PySequenceSet>> }
    /// SEARCH and UID SEARCH.
    Search { tag: Py<PyBytes>, uid: bool, returns: Option<Py<PyFrozenSet>>, window: Option<(i64, i64)>, update: bool, update_items: Option<Py<PyFetchItems>>, program: Option<Py<PySearchProgram>> }
    /// SORT and UID SORT.
    Sort { tag: Py<PyBytes>, uid: bool, returns: Option<Py<PyFrozenSet>>, window: Option<(i64, i64)>, update: bool, update_items: Option<Py<PyFetchItems>>, arrangement: Py<PyArrangement>, program: Option<Py<PySearchProgram>> }
    /// THREAD and UID THREAD.
    Thread { tag: Py<PyBytes>, uid: bool, arrangement: Py<PyArrangement>, program: Option<Py<PySearchProgram>> }
    /// ESEARCH.
    MultiSearch { tag: Py<PyBytes>, sources: Option<Py<PyTuple>>, returns: Option<Py<PyFrozenSet>>, window: Option<(i64, i64)>, update: bool, update_items: Option<Py<PyFetchItems>>, program: Option<Py<PySearchProgram>> }
    /// CANCELUPDATE.
    CancelUpdate { tag: Py<PyBytes>, tags: Py<PyTuple> }
    /// UIDBATCHES.
    UidBatches { tag: Py<PyBytes>, size: u32, batches: Option<(u32, u32)> }
    /// FETCH and UID FETCH.
    Fetch { tag: Py<PyBytes>, uid: bool, set: Py<PySequenceSet>, items: Py<PyFetchItems>, changed_since: Option<u64>, vanished: bool, window: Option<(i64, i64)> }
    /// STORE and UID STORE.
    Store { tag: Py<PyBytes>, uid: bool, set: Py<PySequenceSet>, mode: u8, silent: bool, flags: u8, keywords: Py<PyTuple>, unchanged_since: Option<u64> }
    /// COPY and UID COPY.
    Copy { tag: Py<PyBytes>, uid: bool, set: Py<PySequenceSet>, mailbox: String }
    /// MOVE and UID MOVE.
    Move { tag: Py<PyBytes>, uid: bool, set: Py<PySequenceSet>, mailbox: String }
    /// CAPABILITY.
    Capability { tag: Py<PyBytes> }
    /// NOOP.
    Noop { tag: Py<PyBytes> }
    /// LOGOUT.
    Logout { tag: Py<PyBytes> }
    /// STARTTLS.
    StartTls { tag: Py<PyBytes> }
    /// NAMESPACE.
    Namespace { tag: Py<PyBytes> }
    /// IDLE.
    Idle { tag: Py<PyBytes> }
    /// CHECK.
    Check { tag: Py<PyBytes> }
    /// CLOSE.
    Close { tag: Py<PyBytes> }
    /// UNSELECT.
    Unselect { tag: Py<PyBytes> }
    /// UNAUTHENTICATE.
    Unauthenticate { tag: Py<PyBytes> }
    /// COMPRESS DEFLATE.
    Compress { tag: Py<PyBytes> }
}

/// Convert an event to its Python class.
pub(super) fn to_python(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyAny>> {
    match event {
        Event::Command(command) => command_to_python(py, command),
        Event::Malformed(command::Malformed {
            tag,
            message,
            name,
            code,
            is_no,
            fatal,
        }) => {
            let tag = tag.map(|tag| bytes(py, &tag));
            Malformed {
                tag,
                message,
                name,
                code,
                is_no,
                fatal,
            }
            .into_bound_py_any(py)
        }
        Event::LiteralWanted(size) => LiteralWanted { size }.into_bound_py_any(py),
        Event::IdleDone => IdleDone {}.into_bound_py_any(py),
        Event::SaslResponse(data) => SaslResponse {
            data: data.map(|data| bytes(py, &data)),
        }
        .into_bound_py_any(py),
        Event::AppendMessage(message) => AppendMessage {
            flags: message.flags.system,
            keywords: words(py, &message.flags.keywords)?,
            date: message.date,
            size: message.size,
            waits: message.waits,
            binary: message.binary,
            utf8: message.utf8,
            catenate: message.catenate,
            too_big: message.too_big,
        }
        .into_bound_py_any(py),
        Event::AppendText(text) => AppendText {
            size: text.size,
            waits: text.waits,
            too_big: text.too_big,
        }
        .into_bound_py_any(py),
        Event::AppendUrl(url) => AppendUrl {
            received: bytes(py, &url.received),
            target: url
                .target
                .map(|url| Py::new(py, PyMessageUrl { url }))
                .transpose()?,
        }
        .into_bound_py_any(py),
        Event::AppendData(data) => AppendData {
            data: bytes(py, &data),
        }
        .into_bound_py_any(py),
        Event::AppendMessageEnd => AppendMessageEnd {}.into_bound_py_any(py),
        Event::AppendEnd => AppendEnd {}.into_bound_py_any(py),
    }
}

#[allow(clippy::too_many_lines)] // a table: one row a command
fn command_to_python(py: Python<'_>, command: command::Command) -> PyResult<Bound<'_, PyAny>> {
    let tag = bytes(py, &command.tag);
    match command.verb {
        Verb::Capability => Capability { tag }.into_bound_py_any(py),
        Verb::Noop => Noop { tag }.into_bound_py_any(py),
        Verb::Logout => Logout { tag }.into_bound_py_any(py),
        Verb::StartTls => StartTls { tag }.into_bound_py_any(py),
        Verb::Namespace => Namespace { tag }.into_bound_py_any(py),
        Verb::Idle => Idle { tag }.into_bound_py_any(py),
        Verb::Check => Check { tag }.into_bound_py_any(py),
        Verb::Close => Close { tag }.into_bound_py_any(py),
        Verb::Unselect => Unselect { tag }.into_bound_py_any(py),
        Verb::Unauthenticate => Unauthenticate { tag }.into_bound_py_any(py),
        Verb::Compress => Compress { tag }.into_bound_py_any(py),
        Verb::Expunge { uids } => {
            let uids = uids.map(|uids| set(py, uids)).transpose()?;
            Expunge { tag, uids }.into_bound_py_any(py)
        }
        Verb::Id { params } => {
            let params = PyTuple::new(py, params)?.unbind();
            Id { tag, params }.into_bound_py_any(py)
        }
        Verb::Authenticate { mechanism, initial } => {
            let initial = initial.map(|initial| bytes(py, &initial));
            Authenticate {
                tag,
                mechanism,
                initial,
            }
            .into_bound_py_any(py)
        }
        Verb::Login { user, password } => {
            let (user, password) = (bytes(py, &user), bytes(py, &password));
            Login {
                tag,
                user,
                password,
            }
            .into_bound_py_any(py)
        }
        Verb::Enable { names } => {
            let names = words(py, &names)?;
            Enable { tag, names }.into_bound_py_any(py)
        }
        Verb::Language { ranges } => {
            let ranges = words(py, &ranges)?;
            Language { tag, ranges }.into_bound_py_any(py)
        }
        Verb::Comparator { orders } => {
            let orders = words(py, &orders)?;
            Comparator { tag, orders }.into_bound_py_any(py)
        }
        Verb::Append { mailbox } => Append { tag, mailbox }.into_bound_py_any(py),
        Verb::GetQuota { root } => GetQuota { tag, root }.into_bound_py_any(py),
        Verb::GetQuotaRoot { mailbox } => GetQuotaRoot { tag, mailbox }.into_bound_py_any(py),
        Verb::SetQuota { root, limits } => {
            let limits = PyTuple::new(py, limits)?.unbind();
            SetQuota { tag, root, limits }.into_bound_py_any(py)
        }
        Verb::Replace {
            uid,
            set: of,
            mailbox,
        } => Replace {
            tag,
            uid,
            set: set(py, of)?,
            mailbox,
        }
        .into_bound_py_any(py),
        Verb::Search {
            uid,
            returns,
            window,
            update,
            program,
        } => {
            let returns = returns.map(|returns| word_set(py, &returns)).transpose()?;
            let program = search_program(py, program)?;
            Search {
                tag,
                uid,
                returns,
                window: window.map(ends),
                update: update.is_some(),
                update_items: update_items(py, update)?,
                program,
            }
            .into_bound_py_any(py)
        }
        Verb::Sort {
            uid,
            returns,
            window,
            update,
            criteria,
            program,
        } => {
            let returns = returns.map(|returns| word_set(py, &returns)).transpose()?;
            let arrangement = Py::new(py, PyArrangement(Arrangement::Sort(criteria)))?;
            let program = search_program(py, program)?;
            Sort {
                tag,
                uid,
                returns,
                window: window.map(ends),
                update: update.is_some(),
                update_items: update_items(py, update)?,
                arrangement,
                program,
            }
            .into_bound_py_any(py)
        }
        Verb::Thread {
            uid,
            algorithm,
            program,
        } => {
            let arrangement = Py::new(py, PyArrangement(Arrangement::Thread(algorithm)))?;
            let program = search_program(py, program)?;
            Thread {
                tag,
                uid,
                arrangement,
                program,
            }
            .into_bound_py_any(py)
        }
        Verb::MultiSearch {
            sources,
            returns,
            window,
            update,
            program,
        } => MultiSearch {
            tag,
            sources: sources
                .map(|filters| mailbox_filters(py, filters))
                .transpose()?,
            returns: returns.map(|returns| word_set(py, &returns)).transpose()?,
            window: window.map(ends),
            update: update.is_some(),
            update_items: update_items(py, update)?,
            program: search_program(py, program)?,
        }
        .into_bound_py_any(py),
        Verb::CancelUpdate { tags } => {
            let tags = tags.iter().map(|tag| PyBytes::new(py, tag));
            let tags = PyTuple::new(py, tags.collect::<Vec<_>>())?.unbind();
            CancelUpdate { tag, tags }.into_bound_py_any(py)
        }
        Verb::UidBatches { size, batches } => {
            UidBatches { tag, size, batches }.into_bound_py_any(py)
        }
        Verb::Fetch(fetch) => Fetch {
            tag,
            uid: fetch.uid,
            set: set(py, fetch.set)?,
            items: Py::new(
                py,
                PyFetchItems {
                    items: fetch.items,
                    uid_asked: fetch.uid_asked,
                    uid_fetch: false,
                },
            )?,
            changed_since: fetch.changed_since,
            vanished: fetch.vanished,
            window: fetch.window.map(ends),
        }
        .into_bound_py_any(py),
        Verb::Store(store) => Store {
            tag,
            uid: store.uid,
            set: set(py, store.set)?,
            mode: match store.mode {
                StoreMode::Replace => STORE_REPLACE,
                StoreMode::Add => STORE_ADD,
                StoreMode::Remove => STORE_REMOVE,
            },
            silent: store.silent,
            flags: store.flags.system,
            keywords: words(py, &store.flags.keywords)?,
            unchanged_since: store.unchanged_since,
        }
        .into_bound_py_any(py),
        Verb::Copy {
            uid,
            set: of,
            mailbox,
        } => Copy {
            tag,
            uid,
            set: set(py, of)?,
            mailbox,
        }
        .into_bound_py_any(py),
        Verb::Move {
            uid,
            set: of,
            mailbox,
        } => Move {
            tag,
            uid,
            set: set(py, of)?,
            mailbox,
        }
        .into_bound_py_any(py),
        Verb::Select {
            mailbox,
            read_only,
            condstore,
            qresync,
        } => {
            let qresync = qresync
                .map(|qresync| qresync_parts(py, qresync))
                .transpose()?;
            Select {
                tag,
                mailbox,
                read_only,
                condstore,
                qresync,
            }
            .into_bound_py_any(py)
        }
        Verb::Create {
            mailbox,
            special_use,
        } => {
            let special_use = words(py, &special_use)?;
            Create {
                tag,
                mailbox,
                special_use,
            }
            .into_bound_py_any(py)
        }
        Verb::Delete { mailbox } => Delete { tag, mailbox }.into_bound_py_any(py),
        Verb::Rename { mailbox, to } => Rename { tag, mailbox, to }.into_bound_py_any(py),
        Verb::SetAcl {
            mailbox,
            identifier,
            rights,
        } => {
            let (identifier, rights) = (bytes(py, &identifier), bytes(py, &rights));
            SetAcl {
                tag,
                mailbox,
                identifier,
                rights,
            }
            .into_bound_py_any(py)
        }
        Verb::DeleteAcl {
            mailbox,
            identifier,
        } => {
            let identifier = bytes(py, &identifier);
            DeleteAcl {
                tag,
                mailbox,
                identifier,
            }
            .into_bound_py_any(py)
        }
        Verb::GetAcl { mailbox } => GetAcl { tag, mailbox }.into_bound_py_any(py),
        Verb::ListRights {
            mailbox,
            identifier,
        } => {
            let identifier = bytes(py, &identifier);
            ListRights {
                tag,
                mailbox,
                identifier,
            }
            .into_bound_py_any(py)
        }
        Verb::MyRights { mailbox } => MyRights { tag, mailbox }.into_bound_py_any(py),
        Verb::Subscribe { mailbox } => Subscribe { tag, mailbox }.into_bound_py_any(py),
        Verb::Unsubscribe { mailbox } => Unsubscribe { tag, mailbox }.into_bound_py_any(py),
        Verb::List(list) => List {
            tag,
            reference: list.reference,
            patterns: words(py, &list.patterns)?,
            extended: list.extended,
            selection: word_set(py, &list.selection)?,
            returns: word_set(py, &list.returns)?,
            status: list.status.map(|items| words(py, &items)).transpose()?,
            metadata: list
                .metadata
                .map(|entries| words(py, &entries))
                .transpose()?,
        }
        .into_bound_py_any(py),
        Verb::GetMetadata(command) => GetMetadata {
            tag,
            mailbox: command.mailbox,
            entries: words(py, &command.entries)?,
            max_size: command.max_size,
            depth: command.depth,
        }
        .into_bound_py_any(py),
        Verb::SetMetadata { mailbox, values } => {
            let values = values
                .into_iter()
                .map(|(entry, value)| (entry, value.map(|value| bytes(py, &value))));
            let values = PyTuple::new(py, values.collect::<Vec<_>>())?.unbind();
            SetMetadata {
                tag,
                mailbox,
                values,
            }
            .into_bound_py_any(py)
        }
        Verb::Notify(command) => Notify {
            tag,
            status: command.as_ref().is_some_and(|command| command.status),
            groups: command
                .map(|command| event_groups(py, command.groups))
                .transpose()?,
        }
        .into_bound_py_any(py),
        Verb::Lsub { reference, pattern } => Lsub {
            tag,
            reference,
            pattern,
        }
        .into_bound_py_any(py),
        Verb::Status { mailbox, items } => Status {
            tag,
            mailbox,
            items: words(py, &items)?,
        }
        .into_bound_py_any(py),
    }
}

fn bytes(py: Python<'_>, data: &[u8]) -> Py<PyBytes> {
    PyBytes::new(py, data).unbind()
}

pub(super) fn words<S: AsRef<str>>(py: Python<'_>, words: &[S]) -> PyResult<Py<PyTuple>> {
    PyTuple::new(py, words.iter().map(AsRef::as_ref)).map(Bound::unbind)
}

fn word_set(py: Python<'_>, words: &[&'static str]) -> PyResult<Py<PyFrozenSet>> {
    PyFrozenSet::new(py, words).map(Bound::unbind)
}

fn set(py: Python<'_>, set: SequenceSet) -> PyResult<Py<PySequenceSet>> {
    Py::new(py, PySequenceSet { set })
}

fn search_program(
    py: Python<'_>,
    program: Option<SearchKey>,
) -> PyResult<Option<Py<PySearchProgram>>> {
    program
        .map(|key| Py::new(py, PySearchProgram { key, collation: 0 }))
        .transpose()
}

fn qresync_parts(py: Python<'_>, qresync: Qresync) -> PyResult<QresyncParts> {
    let known = qresync.known.map(|known| set(py, known)).transpose()?;
    let matches = match qresync.matches {
        Some((numbers, uids)) => Some((set(py, numbers)?, set(py, uids)?)),
        None => None,
    };
    Ok((qresync.uid_validity, qresync.modseq, known, matches))
}
