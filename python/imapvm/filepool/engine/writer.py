"""Group-commit writer: one thread per environment commits all queued operations in one transaction.

A commit costs a flush of the disk, whether it holds one operation or two hundred. Operations that
are submitted during a commit wait for the next one and share it (docs/decisions/0009).

Trio's thread yields the GIL while the operations of a batch are applied. Only one of the two
threads could run anyway, and LMDB's binding releases the GIL for each row, so that each row would
cost a wait for the other thread (docs/decisions/0007).
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
from imapvm.filepool.engine.environment import lmdb_error
from imapvm.filepool.engine.transactions import LmdbTxn, Operation, WriteTxn
from imapvm.filepool.errors import CorruptDataError, StoreUnavailableError
from imapvm.model.stepping import is_stepping, suspend

log = logging.getLogger(__name__)

BATCH_MAX: Final = 256
"""Operations in one commit: more do not make it cheaper, and the first would wait longer."""
BATCH_COST: Final = 2048
"""Cost of the operations in one commit, about 10 ms: operations with a cost beyond that wait for
the next commit, and let those without pass. One operation may cost more."""

GIL_YIELD_SECONDS: Final = 0.005
"""Longest time that Trio's thread yields the GIL; longer operations run beside it."""
PROMPT_BEGIN_SECONDS: Final = 0.0005
"""A transaction that takes longer to begin has waited for one of another process."""
CONTENDED_BEGINS: Final = 64
"""Number of transactions after such a wait that begin before Trio's thread yields the GIL."""

OPERATION_ERRORS: Final = (
    lmdb.BadValsizeError,
    lmdb.InvalidParameterError,
    lmdb.KeyExistsError,
    lmdb.NotFoundError,
)
"""Errors of LMDB that are caused by the operation, not by the disk."""

CLOSED: Final = "the filepool is closed"

NO_RESULT: Final[outcome.Outcome[Any]] = outcome.Value(None)

Txn = TypeVar("Txn", bound=WriteTxn)
Result = TypeVar("Result")


class PendingOperation(Generic[Txn]):
    """Operation, and the function that receives its result."""

    __slots__ = ("cost", "done", "is_done", "operation", "result", "task")

    def __init__(
        self,
        operation: Operation[Txn, Any],
        cost: int,
        done: Callable[[outcome.Outcome[Any]], None] | None = None,
    ) -> None:
        self.operation = operation
        self.cost = cost
        self.done = done
        """Receives the result; None if a task takes it."""
        self.task: trio.lowlevel.Task | None = None
        """Task that waits for the result."""
        self.is_done = False
        self.result: outcome.Outcome[Any] = NO_RESULT

    def end(self) -> None:
        """Pass the result on, or resume the task that takes it."""
        self.is_done = True
        if self.task is not None:
            trio.lowlevel.reschedule(self.task)
        elif self.done is not None:
            self.done(self.take_result())

    def take_result(self) -> outcome.Outcome[Any]:
        """Return the result, and forget it.

        The traceback of an error refers to the operation: a cycle with thousands of objects, and
        the garbage collection of many such would block the event loop.
        """
        result, self.result = self.result, NO_RESULT
        return result


class Batch(Generic[Txn]):
    """Operations that are committed together."""

    __slots__ = ("_applied", "_cost", "is_applied", "is_open", "pending")

    def __init__(self) -> None:
        self.pending: list[PendingOperation[Txn]] = []
        self._cost = 0
        self.is_open = True
        """True until the transaction begins: operations submitted before that join this batch."""
        self.is_applied = False
        self._applied = threading.Lock()
        self._applied.acquire()

    def take(self, queue: list[PendingOperation[Txn]]) -> None:
        """Move operations from a queue into the batch, as many as it has room for."""
        pending, cost = self.pending, self._cost
        left: list[PendingOperation[Txn]] = []
        count = 0
        for one in queue:
            count += 1
            if len(pending) < BATCH_MAX and (
                not one.cost or not cost or cost + one.cost <= BATCH_COST
            ):
                cost += one.cost
                pending.append(one)
            else:
                left.append(one)
        queue[:count] = left  # more may have been appended meanwhile
        self._cost = cost

    def yield_gil(self) -> None:
        """Wait until the operations are applied, at most GIL_YIELD_SECONDS. For Trio's thread."""
        if not self.is_applied:
            self._applied.acquire(timeout=GIL_YIELD_SECONDS)

    def set_applied(self) -> None:
        """End `yield_gil`: the rest of the commit needs little of the GIL. May be repeated."""
        self.is_applied = True
        if self._applied.locked():
            self._applied.release()


