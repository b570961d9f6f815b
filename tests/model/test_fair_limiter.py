"""Fair limiter: turns of peers, limits, and tasks that are cancelled."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from imapvm.model.fair_limiter import FairLimiter, QueueFullError


def limiter(slots: int = 1, *, per_peer: int = 1, waiting_max: int | None = None) -> FairLimiter:
    return FairLimiter(slots, per_peer=per_peer, make_event=trio.Event, waiting_max=waiting_max)


async def hold(shared: FairLimiter, peer: str, order: list[str]) -> None:
    await shared.acquire(peer)
    order.append(peer)
    await trio.lowlevel.checkpoint()
    shared.release(peer)


async def test_peers_take_turns():
    shared, order = limiter(), []
    await shared.acquire("z")
    async with trio.open_nursery() as nursery:
        for peer in "aaaabbc":
            nursery.start_soon(hold, shared, peer, order)
            await wait_all_tasks_blocked()
        shared.release("z")
    assert "".join(order) == "abcabaa"
    assert shared.borrowed == shared.waiting == 0
    assert not shared._held
    assert not shared._queues


async def test_free_slots_stay_for_other_peers():
    shared, order = limiter(4, per_peer=2), []
    for _ in range(2):
        await shared.acquire("a")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold, shared, "a", order)
        await wait_all_tasks_blocked()
        assert shared.waiting == 1
        await shared.acquire("b")
        shared.release("b")
        assert shared.waiting == 1
        shared.release("a")
    shared.release("a")
    assert shared.borrowed == 0


@pytest.mark.parametrize("granted", [False, True])
async def test_cancelled_task_takes_no_slot(granted):
    shared = limiter()
    await shared.acquire("a")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shared.acquire, "b")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        if granted:  # the slot is given to a task that is being cancelled
            shared.release("a")
    if granted:
        assert shared.borrowed in {0, 1}  # either of the two came first
        assert shared.waiting == 0
    else:
        assert (shared.borrowed, shared.waiting) == (1, 0)
        shared.release("a")
        assert shared.borrowed == 0


async def test_full_queue_refuses_the_newest_of_the_peer_with_the_most():
    shared = limiter(waiting_max=3)
    await shared.acquire("z")
    refused: list[str] = []

    async def wait(name: str) -> None:
        try:
            await shared.acquire(name[0])
        except QueueFullError:
            refused.append(name)
        else:
            shared.release(name[0])

    async with trio.open_nursery() as nursery:
        for name in ("a1", "a2", "a3", "a4", "b1", "a5", "b2"):
            nursery.start_soon(wait, name)
            await wait_all_tasks_blocked()
        # b2 would make the queue of b as long as that of a.
        assert refused == ["a4", "a3", "a5", "b2"]
        assert shared.waiting == 3
        shared.release("z")
    assert shared.borrowed == 0
