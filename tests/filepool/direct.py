"""A filepool whose operations are applied one by one, without Trio and threads."""

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

from tests.clock import Clock

from imapvm._core import MessageEncoder, UidSet, segment_records
from imapvm.filepool.engine.environment import MAP_SIZE, table_names
from imapvm.filepool.operations.accounts import ActivateAccount, ReserveAccount
from imapvm.filepool.operations.append import NewMessage
from imapvm.filepool.operations.enroll import AddAccount
from imapvm.filepool.pool import Filepool, create_filepool
from imapvm.filepool.reading import Reader
from imapvm.filepool.tables.messages.bodies import NewBody
from imapvm.filepool.tables.messages.keyword_cache import KeywordCache
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.limits import THREAD_REFERENCES_MAX
from imapvm.model.quota import NO_LIMITS, Limits

START = 1_800_000_000


class Direct:
    """Filepool in which each call of `apply` is one transaction, as in the writer."""

    def __init__(self, path: Path, *, groups: int = 1, quota: Limits = NO_LIMITS) -> None:
        self.clock = Clock(START)
        create_filepool(path, groups=groups, now=START)
        self.pool = Filepool(path, clock=self.clock, map_size=MAP_SIZE, quota=quota)
        self.keyword_cache = KeywordCache()
        self.account = self.enroll("alice")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        for group in self.pool.groups:
            group.release()
        self.pool.accounts.release()

    @property
    def group(self):
        return self.pool.groups[0]

    def enroll(self, name: str):
        accounts = self.pool.accounts
        with accounts.env.begin(write=True) as raw:
            txn = accounts.write_txn(raw)
            account = ReserveAccount(name, "x", len(self.pool.groups), self.clock.now).apply(txn)
            ActivateAccount(account.id).apply(txn)
            txn.flush()
        self.apply(AddAccount(account.id, self.clock.now), group=account.group)
        return account

    def apply(self, *operations, group: int = 0):
        """Apply operations in one transaction; return the last result."""
        found = self.pool.groups[group]
        result = None
        try:
            with found.env.begin(write=True) as raw:
                found._preallocate()  # as the writer does: LMDB may not write free last pages
                groups = len(self.pool.groups)
                txn = GroupTxn(
                    raw,
                    found.tables,
                    self.keyword_cache,
                    group=(group, groups),
                    quota=found.quota,
                )
                for operation in operations:
                    result = operation.apply(txn)
                txn.flush()
        except BaseException:
            self.keyword_cache.clear()
            raise
        return result

    def reading(self):
        return Reader(self.group, self.account.id)

    def mailbox(self, name: str = "INBOX"):
        with self.reading() as reader:
            found = reader.mailbox(name)
        assert found is not None, name
        return found

    def check(self):
        return [finding.sentence for finding in self.pool.check().findings]


def message_bytes(number: int = 1, *, size: int = 0, answers: tuple[int, ...] = ()) -> bytes:
    """Return a small message; `answers` are the numbers of messages it refers to, oldest first."""
    references = "".join(f" <{other}@example.org>" for other in answers)
    return (
        f"From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: number {number}\r\n"
        f"Message-ID: <{number}@example.org>\r\n"
        + (f"References:{references}\r\n" if answers else "")
        + f"\r\nBody of {number}.\r\n"
    ).encode() + b"x" * size


def packed(data: bytes) -> NewBody:
    """Return a body that is not staged."""
    packer = MessageEncoder()
    packer.feed(data)
    rows, metadata, threads = packer.finish(1, THREAD_REFERENCES_MAX)
    return NewBody(len(data), tuple(rows), metadata, threads)


def message(
    data: bytes | int = 1, flags: int = 0, keywords: tuple[str, ...] = (), date: int = START
) -> NewMessage:
    if isinstance(data, int):
        data = message_bytes(data)
    return NewMessage(packed(data), flags, keywords, date, 60)


def received(store, data: bytes) -> NewMessage:
    """Return a message that was fed to a body writer in one piece."""
    writer = store.new_body()
    assert not writer.feed(data)
    return NewMessage(writer.finish(), 0, (), START, 0)


def records(reader, mailbox, uids: UidSet | None = None):
    return [
        record
        for segment in reader.segments(mailbox, uids)
        for record in segment_records(segment, uids)
    ]


def uids(*numbers: int) -> UidSet:
    return UidSet.of(numbers)


def keywords(reader, mailbox):
    """Return keyword-set id → names, of all sets of a mailbox."""
    text = reader.keyword_text(mailbox, range(1, mailbox.keyword_sets + 1))
    return {number: tuple(names.decode().split(" ")) for number, names in text.items()}


def look(store, name: str = "INBOX"):
    """Return a mailbox of a store with its records by UID and its changes from 0 on."""
    with store.reading() as reader:
        mailbox = reader.mailbox(name)
        assert mailbox is not None, name
        return SimpleNamespace(
            mailbox=mailbox,
            id=mailbox.id,
            records={record.uid: record for record in records(reader, mailbox)},
            uids=reader.uid_map(mailbox).uids,
            keywords=keywords(reader, mailbox),
            changes=reader.changes(mailbox, 0),
        )


def dump(env, tables) -> dict[str, list[tuple[bytes, bytes]]]:
    """Return all rows of all tables, by the names of the tables on disk."""
    with env.begin() as txn:
        return {
            name: list(txn.cursor(getattr(tables, field.name)))
            for name, field in zip(table_names(type(tables)), fields(tables), strict=True)
        }
