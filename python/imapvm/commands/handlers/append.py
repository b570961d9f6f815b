"""APPEND and MULTIAPPEND (RFC 9051 section 6.3.12, RFC 3502): all messages or none.

A message is scanned and packed while it arrives; beyond a bound its octets go to the filepool
under a body that nothing refers to yet, so that a large message costs no memory.
"""

from typing import Final

from imapvm._core import (
    Append,
    AppendData,
    AppendEnd,
    AppendMessage,
    AppendMessageEnd,
    Malformed,
)
from imapvm.commands.context import Context, Done, Refusal
from imapvm.filepool.store import AccountStore, BodyWriter, NewMessage
from imapvm.model.ids import MailboxId
from imapvm.model.limits import MESSAGE_MAX, MULTIAPPEND_MAX

HELD_OCTETS_MAX: Final = 1024 * 1024
"""Octets of one MULTIAPPEND that are held before even small messages go to the filepool."""


async def append(ctx: Context, command: Append) -> Done:
    """Take the messages, then keep them in one transaction."""
    store = ctx.session.store
    assert store is not None
    with store.reading() as reader:
        mailbox = reader.mailbox_id(command.mailbox)
    if mailbox is None:
        # Before the first literal: a client that waits for "+" sends nothing (RFC 9051 s. 6.3.12).
        ctx.reader.refuse_literal()
        raise Refusal("there is no such mailbox", code="TRYCREATE")
    intake = _Intake(ctx, store)
    try:
        await intake.take()
        return await intake.keep(mailbox)
    except BaseException:
        ctx.reader.refuse_literal()  # the rest of this APPEND is not the next command
        raise
    finally:
        await intake.discard()


class _Intake:
    """The messages of one APPEND on their way in."""

    def __init__(self, ctx: Context, store: AccountStore) -> None:
        self.ctx = ctx
        self.store = store
        self.messages: list[NewMessage] = []
        self.writers: list[BodyWriter] = []
        self.held = 0

    async def take(self) -> None:
        """Read events to the end of the command.

        Raises:
            Refusal: what was wrong; the rest of the command is skipped, not executed.
        """
        while True:
            match await self.ctx.next_event():
                case AppendMessage() as head:
                    await self._take_message(head)
                case AppendEnd():
                    return
                case Malformed() as fault:
                    raise Refusal(fault.message, code=fault.code, bad=not fault.is_no)
                case other:
                    raise AssertionError(f"{other!r} inside APPEND")

    async def _take_message(self, head: AppendMessage) -> None:
        self._accept(head)
        writer = self.store.new_body()
        self.writers.append(writer)
        while not isinstance(event := await self.ctx.next_event(), AppendMessageEnd):
            match event:
                case AppendData():
                    if writer.feed(event.data):
                        await writer.spill()
                case Malformed():
                    raise Refusal(event.message, code=event.code, bad=not event.is_no)
                case other:
                    raise AssertionError(f"{other!r} inside a message")
        if event.has_nul:
            raise Refusal("a message with NUL needs a literal8 (~{n})", bad=True)
        if self.held + head.size > HELD_OCTETS_MAX:
            await writer.spill()
        else:
            self.held += head.size
        date, zone = head.date or (int(self.ctx.services.clock()), 0)
        self.messages.append(
            NewMessage(
                body=writer.finish(),
                flags=head.flags,
                keywords=head.keywords,
                date=date,
                zone=zone,
            )
        )

    def _accept(self, head: AppendMessage) -> None:
        """Say "+" if the client waits for it, or refuse before it sends."""
        if head.too_big:
            raise Refusal(f"a message has at most {MESSAGE_MAX} octets", code="TOOBIG")
        if head.size == 0:
            raise Refusal("a message without octets cancels the APPEND")  # RFC 3502 s. 6.3.11
        if head.utf8 and not self.ctx.session.utf8:
            raise Refusal("UTF8 needs ENABLE UTF8=ACCEPT", bad=True)
        if len(self.messages) >= MULTIAPPEND_MAX:
            raise Refusal(f"at most {MULTIAPPEND_MAX} messages in one APPEND", code="LIMIT")
        self.ctx.reader.accept_literal()
        if head.waits:
            self.ctx.out.continuation(b"go ahead")

    async def keep(self, mailbox: MailboxId) -> Done:
        appended = await self.store.append(mailbox, self.messages)
        self.writers.clear()  # what they wrote is referred to now
        uids = appended.uids.to_imap().decode()
        return Done("appended", code=f"APPENDUID {appended.uid_validity} {uids}")

    async def discard(self) -> None:
        """Give back what was staged and is not referred to."""
        for writer in self.writers:
            await writer.discard()
