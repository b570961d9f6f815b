"""APPEND and MULTIAPPEND (RFC 9051 section 6.3.12, RFC 3502): all messages or none.

A message is scanned and packed while it arrives. Above a limit its bytes go to the account's
storage group, under a body id that no message refers to yet, so that a large message costs no
memory.
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
from imapvm.commands.context import AccountContext
from imapvm.commands.handlers.mailboxes.names import existing_name
from imapvm.commands.outcome import Done, Refusal
from imapvm.filepool.store import BodyWriter, NewMessage
from imapvm.model.ids import MailboxId
from imapvm.model.limits import MESSAGE_MAX, MULTIAPPEND_MAX

HELD_BYTES_MAX: Final = 1024 * 1024
"""Bytes of one MULTIAPPEND in memory; above, small messages go to the filepool too."""


async def append(ctx: AccountContext, command: Append) -> Done:
    """Receive the messages, then append them in one transaction."""
    upload = _Upload(ctx)
    try:
        with ctx.store.reading() as reader:
            mailbox = reader.mailbox_id(existing_name(ctx, reader, command.mailbox))
        if mailbox is None:
            # Before the first literal: a client that waits for "+" sends nothing (RFC 9051 section
            # 6.3.12).
            raise Refusal("mailbox does not exist", code="TRYCREATE")
        await upload.receive()
        return await upload.commit(mailbox)
    except BaseException:
        ctx.reader.refuse_literal()  # the rest of this APPEND is not the next command
        raise
    finally:
        await upload.discard()


class _Upload:
    """Messages of one APPEND while they arrive."""

    def __init__(self, ctx: AccountContext) -> None:
        self.ctx = ctx
        self.messages: list[NewMessage] = []
        self.writers: list[BodyWriter] = []
        self.held = 0

    async def receive(self) -> None:
        """Read events to the end of the command.

        Raises:
            Refusal: a message is not accepted; the rest of the command is skipped, not executed.
        """
        while True:
            match await self.ctx.next_event():
                case AppendMessage() as head:
                    await self._receive_message(head)
                case AppendEnd():
                    return
                case Malformed() as malformed:
                    raise _refusal(malformed)
                case other:
                    raise AssertionError(f"{other!r} inside APPEND")

    async def _receive_message(self, head: AppendMessage) -> None:
        self._accept(head)
        writer = self.ctx.store.new_body()
        self.writers.append(writer)
        # Lenient: NUL, which only a literal8 may contain (RFC 3516 section 4.4). Old mail has it.
        while not isinstance(event := await self.ctx.next_event(), AppendMessageEnd):
            match event:
                case AppendData():
                    if writer.feed(event.data):
                        await writer.spill()
                case Malformed() as malformed:
                    raise _refusal(malformed)
                case other:
                    raise AssertionError(f"{other!r} inside a message")
        if self.held + head.size > HELD_BYTES_MAX:
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
        """Write "+" if the client waits for it, or refuse before it sends the message."""
        if head.too_big:
            raise Refusal(f"message is larger than {MESSAGE_MAX} bytes", code="TOOBIG")
        if head.size == 0:
            raise Refusal("APPEND cancelled by an empty message")  # RFC 3502 section 6.3.11
        if head.utf8 and not self.ctx.session.utf8:
            raise Refusal("cannot append UTF8 before ENABLE UTF8=ACCEPT", bad=True)
        if len(self.messages) >= MULTIAPPEND_MAX:
            raise Refusal(f"more than {MULTIAPPEND_MAX} messages in one APPEND", code="LIMIT")
        self.ctx.reader.accept_literal()
        if head.waits:
            self.ctx.out.continuation(b"ready for literal")

    async def commit(self, mailbox: MailboxId) -> Done:
        session, view = self.ctx.session, self.ctx.session.view
        claim = view is not None and view.mailbox == mailbox and session.claims_recent
        appended = await self.ctx.store.append(mailbox, self.messages, claim=claim)
        self.writers.clear()  # their bodies are referred to now
        if claim and view is not None and appended.uids.last is not None:
            view.note_claim(appended.recent_from, appended.uids.last)
        uids = appended.uids.to_imap().decode()
        return Done(f"APPENDUID {appended.uid_validity} {uids}")

    async def discard(self) -> None:
        """Delete staged bodies that no message refers to."""
        for writer in self.writers:
            await writer.discard()


def _refusal(malformed: Malformed) -> Refusal:
    return Refusal(malformed.message, malformed.code, bad=not malformed.is_no)
