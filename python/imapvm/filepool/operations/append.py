"""APPEND: staging of large messages, and new messages in a mailbox."""

from collections.abc import Sequence
from typing import Final

from imapvm._core import Record, UidSet
from imapvm.filepool.errors import LimitError, StagedExpiredError
from imapvm.filepool.operations.quota import check_quota
from imapvm.filepool.tables.messages import index
from imapvm.filepool.tables.messages.bodies import (
    NewBody,
    Staged,
    SweepKind,
    check_available,
    store_body,
    sweep_key,
)
from imapvm.filepool.tables.messages.changes import Change, log_change
from imapvm.filepool.tables.messages.keywords import check_keywords, check_room, intern
from imapvm.filepool.tables.messages.threads import thread_of
from imapvm.filepool.tables.schema import CHUNK_KEY, MailboxRow
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.flags import SystemFlag
from imapvm.model.ids import UID_MAX, AccountId, BodyId, MailboxId, ModSeq
from imapvm.model.values import frozen

SEEN: Final = SystemFlag.SEEN.value
DELETED: Final = SystemFlag.DELETED.value


@frozen
class NewMessage:
    """Message to append to a mailbox."""

    body: NewBody
    flags: int
    """Bits of `SystemFlag`."""
    keywords: tuple[str, ...]
    date: int
    """INTERNALDATE, seconds since 1970 UTC."""
    zone: int
    """Minutes east of UTC."""


@frozen
class AppendResult:
    """Result of APPEND (RFC 9051 section 7.1, APPENDUID)."""

    uid_validity: int
    uids: UidSet
    modseq: ModSeq
    recent_from: int
    r"""Messages from this UID on were \Recent, the new ones included."""


# --- staging -----------------------------------------------------------------------------------


@frozen
class StageBody:
    """Rows of an arriving message; the first ones allocate its body id."""

    group: int
    rows: tuple[tuple[int, bytes], ...]
    until: int
    staged: Staged | None

    def apply(self, txn: GroupTxn) -> Staged:
        staged = self.staged
        if staged is None:
            staged = Staged(self.group, BodyId(txn.allocate(b"body")), self.until)
            txn.put(staged.key, b"", txn.tables.sweep)
        elif txn.get(staged.key, txn.tables.sweep) is None:
            raise StagedExpiredError("the message took too long to arrive")
        for chunk, value in self.rows:
            txn.put_last(CHUNK_KEY.pack(staged.body, chunk), value, txn.tables.bodies)
        return staged


@frozen
class DiscardStaged:
    """Expiry of a staged body now, unless a message refers to it."""

    staged: Staged
    now: int

    def apply(self, txn: GroupTxn) -> None:
        if txn.get(self.staged.key, txn.tables.sweep) is not None:
            txn.delete(self.staged.key, txn.tables.sweep)
            key = sweep_key(self.now, SweepKind.STAGED, self.staged.body)
            txn.put(key, b"", txn.tables.sweep)


# --- appending -----------------------------------------------------------------------------------


def check_uids(row: MailboxRow, more: int) -> None:
    """Check that the mailbox has UIDs for more messages.

    Raises:
        LimitError: all 32-bit UIDs are used (RFC 9051 section 2.3.1.1).
    """
    if row.uid_next + more > UID_MAX:
        raise LimitError("the mailbox has no UIDs left; copy its messages to a new mailbox")


def count_in(txn: GroupTxn, row: MailboxRow, records: Sequence[Record]) -> None:
    """Add messages to the counters of a mailbox and its account."""
    _count(txn, row, records, 1)


def count_out(txn: GroupTxn, row: MailboxRow, records: Sequence[Record]) -> None:
    """Subtract messages from the counters of a mailbox and its account."""
    _count(txn, row, records, -1)


def _count(txn: GroupTxn, row: MailboxRow, records: Sequence[Record], sign: int) -> None:
    size = unseen = deleted = 0
    for record in records:
        size += record.size
        unseen += not record.flags & SEEN
        deleted += bool(record.flags & DELETED)
    txn.edit(row)
    row.messages += sign * len(records)
    row.size += sign * size
    row.unseen += sign * unseen
    row.deleted += sign * deleted
    usage = txn.usage(row.account)
    txn.edit(usage)
    usage.messages += sign * len(records)
    usage.size += sign * size


def append_stored(
    txn: GroupTxn,
    row: MailboxRow,
    messages: Sequence[NewMessage],
    bodies: Sequence[BodyId],
    now: int,
) -> AppendResult:
    """Append messages whose bodies are stored."""
    txn.edit(row)
    row.highest_modseq += 1
    first = row.uid_next
    records = [
        Record(
            uid=first + number,
            size=message.body.size,
            flags=message.flags,
            keyword_set=intern(txn, row, message.keywords) if message.keywords else 0,
            modseq=row.highest_modseq,
            date=message.date,
            zone=message.zone,
            saved=now,
            body=body,
            thread=thread_of(txn, row.account, message.body.threads),
        )
        for number, (message, body) in enumerate(zip(messages, bodies, strict=True))
    ]
    row.uid_next += len(records)
    index.append(txn, row.id, records)
    count_in(txn, row, records)
    uids = UidSet(((first, row.uid_next - 1),))
    log_change(txn, row, Change.APPENDED, uids)
    return AppendResult(row.uid_validity, uids, ModSeq(row.highest_modseq), row.recent_from)


@frozen
class AppendMessages:
    """APPEND and MULTIAPPEND: all messages or none (RFC 3502)."""

    account: AccountId
    mailbox: MailboxId
    messages: tuple[NewMessage, ...]
    now: int
    claim: bool = False
    r"""Claim the \Recent messages, the new ones included, for the session that appends: it has the
    mailbox selected and is notified of them next. `ClaimRecent` would cost a second commit."""

    def apply(self, txn: GroupTxn) -> AppendResult:
        row = txn.mailbox(self.account, self.mailbox)
        if not self.messages:
            return AppendResult(
                row.uid_validity, UidSet(), ModSeq(row.highest_modseq), row.uid_next
            )
        check_uids(row, len(self.messages))
        keyword_sets = []
        for message in self.messages:
            check_available(txn, message.body)
            if message.keywords:
                check_keywords(message.keywords)
                keyword_sets.append(message.keywords)
        if keyword_sets:
            check_room(txn, row, keyword_sets)
        if txn.limits(self.account):
            size = sum(message.body.size for message in self.messages)
            check_quota(txn, self.account, messages=len(self.messages), size=size)
        bodies = [store_body(txn, message.body, 1) for message in self.messages]
        appended = append_stored(txn, row, self.messages, bodies, self.now)
        if self.claim:
            row.recent_from = row.uid_next
        return appended
