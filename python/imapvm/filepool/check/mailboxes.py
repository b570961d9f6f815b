"""Check that mailboxes, names and usage of a group agree with each other and with the index."""

from collections import Counter, defaultdict
from collections.abc import Callable

from imapvm.filepool.check.accounts import AccountsState
from imapvm.filepool.check.findings import Findings, delete_row, put_row
from imapvm.filepool.check.state import GroupState
from imapvm.filepool.engine.transactions import LmdbTxn
from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.operations.enroll import AddAccount
from imapvm.filepool.tables.messages.bodies import SweepKind, sweep_key
from imapvm.filepool.tables.quotas import unpack_limits
from imapvm.filepool.tables.schema import (
    ID_KEY,
    NAME_ROW,
    MailboxRow,
    UsageRow,
    name_key,
    special_uses,
)
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId
from imapvm.model.names import INBOX, canonical_name, name_error


def inspect_usage(
    state: GroupState,
    group: int,
    snapshots: tuple[AccountsState, AccountsState],
    now: int,
    found: Findings[GroupTxn],
) -> None:
    """Check that the accounts with mail in a group are those that are enrolled in it.

    Args:
        state: of the group.
        group: number of the group.
        snapshots: the accounts before and after the group's transaction began.
        now: seconds since 1970.
        found: receives the findings.
    """
    before, after = snapshots
    for accounts in snapshots:
        state.enrolled |= accounts.active.keys() | accounts.unfinished.keys()
    for account, home in before.active.items():
        if home == group and account in after.active and account not in state.usages:
            found.add(
                f"account {account} is enrolled and has no usage row",
                _restore_account(state, AccountId(account), now),
            )
    for account, usage in state.usages.items():
        homes = {
            known.get(account)
            for accounts in snapshots
            for known in (accounts.active, accounts.unfinished)
        }
        if group not in homes:
            found.add(
                f"group {group} has mail of account {account}, which is not enrolled there",
                _remove_account(state, usage),
            )


