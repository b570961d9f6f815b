"""What a check gathers of a storage group while it looks at one table after the other."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from imapvm.filepool.check.findings import Findings, put_row
from imapvm.filepool.engine.transactions import LmdbTxn, WriteTxn
from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.tables.bodies import Sweeping, sweep_key
from imapvm.filepool.tables.schema import GroupTables, MailboxRow, UsageRow
from imapvm.filepool.tables.transactions import GroupTxn


@dataclass
class Counted:
    """What the index has of one mailbox."""

    messages: int = 0
    unseen: int = 0
    deleted: int = 0
    size: int = 0
    last_uid: int = 0
    modseq: int = 0
    keyword_sets: set[int] = field(default_factory=set)


@dataclass
class GroupState:
    """What is known of a group."""

    tables: GroupTables
    usages: dict[int, UsageRow] = field(default_factory=dict)
    mailboxes: dict[int, MailboxRow] = field(default_factory=dict)
    enrolled: set[int] = field(default_factory=set)
    """Accounts that are known in the environment of accounts, in whatever state."""
    unreadable: set[int] = field(default_factory=set)
    """Mailboxes whose rows cannot be read: they are not to be taken for deleted."""
    index_readable: bool = True
    """False where a part of the index cannot be read: what was counted is not to be believed."""
    pending_mailboxes: set[int] = field(default_factory=set)
    """Deleted, and waiting to be swept."""
    pending_accounts: set[int] = field(default_factory=set)
    pending_bodies: dict[int, bytes] = field(default_factory=dict)
    """Body → its row in `sweep`; staged ones, too."""
    counted: dict[int, Counted] = field(default_factory=dict)
    uses: Counter[int] = field(default_factory=Counter)
    """Body → records that have it."""
    sizes: dict[int, int] = field(default_factory=dict)
    """Body → size, as its first record has it."""
    highest: Counter[bytes] = field(default_factory=Counter)
    """Counter → the highest id that was seen."""

    def note_id(self, counter: bytes, number: int) -> None:
        """An id occurs that the counter must have given out."""
        self.highest[counter] = max(self.highest[counter], number)

    def has_mailbox(self, mailbox: int) -> bool:
        """True for one that exists or waits to be swept."""
        return (
            mailbox in self.mailboxes
            or mailbox in self.unreadable
            or mailbox in self.pending_mailboxes
        )

    def has_account(self, account: int) -> bool:
        """True for one that exists or waits to be swept."""
        return (
            account in self.usages or account in self.enrolled or account in self.pending_accounts
        )

    def sweep_mailbox(self, mailbox: int) -> Callable[[WriteTxn], object]:
        """Mends by having the remains of a mailbox swept."""
        return put_row(self.tables.sweep, sweep_key(0, Sweeping.MAILBOX, mailbox), b"")

    def sweep_account(self, account: int) -> Callable[[WriteTxn], object]:
        """Mends by having the remains of an account swept."""
        return put_row(self.tables.sweep, sweep_key(0, Sweeping.ACCOUNT, account), b"")


def read_group(txn: LmdbTxn, tables: GroupTables, found: Findings[GroupTxn]) -> GroupState:
    """Read who is there, and which mailboxes."""
    state = GroupState(tables)
    with txn.cursor(tables.usage) as cursor:
        for key, stored in cursor:
            try:
                usage = UsageRow.from_bytes(key, stored)
            except CorruptDataError as fault:
                found.add(str(fault))
                continue
            state.usages[usage.account] = usage
    with txn.cursor(tables.mailboxes) as cursor:
        for key, stored in cursor:
            try:
                row = MailboxRow.from_bytes(key, stored)
            except CorruptDataError as fault:
                found.add(str(fault))
                state.unreadable.add(int.from_bytes(key[8:], "big"))
                continue
            if row.id in state.mailboxes:
                found.add(f"Mailbox {row.id} is in two accounts.")
            state.mailboxes[row.id] = row
            state.counted[row.id] = Counted()
            state.note_id(b"mailbox", row.id)
    return state
