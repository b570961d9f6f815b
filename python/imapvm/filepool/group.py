"""A storage group that is open: its environment, its writer, and what other processes did to it."""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from imapvm._core import HeaderColumns
from imapvm.filepool.engine.environment import map_data_file, open_environment
from imapvm.filepool.engine.preallocate import Headroom
from imapvm.filepool.engine.transactions import GroupTxn, Operation
from imapvm.filepool.engine.writer import Writer
from imapvm.filepool.tables.keywords import KeywordBook
from imapvm.filepool.tables.schema import ID_KEY, PAIR_KEY, RING_ROW, GroupTables
from imapvm.model.ids import MailboxId

if TYPE_CHECKING:
    import lmdb

    from imapvm._core import UidMap
    from imapvm.filepool.operations.mailboxes import Mailbox

Result = TypeVar("Result")

OWN_COMMITS_MAX: Final = 1024
"""Commits of ours behind one of another process that are remembered until `foreign_news`."""


class Group:
    """A storage group that is open in this process.

    Args:
        path: the group's directory.
        number: of the group.
        clock: seconds since 1970.
        map_size: octets of address space.
        columns: where SEARCH keeps header fields, for all groups.
    """

    def __init__(
        self,
        path: Path,
        number: int,
        *,
        clock: Callable[[], float],
        map_size: int,
        columns: HeaderColumns,
    ) -> None:
        self.number = number
        self.columns = columns.of_group(number)
        self.clock = clock
        self.env, self.tables = open_environment(path, GroupTables, map_size=map_size)
        self.data = map_data_file(path, map_size)
        self._headroom = Headroom(path, map_size)
        self._page_octets = self.env.stat()["psize"]
        self.book = KeywordBook()
        self.seen: dict[bytes, tuple[bytes, Mailbox]] = {}
        """Rows of `mailboxes` as last seen, decoded; a row is compared before it is believed."""
        self.maps: dict[MailboxId, tuple[int, int, UidMap]] = {}
        """UIDs of mailboxes as last read, by `uid_next` and count: see `Reader.uid_map`."""
        self.on_news: Callable[[set[MailboxId]], None] | None = None
        self.on_commit: Callable[[], None] | None = None
        """Called in the writer's thread after a commit that other processes should know of."""
        self._write_book = KeywordBook()
        self._writer: Writer[GroupTxn] | None = None
        self._own: deque[tuple[int, int]] = deque()  # our ring rows behind `_heard`
        with self.env.begin() as txn:
            self._looked_at = txn.id()
            self._heard = self._last_in_ring(txn)

    def start(self) -> None:
        """Begin to write. Call it in Trio's thread."""
        self._writer = Writer(
            f"imapvm group {self.number}",
            self.env,
            self.write_txn,
            begun=self._begun,
            committed=self._committed,
            spoilt=self._write_book.clear,
            done=self._on_disk,
        )

    async def submit(self, operation: Operation[GroupTxn, Result]) -> Result:
        """Carry out an operation; see `Writer.submit`."""
        assert self._writer is not None
        return await self._writer.submit(operation)

    async def close(self) -> None:
        """Finish what is queued, and close the environment."""
        if self._writer is not None:
            await self._writer.close()
        self.release()

    def release(self) -> None:
        """Close the files; nothing may be queued."""
        self._headroom.close()
        self.env.close()

    def write_txn(self, txn: "lmdb.Transaction[bytes]") -> GroupTxn:
        """What operations are applied to."""
        return GroupTxn(txn, self.tables, self._write_book)

    # --- news ---------------------------------------------------------------------------------

    def foreign_news(self) -> set[MailboxId]:
        """Mailboxes that other processes have changed since this was last asked.

        About 1 µs where nothing was committed. After falling behind by more than the ring holds:
        every mailbox. Rarely names a mailbox that only we have changed.
        """
        with self.env.begin() as txn:
            now = txn.id()
            if now == self._looked_at:
                return set()
            self._looked_at = now
            last = self._last_in_ring(txn)
            news: set[MailboxId] = set()
            with txn.cursor(self.tables.ring) as cursor:
                if self._heard < last and cursor.set_range(ID_KEY.pack(self._heard + 1)):
                    if ID_KEY.unpack(cursor.key())[0] > self._heard + 1:
                        news = self._all_mailboxes(txn)
                    else:
                        for key, row in cursor:
                            if not self._is_own(ID_KEY.unpack(key)[0]):
                                news.add(MailboxId(RING_ROW.unpack(row)[0]))
            self._heard = max(self._heard, last)
        self._forget_own()
        return news

    def _begun(self) -> None:
        """In the writer's thread, before each commit of ours."""
        self._headroom.keep((self.env.info()["last_pgno"] + 1) * self._page_octets)

    def _on_disk(self, txn: GroupTxn) -> None:
        """In the writer's thread, after each commit of ours."""
        if txn.ring and self.on_commit is not None:
            self.on_commit()

    def _committed(self, txn: GroupTxn, number: int) -> None:
        """In Trio's thread, after each commit of ours."""
        if txn.ring:
            first, last = txn.ring[0], txn.ring[-1]
            if self._own and self._own[-1][1] + 1 == first:
                first = self._own.pop()[0]
            if first <= self._heard + 1:  # nobody else has written in between
                self._heard = max(self._heard, last)
                if number == self._looked_at + 1:
                    self._looked_at = number
            else:
                self._own.append((first, last))
                if len(self._own) > OWN_COMMITS_MAX:
                    self._own.popleft()
        # Where nothing is in the ring nothing was written, perhaps, and LMDB then gives the same
        # number to the next transaction of whichever process: it must be looked at.
        if txn.news and self.on_news is not None:
            self.on_news(txn.news)

    def _is_own(self, sequence: int) -> bool:
        return any(first <= sequence <= last for first, last in self._own)

    def _forget_own(self) -> None:
        while self._own and self._own[0][1] <= self._heard:
            self._own.popleft()

    def _last_in_ring(self, txn: "lmdb.Transaction[bytes]") -> int:
        with txn.cursor(self.tables.ring) as cursor:
            return int(ID_KEY.unpack(cursor.key())[0]) if cursor.last() else 0

    def _all_mailboxes(self, txn: "lmdb.Transaction[bytes]") -> set[MailboxId]:
        with txn.cursor(self.tables.mailboxes) as cursor:
            keys = cursor.iternext(True, False)  # noqa: FBT003
            return {MailboxId(PAIR_KEY.unpack(key)[1]) for key in keys}
