"""One spool file: read it, deliver its messages, and treat the recipients that failed.

**Delivery id**: a hash of the file's name, modification time and content, followed by the number of
the message in the file. It stays the same when the file is renamed from new/ to cur/, after a
crash, and when an operator moves the file from failed/ or undeliverable/ back to new/, so that no
recipient gets a message twice. It differs for another message under the same name (the content
differs), for the same message submitted again, such as a daily "nothing to report" (the time
differs), and for the same message submitted twice within one tick of the file system's clock (the
names differ).

A file that stays, held or deferred, has a record of the recipients that have its messages, since
the filepool stores delivery ids for 30 days only: `imapvm.intake.spool.delivered`.
"""

import hashlib
import logging
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import BinaryIO, Final

import trio

from imapvm.intake.deliver import Deliverer, IncomingMessage
from imapvm.intake.envelope import Envelope
from imapvm.intake.notification import (
    FailedRecipient,
    NotificationError,
    build_notification,
    header_of,
    send_notification,
)
from imapvm.intake.pacing import Pacer
from imapvm.intake.replies import (
    OVER_QUOTA,
    OVER_QUOTA_NOW,
    STORE_FULL,
    UNKNOWN_RECIPIENT,
    Reply,
)
from imapvm.intake.spool.bsmtp import BsmtpMessageEnd, BsmtpMessageStart, BsmtpPart, read_bsmtp
from imapvm.intake.spool.delivered import DeliveryRecord
from imapvm.intake.spool.directory import SpoolDirectory, printable_name
from imapvm.intake.spool.layout import UNDELIVERABLE
from imapvm.intake.trace import Trace
from imapvm.model.limits import BOUNCE_HEADER_MAX

log = logging.getLogger(__name__)

_IDENTITY: Final = struct.Struct(">Iq")
_NUMBER: Final = struct.Struct(">I")

HELD_NOTE: Final = """
After fixing the cause, such as a user that is not enrolled, move this file back to new/ under its
old name. Recipients that have the message already do not get it again.
"""


