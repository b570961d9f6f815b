"""One thread writes to an environment: it commits all that waits in one transaction.

A commit costs a flush of the disk, whether it holds one operation or two hundred; so whoever comes
while one is under way waits for the next and shares it (FOUNDATIONS section 1.8).

While the operations of a commit are applied, Trio's thread stands aside: only one of the two could
run anyway, and LMDB's binding lets go of the interpreter for each row, which would be a wait for
the other thread each time (docs/decisions/0007).
"""

import logging
import os
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import lmdb
import outcome
import trio

from imapvm._core import CorruptError
from imapvm.filepool.engine.transactions import Operation, WriteTxn
from imapvm.filepool.errors import DamagedError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

BATCH_MAX: Final = 256
"""Operations in one commit: more would not make it cheaper, and the first would wait longer."""

ASIDE_SECONDS: Final = 0.005
"""How long Trio's thread stands aside at most; an operation that takes longer runs beside it."""
QUICK_SECONDS: Final = 0.0005
"""A transaction that took longer to begin waited for one of another process."""
BEGINS_WATCHED: Final = 64
"""After such a wait, so many transactions begin before Trio's thread stands aside."""

CRASH_AT: Final = os.environ.get("IMAPVM_CRASH_AT")
"""For crash tests: `before-commit` or `after-commit`, where the process is to kill itself."""

OWN_FAULTS: Final = (
    lmdb.BadValsizeError,
    lmdb.InvalidParameterError,
    lmdb.KeyExistsError,
    lmdb.NotFoundError,
)
"""LMDB's errors that say something about the operation, and nothing about the disk."""

Txn = TypeVar("Txn", bound=WriteTxn)
Result = TypeVar("Result")


class Waiter(Generic[Txn]):
    """An operation, and the task that waits for it."""

    __slots__ = ("operation", "result", "task")

    def __init__(self, operation: Operation[Txn, Any], task: trio.lowlevel.Task) -> None:
        self.operation = operation
        self.task = task
        self.result: outcome.Outcome[Any] = outcome.Value(None)


class Turn(Generic[Txn]):
    """What is to be committed together."""

    __slots__ = ("_applied", "is_open", "waiters")

    def __init__(self, waiters: "list[Waiter[Txn]]") -> None:
        self.waiters = waiters
        self.is_open = True
        """Whoever comes before the transaction has begun comes in."""
        self._applied = threading.Lock()
        self._applied.acquire()

    def stand_aside(self) -> None:
        """In Trio's thread: do nothing while the operations are applied, up to ASIDE_SECONDS."""
        self._applied.acquire(timeout=ASIDE_SECONDS)

    def applied(self) -> None:
        """In the writer's thread: the rest needs little of the interpreter. May be called again."""
        if self._applied.locked():
            self._applied.release()


class OperationFailed(Exception):
    """An operation raised after it had written: the transaction is spoilt."""

    def __init__(self, waiter: Waiter[Any]) -> None:
        super().__init__()
        self.waiter = waiter


