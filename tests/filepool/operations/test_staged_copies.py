"""COPY of many messages: in batches, all or none, and swept if it does not end."""

import pytest
import trio
from tests.filepool.direct import keywords, look, message

from imapvm._core import STORE_ADD, UidSet
from imapvm.filepool import store as module
from imapvm.filepool.errors import (
    LimitError,
    MessageGoneError,
    NoSuchMailboxError,
    StagedExpiredError,
    StoreUnavailableError,
)
from imapvm.filepool.operations.copy import CommitCopies, DiscardCopies, StageCopies
from imapvm.filepool.tables.messages.bodies import GRACE_SECONDS, STAGED_SECONDS
from imapvm.model.flags import SystemFlag
from imapvm.model.ids import UID_MAX

COUNT = 95
ALL = UidSet([(1, COUNT)])


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(module, "BATCH_MESSAGES", 10)


@pytest.fixture
async def mail(alice):
    """Id of INBOX with messages of different flags and keywords, and of Archive."""
    inbox, archive = look(alice).id, look(alice, "Archive").id
    await alice.append(inbox, [message(number) for number in range(COUNT)])
    some = UidSet([(20, 50)])
    await alice.store_flags(
        inbox, some, mode=STORE_ADD, flags=SystemFlag.SEEN, keywords=("one", "two")
    )
    deleted = UidSet([(45, 60)])
    await alice.store_flags(
        inbox, deleted, mode=STORE_ADD, flags=SystemFlag.DELETED, keywords=("two",)
    )
    return inbox, archive


def before_operation(monkeypatch, pool, kind, number, action):
    """Call a coroutine function before an operation of a kind is submitted, the n-th time."""
    group = pool.groups[0]
    submit, seen = group.submit, []

    async def submit_later(operation, *, cost=0):
        if isinstance(operation, kind):
            seen.append(operation)
            if len(seen) == number:
                await action()
        return await submit(operation, cost=cost)

    monkeypatch.setattr(group, "submit", submit_later)


async def sweep(pool):
    while (await pool.sweep()).more:
        pass


async def test_copies_are_what_one_transaction_makes(alice, pool, mail, monkeypatch):
    inbox, archive = mail
    done = await alice.copy(inbox, ALL, archive, whole=True)
    staged = look(alice, "Archive")
    monkeypatch.setattr(module, "BATCH_MESSAGES", COUNT)
    other = await alice.create_mailbox("Other")
    await alice.copy(inbox, ALL, other.id, whole=True)
    direct = look(alice, "Other")
    assert (done.source, done.copies) == (ALL, ALL)
    assert done.uid_validity == staged.mailbox.uid_validity
    assert staged.uids == direct.uids == ALL
    for counter in ("messages", "unseen", "deleted", "size", "uid_next", "keyword_sets"):
        assert getattr(staged.mailbox, counter) == getattr(direct.mailbox, counter)
    with alice.reading() as reader:
        names = [
            {uid: sets.get(record.keyword_set) for uid, record in found.records.items()}
            for found in (staged, direct)
            for sets in [keywords(reader, found.mailbox)]
        ]
        assert reader.usage().messages == 3 * COUNT
    assert names[0] == names[1]
    for uid, record in staged.records.items():
        same = direct.records[uid]
        assert (record.body, record.flags, record.date) == (same.body, same.flags, same.date)
        assert record.modseq == staged.mailbox.highest_modseq == done.modseq
    assert staged.changes.appended == ALL


async def test_copies_appear_at_once_and_above_messages_that_came_meanwhile(
    alice, pool, mail, monkeypatch
):
    inbox, archive = mail

    async def append():
        assert look(alice, "Archive").uids == UidSet()
        assert pool.check().findings == ()
        await alice.append(archive, [message(1000)])

    before_operation(monkeypatch, pool, StageCopies, 5, append)
    done = await alice.copy(inbox, ALL, archive)
    assert done.copies == UidSet([(2, COUNT + 1)])
    assert look(alice, "Archive").uids == UidSet([(1, COUNT + 1)])


async def test_copies_to_the_same_mailbox_do_not_include_themselves(alice, mail):
    inbox, _ = mail
    done = await alice.copy(inbox, UidSet([(1, UID_MAX)]), inbox)
    assert (done.source, done.copies) == (ALL, UidSet([(COUNT + 1, 2 * COUNT)]))


