"""FETCH responses of many messages, written as fast as the client reads them.

A long answer goes step by step: one short read transaction, rendered in the extension, sent, next.
So neither the transaction nor the memory grows with what was asked for.
"""

from typing import Final, final

from imapvm._core import FetchAnswer, FetchItems, UidSet
from imapvm.commands.context import Context, Refusal
from imapvm.commands.handlers.fetch.binary_parts import send_decoded
from imapvm.commands.selected import selected, selected_row
from imapvm.commands.updates import MailboxSource

STEP_OCTETS: Final = 256 * 1024
"""Rendered and sent at a time: less costs transactions and sends, more buys nothing."""


@final
class Answering:
    """The FETCH responses to one command.

    Args:
        ctx: whose `out` gets them.
        items: what to say of each message.
        wanted: which, ascending.
        flags_too: UIDs that get FLAGS even if not asked.
    """

    __slots__ = ("_begun", "_ctx", "_flags_too", "_items", "_left", "missing")

    def __init__(
        self,
        ctx: Context,
        items: FetchItems,
        wanted: UidSet,
        *,
        flags_too: UidSet | None = None,
    ) -> None:
        self._ctx = ctx
        self._items = items
        self._left = wanted
        self._flags_too = flags_too
        self._begun: FetchAnswer | None = None
        """What is rendered and not written: octets of messages, and parts to decode."""
        self.missing = False
        """Some of the messages are gone meanwhile."""

    async def finish(self) -> bool:
        """Write and send all that is left; return `missing`.

        Raises:
            Refusal: UNKNOWN-CTE (RFC 3516 section 4.3), before anything of that step was sent.
            BodyGoneError: a message was expunged, and the grace period is over.
            Disconnected: the client is gone.
        """
        ctx = self._ctx
        _, store = selected(ctx)
        while not self.step():
            part = None if self._begun is None else self._begun.take_binary()
            if part is not None:
                await send_decoded(ctx, store, part)
            if len(ctx.out) >= STEP_OCTETS:
                await ctx.flush()
                await ctx.breathe()
        return self.missing

    def step(self) -> bool:
        """Write some, in one transaction; return whether that was all."""
        ctx = self._ctx
        view, store = selected(ctx)
        with store.reading() as reader:
            if self._begun is not None:
                if not reader.write(self._begun, ctx.out, STEP_OCTETS):
                    return False
                self._begun = None
            if self._left:
                mailbox = selected_row(view, reader)
                view.tell_keywords(ctx.out, MailboxSource(reader, mailbox))
                self._left, missing, self._begun = reader.fetch(
                    ctx.out,
                    mailbox,
                    self._items,
                    view.numbers,
                    self._left,
                    recent=None if ctx.session.rev2 else view.recent,
                    flags_too=self._flags_too,
                    max_bytes=STEP_OCTETS,
                )
                self.missing |= missing
        if self._begun is None:
            return not self._left
        if self._begun.unknown_encoding:
            raise Refusal("the part's transfer encoding is not known", code="UNKNOWN-CTE")
        return False
