"""One thread writes to an environment: it commits all that waits in one transaction.

A commit costs a flush of the disk, whether it holds one operation or two hundred; so whoever comes
while one is under way waits for the next and shares it (FOUNDATIONS section 1.8).

While the operations of a commit are applied, Trio's thread stands aside: only one of the two could
run anyway, and LMDB's binding lets go of the interpreter for each row, which would be a wait for
the other thread each time (docs/decisions/0007).
"""

import logging
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from time import perf_counter
from typing import Any, Final, Generic, TypeVar

import lmdb
import outcome
import trio

from imapvm._core import CorruptError
from imapvm.filepool.engine.transactions import LmdbTxn, Operation, WriteTxn
from imapvm.filepool.errors import CorruptDataError, StoreUnavailableError
from imapvm.model.stepping import suspend

log = logging.getLogger(__name__)

BATCH_MAX: Final = 256
"""Operations in one commit: more would not make it cheaper, and the first would wait longer."""

GIL_YIELD_SECONDS: Final = 0.005
"""How long Trio's thread stands aside at most; an operation that takes longer runs beside it."""
PROMPT_BEGIN_SECONDS: Final = 0.0005
"""A transaction that took longer to begin waited for one of another process."""
CONTENDED_BEGINS: Final = 64
"""After such a wait, so many transactions begin before Trio's thread stands aside."""

OPERATION_ERRORS: Final = (
    lmdb.BadValsizeError,
    lmdb.InvalidParameterError,
    lmdb.KeyExistsError,
    lmdb.NotFoundError,
)
"""LMDB's errors that say something about the operation, and nothing about the disk."""

Txn = TypeVar("Txn", bound=WriteTxn)
Result = TypeVar("Result")


class PendingOperation(Generic[Txn]):
    """An operation, and the task that waits for it."""

    __slots__ = ("operation", "result", "task")

    def __init__(self, operation: Operation[Txn, Any], task: trio.lowlevel.Task) -> None:
        self.operation = operation
        self.task = task
        self.result: outcome.Outcome[Any] = outcome.Value(None)


class Batch(Generic[Txn]):
    """What is to be committed together."""

    __slots__ = ("_applied", "is_open", "pending")

    def __init__(self, pending: list[PendingOperation[Txn]]) -> None:
        self.pending = pending
        self.is_open = True
        """Whoever comes before the transaction has begun comes in."""
        self._applied = threading.Lock()
        self._applied.acquire()

    def yield_gil(self) -> None:
        """In Trio's thread: wait, up to GIL_YIELD_SECONDS, while the operations are applied."""
        self._applied.acquire(timeout=GIL_YIELD_SECONDS)

    def applied(self) -> None:
        """In the writer's thread: the rest needs little of the interpreter. May be called again."""
        if self._applied.locked():
            self._applied.release()


class OperationFailed(Exception):
    """An operation raised after it had written: the transaction is spoilt."""

    def __init__(self, operation: PendingOperation[Any]) -> None:
        super().__init__()
        self.operation = operation


