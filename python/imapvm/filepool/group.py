"""Open storage group: its environment, its writer, and changes by other processes."""

from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import lmdb
from outcome import Outcome

from imapvm._core import HeaderColumns, KeyColumns, UidMap
from imapvm.filepool.engine.environment import (
    check_data_size,
    lmdb_error,
    map_data_file,
    open_environment,
)
from imapvm.filepool.engine.preallocate import Preallocator
from imapvm.filepool.engine.transactions import LmdbTxn, Operation
from imapvm.filepool.engine.writer import Writer, require_ended
from imapvm.filepool.tables.mailboxes import Mailbox
from imapvm.filepool.tables.messages.changes import Change
from imapvm.filepool.tables.messages.keyword_cache import KeywordCache, KeywordNames
from imapvm.filepool.tables.schema import ID_KEY, JOURNAL_ROW, PAIR_KEY, GroupTables
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.changes import AccountChange, Changed
from imapvm.model.ids import MailboxId
from imapvm.model.limits import KEYWORD_CACHES_BYTES_MAX
from imapvm.model.quota import NO_LIMITS, Limits

Result = TypeVar("Result")

OWN_COMMITS_MAX: Final = 1024
"""Own commits, after one of another process, that are remembered until `foreign_changes`."""


class JournalRow(NamedTuple):
    """Row of the change journal."""

    sequence: int
    subject: int
    """Mailbox; account for ACCOUNT."""
    modseq: int
    """Number of the change for ACCOUNT."""
    kind: int
    """A `Change`, or a kind of a later version."""


