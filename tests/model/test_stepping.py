"""Stepping: a coroutine runs outside a task up to its first wait, and continues in a task."""

import threading
import types

import pytest
import trio

from imapvm.model.stepping import (
    StepError,
    Suspended,
    start,
    suspend,
)


async def wait_and_return(value, log=None):
    """A well-behaved coroutine that waits once."""
    try:
        await suspend()
        await trio.lowlevel.checkpoint()
    except BaseException as error:
        if log is not None:
            log.append(type(error))
        raise
    return value


async def return_value(value):
    return value


def test_a_coroutine_that_does_not_wait_returns_its_value_from_start():
    assert start(return_value(5)) == 5


def test_an_exception_of_the_first_step_is_raised_by_start():
    async def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        start(fail())


def test_a_failed_start_leaves_no_marker():
    async def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        start(fail())
    with pytest.raises(StopIteration):
        suspend().send(None)  # returns at once


async def test_a_coroutine_that_waits_continues_in_the_task_that_awaits_it():
    tasks = []

    async def record():
        await suspend()
        await trio.lowlevel.checkpoint()
        tasks.append(trio.lowlevel.current_task())
        await suspend()
        return "done"

    suspended = start(record())
    assert type(suspended) is Suspended

    async def finish():
        assert await suspended == "done"
        assert tasks == [trio.lowlevel.current_task()]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(finish)


async def test_suspend_returns_at_once_in_a_task():
    assert await wait_and_return(1) == 1


async def test_an_exception_after_suspend_reaches_the_task_with_its_traceback():
    async def fail():
        await suspend()
        await trio.lowlevel.checkpoint()
        raise ValueError("late")

    suspended = start(fail())
    with pytest.raises(ValueError, match="late") as caught:
        await suspended
    assert caught.traceback[-1].name == "fail"


async def test_cancellation_reaches_a_suspended_coroutine_while_it_waits():
    log = []
    with trio.move_on_after(0.01) as scope:

        async def sleep():
            await suspend()
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                log.append("cancelled")
                raise

        await start(sleep())
    assert scope.cancelled_caught
    assert log == ["cancelled"]


async def test_a_task_cancelled_before_it_continues_a_coroutine_cancels_it_at_its_next_wait():
    log = []
    suspended = start(wait_and_return(1, log))
    with trio.CancelScope() as scope:
        scope.cancel()
        await suspended
    assert scope.cancelled_caught
    assert log == [trio.Cancelled]


def test_a_suspended_coroutine_that_is_dropped_is_closed_without_a_warning():
    log = []
    suspended = start(wait_and_return(1, log))
    del suspended
    assert log == [GeneratorExit]


async def test_abandon_raises_the_error_at_the_wait_and_runs_cleanup_in_the_task():
    log = []

    async def clean_up():
        try:
            await suspend()
            log.append("not reached")
        finally:
            await suspend()
            await trio.lowlevel.checkpoint()
            log.append("cleaned up")

    suspended = start(clean_up())
    with pytest.raises(ValueError, match="gone"):
        await suspended.abandon(ValueError("gone"))
    assert log == ["cleaned up"]


async def test_abandon_returns_where_the_coroutine_handles_the_error():
    async def handle():
        try:
            await suspend()
        except ValueError:
            return "handled"

    await start(handle()).abandon(ValueError())


def test_a_step_inside_a_step_suspends_alone():
    async def outer():
        inner = start(wait_and_return("inner"))
        assert type(inner) is Suspended
        assert start(return_value(2)) == 2
        await suspend()
        return await inner

    async def main():
        suspended = start(outer())
        assert type(suspended) is Suspended
        return await suspended

    assert trio.run(main) == "inner"


async def test_a_suspended_coroutine_awaited_in_a_step_suspends_the_outer_one():
    async def outer():
        return await start(wait_and_return("inner"))

    suspended = start(outer())
    assert type(suspended) is Suspended
    assert await suspended == "inner"


async def test_a_wait_without_suspend_is_refused_at_its_place():
    async def forgetful():
        await trio.lowlevel.checkpoint()

    with pytest.raises(StepError, match=r"await suspend\(\) first") as caught:
        start(forgetful())
    assert "forgetful" in [entry.name for entry in caught.traceback]


async def test_a_coroutine_may_handle_the_refusal_and_suspend_then():
    async def forgetful():
        try:
            await trio.lowlevel.checkpoint()
        except StepError:
            await suspend()
            await trio.lowlevel.checkpoint()
            return "answered"

    assert await start(forgetful()) == "answered"


def test_a_coroutine_that_ignores_the_refusal_is_closed():
    @types.coroutine
    def foreign():
        yield "not the marker"

    log = []

    async def stubborn():
        try:
            await foreign()
        except StepError:
            try:
                await foreign()
            finally:
                log.append("closed")

    with pytest.raises(StepError):
        start(stubborn())
    assert log == ["closed"]


def test_closing_what_awaits_a_suspended_coroutine_closes_it():
    log = []

    @types.coroutine
    def park():
        yield "parked"

    async def inner():
        await suspend()
        try:
            await park()
        finally:
            log.append("closed")

    async def outer(suspended):
        await suspended

    task = outer(start(inner()))
    assert task.send(None) == "parked"
    task.close()
    assert log == ["closed"]


def test_a_step_in_one_thread_is_no_step_in_another():
    found = []

    async def look():
        def other():
            try:
                suspend().send(None)
            except StopIteration:
                found.append("returned at once")

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    start(look())
    assert found == ["returned at once"]


@pytest.mark.parametrize("swallows", [False, True])
async def test_a_coroutine_that_awaits_a_suspended_one_starts_in_its_task(swallows):
    log = []

    async def inner():
        try:
            await suspend()
        except ValueError:
            log.append("abandoned")
            if not swallows:
                raise
        await suspend()
        await trio.lowlevel.checkpoint()
        return "inner"

    async def outer(awaited):
        log.append("outer")
        return await awaited

    awaited = start(inner())
    assert await Suspended(outer(awaited), awaited) == "inner"
    assert log == ["outer"]
    awaited = start(inner())
    suspended = Suspended(outer(awaited), awaited)
    if swallows:
        await suspended.abandon(ValueError())
    else:
        with pytest.raises(ValueError, match=r"^$"):
            await suspended.abandon(ValueError())
    assert log == ["outer", "abandoned"]
