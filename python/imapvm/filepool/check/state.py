"""State that a check collects from one table of a storage group after another."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from imapvm._core import Snapshot
from imapvm.filepool.check.findings import Findings, put_row
from imapvm.filepool.engine.transactions import LmdbTxn, WriteTxn
from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.tables.messages.bodies import SweepKind, sweep_key
from imapvm.filepool.tables.schema import GroupTables, MailboxRow, UsageRow
from imapvm.filepool.tables.transactions import GroupTxn


@dataclass
class Counted:
    """Counts from the index, for one mailbox."""

    messages: int = 0
    unseen: int = 0
    deleted: int = 0
    size: int = 0
    last_uid: int = 0
    modseq: int = 0
    keyword_sets: set[int] = field(default_factory=set)


@dataclass
class GroupState:
    """State of a storage group."""

    tables: GroupTables
    snapshot: Snapshot
    """State that is checked; it stays readable during a repair."""
    usages: dict[int, UsageRow] = field(default_factory=dict)
    mailboxes: dict[int, MailboxRow] = field(default_factory=dict)
    enrolled: set[int] = field(default_factory=set)
    """Accounts in the environment of accounts, with any status."""
    unreadable: set[int] = field(default_factory=set)
    """Mailboxes whose rows cannot be read; not to be treated as deleted."""
    index_readable: bool = True
    """False if a part of the index cannot be read, so that the counts are not valid."""
    pending_mailboxes: set[int] = field(default_factory=set)
    """Deleted mailboxes that are not swept yet."""
    pending_seen: set[tuple[int, int]] = field(default_factory=set)
    r"""Mailboxes and blocks in which expunged messages that readers have as \Seen are not yet
    swept."""
    pending_accounts: set[int] = field(default_factory=set)
    pending_bodies: dict[int, bytes] = field(default_factory=dict)
    """Bodies with a row in `sweep`, including staged ones → key of the row."""
    counted: dict[int, Counted] = field(default_factory=dict)
    uses: Counter[int] = field(default_factory=Counter)
    """Body → number of records that have it."""
    sizes: dict[int, int] = field(default_factory=dict)
    """Body → size in its first record."""
    outdated: list[int] = field(default_factory=list)
    """Bodies whose metadata is valid, and was made by older rules."""
    highest: Counter[bytes] = field(default_factory=Counter)
    """Counter → highest id that occurs."""
    ownerless: set[tuple[str, int]] = field(default_factory=set)
    """Kinds of rows that were reported, with the mailbox or account that does not exist."""

    def note_id(self, counter: bytes, number: int) -> None:
        """Note an id, which must have been allocated from the counter."""
        self.highest[counter] = max(self.highest[counter], number)

    def has_mailbox(self, mailbox: int) -> bool:
        """Return True if it exists or is not swept yet."""
        return (
            mailbox in self.mailboxes
            or mailbox in self.unreadable
            or mailbox in self.pending_mailboxes
        )

    def has_account(self, account: int) -> bool:
        """Return True if it exists or is not swept yet."""
        return (
            account in self.usages or account in self.enrolled or account in self.pending_accounts
        )

    def check_mailbox(self, mailbox: int, rows: str, found: Findings[GroupTxn]) -> bool:
        """Return True if the mailbox of a row exists or is not swept yet; else report it once.

        Args:
            mailbox: its id.
            rows: start of the finding: "changes exist in".
            found: receives the finding.
        """
        if self.has_mailbox(mailbox):
            return True
        what = f"{rows} mailbox"
        if (what, mailbox) not in self.ownerless:
            self.ownerless.add((what, mailbox))
            found.add(f"{what} {mailbox}, which does not exist", self._sweep_mailbox(mailbox))
        return False

    def check_account(self, account: int, rows: str, found: Findings[GroupTxn]) -> bool:
        """Return True if the account of a row exists or is not swept yet; else report it once.

        The arguments are those of `check_mailbox`.
        """
        if self.has_account(account):
            return True
        what = f"{rows} account"
        if (what, account) not in self.ownerless:
            self.ownerless.add((what, account))
            found.add(f"{what} {account}, which does not exist", self.sweep_account(account))
        return False

    def _sweep_mailbox(self, mailbox: int) -> Callable[[WriteTxn], object]:
        """Return a repair that has the remains of a mailbox swept."""
        return put_row(self.tables.sweep, sweep_key(0, SweepKind.MAILBOX, mailbox), b"")

    def sweep_account(self, account: int) -> Callable[[WriteTxn], object]:
        """Return a repair that has the remains of an account swept."""
        return put_row(self.tables.sweep, sweep_key(0, SweepKind.ACCOUNT, account), b"")


def read_group(
    txn: LmdbTxn, tables: GroupTables, snapshot: Snapshot, found: Findings[GroupTxn]
) -> GroupState:
    """Read the rows of accounts and mailboxes."""
    state = GroupState(tables, snapshot)
    with txn.cursor(tables.usage) as cursor:
        for key, stored in cursor:
            try:
                usage = UsageRow.from_bytes(key, stored)
            except CorruptDataError as error:
                found.add(str(error))
                continue
            state.usages[usage.account] = usage
    with txn.cursor(tables.mailboxes) as cursor:
        for key, stored in cursor:
            try:
                row = MailboxRow.from_bytes(key, stored)
            except CorruptDataError as error:
                found.add(str(error))
                state.unreadable.add(int.from_bytes(key[8:], "big"))
                continue
            if row.id in state.mailboxes:
                found.add(f"mailbox {row.id} is in two accounts")
            state.mailboxes[row.id] = row
            state.counted[row.id] = Counted()
            state.note_id(b"mailbox", row.id)
    return state
