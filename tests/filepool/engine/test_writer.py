"""The writer: one commit for all queued operations, isolated failures, failing disks."""

import gc
import os
import struct
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from dataclasses import dataclass
from functools import partial

import lmdb
import pytest
import trio
from tests.filepool.direct import START, look, message, uids

from imapvm._core import STORE_ADD, UidSet
from imapvm.filepool.engine.writer import (
    BATCH_COST,
    BATCH_MAX,
    CONTENDED_BEGINS,
    GIL_YIELD_SECONDS,
    Batch,
    Writer,
)
from imapvm.filepool.errors import CorruptDataError, LimitError, StoreUnavailableError
from imapvm.filepool.pool import create_filepool, open_filepool
from imapvm.filepool.tables.messages.changes import JOURNAL_ROWS_KEPT
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.limits import KEYWORDS_PER_MESSAGE_MAX
from imapvm.model.stepping import start


class Held:
    """Keeps the writer's thread busy, so that operations submitted meanwhile are one batch."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.leave = threading.Event()

    def apply(self, txn):
        self.entered.set()
        self.leave.wait()


@dataclass
class Fails:
    """Operation that raises, before or after it has written."""

    error: BaseException
    writes: bool

    def apply(self, txn):
        if self.writes:
            txn.put(b"partial", b"x", txn.tables.counters)
        raise self.error


async def together(group, *operations):
    """Submit operations so that they are one batch; return the result or error of each."""
    results = [None] * (len(operations) + 1)  # the last one is that of `held`
    held = Held()

    async def submit(number, operation):
        try:
            results[number] = await group.submit(operation)
        except BaseException as error:
            results[number] = error

    async with trio.open_nursery() as nursery:
        nursery.start_soon(submit, -1, held)
        while not held.entered.is_set():
            await trio.testing.wait_all_tasks_blocked()
        for number, operation in enumerate(operations):
            nursery.start_soon(submit, number, operation)
            await trio.testing.wait_all_tasks_blocked()  # Trio starts tasks in any order
        held.leave.set()
    return results[:-1]


def append(store, *messages, now=START):
    from imapvm.filepool.operations.append import AppendMessages

    return AppendMessages(store.account.id, look(store).id, messages, now)


def commits(pool):
    return pool.groups[0].env.info()["last_txnid"]


async def test_queued_operations_are_committed_together(alice, pool):
    before = commits(pool)
    results = await together(
        pool.groups[0], *(append(alice, message(n)) for n in range(BATCH_MAX - 1))
    )
    assert commits(pool) == before + 1
    assert [result.uids for result in results] == [uids(n) for n in range(1, BATCH_MAX)]


class Transaction:
    """Operation that returns its transaction."""

    def apply(self, txn):
        return txn


async def test_operations_submitted_outside_tasks_share_a_commit(pool):
    group = pool.groups[0]
    submitted = [start(group.submit(Transaction())) for _ in range(3)]
    first, *others = [await one for one in submitted]
    assert all(other is first for other in others)
    assert await group.submit(Transaction()) is not first


async def test_abandoned_operation_is_done_before_its_data_may_go(pool):
    group, held = pool.groups[0], Held()
    submitted = start(group.submit(held))
    log = []

    async def abandon():
        with pytest.raises(Abandoned):
            await submitted.abandon(Abandoned())
        log.append("abandoned")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(abandon)
        await trio.to_thread.run_sync(held.entered.wait)
        await trio.testing.wait_all_tasks_blocked()
        assert log == []
        held.leave.set()
    assert log == ["abandoned"]


async def test_writer_is_closed_after_an_operation_that_no_task_has_awaited(path):
    async with open_filepool(path) as pool:
        submitted = start(pool.groups[0].submit(Transaction()))
    assert isinstance(await submitted, GroupTxn)


class Abandoned(Exception):
    pass


@pytest.mark.parametrize("writes", [False, True])
async def test_failed_operation_is_freed_without_garbage_collection(pool, writes):
    """Or a pipeline of APPENDs over a limit would leave thousands of objects in cycles."""

    class Refuses:
        def apply(self, txn):
            if writes:
                txn.put(b"partial", b"x", txn.tables.counters)
            raise LimitError("no")

    operation = Refuses()
    freed = weakref.ref(operation)
    gc.disable()
    try:
        with pytest.raises(LimitError) as info:
            await pool.groups[0].submit(operation)
        del operation, info
        with trio.fail_after(5):  # the writer's thread may still have it
            while freed() is not None:
                await trio.lowlevel.checkpoint()
    finally:
        gc.enable()


@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize(
    "error",
    [LimitError("no"), ValueError("bug"), BaseException("panic"), lmdb.BadValsizeError("k")],
)
async def test_failed_operation_does_not_abort_the_batch(alice, pool, error, writes):
    first, failed, second = await together(
        pool.groups[0], append(alice, message(1)), Fails(error, writes), append(alice, message(2))
    )
    assert failed is error
    assert (first.uids, second.uids) == (uids(1), uids(2))
    assert look(alice).uids == uids(1, 2)
    with pool.groups[0].env.begin() as txn:
        assert txn.get(b"partial", db=pool.groups[0].tables.counters) is None


@dataclass
class BreaksFlush:
    """Operation whose row cannot be written by the final flush."""

    account: int

    def apply(self, txn):
        row = txn.usage(self.account)
        txn.edit(row)
        row.messages = -100
        return "done"


async def test_operation_that_breaks_the_final_flush_fails_alone(alice, pool):
    calls = []
    pool.on_changes = calls.append
    first, failed, second = await together(
        pool.groups[0],
        append(alice, message(1)),
        BreaksFlush(alice.account.id),
        append(alice, message(2)),
    )
    assert isinstance(failed, struct.error)
    assert (first.uids, second.uids) == (uids(1), uids(2))
    assert calls == [{look(alice).id}] * 2
    assert pool.foreign_changes() == set()


async def test_several_failed_operations_do_not_affect_the_others(alice, pool):
    operations = []
    for number in range(10):
        operations += [Fails(LimitError(str(number)), writes=True), append(alice, message(number))]
    results = await together(pool.groups[0], *operations)
    assert [str(error) for error in results[::2]] == [str(number) for number in range(10)]
    assert look(alice).uids == UidSet([(1, 10)])


async def test_store_that_exceeds_a_limit_halfway_changes_nothing(alice, pool):
    inbox = look(alice).id
    full = tuple(f"k{number}" for number in range(KEYWORDS_PER_MESSAGE_MAX))
    await alice.append(inbox, [message(1)] * 40 + [message(2, keywords=full)])
    before = look(alice)
    results = await together(
        pool.groups[0],
        append(alice, message(3, keywords=("other",))),
    )
    with pytest.raises(LimitError):
        await alice.store_flags(
            inbox, UidSet([(1, 41)]), mode=STORE_ADD, flags=0, keywords=("new",)
        )
    found = look(alice)
    assert results[0].uids == uids(42)
    assert {uid: found.records[uid] for uid in before.records} == before.records
    assert set(found.keywords) == {1, 2}


async def test_corrupt_data_in_an_operation_raises_corrupt_data_error(alice, pool):
    await alice.append(look(alice).id, [message(1)])
    group = pool.groups[0]
    with group.env.begin(write=True) as txn, txn.cursor(group.tables.index) as cursor:
        cursor.first()
        key, good = cursor.item()
        txn.put(key, good[:-1] + b"?", db=group.tables.index)
    with pytest.raises(CorruptDataError):
        await alice.store_flags(look_id(alice), uids(1), mode=STORE_ADD, flags=1, keywords=())
    with group.env.begin(write=True) as txn:
        txn.put(key, good, db=group.tables.index)


def look_id(store):
    with store.reading() as reader:
        return reader.mailbox("INBOX").id


async def test_queued_operation_is_applied_despite_cancellation(alice, pool):
    with trio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(trio.Cancelled):
            await alice.append(look(alice).id, [message(1)])
    assert not look(alice).records
    held = Held()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.groups[0].submit, held)
        while not held.entered.is_set():
            await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:

            async def give_up():
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
                held.leave.set()

            nursery.start_soon(give_up)
            done = await alice.append(look(alice).id, [message(1)])
    assert done.uids == look(alice).uids == uids(1)


async def test_on_changes_is_called_before_the_tasks_are_resumed(alice, pool):
    calls = []
    pool.on_changes = lambda changed: calls.append((set(changed), len(look(alice).records)))
    await alice.append(look(alice).id, [message(1)])
    assert calls == [({look(alice).id}, 1)]
    archive = look(alice, "Archive").id
    await alice.move(look(alice).id, uids(1), archive)
    assert calls[1:] == [({look(alice).id, archive}, 0)]
    await alice.claim_recent(archive, 1)
    assert len(calls) == 2  # no updates for sessions in these mailboxes


async def test_operation_without_a_task_is_applied_and_precedes_resumed_tasks(alice, pool):
    """Results are passed on in the order of submission."""
    order = []
    group = pool.groups[0]
    held = Held()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(group.submit, held)
        while not held.entered.is_set():
            await trio.testing.wait_all_tasks_blocked()

        @nursery.start_soon
        async def append_one():
            await alice.append(look(alice).id, [message(1)])
            order.append("task")

        await trio.testing.wait_all_tasks_blocked()
        for _ in range(2):
            group.submit_soon(append(alice, message(2)), lambda r: order.append(r.unwrap().uids))
        held.leave.set()
    assert order == [uids(2), uids(3), "task"]


async def test_operation_without_a_task_gets_its_error(alice, pool):
    errors = []
    ended = trio.Event()

    def done(result):
        errors.append(result.error)
        ended.set()

    error = LimitError("no")
    pool.groups[0].submit_soon(Fails(error, writes=True), done)
    await ended.wait()
    assert errors == [error]
    await alice.append(look(alice).id, [message(1)])


async def test_closed_writer_refuses_operations(path):
    async with open_filepool(path) as pool:
        store = pool.account(await pool.accounts.enroll("a", "x"))
        inbox = look(store).id
    with pytest.raises(StoreUnavailableError):
        await store.append(inbox, [message(1)])
    claims = []
    store.claim_recent_soon(inbox, 1, claims.append)
    assert claims == [None]


# --- the disk ---------------------------------------------------------------------------------


class FullDisk:
    """Environment whose commits fail while `full` is set."""

    def __init__(self, env, error) -> None:
        self.env, self.error, self.full = env, error, True

    def begin(self, *, write):
        return FailingTxn(self.env.begin(write=write), self)


class FailingTxn:
    def __init__(self, txn, disk) -> None:
        self.txn, self.disk = txn, disk

    def __getattr__(self, name):
        return getattr(self.txn, name)

    def commit(self):
        if self.disk.full:
            self.txn.abort()
            raise self.disk.error
        self.txn.commit()


@pytest.mark.parametrize(
    "error", [lmdb.DiskError("disk"), lmdb.MapFullError("map"), lmdb.Error("?"), OSError(5, "I/O")]
)
async def test_failed_commit_changes_nothing_and_the_next_may_succeed(alice, pool, error):
    group = pool.groups[0]
    disk = FullDisk(group.env, error)
    group._writer._env = disk
    inbox = look(alice).id
    results = await together(
        group, *(append(alice, message(n, keywords=(f"k{n}",))) for n in range(3))
    )
    assert [type(result) for result in results] == [StoreUnavailableError] * 3
    assert look(alice).uids == uids()
    disk.full = False
    done = await alice.append(
        inbox, [message(1, keywords=("k2",))]
    )  # the same keyword as in a refused message
    assert done.uids == uids(1)
    assert look(alice).keywords == {1: ("k2",)}
    assert look(alice).records[1].keyword_set == 1


async def test_full_map_keeps_data_and_can_be_swept(tmp_path, clock):
    create_filepool(tmp_path / "small")
    async with open_filepool(tmp_path / "small", clock=clock, map_size=2 << 20) as pool:
        store = pool.account(await pool.accounts.enroll("a", "x"))
        inbox = look(store).id
        with pytest.raises(StoreUnavailableError):  # noqa: PT012
            while True:
                await store.append(inbox, [message(os.urandom(100_000))])
        taken = len(look(store).records)
        assert taken > 5
        assert pool.check().findings == ()
        await store.store_flags(inbox, UidSet([(1, taken)]), mode=STORE_ADD, flags=8, keywords=())
        await store.expunge(inbox, UidSet([(1, taken)]))
        clock.now += 3600
        assert (await pool.sweep()).bodies == taken
        await store.subscribe("x")  # LMDB reuses pages from the second commit on
        await store.append(inbox, [message(os.urandom(100_000))])
        assert pool.check().findings == ()


def test_full_disk_refuses_operations_and_recovers(tmp_path):
    """The limit on file sizes simulates a full disk: LMDB gets the same failing write."""
    script = """
        import os, resource, sys, trio
        from pathlib import Path
        from tests.filepool.direct import look, message
        from imapvm.filepool.errors import StoreUnavailableError
        from imapvm.filepool.pool import create_filepool, open_filepool

        async def main():
            create_filepool(Path(sys.argv[1]))
            async with open_filepool(Path(sys.argv[1])) as pool:
                store = pool.account(await pool.accounts.enroll("a", "x"))
                inbox = look(store).id
                _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
                resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, hard))
                taken = 0
                try:
                    while taken < 100:
                        await store.append(inbox, [message(os.urandom(100_000))])
                        taken += 1
                except StoreUnavailableError as error:
                    print("refused:", error)
                assert 5 < taken < 100, taken
                assert len(look(store).records) == taken
                assert pool.check().findings == ()
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
                await store.append(inbox, [message(os.urandom(100_000))])
                assert len(look(store).records) == taken + 1
                assert pool.check().findings == ()

        trio.run(main)
        print("recovered")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "full")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused: cannot write to the filepool")
    assert done.stdout.endswith("recovered\n")


