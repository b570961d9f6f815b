"""Delivery: to each recipient exactly once, with one stored body."""

import pytest
import trio
from tests.filepool.direct import START, look, message_bytes, packed, uids
from tests.filepool.tables.test_bodies import noise, write

from imapvm.filepool.errors import NoSuchAccountError, NoSuchMailboxError, StoreUnavailableError
from imapvm.filepool.operations.deliver import (
    DELIVERY_ID_MIN,
    DELIVERY_ID_SECONDS,
    AlreadyDelivered,
    Delivered,
    Delivery,
    DeliveryRefused,
)
from imapvm.filepool.pool import create_filepool, open_filepool
from imapvm.model.limits import DELIVERY_ID_MAX


@pytest.fixture
async def bob(pool):
    return pool.account(await pool.accounts.enroll("bob", "x"))


def delivery(*recipients, number: int = 1, body=None):
    return Delivery(
        b"delivery-%08d" % number,
        tuple(recipients),
        body or packed(message_bytes(number)),
        date=START,
    )


async def test_recipients_share_the_body(alice, bob, pool):
    results = await pool.deliver(
        delivery((alice.account, "INBOX"), (bob.account, "archive"), (bob.account, "Archive"))
    )
    assert results[alice.account.id] == Delivered(look(alice).id, 1)
    assert isinstance(results[bob.account.id], DeliveryRefused)  # mailbox names are case-sensitive
    results = await pool.deliver(
        delivery((alice.account, "inbox"), (bob.account, "Archive"), number=2)
    )
    assert set(map(type, results.values())) == {Delivered}
    assert look(alice).records[2].body == look(bob, "Archive").records[1].body


async def test_repeated_delivery_is_stored_once_for_each_recipient(alice, bob, pool):
    first = delivery((alice.account, "INBOX"))
    assert isinstance((await pool.deliver(first))[alice.account.id], Delivered)
    both = delivery((alice.account, "Archive"), (bob.account, "INBOX"))
    results = await pool.deliver(both)
    assert results[alice.account.id] == AlreadyDelivered()
    assert results[bob.account.id] == Delivered(look(bob).id, 1)
    assert set((await pool.deliver(both)).values()) == {AlreadyDelivered()}
    assert len(look(alice).records) == len(look(bob).records) == 1
    assert not look(alice, "Archive").records


async def test_concurrent_repeated_deliveries_are_stored_once(alice, pool):
    results = []

    async def deliver():
        results.append((await pool.deliver(delivery((alice.account, "INBOX"))))[alice.account.id])

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(deliver)
    assert sum(isinstance(result, Delivered) for result in results) == 1
    assert look(alice).uids == uids(1)


async def test_delivery_is_reported_to_on_changes(alice, pool):
    changed = []
    pool.on_changes = changed.append
    await pool.deliver(delivery((alice.account, "INBOX")))
    assert changed == [{look(alice).id}]


async def test_one_refused_recipient_does_not_affect_the_others(alice, bob, pool):
    await pool.accounts.delete(bob.account.id)
    carol = pool.account(await pool.accounts.enroll("carol", "x"))
    results = await pool.deliver(
        delivery((bob.account, "INBOX"), (alice.account, "INBOX"), (carol.account, "Nowhere"))
    )
    assert isinstance(results[bob.account.id].reason, NoSuchAccountError)
    assert isinstance(results[carol.account.id].reason, NoSuchMailboxError)
    assert isinstance(results[alice.account.id], Delivered)
    again = await pool.deliver(delivery((carol.account, "INBOX")))
    assert isinstance(again[carol.account.id], Delivered)


async def test_nothing_is_stored_if_all_recipients_are_refused(alice, pool):
    results = await pool.deliver(delivery((alice.account, "Nowhere")))
    assert isinstance(results[alice.account.id], DeliveryRefused)
    assert pool.check().bodies == 0