class Writer(Generic[Txn]):
    """The queue and the thread of one environment.

    Args:
        name: for the thread and the log.
        env: the environment.
        wrap: makes the transaction that operations get.
        begun: called in the writer's thread when a transaction has begun, before it writes.
        committed: called in Trio's thread after each commit, before the tasks that wait go on.
        spoilt: called in the writer's thread when a transaction was given up.
        done: called in the writer's thread after each commit, as soon as it is on disk.
    """

    def __init__(
        self,
        name: str,
        env: lmdb.Environment,
        wrap: "Callable[[lmdb.Transaction[bytes]], Txn]",
        *,
        begun: Callable[[], None],
        committed: Callable[[Txn, int], None],
        spoilt: Callable[[], None],
        done: Callable[[Txn], None],
    ) -> None:
        self._name = name
        self._env = env
        self._wrap = wrap
        self._begun = begun
        self._committed = committed
        self._spoilt = spoilt
        self._done = done
        self._waiting: list[Waiter[Txn]] = []
        self._turns: SimpleQueue[Turn[Txn] | None] = SimpleQueue()
        self._busy: trio.Event | None = None
        """Set when nothing waits any more; None where nothing does."""
        self._slow_begins = 0
        """So many more transactions are to begin before Trio's thread stands aside for that."""
        self._token = trio.lowlevel.current_trio_token()
        self._closed = False
        self._ailing = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def submit(self, operation: Operation[Txn, Result]) -> Result:
        """Carry out an operation; return when it is on disk.

        Cannot be cancelled once it is queued: it takes as long as one commit or two.

        Raises:
            FilepoolError: what the operation raised.
            StoreUnavailableError: the disk is full or failed; nothing was changed.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closed:
            raise StoreUnavailableError("The filepool is closed.")
        self._waiting.append(Waiter(operation, trio.lowlevel.current_task()))
        if self._busy is None:
            self._busy = trio.Event()
            # Whoever is about to run has something to say, perhaps, and shares the commit.
            try:
                await trio.lowlevel.cancel_shielded_checkpoint()
            finally:
                self._next_turn(self._busy)
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
                self._turns.put(None)
                await trio.to_thread.run_sync(self._thread.join)

    # --- in the writer's thread ---------------------------------------------------------------

    def _work(self) -> None:
        while (turn := self._turns.get()) is not None:
            done = self._commit(turn, turn.waiters)
            turn.applied()  # or nothing was, and Trio's thread still stands aside
            for txn, _ in done:
                self._done(txn)
            try:
                self._token.run_sync_soon(self._resume, turn.waiters, done)
            except trio.RunFinishedError:
                return

    def _commit(self, turn: Turn[Txn], batch: "Sequence[Waiter[Txn]]") -> "list[tuple[Txn, int]]":
        """Give each waiter its result; return each transaction that was committed, and its id."""
        left = list(batch)
        while left:
            try:
                done = self._commit_once(turn, left)
            except OperationFailed as failed:
                left.remove(failed.waiter)
                self._spoilt()
            except (lmdb.Error, OSError) as error:
                self._spoilt()
                self._refuse(left, error)
                break
            except BaseException as error:
                # Raised at the end, so it is not known whose fault it is: one at a time, then.
                self._spoilt()
                if len(left) > 1:
                    return [done for waiter in left for done in self._commit(turn, [waiter])]
                left.pop().result = outcome.Error(error)
            else:
                if self._ailing:
                    log.info("%s can be written to again", self._name)
                self._ailing = False
                return [done]
        return []

    def _refuse(self, batch: "Sequence[Waiter[Txn]]", error: Exception) -> None:
        """The disk is full or failed."""
        reason = str(error).rstrip(".")
        if not self._ailing:
            log.error("%s cannot be written to: %s", self._name, reason)
        self._ailing = True
        for waiter in batch:
            waiter.result = outcome.Error(
                StoreUnavailableError(f"The filepool cannot be written to now: {reason}.")
            )

    def _commit_once(self, turn: Turn[Txn], batch: "list[Waiter[Txn]]") -> tuple[Txn, int]:
        raw = self._begin(turn)
        try:
            batch += self._late(turn)
            txn = self._wrap(raw)
            for waiter in batch:
                self._apply(txn, waiter)
            txn.flush()
            number = raw.id()
            turn.applied()
            crash_point("before-commit")
            raw.commit()
        except BaseException:
            raw.abort()
            raise
        crash_point("after-commit")
        return txn, number

    def _begin(self, turn: Turn[Txn]) -> "lmdb.Transaction[bytes]":
        """Begin a transaction; this waits while another process writes."""
        started = perf_counter()
        raw = self._env.begin(write=True)
        if self._slow_begins:
            self._slow_begins -= 1
            if len(turn.waiters) > 1 or self._waiting:
                self._token.run_sync_soon(turn.stand_aside)
        if perf_counter() - started > QUICK_SECONDS:
            self._slow_begins = BEGINS_WATCHED
        self._begun()
        return raw

    def _late(self, turn: Turn[Txn]) -> "list[Waiter[Txn]]":
        """Take whoever has come while the transaction of another process was waited for."""
        if not turn.is_open:
            return []
        turn.is_open = False
        # Trio's thread only puts more behind them, as long as this turn lasts.
        late = self._waiting[: BATCH_MAX - len(turn.waiters)]
        del self._waiting[: len(late)]
        turn.waiters += late
        return late

    def _apply(self, txn: Txn, waiter: Waiter[Txn]) -> None:
        """Apply one operation; what it raises is its own, unless the disk is to blame.

        Everything is caught, a panic of the extension too: this thread serves everybody.
        """
        before = txn.written
        try:
            waiter.result = outcome.Value(waiter.operation.apply(txn))
        except BaseException as error:
            if isinstance(error, lmdb.Error) and not isinstance(error, OWN_FAULTS):
                raise
            if isinstance(error, CorruptError):
                error = DamagedError(f"Something stored cannot be read back: {error}.")
            waiter.result = outcome.Error(error)
            if txn.written != before:
                raise OperationFailed(waiter) from error

    # --- in Trio's thread ---------------------------------------------------------------------

    def _next_turn(self, busy: trio.Event) -> None:
        """Have all that waits committed."""
        if not self._waiting:
            self._busy = None
            busy.set()
            return
        turn = Turn(self._waiting[:BATCH_MAX])
        del self._waiting[:BATCH_MAX]
        self._turns.put(turn)
        # One operation comes alone where there is little to do: to sleep and be woken for it would
        # cost more than it saves.
        if len(turn.waiters) > 1 and not self._slow_begins:
            turn.stand_aside()

    def _resume(self, batch: "Sequence[Waiter[Txn]]", done: "list[tuple[Txn, int]]") -> None:
        try:
            for txn, number in done:
                self._committed(txn, number)
        finally:
            for waiter in batch:
                trio.lowlevel.reschedule(waiter.task, waiter.result)
            assert self._busy is not None
            self._next_turn(self._busy)


def crash_point(name: str) -> None:
    """Die here, if a crash test wants it."""
    if name == CRASH_AT:
        os.kill(os.getpid(), signal.SIGKILL)
