"""COPY and MOVE between accounts: messages are read and stored again.

Both accounts may be in any storage groups. The copies get the flags that the user may set in the
target (RFC 4314 section 4), and new ids (RFC 8474). All copies appear at once.
"""

from typing import Final

from imapvm._core import Record, UidSet, segment_records
from imapvm.commands.context import SelectedContext
from imapvm.commands.outcome import Refusal, messages_expunged
from imapvm.filepool.store import AccountStore, BodyWriter, CopyResult, NewMessage
from imapvm.model.ids import BodyId, MailboxId
from imapvm.model.limits import COPIED_BETWEEN_ACCOUNTS_MAX
from imapvm.model.rights import Rights

PIECE_BYTES: Final = 256 * 1024
"""Bytes of a message that are read and scanned at a time: about a millisecond."""
HELD_BYTES_MAX: Final = 1024 * 1024
"""Bytes of one command in memory; above, messages go to the filepool at once."""


async def copy_between_accounts(
    ctx: SelectedContext, uids: UidSet, store: AccountStore, to: MailboxId, *, whole: bool
) -> CopyResult:
    """Copy messages of the selected mailbox, all or none; those that were expunged are skipped.

    Args:
        ctx: the selected mailbox.
        uids: the messages.
        store: of the target.
        to: the target.
        whole: copy nothing if one was expunged.

    Raises:
        Refusal: there are too many messages, or one was expunged and `whole` is set.
        BodyGoneError: a message was expunged, and the grace period is over.
    """
    with ctx.store.reading() as reader:
        mailbox = ctx.mailbox_row(reader)
        present = reader.uid_map(mailbox).uids & uids
        if whole and len(present) < len(uids):
            raise messages_expunged()
        if len(present) > COPIED_BETWEEN_ACCOUNTS_MAX:
            raise Refusal(
                f"more than {COPIED_BETWEEN_ACCOUNTS_MAX} messages to copy to another account",
                code="LIMIT",
            )
        segments = reader.segments(mailbox, present)
        records = [record for each in segments for record in segment_records(each, present)]
        keywords = {
            number: tuple(text.decode().split())
            for number, text in reader.keyword_text(
                mailbox, {record.keyword_set for record in records} - {0}
            ).items()
        }
    writers: list[BodyWriter] = []
    messages: list[NewMessage] = []
    held = 0
    try:
        for number, record in enumerate(records):
            ctx.report(number)
            writer = store.new_body()
            writers.append(writer)
            await _copy_body(ctx, record, writer)
            held += record.size
            if held > HELD_BYTES_MAX:
                await writer.spill()
                held -= record.size
            messages.append(
                NewMessage(
                    writer.finish(),
                    flags=record.flags,
                    keywords=keywords.get(record.keyword_set, ()),
                    date=record.date,
                    zone=record.zone,
                )
            )
        appended = await store.append(to, messages)
        writers.clear()  # their bodies are referred to now
    finally:
        for writer in writers:
            await writer.discard()
    source = UidSet.of(record.uid for record in records)
    return CopyResult(appended.uid_validity, source, appended.uids, appended.modseq)


async def move_between_accounts(
    ctx: SelectedContext, uids: UidSet, store: AccountStore, to: MailboxId
) -> CopyResult:
    """Copy messages, then remove them, in one transaction each.

    If the server stops in between, they are in both mailboxes.
    """
    with ctx.store.reading() as reader:
        ctx.mailbox_row(reader)
        reader.require(ctx.view.mailbox, Rights.DELETE_MESSAGES | Rights.EXPUNGE)
    copied = await copy_between_accounts(ctx, uids, store, to, whole=False)
    if copied.source:
        await ctx.store.remove(ctx.view.mailbox, copied.source)
    return copied


async def _copy_body(ctx: SelectedContext, record: Record, writer: BodyWriter) -> None:
    offset = 0
    while offset < record.size:
        with ctx.store.reading() as reader:
            piece = reader.body(BodyId(record.body), offset, PIECE_BYTES)
        offset += len(piece)
        if writer.feed(piece):
            await writer.spill()
        await ctx.yield_control()
