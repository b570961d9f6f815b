"""Delivery of a message to the recipients of its envelope, for LMTP and the spool."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

from imapvm._core import MessageMetadata
from imapvm.filepool.accounts import Account
from imapvm.filepool.errors import (
    FilepoolError,
    LimitError,
    NoSuchAccountError,
    OverQuotaError,
    StoreUnavailableError,
)
from imapvm.filepool.pool import (
    AlreadyDelivered,
    Delivered,
    Delivery,
    DeliveryRefused,
    DeliveryResult,
    Filepool,
)
from imapvm.intake.addresses import AddressBook, Destination
from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.intake.envelope import Envelope
from imapvm.intake.pacing import Pacer
from imapvm.intake.replies import (
    DELIVERED,
    OVER_QUOTA,
    OVER_QUOTA_NOW,
    STORE_ERROR,
    STORE_FULL,
    TOO_BIG_FOR_QUOTA,
    UNKNOWN_RECIPIENT,
    Reply,
)
from imapvm.intake.trace import Trace, local_zone, trace_fields
from imapvm.model.ids import AccountId

log = logging.getLogger(__name__)


class Deliverer:
    """Delivery into one filepool."""

    def __init__(
        self, pool: Filepool, settings: DeliverySettings, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.pool: Final = pool
        self.settings: Final = settings
        self.addresses: Final = AddressBook(pool, settings)
        self.clock: Final = clock
        self.pacer: Final = Pacer()
        """Time slice of all work for incoming messages."""

    async def resolve(self, envelope: Envelope) -> list[Destination | None]:
        """Return the destination of each recipient, in time slices."""
        found = []
        for recipient in envelope.recipients:
            found.append(self.addresses.find(recipient.address))
            await self.pacer.pause()
        return found

    def begin(
        self,
        envelope: Envelope,
        trace: Trace,
        destinations: Sequence[Destination | None],
    ) -> "IncomingMessage":
        """Start a message: pass its data to `feed`, then call `finish`, and `discard` always.

        Args:
            envelope: sender and recipients.
            trace: origin of the message, for its Received field.
            destinations: one for each recipient, from `resolve` or `AddressBook.find`.
        """
        return IncomingMessage(self, envelope, destinations, trace)


class IncomingMessage:
    """Message that is being received. Its memory is bounded: a large one is staged on disk."""

    def __init__(
        self,
        deliverer: Deliverer,
        envelope: Envelope,
        destinations: Sequence[Destination | None],
        trace: Trace,
    ) -> None:
        self._deliverer = deliverer
        self._envelope = envelope
        self._destinations = destinations
        self._trace = trace
        self._now = deliverer.clock()
        # Staged in another group than the recipient's, it would be written twice.
        groups = (found.account.group for found in destinations if found is not None)
        self._writer = deliverer.pool.new_body(group=next(groups, 0))
        self.has_recipients: Final = any(destinations)
        """False where every recipient is unknown: nothing will be stored."""
        self.accounts: Final[set[AccountId]] = set()
        """Accounts that have the message, after `finish`."""
        # Recipients share one stored body: it can name a recipient only if there is just one.
        addresses = {recipient.address for recipient in envelope.recipients}
        self._prefix = trace_fields(
            trace,
            hostname=deliverer.settings.hostname,
            sender=envelope.sender.address,
            recipient=addresses.pop() if len(addresses) == 1 else None,
            now=self._now,
        )

    def feed(self, data: bytes) -> bool:
        """Add data to the message; return True if `spill` has to be called before the next `feed`.

        Raises:
            FilepoolError: the message cannot be stored; `reply_to` has the reply.
        """
        if not self.has_recipients:
            return False
        if self._prefix:
            data, self._prefix = self._prefix + data, b""
        return self._writer.feed(data)

    async def spill(self) -> None:
        """Write the data received so far to disk.

        Raises:
            FilepoolError: as `feed`.
        """
        await self._writer.spill()

    async def finish(
        self, delivery_id: bytes, already: Collection[AccountId] = ()
    ) -> tuple[Reply, ...]:
        """Deliver; return one reply for each recipient of the envelope, in its order.

        A message that was delivered is on disk when this returns. Called again with the same id,
        it stores nothing twice and returns the same replies.

        Args:
            delivery_id: the same when a delivery is repeated.
            already: accounts that have the message, of attempts so long ago that the filepool may
                have forgotten the id.

        Raises:
            FilepoolError: nothing was delivered; `reply_to` has the reply.
        """
        recipients = self._recipients()
        self.accounts.update(recipients.keys() & set(already))
        missing = [value for key, value in recipients.items() if key not in self.accounts]
        results: dict[AccountId, DeliveryResult] = dict.fromkeys(self.accounts, AlreadyDelivered())
        content: tuple[int, bytes] | None = None
        if missing:
            if self._prefix:  # an empty message
                self.feed(b"")
            body = self._writer.finish()
            content = body.size, body.metadata
            results |= await self._deliverer.pool.deliver(
                Delivery(
                    id=delivery_id,
                    recipients=tuple(missing),
                    body=body,
                    date=int(self._now),
                    zone=local_zone(self._now),
                )
            )
        self.accounts.update(
            account
            for account, result in results.items()
            if isinstance(result, Delivered | AlreadyDelivered)
        )
        replies = tuple(
            UNKNOWN_RECIPIENT if found is None else self._reply(results[found.account.id])
            for found in self._destinations
        )
        await self._log(recipients, results, content)
        return replies

    async def _log(
        self,
        recipients: dict[AccountId, tuple[Account, str]],
        results: dict[AccountId, DeliveryResult],
        content: tuple[int, bytes] | None,
    ) -> None:
        """Write one log event for each recipient, in time slices."""
        refused = None in self._destinations or any(
            isinstance(result, DeliveryRefused) for result in results.values()
        )
        if not refused and not log.isEnabledFor(logging.INFO):
            return
        facts = {} if content is None else _facts(*content)
        session = {} if self._trace.session is None else {"session": self._trace.session}
        common = {"id": self._trace.id, "sender": self._envelope.sender.address, **facts, **session}
        for account, (owner, mailbox) in recipients.items():
            extra = common | {"user": owner.name, "mailbox": mailbox}
            match results[account]:
                case Delivered(_, uid):
                    log.info("delivered", extra=extra | {"uid": int(uid)})
                case AlreadyDelivered():
                    log.info("delivered before", extra=extra)
                case DeliveryRefused(reason):
                    log.warning("delivery refused", extra=extra | {"reason": str(reason)})
            await self._deliverer.pacer.pause()
        for recipient, found in zip(self._envelope.recipients, self._destinations, strict=True):
            if found is None:
                extra = common | {"recipient": recipient.address, "reason": str(UNKNOWN_RECIPIENT)}
                log.warning("delivery refused", extra=extra)
                await self._deliverer.pacer.pause()

    def _recipients(self) -> dict[AccountId, tuple[Account, str]]:
        """Return account and mailbox of each recipient; of one named twice, the first mailbox."""
        recipients: dict[AccountId, tuple[Account, str]] = {}
        for found in self._destinations:
            if found is not None:
                recipients.setdefault(found.account.id, (found.account, found.mailbox))
        return recipients

    def _reply(self, result: DeliveryResult) -> Reply:
        """Return the reply for one recipient.

        X.2.2 is meant as a persistent transient failure, X.2.3 as a permanent one (RFC 3463 section
        3.3).
        """
        if isinstance(result, Delivered | AlreadyDelivered):
            return DELIVERED
        match result.reason:
            case OverQuotaError(never=True):
                return TOO_BIG_FOR_QUOTA
            case OverQuotaError():
                defers = self._deliverer.settings.over_quota == "defer"
                return OVER_QUOTA_NOW if defers else OVER_QUOTA
            case error:
                return reply_to(error)

    async def discard(self) -> None:
        """Free the data on disk that no delivery refers to. May be called at any time."""
        await self._writer.discard()


def _facts(size: int, metadata: bytes) -> dict[str, str | int]:
    """Return fields for log events: size, and the Message-ID if there is one."""
    message_id = MessageMetadata(metadata).message_id
    if message_id is None:
        return {"size": size}
    return {"size": size, "message_id": f"<{message_id.decode('ascii', 'backslashreplace')}>"}


def reply_to(error: FilepoolError) -> Reply:
    """Return the reply for an error of the filepool.

    The default is a transient reply. A mailbox that was deleted meanwhile is such an error: the
    next attempt goes to INBOX.
    """
    match error:
        case StoreUnavailableError():
            return STORE_FULL
        case LimitError():
            return OVER_QUOTA
        case NoSuchAccountError():
            return UNKNOWN_RECIPIENT
        case _:
            return STORE_ERROR
