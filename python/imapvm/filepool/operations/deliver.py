"""Delivery of one message to some recipients, to each exactly once.

The delivery id is stored for each recipient in the transaction that stores the message, so a
delivery whose result is unknown may be repeated.
"""

from typing import Final, TypeAlias

from imapvm.filepool.errors import FilepoolError, NoSuchMailboxError
from imapvm.filepool.operations.append import NewMessage, append_stored, check_uids
from imapvm.filepool.operations.quota import check_quota
from imapvm.filepool.tables.accounts import Account
from imapvm.filepool.tables.mailboxes import name_row
from imapvm.filepool.tables.messages.bodies import (
    NewBody,
    SweepKind,
    check_available,
    refer,
    store_body,
)
from imapvm.filepool.tables.schema import COUNTER, ID_KEY, SWEEP_KEY
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, BodyId, MailboxId, Uid
from imapvm.model.limits import DELIVERY_ID_MAX
from imapvm.model.names import canonical_name
from imapvm.model.values import frozen

DELIVERY_ID_MIN: Final = 16
"""Bytes; fewer would not be unique."""
DELIVERY_ID_SECONDS: Final = 30 * 24 * 60 * 60
"""Time for which delivery ids are stored: longer than any mail system retries."""


@frozen
class Delivery:
    """Message for some recipients."""

    id: bytes
    """16 to 64 bytes, the same when a delivery is repeated, different for each delivery."""
    recipients: tuple[tuple[Account, str], ...]
    """Accounts, each with the name of its mailbox; duplicates are ignored."""
    body: NewBody
    flags: int = 0
    date: int = 0
    """INTERNALDATE, seconds since 1970 UTC."""
    zone: int = 0
    """Minutes east of UTC."""
    keywords: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not DELIVERY_ID_MIN <= len(self.id) <= DELIVERY_ID_MAX:
            raise ValueError(f"a delivery id has {DELIVERY_ID_MIN} to {DELIVERY_ID_MAX} bytes")


@frozen
class Delivered:
    """Result: the message is in the mailbox, and on disk."""

    mailbox: MailboxId
    uid: Uid


@frozen
class AlreadyDelivered:
    """Result: an earlier attempt had succeeded; nothing was changed."""


@frozen
class DeliveryRefused:
    """Result: the recipient did not get the message."""

    reason: FilepoolError
    """`StoreUnavailableError` is temporary; any other error is permanent."""


DeliveryResult: TypeAlias = Delivered | AlreadyDelivered | DeliveryRefused


@frozen
class DeliverMessage:
    """Delivery to the recipients in one storage group."""

    id: bytes
    recipients: tuple[tuple[AccountId, str], ...]
    message: NewMessage
    now: int

    def apply(self, txn: GroupTxn) -> dict[AccountId, DeliveryResult]:
        check_available(txn, self.message.body)
        results: dict[AccountId, DeliveryResult] = {}
        body: BodyId | None = None
        for account, name in self.recipients:
            key = self.id + ID_KEY.pack(account)
            if account in results:
                continue
            if txn.get(key, txn.tables.deliveries) is not None:
                results[account] = AlreadyDelivered()
                continue
            try:
                txn.usage(account)
                mailbox, _ = name_row(txn, account, canonical_name(name))
                if not mailbox:
                    raise NoSuchMailboxError("the recipient has no such mailbox")
                row = txn.mailbox(account, mailbox)
                check_uids(row, 1)
                if txn.limits(account):
                    check_quota(txn, account, messages=1, size=self.message.body.size)
            except FilepoolError as error:
                results[account] = DeliveryRefused(error)
                continue
            if body is None:
                body = store_body(txn, self.message.body, 1)
            else:
                refer(txn, body)
            uid = Uid(row.uid_next)
            append_stored(txn, row, (self.message,), (body,), self.now)
            txn.put(key, COUNTER.pack(self.now), txn.tables.deliveries)
            due = SWEEP_KEY.pack(self.now + DELIVERY_ID_SECONDS, SweepKind.DELIVERY)
            txn.put(due + key, b"", txn.tables.sweep)
            results[account] = Delivered(row.id, uid)
        return results
