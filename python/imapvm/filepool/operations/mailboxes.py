r"""Operations on a mailbox as a whole: CREATE, DELETE, SUBSCRIBE, claiming \Recent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from imapvm.filepool.errors import InvalidNameError, LimitError, MailboxExistsError, SpecialUseError
from imapvm.filepool.tables.bodies import SweepKind, sweep_key
from imapvm.filepool.tables.changes import Change, record_change
from imapvm.filepool.tables.mailboxes import Mailbox, mailbox_of, name_row, set_name
from imapvm.filepool.tables.schema import (
    SPECIAL_USE_BITS,
    MailboxRow,
    UsageRow,
    special_uses,
)
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import UID_MAX, AccountId, MailboxId
from imapvm.model.limits import NAMES_PER_ACCOUNT_MAX
from imapvm.model.names import DELIMITER, INBOX, canonical_name, name_error, parents

VIRTUAL_USES: Final = (r"\All", r"\Flagged")
"""Special uses of mailboxes that show messages of other mailboxes; not supported."""


# --- names ------------------------------------------------------------------------------------


def checked_name(name: str) -> str:
    """Return the canonical form of a name.

    Raises:
        InvalidNameError: the name is not valid.
    """
    name = canonical_name(name)
    error = name_error(name)
    if error is not None:
        raise InvalidNameError(error)
    return name


def check_room(usage: UsageRow, more: int) -> None:
    """Check that the account may have more names.

    Raises:
        LimitError: it would have too many.
    """
    if usage.names + more > NAMES_PER_ACCOUNT_MAX:
        raise LimitError(
            f"an account has at most {NAMES_PER_ACCOUNT_MAX} mailboxes and subscriptions"
        )


def check_uses(txn: GroupTxn, account: AccountId, uses: Sequence[str]) -> int:
    """Return the bits of the special uses of a new mailbox.

    Raises:
        SpecialUseError: one is unknown, not supported, or used by another mailbox.
    """
    bits = 0
    for use in uses:
        known = next((name for name in SPECIAL_USE_BITS if name.lower() == use.lower()), None)
        if known is None or known in VIRTUAL_USES:
            raise SpecialUseError(f"a mailbox cannot have the special use {use}")
        bits |= SPECIAL_USE_BITS[known]
    if bits:
        for row in txn.mailboxes(account):
            taken = special_uses(row.uses & bits)
            if taken:
                raise SpecialUseError(f"another mailbox has the special use {taken[0]}")
    return bits


def new_mailbox(
    txn: GroupTxn, usage: UsageRow, name: str, *, now: int, uses: int = 0, subscribe: bool = False
) -> MailboxRow:
    """Create a mailbox whose name has been checked."""
    txn.edit(usage)
    # From the clock, so that it is higher than those used before the account was restored from
    # somewhere else; and higher than the account's last one, so that no name ever gets the same
    # value twice (RFC 9051 section 2.3.1.1).
    usage.uid_validity = max(now & UID_MAX, usage.uid_validity + 1)
    if usage.uid_validity > UID_MAX:
        raise LimitError("the account has no UIDVALIDITY left")
    usage.mailboxes += 1
    row = MailboxRow(
        usage.account, MailboxId(txn.allocate(b"mailbox")), name, uses, usage.uid_validity
    )
    txn.add(row)
    _, subscribed = name_row(txn, usage.account, name)
    set_name(txn, usage, name, row.id, subscribed=subscribed or subscribe)
    record_change(txn, row, Change.CREATED)
    return row


def missing_parents(txn: GroupTxn, account: AccountId, name: str) -> list[str]:
    """Return the parents that do not exist; CREATE creates them (RFC 9051 section 6.3.4)."""
    return [above for above in parents(name) if not name_row(txn, account, above)[0]]


# --- operations -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateMailbox:
    """CREATE: a mailbox and its missing parents."""

    account: AccountId
    name: str
    special_use: tuple[str, ...]
    subscribe: bool
    now: int

    def apply(self, txn: GroupTxn) -> Mailbox:
        # A trailing delimiter announces children (RFC 9051 section 6.3.4).
        name = checked_name(self.name.removesuffix(DELIMITER))
        usage = txn.usage(self.account)
        if name_row(txn, self.account, name)[0]:
            raise MailboxExistsError("mailbox already exists")
        missing = missing_parents(txn, self.account, name)
        check_room(usage, len(missing) + 1)
        uses = check_uses(txn, self.account, self.special_use)
        for above in missing:
            new_mailbox(txn, usage, above, now=self.now)
        row = new_mailbox(txn, usage, name, now=self.now, uses=uses, subscribe=self.subscribe)
        return mailbox_of(row)


@dataclass(frozen=True, slots=True)
class DeleteMailbox:
    """DELETE: the mailbox is removed at once, the rows of its messages are swept later.

    Children and a subscription stay (RFC 9051 sections 6.3.5 and 6.3.7).
    """

    account: AccountId
    mailbox: MailboxId
    now: int

    def apply(self, txn: GroupTxn) -> None:
        row = txn.mailbox(self.account, self.mailbox)
        if row.name == INBOX:
            raise InvalidNameError("INBOX cannot be deleted")
        usage = txn.usage(self.account)
        _, subscribed = name_row(txn, self.account, row.name)
        set_name(txn, usage, row.name, None, subscribed=subscribed)
        usage.messages -= row.messages
        usage.size -= row.size
        usage.mailboxes -= 1
        txn.put(sweep_key(self.now, SweepKind.MAILBOX, row.id), b"", txn.tables.sweep)
        record_change(txn, row, Change.DELETED)
        txn.drop_mailbox(row.account, row.id)


@dataclass(frozen=True, slots=True)
class SetSubscription:
    """SUBSCRIBE and UNSUBSCRIBE: the name need not exist (RFC 9051 section 6.3.7)."""

    account: AccountId
    name: str
    subscribed: bool

    def apply(self, txn: GroupTxn) -> None:
        usage = txn.usage(self.account)
        # UNSUBSCRIBE accepts any name: an invalid one cannot be subscribed.
        name = checked_name(self.name) if self.subscribed else canonical_name(self.name)
        if not self.subscribed and name_error(name) is not None:
            return
        mailbox, before = name_row(txn, self.account, name)
        if before != self.subscribed:
            if not mailbox and self.subscribed:
                check_room(usage, 1)
            set_name(txn, usage, name, mailbox, subscribed=self.subscribed)


@dataclass(frozen=True, slots=True)
class ClaimRecent:
    r"""Claim of the \Recent messages by a session (RFC 3501 section 2.3.2)."""

    account: AccountId
    mailbox: MailboxId

    def apply(self, txn: GroupTxn) -> int:
        row = txn.mailbox(self.account, self.mailbox)
        before = row.recent_from
        if before != row.uid_next:
            txn.edit(row)
            row.recent_from = row.uid_next
        return before
