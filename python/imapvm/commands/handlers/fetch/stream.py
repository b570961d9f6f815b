"""Stream of FETCH responses, written as fast as the client reads them.

Long responses are written step by step: one short read transaction, rendered by the extension,
sent, next. So neither the transaction nor the memory grows with the number of messages.

The extension marks a response that is not written to its end. After an error dispatch removes it,
or closes the connection if its start has been sent.
"""

from typing import Final

from imapvm._core import FetchItems, FetchStream, UidSet
from imapvm.commands.context import SelectedContext
from imapvm.commands.handlers.fetch.binary_parts import write_decoded
from imapvm.commands.updates import MailboxSource

STEP_BYTES: Final = 256 * 1024
"""Rendered and sent at a time: less costs transactions and sends, more gains nothing."""


async def fetch_stream(
    ctx: SelectedContext, items: FetchItems, uids: UidSet, *, flags_too: UidSet | None = None
) -> bool:
    """Write FETCH responses; send them, except for less than STEP_BYTES at the end.

    After ENABLE UIDONLY they are UIDFETCH responses.

    Args:
        ctx: gets the responses.
        items: what each response includes.
        uids: the messages, ascending.
        flags_too: messages whose responses include FLAGS in any case.

    Returns:
        True if some of the messages have been expunged.

    Raises:
        BodyGoneError: a message was expunged, and the grace period is over.
        Disconnected: the connection is closed.
    """
    view, out = ctx.view, ctx.out
    if ctx.session.uidonly:
        items = items.as_uid_fetch()
    expunged = False
    # Rendered and not written yet: message bytes, and parts to decode.
    pending: FetchStream | None = None
    while True:
        with ctx.store.reading() as reader:
            if pending is None or reader.write(pending, out, STEP_BYTES):
                pending = None
                if uids:
                    mailbox = ctx.mailbox_row(reader)
                    source = MailboxSource(ctx.store, reader, mailbox)
                    view.write_keywords(out, source)
                    uids, missing, pending = reader.fetch(
                        out,
                        mailbox,
                        items,
                        view.numbers,
                        uids,
                        recent=None if ctx.session.rev2 else view.recent,
                        flags_too=flags_too,
                        max_bytes=STEP_BYTES,
                    )
                    expunged |= missing
                    # In a shared mailbox, rights may have changed without a change of messages.
                    if pending is None and not uids and ctx.store.is_own:
                        view.note_synced(source, reader.txn_id)
        if pending is not None:
            part = pending.take_binary()
            if part is not None:
                await write_decoded(ctx, part)
        elif not uids:
            return expunged
        if len(out) >= STEP_BYTES:
            await ctx.flush()
        await ctx.yield_control()