class Writer(Generic[Txn]):
    """The queue and the thread of one environment.

    Args:
        name: for the thread and the log.
        env: the environment.
        wrap: makes the transaction that operations get.
        on_begin: called in the writer's thread when a transaction has begun, before it writes.
        on_commit: called in Trio's thread after each commit, before the tasks that wait go on.
        on_abort: called in the writer's thread when a transaction was given up.
        on_durable: called in the writer's thread after each commit, as soon as it is on disk.
    """

    def __init__(
        self,
        name: str,
        env: lmdb.Environment,
        wrap: Callable[[LmdbTxn], Txn],
        *,
        on_begin: Callable[[], None],
        on_commit: Callable[[Txn, int], None],
        on_abort: Callable[[], None],
        on_durable: Callable[[Txn], None],
    ) -> None:
        self._name = name
        self._env = env
        self._wrap = wrap
        self._on_begin = on_begin
        self._on_commit = on_commit
        self._on_abort = on_abort
        self._on_durable = on_durable
        self._queue: list[PendingOperation[Txn]] = []
        self._batches: SimpleQueue[Batch[Txn] | None] = SimpleQueue()
        self._busy: trio.Event | None = None
        """Set when nothing waits any more; None where nothing does."""
        self._contended_begins = 0
        """So many more transactions are to begin before Trio's thread stands aside for that."""
        self._token = trio.lowlevel.current_trio_token()
        self._closed = False
        self._degraded = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def submit(self, operation: Operation[Txn, Result]) -> Result:
        """Carry out an operation; return when it is on disk.

        Cannot be cancelled once it is queued: it takes as long as one commit or two.

        Raises:
            FilepoolError: what the operation raised.
            StoreUnavailableError: the disk is full or failed; nothing was changed.
        """
        await suspend()
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closed:
            raise StoreUnavailableError("The filepool is closed.")
        self._queue.append(PendingOperation(operation, trio.lowlevel.current_task()))
        if self._busy is None:
            self._busy = trio.Event()
            # Whoever is about to run has something to say, perhaps, and shares the commit.
            try:
                await trio.lowlevel.cancel_shielded_checkpoint()
            finally:
                self._next_batch(self._busy)
        result: Result = await trio.lowlevel.wait_task_rescheduled(
            lambda _: trio.lowlevel.Abort.FAILED
        )
        return result

    async def close(self) -> None:
        """Finish what is queued, and end the thread."""
        if not self._closed:
            self._closed = True
            with trio.CancelScope(shield=True):
                if self._busy is not None:
                    await self._busy.wait()
                self._batches.put(None)
                await trio.to_thread.run_sync(self._thread.join)

    # --- in the writer's thread ---------------------------------------------------------------

    def _work(self) -> None:
        while (batch := self._batches.get()) is not None:
            done = self._commit(batch, batch.pending)
            batch.applied()  # or nothing was, and Trio's thread still stands aside
            for txn, _ in done:
                self._on_durable(txn)
            try:
                self._token.run_sync_soon(self._resume, batch.pending, done)
            except trio.RunFinishedError:
                return

    def _commit(
        self, batch: Batch[Txn], pending: Sequence[PendingOperation[Txn]]
    ) -> list[tuple[Txn, int]]:
        """Give each one its result; return each transaction that was committed, and its id."""
        left = list(pending)
        while left:
            try:
                done = self._commit_once(batch, left)
            except OperationFailed as failed:
                left.remove(failed.operation)
                self._on_abort()
            except (lmdb.Error, OSError) as error:
                self._on_abort()
                self._refuse(left, error)
                break
            except BaseException as error:
                # Raised at the end, so it is not known whose fault it is: one at a time, then.
                self._on_abort()
                if len(left) > 1:
                    return [done for one in left for done in self._commit(batch, [one])]
                left.pop().result = outcome.Error(error)
            else:
                if self._degraded:
                    log.info("%s can be written to again", self._name)
                self._degraded = False
                return [done]
        return []

    def _refuse(self, pending: Sequence[PendingOperation[Txn]], error: Exception) -> None:
        """The disk is full or failed."""
        reason = str(error).rstrip(".")
        if not self._degraded:
            log.error("%s cannot be written to: %s", self._name, reason)
        self._degraded = True
        for one in pending:
            one.result = outcome.Error(
                StoreUnavailableError(f"The filepool cannot be written to now: {reason}.")
            )

    def _commit_once(
        self, batch: Batch[Txn], pending: list[PendingOperation[Txn]]
    ) -> tuple[Txn, int]:
        raw = self._begin(batch)
        try:
            pending += self._late(batch)
            txn = self._wrap(raw)
            for one in pending:
                self._apply(txn, one)
            txn.flush()
            number = raw.id()
            batch.applied()
            raw.commit()
        except BaseException:
            raw.abort()
            raise
        return txn, number

    def _begin(self, batch: Batch[Txn]) -> LmdbTxn:
        """Begin a transaction; this waits while another process writes."""
        started = perf_counter()
        raw = self._env.begin(write=True)
        if self._contended_begins:
            self._contended_begins -= 1
            if len(batch.pending) > 1 or self._queue:
                self._token.run_sync_soon(batch.yield_gil)
        if perf_counter() - started > PROMPT_BEGIN_SECONDS:
            self._contended_begins = CONTENDED_BEGINS
        self._on_begin()
        return raw

    def _late(self, batch: Batch[Txn]) -> list[PendingOperation[Txn]]:
        """Take whoever has come while the transaction of another process was waited for."""
        if not batch.is_open:
            return []
        batch.is_open = False
        # Trio's thread only puts more behind them, as long as this batch lasts.
        late = self._queue[: BATCH_MAX - len(batch.pending)]
        del self._queue[: len(late)]
        batch.pending += late
        return late

    def _apply(self, txn: Txn, one: PendingOperation[Txn]) -> None:
        """Apply one operation; what it raises is its own, unless the disk is to blame.

        Everything is caught, a panic of the extension too: this thread serves everybody.
        """
        before = txn.written
        try:
            one.result = outcome.Value(one.operation.apply(txn))
        except BaseException as error:
            if isinstance(error, lmdb.Error) and not isinstance(error, OPERATION_ERRORS):
                raise
            if isinstance(error, CorruptError):
                error = CorruptDataError(f"Something stored cannot be read back: {error}.")
            one.result = outcome.Error(error)
            if txn.written != before:
                raise OperationFailed(one) from error

    # --- in Trio's thread ---------------------------------------------------------------------

    def _next_batch(self, busy: trio.Event) -> None:
        """Have all that waits committed."""
        if not self._queue:
            self._busy = None
            busy.set()
            return
        batch = Batch(self._queue[:BATCH_MAX])
        del self._queue[:BATCH_MAX]
        self._batches.put(batch)
        # One operation comes alone where there is little to do: to sleep and be woken for it would
        # cost more than it saves.
        if len(batch.pending) > 1 and not self._contended_begins:
            batch.yield_gil()

    def _resume(
        self, pending: Sequence[PendingOperation[Txn]], done: list[tuple[Txn, int]]
    ) -> None:
        try:
            for txn, number in done:
                self._on_commit(txn, number)
        finally:
            for one in pending:
                trio.lowlevel.reschedule(one.task, one.result)
            assert self._busy is not None
            self._next_batch(self._busy)
