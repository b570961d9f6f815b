"""The tables `bodies`, `digests` and `references`: message text and message metadata.

A body is stored once and never changes. The layout of its rows, and reading them, is in the
extension (rust/src/filepool/body_layout.rs, bodies.rs).
"""

from typing import Final

from imapvm._core import BODY_MAX, VALUE_BYTES
from imapvm.filepool.engine.transactions import LmdbTxn
from imapvm.filepool.errors import CorruptDataError, StagedExpiredError
from imapvm.filepool.tables.schema import (
    CHUNK_KEY,
    COUNTER,
    ID_KEY,
    SWEEP_KEY,
    GroupTables,
)
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import BodyId
from imapvm.model.limits import MESSAGE_MAX
from imapvm.model.values import frozen

GRACE_SECONDS: Final = 60 * 60
"""Time for which an expunged message can be read by sessions that have not been notified."""
STAGED_SECONDS: Final = 24 * 60 * 60
"""Time in which a message has to arrive."""

assert MESSAGE_MAX <= BODY_MAX


class SweepKind:
    """Kinds of rows in the table `sweep`."""

    BODY: Final = 1
    """Body without references."""
    STAGED: Final = 2
    """Body that is arriving; kept if it is referred to in time."""
    MAILBOX: Final = 3
    """Remains of a deleted mailbox."""
    ACCOUNT: Final = 4
    """Remains of a deleted account."""
    DELIVERY: Final = 5
    """Delivery id and account."""
    SEEN: Final = 6
    r"""Block of UIDs of a mailbox with expunged messages that readers may have as \Seen."""


@frozen
class Staged:
    """Body whose first rows are already stored."""

    group: int
    body: BodyId
    until: int
    """Time at which it is swept if nothing refers to it, seconds since 1970."""

    @property
    def key(self) -> bytes:
        return sweep_key(self.until, SweepKind.STAGED, self.body)


@frozen
class NewBody:
    """Message that is ready to be stored: packed text and metadata."""

    size: int
    rows: tuple[tuple[int, bytes], ...]
    """Row number and value; rows that are already staged are not included."""
    metadata: bytes
    threads: tuple[int, ...]
    """Hashes of the Message-IDs that decide its thread: see `MessageEncoder.finish`."""
    staged: Staged | None = None


def sweep_key(when: int, kind: int, number: int) -> bytes:
    """Return the key of a row of `sweep` for an id."""
    return SWEEP_KEY.pack(when, kind) + ID_KEY.pack(number)


def chunks(stored: bytes) -> list[tuple[int, bytes]]:
    """Cut stored bytes into rows, numbered from 0."""
    return [
        (number, stored[at : at + VALUE_BYTES])
        for number, at in enumerate(range(0, len(stored), VALUE_BYTES))
    ]


# --- writing ----------------------------------------------------------------------------------


def check_available(txn: GroupTxn, body: NewBody) -> None:
    """Check that the staged rows still exist.

    Raises:
        StagedExpiredError: the message took too long and was swept.
    """
    staged = body.staged
    if (
        staged is not None
        and txn.get(staged.key, txn.tables.sweep) is None
        and txn.get(ID_KEY.pack(staged.body), txn.tables.references) is None
    ):
        raise StagedExpiredError("the message took too long to arrive")


def store_body(txn: GroupTxn, body: NewBody, uses: int) -> BodyId:
    """Store a body for `uses` messages. Call `check_available` before."""
    tables = txn.tables
    if body.staged is None:
        number = BodyId(txn.allocate(b"body"))
    else:
        number = body.staged.body
        if not txn.delete(body.staged.key, tables.sweep):  # it has messages already
            refer(txn, number, uses)
            return number
    for chunk, value in body.rows:
        txn.put_last(CHUNK_KEY.pack(number, chunk), value, tables.bodies)
    for chunk, value in chunks(body.metadata):
        txn.put_last(CHUNK_KEY.pack(number, chunk), value, tables.metadata)
    txn.put_last(ID_KEY.pack(number), COUNTER.pack(uses), tables.references)
    return number


def refer(txn: GroupTxn, body: int, uses: int = 1) -> None:
    """Add references to a body."""
    key = ID_KEY.pack(body)
    stored = txn.get(key, txn.tables.references)
    if stored is None:
        raise CorruptDataError(f"body {body} has no reference count")
    txn.put(key, COUNTER.pack(COUNTER.unpack(stored)[0] + uses), txn.tables.references)


def release(txn: GroupTxn, body: int, now: int) -> None:
    """Remove a reference to a body; without references it is swept after the grace period."""
    key = ID_KEY.pack(body)
    stored = txn.get(key, txn.tables.references)
    uses = COUNTER.unpack(stored)[0] if stored else 1
    if uses > 1:
        txn.put(key, COUNTER.pack(uses - 1), txn.tables.references)
    else:
        txn.delete(key, txn.tables.references)
        txn.put(sweep_key(now + GRACE_SECONDS, SweepKind.BODY, body), b"", txn.tables.sweep)


# --- reading ----------------------------------------------------------------------------------


def read_metadata(txn: LmdbTxn, tables: GroupTables, number: int) -> bytes | None:
    """Return the metadata of a body, or None if it has none."""
    metadata = txn.get(CHUNK_KEY.pack(number, 0), None, tables.metadata)
    if metadata is None or len(metadata) < VALUE_BYTES:
        return metadata
    pieces = [metadata]
    while len(pieces[-1]) == VALUE_BYTES:
        more = txn.get(CHUNK_KEY.pack(number, len(pieces)), None, tables.metadata)
        if more is None:
            break
        pieces.append(more)
    return b"".join(pieces)