def inspect_mailboxes(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    """Check rows of mailboxes against the index, and names against mailboxes.

    Call it after `inspect_index`.
    """
    by_account: defaultdict[int, list[MailboxRow]] = defaultdict(list)
    for row in state.mailboxes.values():
        by_account[row.account].append(row)
        if not state.has_account(row.account):
            found.add(
                f"mailbox {row.id} is of account {row.account}, which does not exist",
                state.sweep_account(row.account),
            )
        _inspect_row(txn, state, row, found)
    names = _inspect_names(txn, state, found)
    _inspect_quotas(txn, state, found)
    for account, usage in state.usages.items():
        rows = by_account[account]
        _inspect_together(usage, rows, found)
        counted = [state.counted[row.id] for row in rows]
        expected = (
            sum(mailbox.messages for mailbox in counted),
            sum(mailbox.size for mailbox in counted),
            len(rows),
            names[account],
        )
        if expected != (usage.messages, usage.size, usage.mailboxes, usage.names):
            found.add(
                f"account {account} has {expected[0]} messages with {expected[1]} bytes in "
                f"{expected[2]} mailboxes and {expected[3]} names; its usage row has "
                f"{usage.messages}, {usage.size}, {usage.mailboxes} and {usage.names}",
                _set_usage(usage, expected) if state.index_readable else None,
            )


def _inspect_row(
    txn: LmdbTxn,
    state: GroupState,
    row: MailboxRow,
    found: Findings[GroupTxn],
) -> None:
    """Check one mailbox against its index."""
    counted = state.counted[row.id]
    what = f"mailbox {row.id}"
    fix = recount(state, row) if state.index_readable else None
    expected = (counted.messages, counted.unseen, counted.deleted, counted.size)
    actual = (row.messages, row.unseen, row.deleted, row.size)
    if expected != actual:
        found.add(
            f"{what} has {expected[0]} messages, {expected[1]} unseen, {expected[2]} deleted, "
            f"{expected[3]} bytes; its row has {actual[0]}, {actual[1]}, {actual[2]}, {actual[3]}",
            fix,
        )
    if counted.last_uid >= row.uid_next:
        found.add(
            f"{what} has UID {counted.last_uid}, and its UIDNEXT is {row.uid_next}",
            fix,
        )
    if counted.modseq > row.highest_modseq or row.highest_modseq < 1:
        found.add(
            f"{what} has a message with MODSEQ {counted.modseq}, and its highest is "
            f"{row.highest_modseq}",
            fix,
        )
    if not 1 <= row.recent_from <= row.uid_next:
        found.add(
            f"{what} has recent messages from UID {row.recent_from} on",
            fix,
        )
    if row.changes_from > row.highest_modseq:
        found.add(f"{what} has a change log that starts after its highest MODSEQ", fix)
    if max(counted.keyword_sets, default=0) > row.keyword_sets:
        found.add(f"{what} has messages with keyword sets that do not exist")
    stored = txn.get(name_key(row.account, row.name), None, state.tables.names)
    if stored is None or NAME_ROW.unpack(stored)[0] != row.id:
        free = stored is None or NAME_ROW.unpack(stored)[0] == 0
        value = NAME_ROW.pack(row.id, NAME_ROW.unpack(stored)[1] if stored else 0)
        found.add(
            f"the name of mailbox {row.id}, {row.name}, does not lead to it",
            _link_name(state, row, value, new=stored is None) if free else None,
        )


def _inspect_together(usage: UsageRow, rows: list[MailboxRow], found: Findings[GroupTxn]) -> None:
    """Check what must be unique in an account."""
    account = usage.account
    if not any(row.name == INBOX for row in rows):
        found.add(f"account {account} has no INBOX")
    for number, times in Counter(row.uid_validity for row in rows).items():
        if times > 1 or number == 0:
            found.add(f"account {account} has {times} mailboxes with UIDVALIDITY {number}")
    highest = max((row.uid_validity for row in rows), default=0)
    if highest > usage.uid_validity:
        found.add(
            f"account {account} has UIDVALIDITY {highest}, which was not allocated",
            _raise_uid_validity(usage, highest),
        )
    for use, times in Counter(use for row in rows for use in special_uses(row.uses)).items():
        if times > 1:
            found.add(f"account {account} has {times} mailboxes with the special use {use}")


def _inspect_names(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> Counter[int]:
    """Check all names; return the number of names of each account."""
    count: Counter[int] = Counter()
    table = state.tables.names
    with txn.cursor(table) as cursor:
        for key, stored in cursor:
            (account,) = ID_KEY.unpack(key[:8])
            name = key[8:].decode(errors="replace")
            count[account] += 1
            if not state.check_account(account, "names exist for", found):
                continue
            mailbox, subscribed = NAME_ROW.unpack(stored)
            row = state.mailboxes.get(mailbox)
            if mailbox and (row is None or (row.account, row.name) != (account, name)):
                found.add(
                    f"the name {name} of account {account} leads to mailbox {mailbox}, which "
                    "has another name or does not exist",
                    put_row(table, key, NAME_ROW.pack(0, subscribed))
                    if subscribed
                    else _unlink_name(state, account, key),
                )
            elif canonical_name(name) != name or name_error(name) is not None:
                found.add(f"account {account} has a name that is not valid: {name!r}")
            elif not mailbox and not subscribed:
                found.add(
                    f"the name {name} of account {account} has no mailbox and no subscription",
                    _unlink_name(state, account, key),
                )
    return count


def _inspect_quotas(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    """Check that limits can be read, and are of accounts that exist."""
    table = state.tables.quotas
    with txn.cursor(table) as cursor:
        for key, stored in cursor:
            (account,) = ID_KEY.unpack(key)
            if not state.has_account(account):
                found.add(
                    f"limits exist for account {account}, which does not exist",
                    delete_row(table, key),
                )
                continue
            try:
                unpack_limits(account, stored)
            except CorruptDataError as error:
                found.add(f"{error}; with a repair, the default applies", delete_row(table, key))


# --- repairs ---------------------------------------------------------------------------------


def _restore_account(state: GroupState, account: AccountId, now: int) -> Callable[[GroupTxn], None]:
    """Return a repair that counts existing mailboxes, or creates the default ones."""

    def repair(txn: GroupTxn) -> None:
        rows = [row for row in state.mailboxes.values() if row.account == account]
        if not rows:
            AddAccount(account, now).apply(txn)
            return
        counted = [state.counted[row.id] for row in rows]
        usage = UsageRow(
            account,
            messages=sum(mailbox.messages for mailbox in counted),
            size=sum(mailbox.size for mailbox in counted),
            mailboxes=len(rows),
            names=sum(1 for _ in txn.items(state.tables.names, ID_KEY.pack(account))),
            uid_validity=max(row.uid_validity for row in rows),
        )
        txn.add(usage)

    return repair


def recount(state: GroupState, row: MailboxRow) -> Callable[[GroupTxn], None]:
    """Return a repair that sets the counts of a row; numbers that clients have seen only go up."""

    def repair(txn: GroupTxn) -> None:
        counted = state.counted[row.id]
        row.messages, row.unseen = counted.messages, counted.unseen
        row.deleted, row.size = counted.deleted, counted.size
        row.uid_next = max(row.uid_next, counted.last_uid + 1)
        row.highest_modseq = max(row.highest_modseq, counted.modseq, 1)
        row.recent_from = min(max(row.recent_from, 1), row.uid_next)
        row.changes_from = min(row.changes_from, row.highest_modseq)
        txn.add(row)

    return repair


def _link_name(
    state: GroupState, row: MailboxRow, value: bytes, *, new: bool
) -> Callable[[GroupTxn], None]:
    def repair(txn: GroupTxn) -> None:
        txn.put(name_key(row.account, row.name), value, state.tables.names)
        usage = state.usages.get(row.account)
        if new and usage is not None:
            usage.names += 1
            txn.add(usage)

    return repair


def _unlink_name(state: GroupState, account: int, key: bytes) -> Callable[[GroupTxn], None]:
    remove = delete_row(state.tables.names, key)

    def repair(txn: GroupTxn) -> None:
        remove(txn)
        usage = state.usages.get(account)
        if usage is not None:
            usage.names -= 1
            txn.add(usage)

    return repair


def _set_usage(usage: UsageRow, expected: tuple[int, int, int, int]) -> Callable[[GroupTxn], None]:
    # Names may have been repaired since they were counted: only their difference is right.
    before = usage.names

    def repair(txn: GroupTxn) -> None:
        usage.messages, usage.size, usage.mailboxes = expected[:3]
        usage.names += expected[3] - before
        txn.add(usage)

    return repair


def _raise_uid_validity(usage: UsageRow, highest: int) -> Callable[[GroupTxn], None]:
    def repair(txn: GroupTxn) -> None:
        usage.uid_validity = highest
        txn.add(usage)

    return repair


def _remove_account(state: GroupState, usage: UsageRow) -> Callable[[GroupTxn], None]:
    key = sweep_key(0, SweepKind.ACCOUNT, usage.account)

    def repair(txn: GroupTxn) -> None:
        txn.drop_usage(usage.account)
        txn.put(key, b"", state.tables.sweep)

    return repair
