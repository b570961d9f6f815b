//! Filters of mailboxes, of ESEARCH and NOTIFY.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::PyFetchItems;
use super::events::words;
use crate::wire::ast::MailboxFilter;
use crate::wire::command::EventGroup;

/// Return filter, mailboxes, events and items of each group.
pub(super) fn event_groups(py: Python<'_>, groups: Vec<EventGroup>) -> PyResult<Py<PyTuple>> {
    let groups = groups.into_iter().map(|group| {
        let items = (!group.items.is_empty()).then_some(PyFetchItems {
            items: group.items,
            uid_asked: group.uid_asked,
            uid_fetch: false,
        });
        Ok((
            group.filter,
            words(py, &group.mailboxes)?,
            words(py, &group.events)?,
            items.map(|items| Py::new(py, items)).transpose()?,
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