async def test_delivery_id_is_kept_for_thirty_days(alice, pool, clock):
    await pool.deliver(delivery((alice.account, "INBOX")))
    clock.now += DELIVERY_ID_SECONDS - 1
    await pool.sweep()
    assert (await pool.deliver(delivery((alice.account, "INBOX"))))[alice.account.id] == (
        AlreadyDelivered()
    )
    clock.now += 1
    assert (await pool.sweep()).deliveries == 1
    again = await pool.deliver(delivery((alice.account, "INBOX")))
    assert isinstance(again[alice.account.id], Delivered)


async def test_recipients_in_several_groups_all_get_the_message(tmp_path, clock):
    create_filepool(tmp_path / "three", groups=3)
    async with open_filepool(tmp_path / "three", clock=clock) as pool:
        stores = [pool.account(await pool.accounts.enroll(name, "x")) for name in "abcde"]
        assert [store.account.group for store in stores] == [0, 1, 2, 0, 1]
        data = noise(1_000_000)
        for number, new in enumerate(
            (packed(message_bytes(1)), (await write(pool.new_body(group=0), data)).body), 1
        ):
            results = await pool.deliver(
                delivery(*((s.account, "INBOX") for s in stores), number=number, body=new)
            )
            assert results == {s.account.id: Delivered(look(s).id, number) for s in stores}
        for store in stores:
            with store.reading() as reader:
                assert reader.body(look(store).records[2].body, 0, len(data)) == data
        report = pool.check()
        assert (report.findings, report.bodies, report.accounts) == ((), 6, 5)


async def test_message_staged_in_another_group_can_be_appended(tmp_path, clock):
    create_filepool(tmp_path / "two", groups=2)
    async with open_filepool(tmp_path / "two", clock=clock) as pool:
        await pool.accounts.enroll("a", "x")
        store = pool.account(await pool.accounts.enroll("b", "x"))
        for size in (0, 1, 131_071, 4080 * 40, 700_001):
            data = noise(size)
            writer = pool.new_body(group=0)
            await store.append(look(store).id, [await write(writer, data)])
            await writer.discard()
            with store.reading() as reader:
                assert reader.body(look(store).records[look(store).uids.last].body, 0, size) == data
        await pool.sweep()
        assert pool.check().findings == ()
        assert pool.check().bodies == 5


@pytest.mark.at_limit("DELIVERY_ID_MAX")
async def test_delivery_id_at_the_limits_is_accepted(alice, pool):
    for length in (DELIVERY_ID_MAX, DELIVERY_ID_MIN):
        done = await pool.deliver(
            Delivery(b"i" * length, ((alice.account, "INBOX"),), packed(message_bytes(1)))
        )
        assert isinstance(done[alice.account.id], Delivered)


@pytest.mark.past_limit("DELIVERY_ID_MAX")
def test_delivery_id_past_the_limits_is_refused():
    for length in (DELIVERY_ID_MAX + 1, DELIVERY_ID_MIN - 1):
        with pytest.raises(ValueError, match="16 to 64"):
            Delivery(b"i" * length, (), packed(b""))


async def test_recipients_in_a_group_that_is_not_writable_are_refused_for_now(
    tmp_path, clock, monkeypatch
):
    create_filepool(tmp_path / "two", groups=2)
    async with open_filepool(tmp_path / "two", clock=clock) as pool:
        one, two = [pool.account(await pool.accounts.enroll(name, "x")) for name in "ab"]

        async def full(operation):
            raise StoreUnavailableError("The disk is full.")

        with monkeypatch.context() as patch:
            patch.setattr(pool.groups[1], "submit", full)
            results = await pool.deliver(delivery((one.account, "INBOX"), (two.account, "INBOX")))
        assert isinstance(results[one.account.id], Delivered)
        assert isinstance(results[two.account.id].reason, StoreUnavailableError)
        again = await pool.deliver(delivery((one.account, "INBOX"), (two.account, "INBOX")))
        assert again[one.account.id] == AlreadyDelivered()
        assert isinstance(again[two.account.id], Delivered)
