"""Messages of APPEND and REPLACE while they arrive.

A message is scanned and packed while it arrives, from the client or from a URL of CATENATE. Above a
limit its bytes go to the account's storage group, under a body id that no message refers to yet, so
that a large message costs no memory.
"""

from typing import Final

from imapvm._core import (
    AppendData,
    AppendEnd,
    AppendMessage,
    AppendMessageEnd,
    AppendText,
    AppendUrl,
    LiteralWanted,
    Malformed,
)
from imapvm.commands.context import AccountContext
from imapvm.commands.handlers.append.catenate import catenate_url
from imapvm.commands.outcome import Hangup, Refusal
from imapvm.filepool.store import AccountStore, BodyWriter, NewMessage
from imapvm.model.limits import CATENATE_PARTS_MAX, MESSAGE_MAX, MULTIAPPEND_MAX
from imapvm.session.events import Event

HELD_BYTES_MAX: Final = 1024 * 1024
"""Bytes of one MULTIAPPEND in memory; above, small messages go to the filepool too."""

QUOTA_CHECKED_FROM: Final = 64 * 1024
"""Bytes of a message from which on the quota is checked before the message is received, too."""


class Upload:
    """Messages of one APPEND or REPLACE."""

    def __init__(self, ctx: AccountContext, store: AccountStore, *, replaces: bool = False) -> None:
        """Begin.

        Args:
            ctx: the connection.
            store: of the account that gets the messages.
            replaces: True if another message is removed: its size is not known here.
        """
        self.ctx = ctx
        self.store = store
        self._replaces = replaces
        self.messages: list[NewMessage] = []
        self._writers: list[BodyWriter] = []
        self._held = 0

    async def receive(self) -> None:
        """Read events to the end of the command.

        Raises:
            Refusal: a message is not accepted; the rest of the command is skipped, not executed.
        """
        ctx = self.ctx
        received = ctx.reader.next  # `next_event` is a coroutine: 0.3 us for each of four events
        while True:
            match received() or await ctx.next_event():
                case AppendMessage() as head:
                    await self._receive_message(head)
                case AppendEnd():
                    return
                case other:
                    self._take_other(other)

    def keep(self) -> None:
        """Keep the staged bodies: messages refer to them now."""
        self._writers.clear()

    async def discard(self) -> None:
        """Delete staged bodies that no message refers to."""
        for writer in self._writers:
            await writer.discard()

    def _take_other(self, event: Event) -> None:
        """Write "+" for a literal that is a URL; raise for what is malformed."""
        match event:
            case LiteralWanted():
                self.ctx.out.prompt("ready for literal")
            case Malformed(fatal=True) as malformed:
                raise Hangup(malformed.message)
            case Malformed() as malformed:
                raise Refusal(malformed.message, malformed.code, bad=not malformed.is_no)
            case other:
                raise AssertionError(f"{other!r} inside APPEND")

    async def _receive_message(self, head: AppendMessage) -> None:
        self._accept(head)
        writer = self.store.new_body()
        self._writers.append(writer)
        ctx = self.ctx
        received = ctx.reader.next
        parts = 0
        # Lenient: NUL, which only a literal8 may contain (RFC 3516 section 4.4). Old mail has it.
        while True:
            match received() or await ctx.next_event():
                case AppendMessageEnd():
                    break
                case AppendData() as piece:
                    if writer.feed(piece.data):
                        await writer.spill()
                case AppendText() | AppendUrl() as part:
                    parts += 1
                    await self._receive_part(writer, part, parts)
                case other:
                    self._take_other(other)
        size = writer.size
        if not size:
            raise _cancelled()
        if self._held + size > HELD_BYTES_MAX:
            await writer.spill()
        else:
            self._held += size
        date, zone = head.date or (int(ctx.services.clock()), 0)
        self.messages.append(
            NewMessage(
                body=writer.finish(),
                flags=head.flags,
                keywords=head.keywords,
                date=date,
                zone=zone,
            )
        )

    async def _receive_part(
        self, writer: BodyWriter, part: AppendText | AppendUrl, number: int
    ) -> None:
        """Accept a TEXT of CATENATE, or add the bytes that a URL names."""
        if number > CATENATE_PARTS_MAX:
            raise Refusal(f"more than {CATENATE_PARTS_MAX} parts in one CATENATE", code="LIMIT")
        if isinstance(part, AppendText):
            self._accept_text(part, writer.size)
        else:
            await catenate_url(self.ctx, writer, part)

    def _accept(self, head: AppendMessage) -> None:
        """Write "+" if the client waits for it, or refuse before it sends the message."""
        if head.too_big:
            raise _too_big()
        if head.size == 0 and not head.catenate:
            raise _cancelled()
        if head.utf8 and not self.ctx.session.utf8:
            raise Refusal("cannot append UTF8 before ENABLE UTF8=ACCEPT", bad=True)
        if len(self.messages) >= MULTIAPPEND_MAX:
            raise Refusal(f"more than {MULTIAPPEND_MAX} messages in one APPEND", code="LIMIT")
        self.ctx.message_limit.check_appended(len(self.messages) + 1)
        if head.size > QUOTA_CHECKED_FROM and not self._replaces:
            with self.store.reading() as reader:
                reader.require_room(head.size)
        if not head.catenate:
            self._accept_literal(waits=head.waits)

    def _accept_text(self, text: AppendText, before: int) -> None:
        """As `_accept`, for a TEXT of CATENATE after so many bytes of the message."""
        if text.too_big or before + text.size > MESSAGE_MAX:
            raise _too_big()
        self._accept_literal(waits=text.waits)

    def _accept_literal(self, *, waits: bool) -> None:
        self.ctx.reader.accept_literal()
        if waits:
            self.ctx.out.prompt("ready for literal")


def _too_big() -> Refusal:
    return Refusal(f"message is larger than {MESSAGE_MAX} bytes", code="TOOBIG")


def _cancelled() -> Refusal:
    return Refusal("APPEND cancelled by an empty message", code="CANNOT")  # RFC 3502 s. 6.3.11
