"""Check of a data file's size against its meta pages, before LMDB maps the file.

LMDB reads pages as memory: a page after the end of the file would raise SIGBUS, which ends the
process. The layout of the pages is described in rust/src/pages/mod.rs.
"""

import os
from pathlib import Path
from struct import Struct, error
from typing import Final, NamedTuple

from imapvm.filepool.errors import CorruptDataError, TruncatedFileError

DATA_FILE: Final = "data.mdb"

META_PAGES: Final = 2
PAGE_BYTES_USUAL: Final = 4096
_META: Final = Struct("<II16xI92xQQ")
"""Magic, version, page size, last page, transaction; after the page header."""
_TABLE: Final = Struct("<IHHQQQQQ")
"""Record of a table: its last number is the page of the root."""
_PAGE: Final = Struct("<Q2xHHH")
"""Header of a page: number, flags, lower, upper (of an overflow page: number of pages)."""
_NODE: Final = Struct("<HHHH")
_HEADER_BYTES: Final = 16
_FREE_LIST_AT: Final = _HEADER_BYTES + 24
_MAGIC: Final = 0xBEEF_C0DE
_BRANCH: Final = 0x01
_LEAF: Final = 0x02
_BIG_VALUE: Final = 0x01
_TREE_LEVELS: Final = 32
_ATTEMPTS: Final = 3


class _Meta(NamedTuple):
    """Contents of a meta page."""

    transaction: int
    page_bytes: int
    last_page: int
    start: bytes


def check_data_file(directory: Path) -> None:
    """Check that the data file of an environment has all pages that are in use.

    Costs two reads of a page. Other processes may be writing. Free pages that are missing at the
    end are added.

    Raises:
        TruncatedFileError: the file is truncated.
        CorruptDataError: it is not a data file of LMDB.
        OSError: it cannot be read.
    """
    path = directory / DATA_FILE
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    expected = found = 0
    try:
        for _ in range(_ATTEMPTS):  # a commit between the two reads makes the file longer
            expected, whole = _expected_size(file, path)
            found = os.fstat(file).st_size
            if found >= whole:
                return
            if found >= expected:
                os.posix_fallocate(file, 0, whole)  # never makes a file shorter
                return
        raise truncated(path, expected, found)
    finally:
        os.close(file)


def truncated(path: Path, expected: int, found: int) -> TruncatedFileError:
    """Return the exception to raise for a data file that is too short."""
    return TruncatedFileError(
        f"cannot use {path}: the file is truncated: expected at least {expected} bytes, found "
        f"{found}; restore the filepool from a backup"
    )


def _expected_size(file: int, path: Path) -> tuple[int, int]:
    """Return the bytes up to the end of the last page in use, and of the last page."""
    metas = [_read_meta(os.pread(file, _HEADER_BYTES + 136, 0))]
    page_bytes = metas[0].page_bytes if metas[0] else PAGE_BYTES_USUAL
    smallest = META_PAGES * page_bytes
    found = os.fstat(file).st_size
    metas.append(_read_meta(os.pread(file, _HEADER_BYTES + 136, page_bytes)))
    known = [meta for meta in metas if meta is not None]
    if found < smallest:
        whole = max([smallest, *((meta.last_page + 1) * meta.page_bytes for meta in known)])
        return whole, whole
    if len(known) < META_PAGES:
        raise CorruptDataError(
            f"cannot read {path}: it is not a data file, or its first pages are corrupt; restore "
            "the filepool from a backup"
        )
    newest = max(known)
    expected = whole = (newest.last_page + 1) * page_bytes
    if found < whole:
        # LMDB does not write pages that one transaction has both allocated and freed, so the file
        # may end before them.
        free = _free_pages(file, newest)
        last = newest.last_page
        while last in free:
            last -= 1
        expected = (last + 1) * page_bytes
    return expected, whole


def _read_meta(page: bytes) -> _Meta | None:
    """Parse the start of a meta page; return None if it is something else."""
    try:
        magic, version, page_bytes, last_page, transaction = _META.unpack_from(page, _HEADER_BYTES)
    except error:
        return None
    if magic != _MAGIC or version != 1 or not 512 <= page_bytes <= 65536:
        return None
    return _Meta(transaction, page_bytes, last_page, page)


def _free_pages(file: int, meta: _Meta) -> set[int]:
    """Return the pages in the free list that can be read."""
    free: set[int] = set()
    waiting = [(_TABLE.unpack_from(meta.start, _FREE_LIST_AT)[7], 0)]
    while waiting:
        number, depth = waiting.pop()
        if number > meta.last_page or depth > _TREE_LEVELS:  # also if the list is empty
            continue
        page = os.pread(file, meta.page_bytes, number * meta.page_bytes)
        if len(page) < meta.page_bytes:
            continue
        _, flags, lower, _ = _PAGE.unpack_from(page)
        for at in range(_HEADER_BYTES, min(lower, meta.page_bytes), 2):
            node = int.from_bytes(page[at : at + 2], "little")
            if node + _NODE.size > meta.page_bytes:
                continue
            low, high, node_flags, key_bytes = _NODE.unpack_from(page, node)
            if flags & _BRANCH:
                waiting.append((low | high << 16 | node_flags << 32, depth + 1))
            elif flags & _LEAF:
                value = page[node + _NODE.size + key_bytes :]
                size = low | high << 16
                if node_flags & _BIG_VALUE:
                    first = int.from_bytes(value[:8], "little")
                    if first > meta.last_page:
                        continue
                    value = os.pread(file, size, first * meta.page_bytes + _HEADER_BYTES)
                pages = memoryview(value[: size - size % 8]).cast("Q") if len(value) >= size else []
                free.update(pages[1 : 1 + pages[0]] if len(pages) else ())
    return free