@pytest.mark.parametrize("where", ["before-commit", "after-commit"])
def test_process_killed_at_a_commit_leaves_all_of_it_or_nothing(tmp_path, where):
    script = """
        import sys, trio
        from pathlib import Path
        from tests.filepool.direct import look, message
        from tests.crash.killing import KillingEnvironment
        from imapvm.filepool.pool import create_filepool, open_filepool

        async def main():
            create_filepool(Path(sys.argv[1]))
            async with open_filepool(Path(sys.argv[1])) as pool:
                store = pool.account(await pool.accounts.enroll("a", "x"))
                await store.append(look(store).id, [message(1)])
                print("acknowledged", flush=True)
                group = pool.groups[0]
                group._writer._env = KillingEnvironment(group.env, sys.argv[2])
                await store.append(look(store).id, [message(2), message(3)])
                print("not reached", flush=True)

        trio.run(main)
    """
    path = tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(path), where],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (-9, "acknowledged\n"), done.stderr

    async def after():
        async with open_filepool(path) as pool:
            store = pool.account(pool.accounts.find("a"))
            assert pool.check().findings == ()
            return len(look(store).records), (await store.append(look(store).id, [message(4)])).uids

    kept, new = trio.run(after)
    assert (kept, new) == ((1, uids(2)) if where == "before-commit" else (3, uids(4)))


