"""Check of bodies: read each one, open its metadata, compare its reference count."""

from collections.abc import Callable, Iterator

from imapvm._core import (
    METADATA_VERSION,
    VALUE_BYTES,
    CorruptError,
    MessageMetadata,
    Scanner,
    Snapshot,
)
from imapvm.filepool.check.findings import Findings, delete_row, put_row
from imapvm.filepool.check.state import GroupState
from imapvm.filepool.engine.transactions import LmdbTxn, Table
from imapvm.filepool.tables.messages.bodies import (
    GRACE_SECONDS,
    SweepKind,
    chunks,
    read_metadata,
    sweep_key,
)
from imapvm.filepool.tables.schema import CHUNK_KEY, COUNTER, ID_KEY
from imapvm.filepool.tables.transactions import GroupTxn

READ_BYTES = 1024 * 1024
"""Bytes of a body that are read at a time."""


def inspect_bodies(
    txn: LmdbTxn,
    state: GroupState,
    now: int,
    found: Findings[GroupTxn],
) -> int:
    """Check bodies, metadata and references; return the number of bodies.

    Call it after `inspect_index`.
    """
    tables = state.tables
    bodies = dict(_runs(txn, tables.bodies, found, "body"))
    metadata = dict(_runs(txn, tables.metadata, found, "the metadata of body"))
    for body, rows in bodies.items():
        state.note_id(b"body", body)
        if body in state.pending_bodies:
            continue  # it may be incomplete
        if not state.uses[body]:
            key = sweep_key(now + GRACE_SECONDS, SweepKind.BODY, body)
            found.add(
                f"no message has body {body}",
                _release_body(state, body, key) if state.index_readable else None,
            )
        _inspect_body(txn, state, body, rows, found)
    for body in metadata.keys() - bodies.keys() - state.pending_bodies.keys():
        key = sweep_key(now, SweepKind.BODY, body)
        found.add(
            f"metadata exists for body {body}, which does not exist",
            None if state.uses[body] else put_row(tables.sweep, key, b""),
        )
    for body in sorted(state.uses.keys() - bodies.keys()):
        found.add(f"body {body} is missing; messages that have it: {state.uses[body]}")
    _inspect_references(txn, state, found)
    return len(bodies)


def _runs(
    txn: LmdbTxn,
    table: Table,
    found: Findings[GroupTxn],
    what: str,
) -> Iterator[tuple[int, int]]:
    """Yield each body id of a table, and its number of rows."""
    body, count, first = -1, 0, 0
    with txn.cursor(table) as cursor:
        for key, stored in cursor:
            number, chunk = CHUNK_KEY.unpack(key)
            if len(stored) > VALUE_BYTES:
                found.add(f"{what} {number} has a row of more than {VALUE_BYTES} bytes")
            if number != body:
                if body >= 0:
                    yield body, first + count
                body, count, first = number, 0, chunk
            count += 1
    if body >= 0:
        yield body, first + count


def _inspect_body(
    txn: LmdbTxn,
    state: GroupState,
    body: int,
    rows: int,
    found: Findings[GroupTxn],
) -> None:
    tables = state.tables
    snapshot = state.snapshot
    try:
        actual, expected_rows, reason = snapshot.body_layout(body)
        if rows != expected_rows:
            found.add(f"body {body} has {rows} rows instead of {expected_rows}")
        if reason is not None:
            found.add(f"body {body} is corrupt: {reason}")
        scanned = _scan(snapshot, body, actual)
    except KeyError:
        found.add(f"body {body} has no row 0")
        return
    except CorruptError as error:
        found.add(f"cannot read body {body}: {error}")
        return
    size = state.sizes.get(body, actual)
    if size != actual:
        found.add(f"body {body} has {actual} bytes; its index records have {size}")
    metadata = read_metadata(txn, tables, body)
    if metadata is None:
        found.add(f"body {body} has no metadata", _rebuild_metadata(state, body))
        return
    try:
        size = MessageMetadata(metadata).size
    except CorruptError as error:
        found.add(
            f"the metadata of body {body} is corrupt: {error}", _rebuild_metadata(state, body)
        )
        return
    if size != actual:
        found.add(
            f"body {body} has {actual} bytes; its metadata has {size}",
            _rebuild_metadata(state, body),
        )
    elif metadata[0] != METADATA_VERSION:
        state.outdated.append(body)
    elif scanned != metadata:
        what = _difference(scanned, metadata)
        found.add(
            f"the text of body {body} does not agree with its metadata ({what}): "
            "one of them is corrupt",
            _rebuild_metadata(state, body),
        )


def _scan(snapshot: Snapshot, body: int, size: int) -> bytes:
    """Return metadata made from the text."""
    scanner = Scanner()
    for offset in range(0, size, READ_BYTES):
        scanner.feed(snapshot.body(body, offset, READ_BYTES))
    return scanner.finish()


def _difference(scanned: bytes, stored: bytes) -> str:
    """Return what differs between metadata made from the text and stored metadata."""
    one, other = MessageMetadata(scanned), MessageMetadata(stored)
    names = (
        "header_size",
        "part_count",
        "envelope",
        "bodystructure",
        "message_id",
        "references",
        "sent",
        "subject",
        "preview",
    )
    different = [name for name in names if getattr(one, name) != getattr(other, name)]
    return ", ".join(different) or "header fields or parts"


def _inspect_references(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    table = state.tables.references
    counted = set()
    with txn.cursor(table) as cursor:
        for key, stored in cursor:
            (body,) = ID_KEY.unpack(key)
            counted.add(body)
            (actual,) = COUNTER.unpack(stored)
            expected = state.uses[body]
            if expected and actual != expected:
                found.add(
                    f"body {body} has {actual} references; messages that have it: {expected}",
                    put_row(table, key, COUNTER.pack(expected)) if state.index_readable else None,
                )
            elif (
                not expected and txn.get(CHUNK_KEY.pack(body, 0), None, state.tables.bodies) is None
            ):
                found.add(
                    f"references of body {body} exist, which does not exist",
                    delete_row(table, key),
                )
    for body in sorted(state.uses.keys() - counted):
        if state.uses[body]:
            found.add(
                f"body {body} has no reference count; messages that have it: {state.uses[body]}",
                put_row(table, ID_KEY.pack(body), COUNTER.pack(state.uses[body])),
            )


# --- repairs ---------------------------------------------------------------------------------


def _release_body(state: GroupState, body: int, key: bytes) -> Callable[[GroupTxn], None]:
    """Return a repair that has the body swept after the grace period."""

    def repair(txn: GroupTxn) -> None:
        txn.delete(ID_KEY.pack(body), state.tables.references)
        txn.put(key, b"", state.tables.sweep)

    return repair


def renew_metadata(state: GroupState, txn: GroupTxn) -> None:
    """Make metadata of older versions again from the texts."""
    for body in state.outdated:
        _rebuild_metadata(state, body)(txn)
    txn.flush()


def _rebuild_metadata(state: GroupState, body: int) -> Callable[[GroupTxn], None]:
    """Return a repair that makes the metadata again from the text."""

    def repair(txn: GroupTxn) -> None:
        size, _, _ = state.snapshot.body_layout(body)
        metadata = _scan(state.snapshot, body, size)
        table = state.tables.metadata
        prefix = ID_KEY.pack(body)
        while keys := txn.keys(table, prefix, 1000):
            for key in keys:
                txn.delete(key, table)
        for chunk, value in chunks(metadata):
            txn.put(CHUNK_KEY.pack(body, chunk), value, table)

    return repair