class DeferredError(Exception):
    """Temporary error: the file stays, and the attempt does not count."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply: Final = reply


class ChangedError(Exception):
    """The file changed while it was read: it is still being written."""


class SpoolEntry:
    """Claimed spool file."""

    def __init__(self, spool: SpoolDirectory, name: str, deliverer: Deliverer) -> None:
        self._spool = spool
        self._name = name
        self._deliverer = deliverer
        self._pacer = deliverer.pacer
        self._failures: list[tuple[int, Envelope, list[FailedRecipient]]] = []
        """Message number, envelope and permanent failures, for each message that has any."""

    async def deliver(self, on_ready: Callable[[], None]) -> None:
        """Deliver all messages of the file, then remove it or set it aside.

        The whole file is parsed before the first delivery, so that nothing is delivered from a file
        with a syntax error.

        Args:
            on_ready: called when the first message is ready; its delivery is queued before any
                other task runs.

        Raises:
            DeferredError: temporary error of a recipient.
            BsmtpError: the file is not batch SMTP.
            ChangedError: it is still being written.
            NotRegularFileError: it is a link, a directory or a device.
            FilepoolError: temporary error of the filepool.
        """
        with self._spool.open(self._name) as file:
            before = _size_and_mtime(file)
            identity = await self._check_and_hash(file)
            record = DeliveryRecord(self._spool.path, identity)
            try:
                transient = await self._deliver_each(file, before, identity, record, on_ready)
            except BaseException:
                await self._save_if_possible(record)
                raise
        if transient is not None:
            await self._save_if_possible(record)
            raise DeferredError(transient)
        held = await self._handle_failures()
        if held:
            try:
                await record.save()
                there = self._spool.set_aside(
                    self._name, UNDELIVERABLE, "\n".join(held) + HELD_NOTE
                )
            except OSError as error:  # probably a full disk
                raise DeferredError(Reply(451, "4.3.0", f"cannot hold file: {error}")) from None
            log.warning("spool file held", extra={"file": printable_name(there), "reason": held[0]})
        else:
            self._spool.remove(self._name)
            record.remove()

    async def _save_if_possible(self, record: DeliveryRecord) -> None:
        """Store the record of a file that is tried again: soon, so that an error is not serious."""
        try:
            await record.save()
        except OSError as error:
            extra = {"file": printable_name(self._name), "error": str(error)}
            log.warning("cannot record deliveries of spool file", extra=extra)

    async def _check_and_hash(self, file: BinaryIO) -> bytes:
        """Parse the whole file; return the common prefix of its delivery ids."""
        hashed = hashlib.blake2b(digest_size=32, person=b"imapvm spool")
        name = os.fsencode(self._name)
        found = os.fstat(file.fileno())
        hashed.update(_IDENTITY.pack(len(name), found.st_mtime_ns) + name)
        for _ in read_bsmtp(_HashedFile(file, hashed.update)):
            await self._pacer.pause()
        file.seek(0)
        return hashed.digest()

    async def _deliver_each(
        self,
        file: BinaryIO,
        before: tuple[int, int],
        identity: bytes,
        record: DeliveryRecord,
        on_ready: Callable[[], None],
    ) -> Reply | None:
        """Deliver message by message; return a transient reply, if there is one."""
        transient: Reply | None = None
        number = 0
        parts = read_bsmtp(file)
        for part in parts:
            await self._pacer.pause()
            if not isinstance(part, BsmtpMessageStart):
                continue
            incoming = await self._begin(part.envelope, number)
            try:
                await self._feed(incoming, parts)
                if _size_and_mtime(file) != before:
                    raise ChangedError("file changed while it was read")
                on_ready()
                delivery_id = identity + _NUMBER.pack(number)
                replies = await incoming.finish(delivery_id, record.accounts(number))
                record.add(number, incoming.accounts)
            finally:
                await incoming.discard()
            transient = self._record_replies(number, part.envelope, replies) or transient
            number += 1
        return transient

    async def _feed(self, incoming: IncomingMessage, parts: Iterator[BsmtpPart]) -> None:
        """Read one message to its end."""
        for part in parts:
            await self._pacer.pause()
            if isinstance(part, BsmtpMessageEnd):
                return
            if isinstance(part, bytes) and incoming.feed(part):
                await incoming.spill()

    async def _begin(self, envelope: Envelope, number: int) -> IncomingMessage:
        trace_id = printable_name(self._name) + (f"#{number + 1}" if number else "")
        destinations = await self._deliverer.resolve(envelope)
        trace = Trace("BSMTP", trace_id, envelope.greeting)
        return self._deliverer.begin(envelope, trace, destinations)

    def _record_replies(
        self, number: int, envelope: Envelope, replies: Sequence[Reply]
    ) -> Reply | None:
        """Store the permanent failures of a message; return a transient reply, if there is one."""
        # A file is tried again every minute, without end: mail over quota is held or returned.
        replies = [OVER_QUOTA if reply == OVER_QUOTA_NOW else reply for reply in replies]
        pairs = list(zip(envelope.recipients, replies, strict=True))
        failed = [FailedRecipient(r, reply) for r, reply in pairs if reply.code >= 500]
        if failed or not pairs:
            self._failures.append((number, envelope, failed))
        log.info(
            "spool message",
            extra={
                "file": printable_name(self._name),
                "sender": envelope.sender.address,
                "recipients": len(pairs),
                "delivered": sum(reply.is_ok for reply in replies),
            },
        )
        transients = [reply for reply in replies if reply.is_transient]
        return STORE_FULL if STORE_FULL in transients else transients[0] if transients else None

    # --- recipients that failed -------------------------------------------------------------------

    async def _handle_failures(self) -> list[str]:
        """Hold, bounce or discard, as configured; return a line for each recipient to hold."""
        if self._failures and self._deliverer.settings.unknown == "bounce":
            with self._spool.open(self._name) as file:
                return await self._handle_each_failure(_Headers(file, self._pacer))
        return await self._handle_each_failure(None)

    async def _handle_each_failure(self, headers: "_Headers | None") -> list[str]:
        held: list[str] = []
        for number, envelope, failed in self._failures:
            if not envelope.recipients:
                held.append(f"From <{envelope.sender.address}>: no recipient")
                continue
            keep: Sequence[FailedRecipient] = ()
            if headers is not None:
                keep, reasons = await self._bounce(number, envelope, failed, headers)
                held += reasons
            elif self._deliverer.settings.unknown == "discard":
                keep = await self._discard_unknown(failed)
            else:
                keep = failed
            sender = envelope.sender.address
            for failure in keep:
                held.append(f"From <{sender}> to <{failure.recipient.address}>: {failure.reply}")
                await self._pacer.pause()
        return held

    async def _discard_unknown(self, failed: Sequence[FailedRecipient]) -> list[FailedRecipient]:
        """Discard for unknown recipients; return the others: mail of enrolled users is held."""
        for failure in failed:
            if failure.reply == UNKNOWN_RECIPIENT:
                self._log_discarded(failure)
                await self._pacer.pause()
        return [failure for failure in failed if failure.reply != UNKNOWN_RECIPIENT]

    async def _bounce(
        self,
        number: int,
        envelope: Envelope,
        failed: Sequence[FailedRecipient],
        headers: "_Headers",
    ) -> tuple[Sequence[FailedRecipient], list[str]]:
        """Notify the sender; return the recipients to hold if that fails, and the reasons."""
        settings = self._deliverer.settings
        if not envelope.sender.address:
            return failed, ["cannot notify the null sender (RFC 5321 section 4.5.5)"]
        reported = [failure for failure in failed if failure.recipient.wants_failures]
        if reported:
            build = partial(
                build_notification,
                envelope,
                reported,
                await headers.header(number),
                hostname=settings.hostname,
                now=self._deliverer.clock(),
            )
            # In a thread: a message may have 10,000 recipients.
            message = await trio.to_thread.run_sync(build)
            try:
                await send_notification(settings.sendmail, envelope.sender.address, message)
            except NotificationError as error:
                log.error(
                    "cannot send notification",
                    extra={"file": printable_name(self._name), "error": str(error)},
                )
                return failed, [f"cannot notify the sender: {error}"]
        for failure in failed:
            if not failure.recipient.wants_failures:  # NOTIFY=NEVER
                self._log_discarded(failure)
                await self._pacer.pause()
        return (), []

    def _log_discarded(self, failure: FailedRecipient) -> None:
        log.info(
            "mail discarded",
            extra={"file": printable_name(self._name), "recipient": failure.recipient.address},
        )


class _Headers:
    """Headers of the messages in a file, in one pass over it."""

    def __init__(self, file: BinaryIO, pacer: Pacer) -> None:
        self._parts = read_bsmtp(file)
        self._pacer = pacer
        self._next = 0

    async def header(self, number: int) -> bytes:
        """Return the header of a message, up to BOUNCE_HEADER_MAX. Numbers have to increase."""
        beginning = b""
        for part in self._parts:
            await self._pacer.pause()
            if isinstance(part, BsmtpMessageEnd):
                self._next += 1
                if self._next > number:
                    break
            elif (
                isinstance(part, bytes)
                and self._next == number
                and len(beginning) < BOUNCE_HEADER_MAX
            ):
                beginning += part
        return header_of(beginning, BOUNCE_HEADER_MAX)


class _HashedFile:
    """File that is hashed while it is read."""

    def __init__(self, file: BinaryIO, update: Callable[[bytes], None]) -> None:
        self._file = file
        self._update = update

    def read(self, size: int, /) -> bytes:
        data = self._file.read(size)
        self._update(data)
        return data


def _size_and_mtime(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns
