"""One spool file: reading it, delivering what it holds, and what becomes of the rest.

**The delivery id** is a hash of the file's name, its modification time and all its octets, followed
by the message's number in the file. All of that stays as it is when the file is renamed from new/
to cur/, over a crash, and when an operator moves it from failed/ or undeliverable/ back to new/; so
whoever has the message is known and does not get it again. It is another one for another message
under a name that was used before (its octets differ), for the same octets dropped again (a daily
"nothing to report" counts each day: its time differs), and for the same octets dropped twice within
one tick of the file system's clock (their names differ).
"""

import hashlib
import logging
import os
import struct
from collections.abc import Callable, Sequence
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
from imapvm.intake.replies import STORE_FULL, UNKNOWN_RECIPIENT, Reply
from imapvm.intake.spool.bsmtp import BsmtpMessageEnd, BsmtpMessageStart, read_bsmtp
from imapvm.intake.spool.directory import UNDELIVERABLE, SpoolDirectory, printable_name
from imapvm.intake.trace import Trace
from imapvm.model.limits import BOUNCE_HEADER_MAX

log = logging.getLogger(__name__)

_IDENTITY: Final = struct.Struct(">Iq")
_NUMBER: Final = struct.Struct(">I")

HOLDING: Final = """
Move this file back to new/, under the name it had, when that is settled. Whoever has the message
already does not get it again.
"""