async def test_writer_can_be_closed_twice(path):
    async with open_filepool(path) as pool:
        writer = pool.groups[0]._writer
        assert isinstance(writer, Writer)
        await writer.close()
        await writer.close()
    assert JOURNAL_ROWS_KEPT > BATCH_MAX


async def test_second_close_waits_for_the_first(pool):
    """LMDB would wait for the open transaction of the writer's thread if the group were closed."""
    group = pool.groups[0]
    held = Held()
    closed = []

    async def close(number):
        await group._writer.close()
        closed.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(group.submit, held)
        while not held.entered.is_set():
            await trio.testing.wait_all_tasks_blocked()
        for number in range(2):
            nursery.start_soon(close, number)
        await trio.testing.wait_all_tasks_blocked()
        assert closed == []
        with pytest.raises(RuntimeError, match="cannot close an environment before its writer"):
            group.release()
        held.leave.set()
    assert sorted(closed) == [0, 1]


async def test_error_at_the_start_of_a_transaction_does_not_leave_it_open(alice, pool, monkeypatch):
    group = pool.groups[0]

    def fail():
        raise AttributeError("stale extension")

    with monkeypatch.context() as patch:
        patch.setattr(group._writer, "_on_begin", fail)
        with pytest.raises(AttributeError) as caught:
            await alice.append(look(alice).id, [message(1)])
    await alice.append(look(alice).id, [message(1)])
    assert caught.value is not None  # it holds the traceback, which holds the frame


