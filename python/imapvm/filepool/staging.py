"""Arriving messages: scanned, packed, and staged in a storage group if they are large."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import trio

from imapvm._core import MessageEncoder, body_rows
from imapvm.filepool.errors import LimitError, StagedExpiredError, StoreUnavailableError
from imapvm.filepool.group import Group
from imapvm.filepool.operations.append import DiscardStaged, NewMessage, StageBody
from imapvm.filepool.tables.messages.bodies import STAGED_SECONDS, NewBody, Staged
from imapvm.filepool.tables.schema import CHUNK_KEY
from imapvm.model.limits import MESSAGE_MAX, THREAD_REFERENCES_MAX
from imapvm.model.stepping import suspend

SPILL_BYTES: Final = 128 * 1024
"""Packed bytes of a message that are held in memory, besides the current frame."""


class BodyWriter:
    """Writer for an arriving message: scans and packs the bytes, and stages a large message.

    Holds at most one frame, SPILL_BYTES, the data of one `feed`, and 4 MiB of a large header.
    Staged rows that are never used are swept after STAGED_SECONDS, or earlier after `discard`.
    """

    __slots__ = ("_body", "_encoder", "_group", "_next_chunk", "_staged", "_taken")

    def __init__(self, group: Group) -> None:
        self._group = group
        self._encoder = MessageEncoder()
        self._staged: Staged | None = None
        self._taken: list[bytes] = []
        """Rows that `spill` has taken from the encoder and not stored yet."""
        self._next_chunk = 1
        self._body: NewBody | None = None

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._encoder.size

    def feed(self, data: bytes) -> bool:
        """Add the message's next bytes; return True if `spill` has to be called now.

        Raises:
            LimitError: the message would exceed MESSAGE_MAX; nothing of `data` was added.
        """
        if self._encoder.size + len(data) > MESSAGE_MAX:
            raise LimitError(f"a message has at most {MESSAGE_MAX} bytes")
        return self._encoder.feed(data) >= SPILL_BYTES

    async def spill(self) -> None:
        """Stage the packed bytes under a body id that nothing refers to yet.

        Raises:
            StagedExpiredError: the message took too long, and its first rows were swept.
            StoreUnavailableError: the disk is full or failed; `spill` may be called again.
        """
        self._taken += self._encoder.take_values()
        if not self._taken:
            return
        rows = tuple(enumerate(self._taken, self._next_chunk))
        until = int(self._group.clock()) + STAGED_SECONDS
        self._staged = await self._group.submit(
            StageBody(self._group.number, rows, until, self._staged)
        )
        self._next_chunk += len(rows)
        self._taken.clear()

    def finish(self) -> NewBody:
        """Return the complete message. It may be stored in several mailboxes."""
        if self._body is None:
            size = self._encoder.size
            next_chunk = self._next_chunk + len(self._taken)
            rows, metadata, threads = self._encoder.finish(next_chunk, THREAD_REFERENCES_MAX)
            rows += enumerate(self._taken, self._next_chunk)
            self._body = NewBody(size, tuple(rows), metadata, threads, self._staged)
        return self._body

    async def discard(self) -> None:
        """Discard staged rows, unless a message refers to them. Safe at any time."""
        if self._staged is not None:
            await suspend()
            with trio.CancelScope(shield=True):
                try:
                    await self._group.submit(DiscardStaged(self._staged, int(self._group.clock())))
                except StoreUnavailableError:
                    return  # the sweep removes it after STAGED_SECONDS
            self._staged = None


COPY_ROWS: Final = 32
"""Rows that are copied in one operation: 128 KiB."""


async def copy_staged(message: NewMessage, group: Group, groups: Sequence[Group]) -> NewMessage:
    """Return the message ready to be stored in a group; copy rows that are staged elsewhere.

    Args:
        message: the message.
        group: the group to store it in.
        groups: all storage groups, by number.

    Raises:
        StagedExpiredError: the staged rows were swept.
    """
    staged = message.body.staged
    if staged is None or staged.group == group.number:
        return message
    body = await _restage(message.body, staged, groups[staged.group], group)
    return replace(message, body=body)


async def _restage(body: NewBody, staged: Staged, source: Group, target: Group) -> NewBody:
    until = int(target.clock()) + STAGED_SECONDS
    end = body_rows(body.rows[0][1]) - len(body.rows[1:])
    copy: Staged | None = None
    for first in range(1, end, COPY_ROWS):
        rows = []
        with source.env.begin() as txn:
            for chunk in range(first, min(first + COPY_ROWS, end)):
                value = txn.get(CHUNK_KEY.pack(staged.body, chunk), None, source.tables.bodies)
                if value is None:
                    raise StagedExpiredError("the message took too long to arrive")
                rows.append((chunk, value))
        copy = await target.submit(StageBody(target.number, tuple(rows), until, copy))
    return replace(body, staged=copy)
