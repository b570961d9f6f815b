"""Every body is read, its digest opened, its uses compared with what was counted."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from imapvm._core import CorruptError, Digest, Scanner
from imapvm.filepool.check.findings import deleting, putting
from imapvm.filepool.errors import FilepoolError
from imapvm.filepool.tables.bodies import (
    GRACE_SECONDS,
    StoredBody,
    Sweeping,
    chunks,
    read_digest,
    sweep_key,
)
from imapvm.filepool.tables.schema import CHUNK_KEY, COUNTER, ID_KEY, VALUE_MAX

if TYPE_CHECKING:
    import lmdb

    from imapvm.filepool.check.findings import Findings
    from imapvm.filepool.check.state import GroupPicture
    from imapvm.filepool.engine.transactions import GroupTxn

STRETCH = 1024 * 1024
"""Octets of a body that are read at a time."""


def inspect_bodies(
    txn: "lmdb.Transaction[bytes]",
    picture: "GroupPicture",
    now: int,
    found: "Findings[GroupTxn]",
) -> int:
    """Check bodies, digests and references; return how many bodies there are.

    Call it when the index has been counted.
    """
    tables = picture.tables
    bodies = dict(_runs(txn, tables.bodies, found, "Body"))
    digests = dict(_runs(txn, tables.digests, found, "The digest of body"))
    for body, rows in bodies.items():
        picture.saw(b"body", body)
        if body in picture.doomed_bodies:
            continue  # half of it may be gone, or not yet here
        if not picture.uses[body]:
            key = sweep_key(now + GRACE_SECONDS, Sweeping.BODY, body)
            found.add(
                f"No message has body {body}.",
                _orphaning(picture, body, key) if picture.whole else None,
            )
        _inspect_body(txn, picture, body, rows, found)
    for body in digests.keys() - bodies.keys() - picture.doomed_bodies.keys():
        key = sweep_key(now, Sweeping.BODY, body)
        found.add(
            f"There is a digest of body {body}, which does not exist.",
            None if picture.uses[body] else putting(tables.sweep, key, b""),
        )
    for body in sorted(picture.uses.keys() - bodies.keys()):
        found.add(f"Body {body} is missing; messages that have it: {picture.uses[body]}.")
    _inspect_references(txn, picture, found)
    return len(bodies)


def _runs(
    txn: "lmdb.Transaction[bytes]",
    table: "lmdb._Database",
    found: "Findings[GroupTxn]",
    what: str,
) -> Iterator[tuple[int, int]]:
    """Each id of a table with chunks, and its number of rows."""
    body, count, first = -1, 0, 0
    with txn.cursor(table) as cursor:
        for key, stored in cursor:
            number, chunk = CHUNK_KEY.unpack(key)
            if len(stored) > VALUE_MAX:
                found.add(f"{what} {number} has a row with more than {VALUE_MAX} octets.")
            if number != body:
                if body >= 0:
                    yield body, first + count
                body, count, first = number, 0, chunk
            count += 1
    if body >= 0:
        yield body, first + count


def _inspect_body(
    txn: "lmdb.Transaction[bytes]",
    picture: "GroupPicture",
    body: int,
    rows: int,
    found: "Findings[GroupTxn]",
) -> None:
    tables = picture.tables
    try:
        stored = StoredBody(txn, tables, body)
        if stored.rows != rows:
            found.add(f"Body {body} has {rows} rows and should have {stored.rows}.")
        for offset in range(0, stored.size, STRETCH):
            stored.read(offset, STRETCH)
    except FilepoolError as fault:
        found.add(str(fault))
        return
    size = picture.sizes.get(body, stored.size)
    if size != stored.size:
        found.add(f"Body {body} has {stored.size} octets; its messages say {size}.")
    digest = read_digest(txn, tables, body)
    if digest is None:
        found.add(f"Body {body} has no digest.", _scanning(picture, body))
        return
    try:
        told = Digest(digest).size
    except CorruptError as fault:
        found.add(f"The digest of body {body} cannot be read: {fault}.", _scanning(picture, body))
        return
    if told != stored.size:
        found.add(
            f"Body {body} has {stored.size} octets; its digest says {told}.",
            _scanning(picture, body),
        )


def _inspect_references(
    txn: "lmdb.Transaction[bytes]", picture: "GroupPicture", found: "Findings[GroupTxn]"
) -> None:
    table = picture.tables.references
    counted = set()
    with txn.cursor(table) as cursor:
        for key, stored in cursor:
            (body,) = ID_KEY.unpack(key)
            counted.add(body)
            (does,) = COUNTER.unpack(stored)
            should = picture.uses[body]
            if should and does != should:
                found.add(
                    f"Body {body} has a count of uses of {does}; messages that have it: {should}.",
                    putting(table, key, COUNTER.pack(should)) if picture.whole else None,
                )
            elif (
                not should and txn.get(CHUNK_KEY.pack(body, 0), None, picture.tables.bodies) is None
            ):
                found.add(
                    f"Uses of body {body} are counted, which does not exist.", deleting(table, key)
                )
    for body in sorted(picture.uses.keys() - counted):
        if picture.uses[body]:
            found.add(
                f"Body {body} has no count of uses; messages that have it: {picture.uses[body]}.",
                putting(table, ID_KEY.pack(body), COUNTER.pack(picture.uses[body])),
            )


# --- mending ----------------------------------------------------------------------------------


def _orphaning(picture: "GroupPicture", body: int, key: bytes) -> "Callable[[GroupTxn], None]":
    """Mends by having the body swept after the grace period."""

    def fix(txn: "GroupTxn") -> None:
        txn.delete(ID_KEY.pack(body), picture.tables.references)
        txn.put(key, b"", picture.tables.sweep)

    return fix


def _scanning(picture: "GroupPicture", body: int) -> "Callable[[GroupTxn], None]":
    """Mends by making the digest again."""

    def fix(txn: "GroupTxn") -> None:
        stored = StoredBody(txn.raw, picture.tables, body)
        scanner = Scanner()
        for offset in range(0, stored.size, STRETCH):
            scanner.feed(stored.read(offset, STRETCH))
        table = picture.tables.digests
        prefix = ID_KEY.pack(body)
        while keys := txn.keys(table, prefix, 1000):
            for key in keys:
                txn.delete(key, table)
        for chunk, value in chunks(scanner.finish()):
            txn.put(CHUNK_KEY.pack(body, chunk), value, table)

    return fix