class DeferredError(Exception):
    """Something that may be better later; the file stays, and this does not count against it."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply: Final = reply


class ChangedError(Exception):
    """The file changed while it was read: whoever writes it is not done."""


class SpoolEntry:
    """A claimed file."""

    def __init__(self, spool: SpoolDirectory, name: str, deliverer: Deliverer) -> None:
        self._spool = spool
        self._name = name
        self._deliverer = deliverer
        self._failures: list[tuple[int, Envelope, list[FailedRecipient]]] = []
        """Message number, envelope, and whom it did not reach for good."""

    async def deliver(self, prepared: Callable[[], None]) -> None:
        """Deliver all messages of the file, and remove it or set it aside.

        The whole file is read before anything is delivered, so that of a file with a mistake
        nothing is.

        Args:
            prepared: called once the first message is ready, just before its delivery is queued
                with no other task in between.

        Raises:
            DeferredError: the store has no room, or a problem.
            BsmtpError: the file is not batch SMTP.
            ChangedError: it is still being written.
            NotRegularFileError: it is a link or something else that is not opened.
            FilepoolError: as DeferredError, from the store itself.
        """
        with self._spool.open(self._name) as file:
            before = _state(file)
            identity = await self._survey(file)
            transient = await self._deliver_each(file, before, identity, prepared)
        if transient is not None:
            raise DeferredError(transient)
        held = await self._settle_failures()
        if held:
            try:
                there = self._spool.set_aside(self._name, UNDELIVERABLE, "\n".join(held) + HOLDING)
            except OSError as error:  # no room for the reason, most likely: not the file's fault
                raise DeferredError(Reply(451, "4.3.0", f"cannot be held: {error}")) from None
            log.warning("spool file held", extra={"file": printable_name(there), "reason": held[0]})
        else:
            self._spool.remove(self._name)

    async def _survey(self, file: BinaryIO) -> bytes:
        """Read the whole file; return the beginning of its delivery ids."""
        hashed = hashlib.blake2b(digest_size=32, person=b"imapvm spool")
        name = os.fsencode(self._name)
        found = os.fstat(file.fileno())
        hashed.update(_IDENTITY.pack(len(name), found.st_mtime_ns) + name)
        for part in read_bsmtp(_Hashing(file, hashed.update)):
            if isinstance(part, bytes):
                await trio.lowlevel.checkpoint()
        file.seek(0)
        return hashed.digest()

    async def _deliver_each(
        self,
        file: BinaryIO,
        before: tuple[int, int],
        identity: bytes,
        prepared: Callable[[], None],
    ) -> Reply | None:
        """Deliver message by message; return a reason to come again, if there is one."""
        transient: Reply | None = None
        number = 0
        envelope: Envelope | None = None
        incoming: IncomingMessage | None = None
        try:
            for part in read_bsmtp(file):
                match part:
                    case BsmtpMessageStart(envelope):
                        incoming = self._begin(envelope, number)
                    case bytes():
                        assert incoming is not None
                        if incoming.feed(part):
                            await incoming.spill()
                        await trio.lowlevel.checkpoint()
                    case BsmtpMessageEnd():
                        assert incoming is not None
                        assert envelope is not None
                        if _state(file) != before:
                            raise ChangedError("it changed while it was read")
                        prepared()
                        replies = await incoming.finish(identity + _NUMBER.pack(number))
                        await incoming.discard()
                        transient = self._note(number, envelope, replies) or transient
                        number += 1
        finally:
            if incoming is not None:
                await incoming.discard()
        return transient

    def _begin(self, envelope: Envelope, number: int) -> IncomingMessage:
        trace_id = printable_name(self._name) + (f"#{number + 1}" if number else "")
        return self._deliverer.begin(envelope, Trace("BSMTP", trace_id, envelope.greeting))

    def _note(self, number: int, envelope: Envelope, replies: Sequence[Reply]) -> Reply | None:
        """Remember whom a message does not reach; return a transient reply, if there is one."""
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

    # --- recipients that are not here -------------------------------------------------------------

    async def _settle_failures(self) -> list[str]:
        """Bounce or discard as the operator wants; return a line for each that is to be held."""
        held: list[str] = []
        for number, envelope, failed in self._failures:
            if not envelope.recipients:
                held.append(f"From <{envelope.sender.address}>: there is no recipient")
                continue
            keep: Sequence[FailedRecipient] = ()
            match self._deliverer.settings.unknown:
                case "hold":
                    keep = failed
                case "discard":
                    keep = self._discarded(failed)
                case "bounce":
                    keep, why = await self._bounced(number, envelope, failed)
                    held += why
            sender = envelope.sender.address
            held += [f"From <{sender}> to <{u.recipient.address}>: {u.reply}" for u in keep]
        return held

    def _discarded(self, failed: Sequence[FailedRecipient]) -> list[FailedRecipient]:
        """Discard what is for nobody. What a user could not take for now is hers: it is held."""
        for undelivered in failed:
            if undelivered.reply == UNKNOWN_RECIPIENT:
                self._log_discarded(undelivered)
        return [undelivered for undelivered in failed if undelivered.reply != UNKNOWN_RECIPIENT]

    async def _bounced(
        self, number: int, envelope: Envelope, failed: Sequence[FailedRecipient]
    ) -> tuple[Sequence[FailedRecipient], list[str]]:
        """Tell the sender; return who must be held after all, and why."""
        settings = self._deliverer.settings
        if not envelope.sender.address:
            return failed, ["The null sender is not told (RFC 5321 section 4.5.5)."]
        told = [undelivered for undelivered in failed if undelivered.recipient.wants_failures]
        if told:
            message = build_notification(
                envelope,
                told,
                self._header(number),
                hostname=settings.hostname,
                now=self._deliverer.clock(),
            )
            try:
                await send_notification(settings.sendmail, envelope.sender.address, message)
            except NotificationError as error:
                log.error(
                    "notification not sent",
                    extra={"file": printable_name(self._name), "error": str(error)},
                )
                return failed, [f"The sender could not be told: {error}."]
        for undelivered in failed:
            if not undelivered.recipient.wants_failures:  # NOTIFY=NEVER: silence is what it asked
                self._log_discarded(undelivered)
        return (), []

    def _header(self, number: int) -> bytes:
        """The header of a message of this file, bounded."""
        beginning = b""
        with self._spool.open(self._name) as file:
            for part in read_bsmtp(file):
                if isinstance(part, bytes) and number == 0 and len(beginning) < BOUNCE_HEADER_MAX:
                    beginning += part
                elif isinstance(part, BsmtpMessageEnd):
                    if number == 0:
                        break
                    number -= 1
        return header_of(beginning, BOUNCE_HEADER_MAX)

    def _log_discarded(self, undelivered: FailedRecipient) -> None:
        log.info(
            "mail discarded",
            extra={"file": printable_name(self._name), "recipient": undelivered.recipient.address},
        )


class _Hashing:
    """A file whose octets are hashed as they are read."""

    def __init__(self, file: BinaryIO, update: Callable[[bytes], None]) -> None:
        self._file = file
        self._update = update

    def read(self, size: int, /) -> bytes:
        data = self._file.read(size)
        self._update(data)
        return data


def _state(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns
