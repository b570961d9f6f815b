"""METADATA responses (RFC 5464 section 4.4), also those for changes by other sessions."""

import re
from itertools import groupby
from typing import Final

from imapvm._core import ResponseWriter, imap_string, mailbox_name
from imapvm.commands.outcome import Hangup
from imapvm.filepool.errors import PermissionDeniedError
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import SERVER, SHARED, AccountStore, Mailbox, Scope
from imapvm.model.ids import MailboxId
from imapvm.session.interest import Interest, NotifyEvent
from imapvm.session.session import Session
from imapvm.session.watch import AnnotationWatch

UPDATES_AT_ONCE: Final = 256
"""Changed annotations that are written between two sends, in about a millisecond."""
ASTRING: Final = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
"""ASTRING-CHARs (RFC 9051 section 9): a name of these needs no quotes."""


def entry_name(name: bytes) -> bytes:
    """Return the name of an entry as an `astring`."""
    return name if ASTRING.fullmatch(name) else imap_string(name)


def annotation_value(value: bytes | None, *, utf8: bool) -> bytes:
    """Return a value as `nstring / literal8`: NUL needs a literal8 (RFC 5464 section 5)."""
    if value is None:
        return b"NIL"
    if b"\0" in value:
        return b"~{%d}\r\n%b" % (len(value), value)
    return imap_string(value, utf8=utf8)


def watch_annotations(session: Session[AccountStore], store: AccountStore) -> None:
    """Begin to notify a client of annotations that other sessions change from now on."""
    if session.annotations is None:
        with store.reading() as reader:
            session.annotations = AnnotationWatch(reader.annotation_usage().number)


def write_changed_annotations(
    session: Session[AccountStore],
    out: ResponseWriter,
    store: AccountStore,
    watch: AnnotationWatch,
) -> bool:
    """Write METADATA without values for annotations that other sessions have changed.

    After NOTIFY, of those that it names only (RFC 5465 sections 5.6 and 5.7), also of mailboxes of
    other users.

    Returns:
        True if more is due than one call writes: flush, and call again.

    Raises:
        Hangup: the log does not reach back to the last call, and the client does not use NOTIFY.
    """
    if watch.synced == store.latest_txn_id():
        return False
    interest = session.interest
    own = session.origin
    assert session.store is not None
    visible = (SHARED, session.store.account.id)
    with store.reading() as reader:
        usage = reader.annotation_usage()
        if watch.seen < usage.trimmed:
            if session.watch is not None:
                watch.seen = usage.number
                session.watch.overflow()
                return False
            raise Hangup("more annotations have changed than are remembered; log in again")
        changes = reader.annotation_changes(watch.seen, UPDATES_AT_ONCE)
        theirs = (
            change for change in changes if change.origin != own and change.scope.user in visible
        )
        for mailbox, some in groupby(theirs, key=lambda change: change.scope.mailbox):
            row = _mailbox(reader, mailbox) if mailbox != SERVER else None
            if row is None and mailbox != SERVER:
                continue  # deleted since, or hidden
            if interest is not None and not _is_watched(interest, store, reader, row):
                continue
            names = b" ".join(
                entry_name(scope_prefix(change.scope) + change.entry) for change in some
            )
            name = mailbox_name("" if row is None else row.name, utf8=session.utf8)
            out.untagged(b"METADATA %b %b" % (name, names))
        watch.seen = changes[-1].number if changes else usage.number
        more = watch.seen < usage.number
        watch.synced = None if more else reader.txn_id
    return more


def _mailbox(reader: Reader, mailbox: MailboxId) -> Mailbox | None:
    """Return a mailbox whose annotations the user may read."""
    try:
        return reader.annotated(mailbox)
    except PermissionDeniedError:
        return None


def _is_watched(
    interest: Interest, store: AccountStore, reader: Reader, row: Mailbox | None
) -> bool:
    """Return True if NOTIFY asks for changed annotations of a mailbox, or of the server."""
    if row is None:
        return NotifyEvent.SERVER_METADATA_CHANGE in interest.all_events
    events = interest.events(row.name, own=store.is_own, is_subscribed=reader.is_subscribed)
    return NotifyEvent.MAILBOX_METADATA_CHANGE in events


def scope_prefix(scope: Scope) -> bytes:
    """Return the first component of the names of entries (RFC 5464 section 3.2)."""
    return b"/shared" if scope.user == SHARED else b"/private"
