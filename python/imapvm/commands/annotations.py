"""METADATA responses (RFC 5464 section 4.4), also those for changes by other sessions."""

import re
from itertools import groupby
from typing import Final

from imapvm._core import ResponseWriter, imap_string, mailbox_name
from imapvm.commands.outcome import Hangup
from imapvm.filepool.store import SERVER, SHARED, AccountStore, Scope
from imapvm.session.session import AnnotationWatch, Session

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

    Returns:
        True if more is due than one call writes: flush, and call again.

    Raises:
        Hangup: the log does not reach back to the last call.
    """
    if watch.synced == store.latest_txn_id():
        return False
    own = bytes.fromhex(session.id)
    visible = (SHARED, store.account.id)
    with store.reading() as reader:
        usage = reader.annotation_usage()
        if watch.seen < usage.trimmed:
            raise Hangup("more annotations have changed than are remembered; log in again")
        changes = reader.annotation_changes(watch.seen, UPDATES_AT_ONCE)
        theirs = (
            change for change in changes if change.origin != own and change.scope.user in visible
        )
        for mailbox, some in groupby(theirs, key=lambda change: change.scope.mailbox):
            row = reader.mailbox_by_id(mailbox) if mailbox != SERVER else None
            if row is None and mailbox != SERVER:
                continue  # deleted since
            names = b" ".join(
                entry_name(scope_prefix(change.scope) + change.entry) for change in some
            )
            name = mailbox_name("" if row is None else row.name, utf8=session.utf8)
            out.untagged(b"METADATA %b %b" % (name, names))
        watch.seen = changes[-1].number if changes else usage.number
        more = watch.seen < usage.number
        watch.synced = None if more else reader.txn_id
    return more


def scope_prefix(scope: Scope) -> bytes:
    """Return the first component of the names of entries (RFC 5464 section 3.2)."""
    return b"/shared" if scope.user == SHARED else b"/private"