class Group:
    """Storage group that is open in this process.

    Args:
        path: the group's directory.
        number: the group's number.
        groups: number of groups of the filepool.
        clock: returns seconds since 1970.
        map_size: bytes of address space.
        columns: header columns for SEARCH, of all groups.
        key_columns: key columns for SORT and THREAD, of all groups.
        quota: default limits of accounts.
    """

    mailbox_cache: dict[bytes, tuple[bytes, Mailbox]]
    """Rows of `mailboxes` as last read, with their decoded form; compared before each use."""
    uid_maps: dict[MailboxId, tuple[int, int, UidMap]]
    """UIDs of mailboxes as last read, by `uid_next` and count: see `Reader.uid_map`."""

    def __init__(
        self,
        path: Path,
        number: int,
        groups: int,
        *,
        clock: Callable[[], float],
        map_size: int,
        columns: HeaderColumns,
        key_columns: KeyColumns,
        quota: Limits = NO_LIMITS,
    ) -> None:
        self.number = number
        self._groups = groups
        self._name = path.name
        self._path = path
        self.columns = columns.of_group(number)
        self.key_columns = key_columns.of_group(number)
        self.clock = clock
        self.quota = quota
        self.env, self.tables = open_environment(path, GroupTables, map_size=map_size)
        try:
            self.data = map_data_file(path, map_size)
            self._preallocator = Preallocator(path, map_size)
        except BaseException:
            self.env.close()
            raise
        keyword_bytes = KEYWORD_CACHES_BYTES_MAX // (2 * groups)
        self.keyword_names = KeywordNames(keyword_bytes)
        self.mailbox_cache = {}
        self.uid_maps = {}
        self.on_changes: Callable[[set[Changed]], None] | None = None
        self.on_durable: Callable[[], None] | None = None
        """Called in the writer's thread after a commit that concerns other processes."""
        self._writer_keyword_cache = KeywordCache(keyword_bytes)
        self._writer: Writer[GroupTxn] | None = None
        self._no_grants_at = -1
        """Transaction in which `grants` was empty."""
        self._own_rows: deque[tuple[int, int]] = deque()
        """First and last sequence number of own journal rows after `_read_to`."""
        with self.env.begin() as txn:
            self._checked_txn_id = txn.id()
            self._read_to = self._last_in_journal(txn)
            """Sequence number up to which the change journal has been read."""

    def start(self) -> None:
        """Start the writer. Call it in Trio's thread."""
        self._writer = Writer(
            self._name,
            self.env,
            self.write_txn,
            check=self.check_size,
            on_begin=self._preallocate,
            on_commit=self._committed,
            on_abort=self._writer_keyword_cache.clear,
            on_durable=self._wake,
        )

    def submit(
        self, operation: Operation[GroupTxn, Result], *, cost: int = 0
    ) -> Coroutine[Any, Any, Result]:
        """Apply an operation; see `Writer.submit`, whose coroutine is returned."""
        assert self._writer is not None
        return self._writer.submit(operation, cost=cost)

    def submit_soon(
        self, operation: Operation[GroupTxn, Result], done: Callable[[Outcome[Result]], None]
    ) -> None:
        """Apply an operation without waiting; see `Writer.submit_soon`."""
        assert self._writer is not None
        self._writer.submit_soon(operation, done)

    def yield_gil(self) -> None:
        """Let the writer's thread apply its batch first; see `Writer.yield_gil`."""
        if self._writer is not None:
            self._writer.yield_gil()

    async def close(self) -> None:
        """Commit all queued operations, and close the environment."""
        if self._writer is not None:
            await self._writer.close()
        self.release()

    def release(self) -> None:
        """Close the files, and unmap them now: each map takes 1 TiB of address space.

        No operation may be queued, and no transaction may be open.

        Raises:
            RuntimeError: the writer's thread has not ended: see `require_ended`.
        """
        require_ended(self._writer)
        self._preallocator.close()
        self.env.close()
        del self.data  # the group itself is in a reference cycle with its writer

    def has_grants(self) -> bool:
        """Return False if no mailbox of the group is shared; takes about 1 us."""
        if self._no_grants_at == self.data.latest_txn_id():
            return False
        with self.env.begin() as txn:
            if txn.stat(self.tables.grants)["entries"]:
                return True
            self._no_grants_at = txn.id()
        return False

    def write_txn(self, txn: LmdbTxn) -> GroupTxn:
        """Return the transaction to which operations are applied."""
        return GroupTxn(
            txn,
            self.tables,
            self._writer_keyword_cache,
            group=(self.number, self._groups),
            quota=self.quota,
        )

    def check_size(self) -> None:
        """Check the data file; see `check_data_size`."""
        check_data_size(self.data, self._path)

    # --- changes -------------------------------------------------------------------------------

    def foreign_changes(self) -> set[Changed]:
        """Return the mailboxes and accounts that other processes have changed since the last call.

        Takes about 1 µs if nothing was committed. Returns all of them if more was committed than
        the journal holds, and rarely one that only this process has changed.
        """
        self.check_size()
        with self.env.begin() as txn:
            now = txn.id()
            if now == self._checked_txn_id:
                return set()
            self._checked_txn_id = now
            last = self._last_in_journal(txn)
            changed: set[Changed] = set()
            with txn.cursor(self.tables.journal) as cursor:
                if self._read_to < last and cursor.set_range(ID_KEY.pack(self._read_to + 1)):
                    if ID_KEY.unpack(cursor.key())[0] > self._read_to + 1:
                        changed = self._everything(txn)
                    else:
                        for key, row in cursor:
                            if not self._is_own(ID_KEY.unpack(key)[0]):
                                subject, _, kind = JOURNAL_ROW.unpack(row)
                                is_account = kind == Change.ACCOUNT
                                changed.add(
                                    AccountChange(subject) if is_account else MailboxId(subject)
                                )
            self._read_to = max(self._read_to, last)
        self._forget_own()
        return changed

    def journal_end(self) -> int:
        """Return the sequence number of the last row of the change journal.

        Raises:
            StoreUnavailableError: too many transactions are open.
        """
        with self._reading() as txn:
            return self._last_in_journal(txn)

    def journal_after(self, sequence: int, limit: int) -> list[JournalRow] | None:
        """Return the first rows of the change journal after a sequence number, in their order.

        Returns:
            None if the journal does not reach back so far.

        Raises:
            StoreUnavailableError: too many transactions are open.
        """
        found: list[JournalRow] = []
        with self._reading() as txn, txn.cursor(self.tables.journal) as cursor:
            if cursor.set_range(ID_KEY.pack(sequence + 1)):
                for key, stored in cursor:
                    number = ID_KEY.unpack(key)[0]
                    if not found and number > sequence + 1:
                        return None
                    if len(found) == limit:
                        break
                    found.append(JournalRow(number, *JOURNAL_ROW.unpack(stored)))
        return found

    @contextmanager
    def _reading(self) -> Iterator[LmdbTxn]:
        try:
            with self.env.begin() as txn:
                yield txn
        except lmdb.Error as error:
            raise lmdb_error("read the filepool", error) from None

    def _preallocate(self) -> None:
        """Preallocate; runs in the writer's thread when a transaction has begun."""
        self._preallocator.preallocate(self.data.used_bytes())

    def _wake(self, txn: GroupTxn) -> None:
        """Wake other processes; runs in the writer's thread after each commit."""
        if txn.journal_rows and self.on_durable is not None:
            self.on_durable()

    def _committed(self, txn: GroupTxn, txn_id: int) -> None:
        """Note own journal rows and notify sessions; runs in Trio's thread after each commit."""
        if txn.journal_rows:
            first, last = txn.journal_rows[0], txn.journal_rows[-1]
            if self._own_rows and self._own_rows[-1][1] + 1 == first:
                first = self._own_rows.pop()[0]
            if first <= self._read_to + 1:  # no other process has written in between
                self._read_to = max(self._read_to, last)
                if txn_id == self._checked_txn_id + 1:
                    self._checked_txn_id = txn_id
            else:
                self._own_rows.append((first, last))
                if len(self._own_rows) > OWN_COMMITS_MAX:
                    self._own_rows.popleft()
        # Without journal rows the transaction may have written nothing. LMDB then gives its id to
        # the next transaction, of any process, which must not be skipped.
        if txn.changed and self.on_changes is not None:
            self.on_changes(txn.changed)

    def _is_own(self, sequence: int) -> bool:
        return any(first <= sequence <= last for first, last in self._own_rows)

    def _forget_own(self) -> None:
        while self._own_rows and self._own_rows[0][1] <= self._read_to:
            self._own_rows.popleft()

    def _last_in_journal(self, txn: LmdbTxn) -> int:
        with txn.cursor(self.tables.journal) as cursor:
            return int(ID_KEY.unpack(cursor.key())[0]) if cursor.last() else 0

    def _everything(self, txn: LmdbTxn) -> set[Changed]:
        """Return all mailboxes, and all accounts that have had annotations."""
        found: set[Changed] = set()
        with txn.cursor(self.tables.mailboxes) as cursor:
            keys = cursor.iternext(True, False)  # noqa: FBT003
            found.update(MailboxId(PAIR_KEY.unpack(key)[1]) for key in keys)
        with txn.cursor(self.tables.annotation_usage) as cursor:
            keys = cursor.iternext(True, False)  # noqa: FBT003
            found.update(AccountChange(ID_KEY.unpack(key)[0]) for key in keys)
        return found
