"""A message that was staged in one storage group and is wanted in another is staged there, too."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from imapvm.filepool.errors import BodyGoneError
from imapvm.filepool.operations.append import NewMessage, StageBody
from imapvm.filepool.tables.bodies import STAGED_SECONDS, NewBody, Staged, stored_size
from imapvm.filepool.tables.schema import CHUNK_KEY, VALUE_MAX

if TYPE_CHECKING:
    from imapvm.filepool.group import Group
    from imapvm.filepool.pool import Filepool

ROWS: Final = 32
"""Rows that are copied at a time: 128 KiB."""


async def in_group(pool: "Filepool", message: NewMessage, group: "Group") -> NewMessage:
    """The message, ready to be stored in a group.

    Raises:
        BodyGoneError: what was staged has been swept.
    """
    staged = message.body.staged
    if staged is None or staged.group == group.number:
        return message
    body = await _restage(message.body, staged, pool.groups[staged.group], group)
    return replace(message, body=body)


async def _restage(body: NewBody, staged: Staged, source: "Group", target: "Group") -> NewBody:
    until = int(target.clock()) + STAGED_SECONDS
    end = 1 + -(-stored_size(body.rows[0][1]) // VALUE_MAX) - len(body.rows[1:])
    copy: Staged | None = None
    for first in range(1, end, ROWS):
        rows = []
        with source.env.begin() as txn:
            for chunk in range(first, min(first + ROWS, end)):
                value = txn.get(CHUNK_KEY.pack(staged.body, chunk), None, source.tables.bodies)
                if value is None:
                    raise BodyGoneError("The message took too long to arrive.")
                rows.append((chunk, value))
        copy = await target.submit(StageBody(target.number, tuple(rows), until, copy))
    return replace(body, staged=copy)