# --- yielding the GIL -------------------------------------------------------------------------


async def test_event_loop_runs_during_a_long_operation(alice, pool):
    held, group = Held(), pool.groups[0]
    async with trio.open_nursery() as nursery:
        for operation in (
            held,
            append(alice, message(1)),
        ):  # two: for a single one the GIL is not yielded
            nursery.start_soon(group.submit, operation)
        await trio.to_thread.run_sync(held.entered.wait)
        held.leave.set()
    assert look(alice).uids == uids(1)


@pytest.fixture
def writing_process(pool, alice):
    """Another process in a write transaction until its input is closed; alice is enrolled."""
    path = str(pool.path / "group-000")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_TRANSACTION, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"writing\n"
        yield process


async def test_event_loop_runs_while_another_process_writes(alice, pool, writing_process):
    group, before = pool.groups[0], commits(pool)
    async with trio.open_nursery() as nursery:
        for number in range(BATCH_MAX):
            if number == 2:  # the writer waits, the event loop does not; later operations join
                await trio.sleep(2 * GIL_YIELD_SECONDS)
            nursery.start_soon(group.submit, append(alice, message(number)))
        await trio.testing.wait_all_tasks_blocked()
        assert look(alice).uids == uids()
        writing_process.stdin.close()
    assert look(alice).uids == UidSet([(1, BATCH_MAX)])
    assert commits(pool) == before + 1
    assert group._writer._contended_begins == CONTENDED_BEGINS
    for number in range(CONTENDED_BEGINS):
        await group.submit(append(alice, message(number)))
    assert group._writer._contended_begins == 0


