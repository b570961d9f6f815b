r"""Operations on a mailbox as a whole: CREATE, DELETE, SUBSCRIBE, claiming \Recent."""

from struct import Struct
from typing import Final

from imapvm.filepool.engine.transactions import UINT64
from imapvm.filepool.errors import InvalidNameError, LimitError, MailboxExistsError
from imapvm.filepool.operations.mailboxes.annotations import drop_annotations
from imapvm.filepool.operations.mailboxes.special_uses import check_uses
from imapvm.filepool.operations.quota import check_quota
from imapvm.filepool.tables.acl import clear_acl, inherit_acl
from imapvm.filepool.tables.mailboxes import Mailbox, mailbox_of, name_row, set_name
from imapvm.filepool.tables.messages.bodies import SweepKind, sweep_key
from imapvm.filepool.tables.messages.changes import Change, record_change
from imapvm.filepool.tables.name_changes import NO_ORIGIN, NameChangeKind, log_name
from imapvm.filepool.tables.schema import MailboxRow, UsageRow
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import UID_MAX, AccountId, MailboxId
from imapvm.model.limits import NAMES_PER_ACCOUNT_MAX, UID_VALIDITY_DRIFT_MAX
from imapvm.model.names import DELIMITER, INBOX, canonical_name, name_error, parents
from imapvm.model.values import frozen

UID_VALIDITY: Final = b"uidvalidity"
"""Counter of a storage group: its last UIDVALIDITY."""
UID_VALIDITY_DRIFT: Final = b"uidvalidity-drift"
"""Counter of a storage group: see `_drift`."""
_DRIFT: Final = Struct("<II")

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


def check_drift(txn: GroupTxn, usage: UsageRow, now: int) -> None:
    """Check that the values of UIDVALIDITY stay below the clock.

    If they do not, an account can still create a mailbox if it is not the one that created the
    last.

    Raises:
        LimitError: too many mailboxes were created in the storage group; each second allows one.
    """
    if (
        usage.uid_validity == txn.number(UID_VALIDITY)
        and _drift(txn, now) >= UID_VALIDITY_DRIFT_MAX
    ):
        raise LimitError("too many mailboxes were created; try again in a few seconds")


def _drift(txn: GroupTxn, now: int) -> int:
    """Return how many more values than seconds have passed.

    The counter has this number, and the time for which it is valid. The distance between the last
    value and the clock would be wrong after the clock was wrong.
    """
    drift: int
    when: int
    drift, when = _DRIFT.unpack(UINT64.pack(txn.number(UID_VALIDITY_DRIFT)))
    return max(drift - max((now & UID_MAX) - when, 0), 0)


def next_uid_validity(txn: GroupTxn, usage: UsageRow, now: int) -> int:
    """Allocate a UIDVALIDITY that no mailbox of the filepool has had (RFC 9051 section 2.3.1.1).

    Values follow the clock at a distance of UID_VALIDITY_DRIFT_MAX, so that many mailboxes can be
    created in a second without a value in the future, and so that values are higher than those that
    were used after the backup from which the filepool was restored. Storage groups allocate without
    locking each other: modulo their number, a value is the number of its group.

    Raises:
        LimitError: no value is left.
    """
    seconds = now & UID_MAX
    floor = max(seconds - UID_VALIDITY_DRIFT_MAX, 1)
    last = txn.number(UID_VALIDITY)
    if not last:
        last = _last_of_older_version(txn, seconds)
    # An older version may have been used since: it only writes the account's last value.
    lowest = max(floor, last + 1, usage.uid_validity + 1)
    number, groups = txn.group
    value = lowest + (number - lowest) % groups
    if value > UID_MAX:
        raise LimitError("the filepool has no UIDVALIDITY left")
    txn.set_number(UID_VALIDITY, value)
    drift = min(_drift(txn, now) + groups, UID_VALIDITY_DRIFT_MAX) if value > floor else 0
    txn.set_number(UID_VALIDITY_DRIFT, int.from_bytes(_DRIFT.pack(drift, seconds), "little"))
    return value


def _last_of_older_version(txn: GroupTxn, seconds: int) -> int:
    """Return the last value without the counter; 0 if the storage group has had no mailbox.

    Older versions used the clock, also for accounts that have been deleted since.
    """
    rows = txn.items(txn.tables.usage, b"")
    last = max((UsageRow.from_bytes(*row).uid_validity for row in rows), default=0)
    return max(last, seconds) if txn.number(b"mailbox") else last