class OperationFailed(Exception):
    """An operation raised after it had written: the transaction has to be aborted."""

    def __init__(self, failed: PendingOperation[Any]) -> None:
        super().__init__()
        self.failed = failed


class Writer(Generic[Txn]):
    """Queue and writer thread of one environment.

    Args:
        name: of the environment, for the thread and the log.
        env: the environment.
        wrap: makes the transaction that operations are applied to.
        check: called in the writer's thread before a transaction begins; raises
            `CorruptDataError` if the data file is truncated.
        on_begin: called in the writer's thread after a transaction has begun, before it writes.
        on_commit: called in Trio's thread after each commit, before waiting tasks are resumed.
        on_abort: called in the writer's thread after a transaction was aborted.
        on_durable: called in the writer's thread after each commit, as soon as it is on disk.
    """

    def __init__(
        self,
        name: str,
        env: lmdb.Environment,
        wrap: Callable[[LmdbTxn], Txn],
        *,
        check: Callable[[], None],
        on_begin: Callable[[], None],
        on_commit: Callable[[Txn, int], None],
        on_abort: Callable[[], None],
        on_durable: Callable[[Txn], None],
    ) -> None:
        self._name = name
        self._env = env
        self._directory = env.path()
        self._wrap = wrap
        self._check = check
        self._on_begin = on_begin
        self._on_commit = on_commit
        self._on_abort = on_abort
        self._on_durable = on_durable
        self._queue: list[PendingOperation[Txn]] = []
        self._batches: SimpleQueue[Batch[Txn] | None] = SimpleQueue()
        self._batch: Batch[Txn] | None = None
        """Batch that the writer's thread was given last."""
        self._busy: trio.Event | None = None
        """Set when the queue is empty; None while no operation is pending."""
        self._is_gathering = False
        """True if operations are pending and none was given to the writer's thread yet."""
        self._contended_begins = 0
        """Number of transactions still to begin before Trio's thread yields the GIL at once."""
        self._token = trio.lowlevel.current_trio_token()
        self._closed = False
        self._degraded = False
        self._thread = threading.Thread(target=self._work, name=f"imapvm {name}", daemon=True)
        self._thread.start()

    def yield_gil(self) -> None:
        """Let the writer's thread apply its batch first, for at most GIL_YIELD_SECONDS.

        For Trio's thread, before it computes for milliseconds: the writer's thread gives up the GIL
        for each row, and would wait 5 ms for it each time (docs/decisions/0007).
        """
        if self._batch is not None:
            self._batch.yield_gil()

    async def submit(self, operation: Operation[Txn, Result], *, cost: int = 0) -> Result:
        """Apply an operation; return when it is on disk.

        Cannot be cancelled once it is queued. It takes as long as one or two commits; with a cost,
        as long as those operations with a cost take that were submitted before.

        Args:
            operation: is applied in the writer's thread.
            cost: 0 for some rows; else the number of messages, or what takes as long: about 5 µs.

        Raises:
            FilepoolError: raised by the operation.
            StoreUnavailableError: the disk is full or failed; nothing was changed.
        """
        stepping = is_stepping()
        if not stepping:
            await trio.lowlevel.checkpoint_if_cancelled()
        if self._closed:
            raise StoreUnavailableError(CLOSED)
        pending: PendingOperation[Txn] = PendingOperation(operation, cost)
        self._queue.append(pending)
        # Others that can run now may submit operations, too, and share the commit.
        first = self._begin_gathering()
        if stepping:
            try:
                await suspend()
            except BaseException:  # the client has gone; the operation still needs its data
                await suspend()
                self._end_gathering()
                await self._wait_done(pending)
                raise
            # Not before: this thread has switched tasks, and leaves the GIL to the writer's thread.
            self._end_gathering()
        elif first:
            try:
                await trio.lowlevel.cancel_shielded_checkpoint()
            finally:
                self._end_gathering()
        await self._wait_done(pending)
        result: Result = pending.take_result().unwrap()
        return result

    async def _wait_done(self, pending: PendingOperation[Txn]) -> None:
        if not pending.is_done:
            pending.task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)

    def submit_soon(
        self, operation: Operation[Txn, Result], done: Callable[[outcome.Outcome[Result]], None]
    ) -> None:
        """Apply an operation, as `submit` does for one without a cost, and return at once.

        Args:
            operation: is applied in the writer's thread.
            done: called once in Trio's thread with the result or the error; must not raise. Results
                of a batch are passed on in the order of submission, before a task resumes.
        """
        if self._closed:
            done(outcome.Error(StoreUnavailableError(CLOSED)))
            return
        self._queue.append(PendingOperation(operation, 0, done))
        if self._begin_gathering():
            self._token.run_sync_soon(self._end_gathering)

    async def close(self) -> None:
        """Commit all queued operations and end the thread. A second call waits for the first.

        Waits as long as the thread does: for other processes that write, and for the disk.
        """
        with trio.CancelScope(shield=True):
            if not self._closed:
                self._closed = True
                self._end_gathering()
                if self._busy is not None:
                    await self._busy.wait()
                self._batches.put(None)
            await trio.to_thread.run_sync(self._thread.join)

    @property
    def has_ended(self) -> bool:
        """True if the thread has ended, after `close`."""
        return not self._thread.is_alive()

    # --- in the writer's thread ---------------------------------------------------------------

    def _work(self) -> None:
        while (batch := self._batches.get()) is not None:
            commits = self._commit(batch, batch.pending)
            batch.set_applied()  # if no transaction was applied, Trio's thread still waits
            for txn, _ in commits:
                self._on_durable(txn)
            try:
                self._token.run_sync_soon(self._resume, batch.pending, commits)
            except trio.RunFinishedError:
                return
            del batch, commits  # or the messages in them stay until the next batch

    def _commit(
        self, batch: Batch[Txn], pending: Sequence[PendingOperation[Txn]]
    ) -> list[tuple[Txn, int]]:
        """Set the result of each operation; return each committed transaction with its id."""
        remaining = list(pending)
        while remaining:
            try:
                commit = self._commit_once(batch, remaining)
            except OperationFailed as error:
                remaining.remove(error.failed)
                self._on_abort()
            except (lmdb.Error, OSError) as error:
                self._on_abort()
                self._refuse(remaining, error)
                break
            except BaseException as error:
                # Raised by the final flush, so the operation that caused it is not known: commit
                # them one by one.
                self._on_abort()
                if len(remaining) > 1:
                    return [commit for one in remaining for commit in self._commit(batch, [one])]
                remaining.pop().result = outcome.Error(error)
            else:
                if self._degraded:
                    log.info("environment is writable again", extra={"environment": self._name})
                self._degraded = False
                return [commit]
        return []

    def _refuse(self, pending: Sequence[PendingOperation[Txn]], error: Exception) -> None:
        """Fail all operations: the disk is full or failed."""
        reason = lmdb_error("write to the filepool", error, directory=self._directory)
        if not self._degraded:
            extra = {
                "environment": self._name,
                "error": str(reason).partition(": ")[2],
                "detail": str(error),
            }
            log.error("cannot write to environment", extra=extra)
        self._degraded = True
        for one in pending:
            # One exception for each: tasks add their frames to it.
            one.result = outcome.Error(type(reason)(str(reason)))

    def _commit_once(
        self, batch: Batch[Txn], pending: list[PendingOperation[Txn]]
    ) -> tuple[Txn, int]:
        raw = self._begin(batch)
        try:
            pending += self._close_batch(batch)
            txn = self._wrap(raw)
            for one in pending:
                self._apply(txn, one)
            txn.flush()
            txn_id = raw.id()
            batch.set_applied()
            raw.commit()
        except BaseException:
            raw.abort()
            raise
        return txn, txn_id

    def _begin(self, batch: Batch[Txn]) -> LmdbTxn:
        """Begin a transaction; wait while another process writes."""
        self._check()
        started = perf_counter()
        raw = self._env.begin(write=True)
        try:
            if self._contended_begins:
                self._contended_begins -= 1
                if len(batch.pending) > 1 or self._queue:
                    self._token.run_sync_soon(batch.yield_gil)
            if perf_counter() - started > PROMPT_BEGIN_SECONDS:
                self._contended_begins = CONTENDED_BEGINS
            self._on_begin()
        except BaseException:  # its traceback would keep the transaction open
            raw.abort()
            raise
        return raw

    def _close_batch(self, batch: Batch[Txn]) -> list[PendingOperation[Txn]]:
        """Take the operations that were submitted while the transaction waited to begin."""
        if not batch.is_open:
            return []
        batch.is_open = False
        # During a batch, Trio's thread only appends to the queue.
        if not self._queue:
            return []
        before = len(batch.pending)
        batch.take(self._queue)
        return batch.pending[before:]

    def _apply(self, txn: Txn, pending: PendingOperation[Txn]) -> None:
        """Apply one operation and set its result.

        Every exception is caught, a panic of the extension too: all tasks need this thread.

        Raises:
            OperationFailed: the operation raised after it had written.
            lmdb.Error: the disk is full or failed.
        """
        before = txn.written
        try:
            pending.result = outcome.Value(pending.operation.apply(txn))
        except BaseException as error:
            if isinstance(error, lmdb.Error) and not isinstance(error, OPERATION_ERRORS):
                raise
            if isinstance(error, CorruptError):
                error = CorruptDataError(f"cannot read stored data: {error}")
            pending.result = outcome.Error(error)
            if txn.written != before:
                raise OperationFailed(pending) from error

    # --- in Trio's thread ---------------------------------------------------------------------

    def _begin_gathering(self) -> bool:
        """Return True if the caller has to end it: no operation was pending before."""
        if self._busy is not None:
            return False
        self._busy = trio.Event()
        self._is_gathering = True
        return True

    def _end_gathering(self) -> None:
        if self._is_gathering:
            self._is_gathering = False
            self._next_batch()

    def _next_batch(self) -> None:
        """Give the queued operations to the writer's thread."""
        if not self._queue:
            assert self._busy is not None
            self._busy.set()
            self._busy = None
            return
        batch: Batch[Txn] = Batch()
        batch.take(self._queue)
        self._batch = batch
        self._batches.put(batch)
        # A single operation means little load: to sleep and be woken would cost more than it saves.
        if len(batch.pending) > 1 and not self._contended_begins:
            batch.yield_gil()

    def _resume(
        self, pending: Sequence[PendingOperation[Txn]], commits: list[tuple[Txn, int]]
    ) -> None:
        try:
            for txn, txn_id in commits:
                self._on_commit(txn, txn_id)
        finally:
            for one in pending:
                one.end()
            self._batch = None
            self._next_batch()


def require_ended(writer: Writer[Any] | None) -> None:
    """Check that an environment can be closed: its writer was closed, or never started.

    LMDB's `close` waits, without an end, for a write transaction of another thread that runs.

    Raises:
        RuntimeError: the writer's thread has not ended.
    """
    if writer is not None and not writer.has_ended:
        raise RuntimeError("cannot close an environment before its writer")
