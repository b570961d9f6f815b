"""Check of ACLs: each entry is of a mailbox that exists, and has its reverse in `grants`."""

from collections.abc import Callable
from struct import error

from imapvm._core import CorruptError, UidSet
from imapvm.filepool.check.findings import Findings, delete_row, put_row
from imapvm.filepool.check.state import GroupState
from imapvm.filepool.engine.transactions import LmdbTxn
from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.tables.acl import ATTRIBUTES, entry_of, note_readers
from imapvm.filepool.tables.messages.bodies import SweepKind
from imapvm.filepool.tables.schema import (
    ACL_KEY,
    GRANT_KEY,
    SEEN_BLOCK_KEY,
    SEEN_KEY,
    SWEEP_KEY,
    MailboxRow,
)
from imapvm.filepool.tables.transactions import GroupTxn


def inspect_acls(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    """Check the tables `acl`, `grants` and `seen`."""
    _inspect_entries(txn, state, found)
    _inspect_grants(txn, state, found)
    _inspect_seen(txn, state, found)


def _inspect_seen(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    r"""Check that readers have only messages as \Seen that exist or whose expunge is not swept."""
    table, present = state.tables.seen, UidSet()
    last = 0
    with txn.cursor(table) as cursor:
        for key, stored in cursor:
            try:
                mailbox, _, block = SEEN_KEY.unpack(key)
                seen = UidSet.from_bytes(stored)
            except (CorruptError, error):
                found.add("messages that a reader has seen cannot be read", delete_row(table, key))
                continue
            if not state.check_mailbox(mailbox, "messages that readers have seen", found):
                continue
            if mailbox not in state.mailboxes or not state.index_readable:
                continue
            if (mailbox, block) in state.pending_seen:
                continue
            if mailbox != last:
                last, present = mailbox, state.snapshot.uid_map(mailbox).uids
            if gone := len(seen - present):
                item = SWEEP_KEY.pack(0, SweepKind.SEEN) + SEEN_BLOCK_KEY.pack(mailbox, block)
                found.add(
                    f"a reader of mailbox {mailbox} has seen {gone} messages that do not exist",
                    put_row(state.tables.sweep, item, b""),
                )


def _inspect_entries(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    tables = state.tables
    with txn.cursor(tables.acl) as cursor:
        for key, stored in cursor:
            try:
                mailbox, kind, number = ACL_KEY.unpack(key)
                if kind != ATTRIBUTES:
                    entry_of(key, stored)
            except (CorruptDataError, error):
                found.add("an entry of an ACL cannot be read", delete_row(tables.acl, key))
                continue
            row = state.mailboxes.get(mailbox)
            if row is None:
                if mailbox not in state.unreadable:
                    found.add(
                        f"mailbox {mailbox} has an ACL and does not exist",
                        delete_row(tables.acl, key),
                    )
            elif kind != ATTRIBUTES:
                if not row.has_readers:
                    found.add(
                        f"mailbox {mailbox} has an ACL and is not marked as shared", _mark(row)
                    )
                reverse = GRANT_KEY.pack(kind, number, row.account, mailbox)
                if txn.get(reverse, None, tables.grants) is None:
                    found.add(
                        f"an entry of the ACL of mailbox {mailbox} is not in the table of grants",
                        put_row(tables.grants, reverse, b""),
                    )


def _mark(row: MailboxRow) -> Callable[[GroupTxn], object]:
    return lambda txn: note_readers(txn, txn.mailbox(row.account, row.id))


def _inspect_grants(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    tables = state.tables
    with txn.cursor(tables.grants) as cursor:
        for key in cursor.iternext(True, False):  # noqa: FBT003
            try:
                kind, number, account, mailbox = GRANT_KEY.unpack(key)
            except error:
                found.add(
                    "a row of the table of grants cannot be read", delete_row(tables.grants, key)
                )
                continue
            row = state.mailboxes.get(mailbox)
            if mailbox in state.unreadable:
                continue
            entry = txn.get(ACL_KEY.pack(mailbox, kind, number), None, tables.acl)
            if entry is None or row is None or row.account != account:
                found.add(
                    f"the table of grants has mailbox {mailbox}, whose ACL has no such entry",
                    delete_row(tables.grants, key),
                )