HOLD_TRANSACTION = """
import sys, lmdb
env = lmdb.open(sys.argv[1], map_size=1 << 40, max_dbs=32, lib_version=0)
with env.begin(write=True) as txn:
    print("writing", flush=True)
    sys.stdin.read()
    txn.abort()
"""


class Costly:
    """Operation that records that it is applied."""

    def __init__(self, name, log):
        self.name = name
        self.log = log

    def apply(self, txn):
        self.log.append(self.name)


async def test_operations_with_a_cost_let_others_pass(pool):
    group, log, held = pool.groups[0], [], Held()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(group.submit, held)
        while not held.entered.is_set():
            await trio.testing.wait_all_tasks_blocked()
        for name, cost in (("a", BATCH_COST), ("b", BATCH_COST), ("c", 0), ("d", 1), ("e", 0)):
            nursery.start_soon(partial(group.submit, Costly(name, log), cost=cost))
            await trio.testing.wait_all_tasks_blocked()
        held.leave.set()
    assert log == ["a", "c", "e", "b", "d"]


async def test_an_operation_may_cost_more_than_a_batch(pool):
    log = []
    await pool.groups[0].submit(Costly("a", log), cost=10 * BATCH_COST)
    assert log == ["a"]


async def test_the_gil_is_yielded_while_a_batch_is_applied_and_not_after(pool):
    group, held = pool.groups[0], Held()
    pool.yield_gil()  # returns at once without a batch
    async with trio.open_nursery() as nursery:
        nursery.start_soon(group.submit, held)
        while not held.entered.is_set():
            await trio.testing.wait_all_tasks_blocked()
        started = time.perf_counter()
        pool.yield_gil()
        assert time.perf_counter() - started >= GIL_YIELD_SECONDS
        held.leave.set()
    batch = Batch()
    batch.set_applied()
    batch.yield_gil()
    batch.yield_gil()  # the second call finds it applied, and does not wait
