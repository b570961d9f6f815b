"""Check of annotations: values, totals of scopes and accounts, and the log of changes."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from struct import error
from typing import Final

from imapvm.filepool.check.findings import Findings, delete_row, put_row
from imapvm.filepool.check.state import GroupState
from imapvm.filepool.engine.transactions import LmdbTxn
from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.operations.mailboxes.annotations import clear_user
from imapvm.filepool.operations.sweep import STEP_ROWS
from imapvm.filepool.tables.annotations import (
    FIRST_PART,
    PART_KEY,
    SCOPE_ROW,
    SERVER,
    SHARED,
    AnnotationUsage,
    Scope,
    ScopeTotals,
    head_of,
    put_usage,
    totals_of,
)
from imapvm.filepool.tables.quotas import annotation_bytes, annotation_key
from imapvm.filepool.tables.schema import COUNTER, ID_KEY, PAIR_KEY
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, MailboxId

EXIST: Final = "annotations exist of"


@dataclass
class _Counted:
    """Annotations as counted, of one storage group."""

    scopes: dict[Scope, ScopeTotals] = field(default_factory=dict)
    stored: dict[Scope, ScopeTotals] = field(default_factory=dict)
    entries: Counter[int] = field(default_factory=Counter)
    """By account."""
    sizes: Counter[int] = field(default_factory=Counter)
    highest: Counter[int] = field(default_factory=Counter)
    """Highest number of a change, by account."""

    def owner(self, state: GroupState, scope: Scope) -> int | None:
        """Return the account that a scope is counted for; None for a mailbox that is gone."""
        if scope.user != SHARED or scope.mailbox == SERVER:
            return scope.user
        row = state.mailboxes.get(scope.mailbox)
        return None if row is None else row.account


def inspect_annotations(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    """Check the tables `annotations`, `annotation_usage` and `annotation_changes`."""
    counted = _Counted()
    _inspect_entries(txn, state, counted, found)
    table = state.tables.annotations
    for scope in counted.scopes.keys() | counted.stored.keys():
        actual, stored = (
            counted.scopes.get(scope, ScopeTotals()),
            counted.stored.get(scope, ScopeTotals()),
        )
        if actual != stored:
            found.add(
                f"mailbox {scope.mailbox} has {actual.entries} annotations of user {scope.user} "
                f"with {actual.size} bytes; its totals are {stored.entries} and {stored.size}",
                put_row(table, scope.key, SCOPE_ROW.pack(*actual))
                if actual.entries
                else delete_row(table, scope.key),
            )
    changes = _inspect_log(txn, state, counted, found)
    others = counted.entries.keys() & state.enrolled  # of other storage groups
    with txn.cursor(state.tables.annotation_usage) as cursor:
        for key in cursor.iternext(True, False):  # noqa: FBT003
            (account,) = ID_KEY.unpack(key)
            if account == SHARED or state.check_account(account, EXIST, found):
                others.add(account)
    for account in state.usages.keys() | others - state.pending_accounts:
        _inspect_account(txn, state, counted, changes[account], account, found)


def _inspect_entries(
    txn: LmdbTxn, state: GroupState, counted: _Counted, found: Findings[GroupTxn]
) -> None:
    """Check all values, and count them."""
    open_entry = _Entry()
    with txn.cursor(state.tables.annotations) as cursor:
        for key, stored in cursor:
            if len(key) < PAIR_KEY.size:
                found.add("an annotation cannot be read", delete_row(state.tables.annotations, key))
                continue
            mailbox, user = PAIR_KEY.unpack(key[: PAIR_KEY.size])
            scope = Scope(MailboxId(mailbox), AccountId(user))
            if not _has_owner(state, scope, found):
                continue
            name = key[PAIR_KEY.size :]
            if not name:
                try:
                    counted.stored[scope] = totals_of(stored)
                except CorruptDataError:
                    counted.stored[scope] = ScopeTotals(-1, -1)
                continue
            if name[-1] == 0:
                open_entry.end(state, counted, found)
                open_entry = _Entry(scope, name[: -PART_KEY.size], stored)
            else:
                open_entry.add(name, stored)
    open_entry.end(state, counted, found)


def _has_owner(state: GroupState, scope: Scope, found: Findings[GroupTxn]) -> bool:
    """Return True if the mailbox of a scope exists; report one that is not to be swept either."""
    if scope == (SERVER, SHARED):
        return True
    if scope.mailbox == SERVER:
        state.check_account(scope.user, EXIST, found)
        return scope.user in state.usages
    state.check_mailbox(scope.mailbox, EXIST, found)
    row = state.mailboxes.get(scope.mailbox)
    if row is None:
        return False
    if scope.user in (SHARED, row.account) or state.has_account(scope.user):
        return True
    what = ("annotations of a user", scope.user)
    if what not in state.ownerless:
        state.ownerless.add(what)
        found.add(
            f"annotations exist of user {scope.user}, who does not exist", _clear_user(scope.user)
        )
    return False


def _clear_user(user: AccountId) -> Callable[[GroupTxn], None]:
    def repair(txn: GroupTxn) -> None:
        after: int | None = 0
        while after is not None:
            after, _ = clear_user(txn, user, after, STEP_ROWS)

    return repair


class _Entry:
    """Entry whose parts are being read."""

    def __init__(self, scope: Scope | None = None, entry: bytes = b"", stored: bytes = b"") -> None:
        self.scope = scope
        self.entry = entry
        self.first = stored
        self.size = len(stored) - FIRST_PART.size
        self.parts = 1
        self.whole = True

    def add(self, name: bytes, stored: bytes) -> None:
        self.whole = self.whole and name == self.entry + PART_KEY.pack(self.parts)
        self.size += len(stored)
        self.parts += 1

    def end(self, state: GroupState, counted: _Counted, found: Findings[GroupTxn]) -> None:
        """Check and count the entry."""
        scope = self.scope
        if scope is None:
            return
        owner = counted.owner(state, scope)
        assert owner is not None, "annotations without an owner were skipped"
        what = f"annotation {self.entry.decode(errors='replace')} of mailbox {scope.mailbox}"
        try:
            size, number = head_of(self.first)
        except CorruptDataError:
            size, number = -1, 0
        if size != self.size or not self.whole:
            found.add(f"{what} cannot be read")
        if not self.entry.startswith(b"/") or self.entry != self.entry.lower():
            found.add(f"{what} has a name that is not valid")
        before = counted.scopes.get(scope, ScopeTotals())
        more = len(self.entry) + max(size, 0)
        counted.scopes[scope] = ScopeTotals(before.entries + 1, before.size + more)
        counted.entries[owner] += 1
        counted.sizes[owner] += more
        counted.highest[owner] = max(counted.highest[owner], number)


def _inspect_log(
    txn: LmdbTxn, state: GroupState, counted: _Counted, found: Findings[GroupTxn]
) -> Counter[int]:
    """Check the log; return the number of its rows by account."""
    rows: Counter[int] = Counter()
    with txn.cursor(state.tables.annotation_changes) as cursor:
        for key, stored in cursor:
            try:
                account, number = PAIR_KEY.unpack(key)
            except error:
                found.add(
                    "a change of annotations cannot be read",
                    delete_row(state.tables.annotation_changes, key),
                )
                continue
            rows[account] += 1
            counted.highest[account] = max(counted.highest[account], number)
            if b"/" not in stored:
                found.add(f"change {number} of annotations of account {account} cannot be read")
            if account != SHARED:
                state.check_account(account, EXIST, found)
    return rows


def _inspect_account(
    txn: LmdbTxn,
    state: GroupState,
    counted: _Counted,
    changes: int,
    account: int,
    found: Findings[GroupTxn],
) -> None:
    """Check the totals of an account, and the state of its log."""
    stored = txn.get(ID_KEY.pack(account), None, state.tables.annotation_usage)
    try:
        usage = AnnotationUsage.from_bytes(stored)
    except CorruptDataError:
        usage = AnnotationUsage(-1)
    entries, highest = counted.entries[account], counted.highest[account]
    actual = (entries, changes, max(usage.number, highest))
    if actual != (usage.entries, usage.changes, usage.number):
        found.add(
            f"account {account} has {entries} annotations and {changes} logged changes up to "
            f"{highest}; its row has {usage.entries}, {usage.changes} and {usage.number}",
            _set_usage(AccountId(account), AnnotationUsage(*actual, usage.trimmed)),
        )
    key = annotation_key(account)
    size = annotation_bytes(txn.get(key, None, state.tables.counters))
    if size != counted.sizes[account]:
        found.add(
            f"account {account} has annotations with {counted.sizes[account]} bytes; its counter "
            f"has {size}",
            put_row(state.tables.counters, key, COUNTER.pack(counted.sizes[account])),
        )


def _set_usage(account: AccountId, usage: AnnotationUsage) -> Callable[[GroupTxn], None]:
    def repair(txn: GroupTxn) -> None:
        put_usage(txn, account, usage)

    return repair
