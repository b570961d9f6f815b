//! Arguments of NOTIFY, and of SEARCH, SORT and ESEARCH, that are no data of Python.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::PyFetchItems;
use super::events::words;
use crate::wire::ast::{FetchItem, MailboxFilter, Window};
use crate::wire::command::{EventGroup, Update};

/// Return filter, mailboxes, events and items of each group.
pub(super) fn event_groups(py: Python<'_>, groups: Vec<EventGroup>) -> PyResult<Py<PyTuple>> {
    let groups = groups.into_iter().map(|group| {
        Ok((
            group.filter,
            words(py, &group.mailboxes)?,
            words(py, &group.events)?,
            kept_items(py, group.items, group.uid_asked)?,
        ))
    });
    let groups: Vec<_> = groups.collect::<PyResult<_>>()?;
    PyTuple::new(py, groups).map(Bound::unbind)
}

/// Return filter and mailboxes of each source option.
pub(super) fn mailbox_filters(
    py: Python<'_>,
    filters: Vec<MailboxFilter>,
) -> PyResult<Py<PyTuple>> {
    let pairs = filters.into_iter().map(|filter| match filter {
        MailboxFilter::Selected => ("SELECTED", Vec::new()),
        MailboxFilter::Inboxes => ("INBOXES", Vec::new()),
        MailboxFilter::Personal => ("PERSONAL", Vec::new()),
        MailboxFilter::Subscribed => ("SUBSCRIBED", Vec::new()),
        MailboxFilter::Subtree(names) => ("SUBTREE", names),
        MailboxFilter::SubtreeOne(names) => ("SUBTREE-ONE", names),
        MailboxFilter::Mailboxes(names) => ("MAILBOXES", names),
    });
    let pairs: Vec<_> = pairs
        .map(|(word, names)| Ok((word, words(py, &names)?)))
        .collect::<PyResult<_>>()?;
    PyTuple::new(py, pairs).map(Bound::unbind)
}

/// Return the items of UPDATE, if there are any.
pub(super) fn update_items(
    py: Python<'_>,
    update: Option<Update>,
) -> PyResult<Option<Py<PyFetchItems>>> {
    let update = update.unwrap_or_default();
    kept_items(py, update.items, update.uid_asked)
}

fn kept_items(
    py: Python<'_>,
    items: Vec<FetchItem>,
    uid_asked: bool,
) -> PyResult<Option<Py<PyFetchItems>>> {
    if items.is_empty() {
        return Ok(None);
    }
    let items = PyFetchItems {
        items,
        uid_asked,
        uid_fetch: false,
    };
    Py::new(py, items).map(Some)
}

/// Return the ends of a window.
pub(super) fn ends(window: Window) -> (i64, i64) {
    (window.one, window.other)
}