def new_mailbox(
    txn: GroupTxn,
    usage: UsageRow,
    name: str,
    *,
    now: int,
    uses: int = 0,
    subscribe: bool = False,
    origin: bytes | None = None,
) -> MailboxRow:
    """Create a mailbox whose name has been checked, with the ACL of its parent.

    Args:
        txn: the transaction.
        usage: of the account.
        name: canonical.
        now: seconds since 1970.
        uses: bits of the special uses.
        subscribe: True to subscribe the name.
        origin: session that is not notified; None to notify no session.
    """
    uid_validity = next_uid_validity(txn, usage, now)
    txn.edit(usage)
    usage.uid_validity = uid_validity
    usage.mailboxes += 1
    row = MailboxRow(
        usage.account, MailboxId(txn.allocate(b"mailbox")), name, uses, usage.uid_validity
    )
    txn.add(row)
    _, subscribed = name_row(txn, usage.account, name)
    set_name(txn, usage, name, row.id, subscribed=subscribed or subscribe)
    record_change(txn, row, Change.CREATED)
    above, delimiter, _ = name.rpartition(DELIMITER)
    if delimiter:
        parent, _ = name_row(txn, usage.account, above)
        if parent:
            inherit_acl(txn, parent, row)
    if origin is not None:
        log_name(txn, usage.account, NameChangeKind.CREATED, name, row.id, origin)
    return row


def missing_parents(txn: GroupTxn, account: AccountId, name: str) -> list[str]:
    """Return the parents that do not exist; CREATE creates them (RFC 9051 section 6.3.4)."""
    return [above for above in parents(name) if not name_row(txn, account, above)[0]]


# --- operations -------------------------------------------------------------------------------


@frozen
class CreateMailbox:
    """CREATE: a mailbox and its missing parents."""

    account: AccountId
    name: str
    special_use: tuple[str, ...]
    subscribe: bool
    now: int
    origin: bytes = NO_ORIGIN
    """Id of the session, which is not notified; so below."""

    def apply(self, txn: GroupTxn) -> Mailbox:
        # A trailing delimiter announces children (RFC 9051 section 6.3.4).
        name = checked_name(self.name.removesuffix(DELIMITER))
        usage = txn.usage(self.account)
        if name_row(txn, self.account, name)[0]:
            raise MailboxExistsError("mailbox already exists")
        missing = missing_parents(txn, self.account, name)
        check_room(usage, len(missing) + 1)
        if txn.limits(self.account):
            check_quota(txn, self.account, mailboxes=len(missing) + 1)
        check_drift(txn, usage, self.now)
        uses = check_uses(txn, self.account, self.special_use)
        for above in missing:
            new_mailbox(txn, usage, above, now=self.now, origin=self.origin)
        row = new_mailbox(
            txn,
            usage,
            name,
            now=self.now,
            uses=uses,
            subscribe=self.subscribe,
            origin=self.origin,
        )
        return mailbox_of(row)


@frozen
class DeleteMailbox:
    """DELETE: mailbox and ACL are removed at once, the rows of its messages are swept later.

    Children and a subscription stay (RFC 9051 sections 6.3.5 and 6.3.7).
    """

    account: AccountId
    mailbox: MailboxId
    now: int
    origin: bytes = NO_ORIGIN

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
        drop_annotations(txn, self.account, row.id)
        clear_acl(txn, self.account, row.id)
        record_change(txn, row, Change.DELETED)
        log_name(txn, row.account, NameChangeKind.DELETED, row.name, row.id, self.origin)
        txn.drop_mailbox(row.account, row.id)


@frozen
class SetSubscription:
    """SUBSCRIBE and UNSUBSCRIBE: the name need not exist (RFC 9051 section 6.3.7)."""

    account: AccountId
    name: str
    subscribed: bool
    origin: bytes = NO_ORIGIN

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
            log_name(txn, self.account, NameChangeKind.SUBSCRIPTION, name, mailbox, self.origin)


@frozen
class ClaimRecent:
    r"""Claim of the \Recent messages by a session (RFC 3501 section 2.3.2)."""

    account: AccountId
    mailbox: MailboxId
    up_to: int
    """Highest UID that the client is notified of: later messages stay unclaimed."""

    def apply(self, txn: GroupTxn) -> int:
        row = txn.mailbox(self.account, self.mailbox)
        before = row.recent_from
        claimed = min(self.up_to + 1, row.uid_next)
        if before < claimed:
            txn.edit(row)
            row.recent_from = claimed
        return before
