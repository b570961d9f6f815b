"""From an envelope and octets to messages in mailboxes: what LMTP and the spool have in common."""

import logging
import time
from collections.abc import AsyncIterable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from imapvm.filepool.errors import (
    FilepoolError,
    LimitError,
    NoSuchAccountError,
    StoreUnavailableError,
)
from imapvm.filepool.pool import AlreadyDelivered, Delivered, Delivery, DeliveryResult, Filepool
from imapvm.intake.addresses import AddressBook, Destination
from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.intake.envelope import Envelope
from imapvm.intake.replies import (
    DELIVERED,
    OVER_QUOTA,
    STORE_ERROR,
    STORE_FULL,
    UNKNOWN_RECIPIENT,
    Reply,
)
from imapvm.intake.trace import Trace, local_zone, trace_fields

if TYPE_CHECKING:
    from imapvm.filepool.accounts import Account
    from imapvm.model.ids import AccountId

log = logging.getLogger(__name__)


class Deliverer:
    """Delivers messages to the accounts of one filepool."""

    def __init__(
        self, pool: Filepool, settings: DeliverySettings, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.pool: Final = pool
        self.settings: Final = settings
        self.addresses: Final = AddressBook(pool, settings)
        self.clock: Final = clock

    def begin(
        self, envelope: Envelope, trace: Trace, targets: Sequence[Destination | None] | None = None
    ) -> "IncomingMessage":
        """Take a message on: give its octets to `feed`, then `finish` or `discard` it.

        Args:
            envelope: who sends to whom.
            trace: how the message comes.
            targets: of the recipients, one for each; None: they are looked up here, once.
        """
        if targets is None:
            targets = [self.addresses.find(recipient.address) for recipient in envelope.recipients]
        return IncomingMessage(self, envelope, targets, trace)

    async def deliver(
        self, envelope: Envelope, message: AsyncIterable[bytes], delivery_id: bytes, trace: Trace
    ) -> tuple[Reply, ...]:
        """Deliver a message from a source of octets; the replies are those of `finish`."""
        incoming = self.begin(envelope, trace)
        try:
            async for octets in message:
                if incoming.feed(octets):
                    await incoming.spill()
            return await incoming.finish(delivery_id)
        finally:
            await incoming.discard()


class IncomingMessage:
    """One message on its way in. Memory is bounded: large ones are staged in the filepool."""

    def __init__(
        self,
        deliverer: Deliverer,
        envelope: Envelope,
        targets: Sequence[Destination | None],
        trace: Trace,
    ) -> None:
        self._deliverer = deliverer
        self._targets = targets
        self._trace = trace
        self._now = deliverer.clock()
        groups = (target.account.group for target in targets if target is not None)
        self._writer = deliverer.pool.new_body(group=next(groups, 0))
        self.has_recipients: Final = any(targets)
        """False where every recipient is unknown: nothing would be stored."""
        # With one recipient only: several share one stored body.
        addresses = {recipient.address for recipient in envelope.recipients}
        self._prefix = trace_fields(
            trace,
            hostname=deliverer.settings.hostname,
            sender=envelope.sender.address,
            recipient=addresses.pop() if len(addresses) == 1 else None,
            now=self._now,
        )

    def feed(self, octets: bytes) -> bool:
        """Take octets of the message, in order; return True where `spill` is to be called now.

        Raises:
            FilepoolError: they were not taken, and the message cannot go on; see `reply_to`.
        """
        if not self.has_recipients:
            return False
        if self._prefix:
            octets, self._prefix = self._prefix + octets, b""
        return self._writer.feed(octets)

    async def spill(self) -> None:
        """Stage what has come so far.

        Raises:
            FilepoolError: as `feed`.
        """
        await self._writer.spill()

    async def finish(self, delivery_id: bytes) -> tuple[Reply, ...]:
        """Deliver, and return one reply for each recipient of the envelope, in its order.

        When this returns, what it calls delivered is on disk. With the same id again, nothing is
        stored twice, and the replies are the same.

        Raises:
            FilepoolError: nothing was delivered; see `reply_to`.
        """
        results: dict[AccountId, DeliveryResult] = {}
        if self.has_recipients:
            if self._prefix:  # an empty message
                self.feed(b"")
            recipients: dict[AccountId, tuple[Account, str]] = {}
            for target in self._targets:
                if target is not None:
                    recipients.setdefault(target.account.id, (target.account, target.mailbox))
            results = await self._deliverer.pool.deliver(
                Delivery(
                    id=delivery_id,
                    recipients=tuple(recipients.values()),
                    body=self._writer.finish(),
                    date=int(self._now),
                    zone=local_zone(self._now),
                )
            )
        return tuple(
            UNKNOWN_RECIPIENT if target is None else self._reply(target, results[target.account.id])
            for target in self._targets
        )

    async def discard(self) -> None:
        """Give back what was staged; safe to call always."""
        await self._writer.discard()

    def _reply(self, target: Destination, result: DeliveryResult) -> Reply:
        if isinstance(result, Delivered | AlreadyDelivered):
            return DELIVERED
        reply = reply_to(result.reason)
        log.warning(
            "delivery refused",
            extra={"user": target.account.name, "id": self._trace.id, "reason": str(result.reason)},
        )
        return reply


def reply_to(error: FilepoolError) -> Reply:
    """What a recipient's mail system is told of an error of the filepool.

    What may be different tomorrow is transient: a mailbox that was deleted just now is one, since
    the next attempt goes to INBOX.
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
