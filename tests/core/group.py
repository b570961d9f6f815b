"""A storage group's data file with a few rows in it, written by LMDB and not by the filepool."""

import os
from contextlib import contextmanager
from struct import Struct

import lmdb

from imapvm._core import DataFile

MAP_SIZE = 1 << 30
HEAD = Struct("<BBHHxxQ")
RAW = 1 << 31


class StoredGroup:
    """Tables `index`, `bodies` and `metadata`, as docs/storage.md has them."""

    def __init__(self, path):
        self.env = lmdb.open(str(path), map_size=MAP_SIZE, max_dbs=8, lib_version=0, sync=False)
        self.tables = {
            name: self.env.open_db(name.encode())
            for name in ("index", "bodies", "digests", "keywords")
        }
        file = os.open(path / "data.mdb", os.O_RDONLY)
        self.data = DataFile(file, MAP_SIZE)
        os.close(file)

    def put(self, table, key, value):
        with self.env.begin(write=True) as txn:
            txn.put(key, value, db=self.tables[table])

    def put_segment(self, mailbox, segment):
        first = int.from_bytes(segment[8:12], "little")
        self.put("index", Struct(">QI").pack(mailbox, first), segment)

    def put_keywords(self, mailbox, number, names):
        self.put("keywords", Struct(">QI").pack(mailbox, number), " ".join(names).encode())

    def put_metadata(self, body, metadata):
        self.put("digests", Struct(">QI").pack(body, 0), metadata)

    def put_body(self, body, message):
        """One frame, not compressed, in row 0."""
        assert len(message) < 4000
        frames = (len(message) | RAW).to_bytes(4, "little") if message else b""
        head = HEAD.pack(1, 0, len(message), len(frames) // 4, len(message))
        self.put("bodies", Struct(">QI").pack(body, 0), head + frames + message)

    def drop(self, table, key):
        with self.env.begin(write=True) as txn:
            assert txn.delete(key, db=self.tables[table])

    @contextmanager
    def snapshot(self):
        with self.env.begin() as txn:
            snapshot = self.data.snapshot(txn.id())
            assert snapshot is not None
            yield snapshot
