"""Large messages are staged in the storage group that will hold them, and written once."""

import pytest
from tests.filepool.direct import look
from tests.filepool.tables.test_bodies import noise, write

from imapvm.filepool.pool import Delivery, create_filepool, open_filepool
from imapvm.intake.deliver import Deliverer
from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.intake.envelope import Envelope, Recipient, Sender
from imapvm.intake.trace import Trace

SIZE = 1_000_000
ROWS = 1 + -(-SIZE // 4080)


@pytest.fixture
async def pool(tmp_path, clock):
    """A filepool with three groups and an account in each: a, b, c."""
    create_filepool(tmp_path / "three", groups=3)
    async with open_filepool(tmp_path / "three", clock=clock) as pool:
        for name in "abc":
            await pool.accounts.enroll(name, "x")
        yield pool
        assert pool.check().findings == ()


def body_rows(pool) -> list[int]:
    """Rows of the table `bodies` in each group."""
    counts = []
    for group in pool.groups:
        with group.env.begin() as txn:
            counts.append(txn.stat(group.tables.bodies)["entries"])
    return counts


async def test_appended_message_is_staged_in_the_group_of_its_account(pool):
    store = pool.account(pool.accounts.find("b"))
    await store.append(look(store).id, [await write(store.new_body(), noise(SIZE))])
    assert body_rows(pool) == [0, ROWS, 0]


async def test_delivered_message_is_staged_in_the_given_group(pool):
    account = pool.accounts.find("c")
    message = await write(pool.new_body(group=account.group), noise(SIZE))
    await pool.deliver(Delivery(b"delivery-0000001", ((account, "INBOX"),), message.body))
    assert body_rows(pool) == [0, 0, ROWS]


async def test_message_for_two_groups_is_copied_once(pool):
    accounts = [pool.accounts.find(name) for name in "bc"]
    message = await write(pool.new_body(group=1), noise(SIZE))
    recipients = tuple((account, "INBOX") for account in accounts)
    await pool.deliver(Delivery(b"delivery-0000001", recipients, message.body))
    assert body_rows(pool) == [0, ROWS, ROWS]


async def test_intake_stages_in_the_group_of_the_first_known_recipient(pool):
    envelope = Envelope(Sender("a@x.example"), tuple(map(Recipient, ("unknown", "c", "b"))))
    deliverer = Deliverer(pool, DeliverySettings(hostname="h.example"))
    destinations = await deliverer.resolve(envelope)
    incoming = deliverer.begin(envelope, Trace("LMTP", "1", "h", "::1"), destinations)
    data = noise(SIZE)
    for at in range(0, SIZE, 50_000):
        if incoming.feed(data[at : at + 50_000]):
            await incoming.spill()
    rows = body_rows(pool)
    assert rows[2] > 0
    assert rows[:2] == [0, 0]
    await incoming.discard()
