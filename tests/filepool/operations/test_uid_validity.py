"""UIDVALIDITY is never given twice in a filepool, and stays below the clock."""

import pytest
from tests.filepool.direct import START, look
from tests.filepool.engine.test_processes import elsewhere

from imapvm.filepool.errors import LimitError
from imapvm.filepool.operations.enroll import AddAccount, ClearAccount
from imapvm.filepool.operations.mailboxes.mailboxes import (
    UID_VALIDITY,
    CreateMailbox,
    DeleteMailbox,
)
from imapvm.filepool.operations.mailboxes.rename import RenameMailbox
from imapvm.filepool.pool import create_filepool, open_filepool
from imapvm.filepool.tables.schema import COUNTER, ID_KEY, UsageRow
from imapvm.model.ids import UID_MAX
from imapvm.model.limits import UID_VALIDITY_DRIFT_MAX


class Values:
    """Operation that notes the UIDVALIDITY of each mailbox of an account."""

    def __init__(self, account, seen):
        self.account, self.seen = account, seen

    def apply(self, txn):
        self.seen += [row.uid_validity for row in txn.mailboxes(self.account)]


def values(store):
    """Return the UIDVALIDITY of each mailbox of an account."""
    with store.reading() as reader:
        ids = [name.mailbox for name in reader.names("", 10_000) if name.mailbox]
        return [reader.mailbox_by_id(number).uid_validity for number in ids]


def values_of(direct):
    """Return the values of the first account, ascending."""
    seen = []
    direct.apply(Values(direct.account.id, seen))
    return sorted(seen)


@pytest.mark.parametrize("groups", [1, 3])
async def test_user_who_is_enrolled_again_within_a_second_gets_other_values(
    tmp_path, clock, groups
):
    create_filepool(tmp_path / "pool", groups=groups)
    seen = []
    async with open_filepool(tmp_path / "pool", clock=clock) as pool:
        for _ in range(8):
            account = await pool.accounts.enroll("alice", "x")
            seen += values(pool.account(account))
            await pool.accounts.delete(account.id)
        others = [await pool.accounts.enroll(f"user{number}", "x") for number in range(5)]
        for other in others:
            seen += values(pool.account(other))
        assert pool.check().findings == ()
    assert len(seen) == len(set(seen)) == 6 * 13
    assert min(seen) >= START - UID_VALIDITY_DRIFT_MAX
    assert max(seen) < START - UID_VALIDITY_DRIFT_MAX + (6 * 13 + 1) * groups


def test_user_who_is_enrolled_a_thousand_times_within_a_second_gets_other_values(direct):
    seen = []
    operations = []
    for number in range(2, 1002):
        operations += [AddAccount(number, direct.clock.now), Values(number, seen)]
        operations.append(ClearAccount(number, direct.clock.now))
    for at in range(0, len(operations), 300):
        direct.apply(*operations[at : at + 300])
    assert len(seen) == len(set(seen)) == 6 * 1000
    assert max(seen) < direct.clock.now


def test_three_thousand_new_mailboxes_get_no_value_from_the_future(direct):
    account, now = direct.account.id, direct.clock.now
    made = [
        direct.apply(
            *(CreateMailbox(account, f"b{at + n}", (), False, now) for n in range(300))
        ).uid_validity
        for at in range(0, 3000, 300)
    ]
    assert made == sorted(made)
    assert made[-1] < now


@pytest.mark.slow
async def test_values_of_several_processes_differ(pool, path, alice, clock):
    for number in range(3):
        await elsewhere(path, f'await pool.accounts.enroll("user{number}", "x")')
        await alice.create_mailbox(f"box{number}")
    seen = values(alice)
    for number in range(3):
        seen += values(pool.account(pool.accounts.find(f"user{number}")))
    assert len(seen) == len(set(seen)) == 6 * 4 + 3


async def test_clock_that_is_set_back_repeats_no_value(pool, alice, clock):
    seen = values(alice)
    clock.now -= 10_000
    await pool.accounts.delete(pool.accounts.find("alice").id)
    again = pool.account(await pool.accounts.enroll("alice", "x"))
    assert min(values(again)) > max(seen)


async def test_filepool_of_an_older_version_continues_after_its_highest_value(pool, alice, clock):
    bob = pool.account(await pool.accounts.enroll("bob", "x"))
    for number in range(50):
        await bob.create_mailbox(f"box{number}")
    clock.now += 100
    group = pool.groups[0]
    with group.env.begin(write=True) as txn:
        assert txn.delete(UID_VALIDITY, db=group.tables.counters)
    # Accounts that are deleted may have had any value up to the clock.
    assert (await alice.create_mailbox("next")).uid_validity == clock.now + 1 > max(values(bob))
    with group.env.begin(write=True) as txn:
        usage = ID_KEY.pack(bob.account.id)
        row = UsageRow.from_bytes(usage, txn.get(usage, db=group.tables.usage))
        row.uid_validity = clock.now + 500  # by the older version, in one second
        txn.put(usage, bytes(row), db=group.tables.usage)
        assert txn.delete(UID_VALIDITY, db=group.tables.counters)
    assert (await alice.create_mailbox("another")).uid_validity == clock.now + 501


async def test_last_value_is_given_and_no_more(pool, alice):
    group = pool.groups[0]
    with group.env.begin(write=True) as txn:
        before = txn.get(UID_VALIDITY, db=group.tables.counters)
        txn.put(UID_VALIDITY, COUNTER.pack(UID_MAX - 1), db=group.tables.counters)
    last = await alice.create_mailbox("last")
    assert last.uid_validity == UID_MAX
    await alice.delete_mailbox(last.id)
    with pytest.raises(LimitError):
        await alice.create_mailbox("another")
    assert before is not None


@pytest.mark.at_limit("UID_VALIDITY_DRIFT_MAX")
@pytest.mark.past_limit("UID_VALIDITY_DRIFT_MAX")
def test_values_do_not_reach_the_future(direct, monkeypatch):
    monkeypatch.setattr("imapvm.filepool.operations.mailboxes.mailboxes.UID_VALIDITY_DRIFT_MAX", 20)
    account, clock = direct.account.id, direct.clock

    def create(name, account=account):
        return direct.apply(CreateMailbox(account, name, (), False, clock.now)).id

    for number in range(21):
        last = create(f"box{number}")
    assert values_of(direct)[-1] == clock.now
    with pytest.raises(LimitError, match="try again"):
        create("refused")
    with pytest.raises(LimitError, match="try again"):
        direct.apply(RenameMailbox(account, "INBOX", "refused", clock.now))
    with pytest.raises(LimitError, match="try again"):
        direct.apply(RenameMailbox(account, "Sent", "a/refused", clock.now))
    direct.apply(RenameMailbox(account, "Sent", "Sent2", clock.now))  # creates none
    bob = direct.enroll("bob").id  # takes six more
    create("alice was not the last")
    with pytest.raises(LimitError, match="try again"):
        create("refused")
    create("bob was not, either", bob)
    direct.apply(DeleteMailbox(account, last, clock.now))
    clock.now += 1
    create("a second later")
    clock.now -= 1_000_000  # the clock was wrong
    create("still counted from here", bob)
    clock.now += 30
    for number in range(20):
        create(f"later{number}")


async def test_each_created_mailbox_uses_one_value(alice, clock):
    first = max(values(alice))
    for _ in range(50):
        made = await alice.create_mailbox("again")
        await alice.delete_mailbox(made.id)
    assert made.uid_validity == first + 50
    assert look(alice).mailbox.uid_validity == START - UID_VALIDITY_DRIFT_MAX