@pytest.mark.parametrize("whole", [False, True])
async def test_a_message_that_is_expunged_meanwhile(alice, pool, clock, mail, monkeypatch, whole):
    inbox, archive = mail

    async def expunge():
        await alice.expunge(inbox, UidSet([(50, 50)]))

    before_operation(monkeypatch, pool, StageCopies, 3, expunge)
    if whole:
        with pytest.raises(MessageGoneError):
            await alice.copy(inbox, ALL, archive, whole=True)
        assert look(alice, "Archive").uids == UidSet()
    else:
        done = await alice.copy(inbox, ALL, archive)
        assert done.source == ALL - UidSet([(50, 50)])
        assert look(alice, "Archive").uids == UidSet([(1, COUNT - 1)])
    assert pool.check().findings == ()
    await sweep(pool)
    assert pool.check().findings == ()


async def test_a_target_that_is_deleted_meanwhile_leaves_nothing(alice, pool, mail, monkeypatch):
    inbox, archive = mail

    async def delete():
        await alice.delete_mailbox(archive)

    before_operation(monkeypatch, pool, CommitCopies, 1, delete)
    with pytest.raises(NoSuchMailboxError):
        await alice.copy(inbox, ALL, archive)
    await sweep(pool)
    assert pool.check().findings == ()


async def test_copies_that_are_not_committed_are_swept_after_a_day(
    alice, pool, clock, mail, monkeypatch
):
    inbox, archive = mail

    async def fail():
        raise StoreUnavailableError("no space left on device")

    before_operation(monkeypatch, pool, CommitCopies, 1, fail)
    before_operation(monkeypatch, pool, DiscardCopies, 1, fail)
    with pytest.raises(StoreUnavailableError):
        await alice.copy(inbox, ALL, archive)
    assert pool.check().findings == ()
    await sweep(pool)
    index = pool.groups[0].tables.index
    with pool.groups[0].env.begin() as txn:
        staged = txn.stat(index)["entries"]
    clock.now += STAGED_SECONDS + 1
    await sweep(pool)
    with pool.groups[0].env.begin() as txn:
        assert txn.stat(index)["entries"] < staged
    assert pool.check().findings == ()
    await alice.store_flags(inbox, ALL, mode=STORE_ADD, flags=SystemFlag.DELETED, keywords=())
    await alice.expunge(inbox, ALL)
    clock.now += GRACE_SECONDS + 1
    await sweep(pool)
    with pool.groups[0].env.begin() as txn:
        assert txn.stat(pool.groups[0].tables.references)["entries"] == 0


async def test_a_copy_that_takes_longer_than_a_day_is_refused(
    alice, pool, clock, mail, monkeypatch
):
    inbox, archive = mail

    async def wait():
        clock.now += STAGED_SECONDS + 1
        await sweep(pool)

    before_operation(monkeypatch, pool, StageCopies, 3, wait)
    with pytest.raises(StagedExpiredError):
        await alice.copy(inbox, ALL, archive)
    assert look(alice, "Archive").uids == UidSet()


async def test_a_mailbox_without_uids_left_gets_no_copies(alice, pool, mail, monkeypatch):
    inbox, archive = mail

    def refuse(_row, _more):
        raise LimitError("the mailbox has no UIDs left")

    monkeypatch.setattr("imapvm.filepool.operations.copy.check_uids", refuse)
    with pytest.raises(LimitError):
        await alice.copy(inbox, ALL, archive)
    assert look(alice, "Archive").uids == UidSet()
    await sweep(pool)
    assert pool.check().findings == ()


async def test_a_cancelled_copy_leaves_nothing(alice, pool, mail, monkeypatch):
    inbox, archive = mail
    scope = trio.CancelScope()

    async def cancel():
        scope.cancel()

    before_operation(monkeypatch, pool, StageCopies, 3, cancel)
    with scope:
        await alice.copy(inbox, ALL, archive)
    assert scope.cancelled_caught
    assert look(alice, "Archive").uids == UidSet()
    await sweep(pool)
    assert pool.check().findings == ()


async def test_copying_more_than_exists_copies_what_exists(alice, mail):
    inbox, archive = mail
    done = await alice.copy(inbox, UidSet([(90, UID_MAX)]), archive)
    assert done.source == UidSet([(90, COUNT)])
    with pytest.raises(MessageGoneError):
        await alice.copy(inbox, UidSet([(90, UID_MAX)]), archive, whole=True)
