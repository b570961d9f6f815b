r"""\Seen of readers: whose changes a user is sent, MODIFIED, and expunged messages."""

import random
from types import SimpleNamespace

import pytest
from tests.filepool.direct import START, message, uids

from imapvm._core import STORE_ADD, STORE_REMOVE, STORE_REPLACE, UidSet
from imapvm.filepool.access.shared_reader import SharedReader
from imapvm.filepool.operations.append import AppendMessages
from imapvm.filepool.operations.mailboxes.acl import SetRights, SetSharedSeen
from imapvm.filepool.operations.mailboxes.shared import (
    SharedUser,
    StoreSharedFlags,
    TouchMessages,
)
from imapvm.filepool.operations.store_flags import ExpungeMessages, StoreFlags
from imapvm.filepool.operations.sweep import SweepStep
from imapvm.filepool.tables.messages import changes
from imapvm.filepool.tables.schema import SEEN_BLOCK
from imapvm.filepool.tables.seen import change_seen
from imapvm.model.flags import SystemFlag
from imapvm.model.rights import ANYONE, Rights, RightsChange

SEEN, FLAGGED, DELETED = (
    SystemFlag.SEEN.value,
    SystemFlag.FLAGGED.value,
    SystemFlag.DELETED.value,
)
OWNER, BOB, CAROL = 1, 7, 8


@pytest.fixture
def shared(direct):
    """INBOX of the owner, which all users may read and flag, with 20 messages."""
    direct.apply(
        AppendMessages(OWNER, 1, tuple(message(n) for n in range(1, 21)), START),
        SetRights(OWNER, 1, ANYONE, False, RightsChange.REPLACE, Rights.parse("lrswte")),
    )
    return direct


def store(direct, user, numbers, mode, flags, *, since=None):
    """STORE by a user; return the result."""
    request = StoreFlags(OWNER, 1, uids(*numbers), mode, flags, (), since)
    if user == OWNER:
        return direct.apply(request)
    return direct.apply(StoreSharedFlags(request, SharedUser(user, (ANYONE,))))


def reading(direct, user):
    if user == OWNER:
        return direct.reading()
    view = SimpleNamespace(
        user=SharedUser(user, (ANYONE,)), prefix="", id_bits=0, accounts_txn_id=0, seen=None
    )
    return SharedReader(direct.group, OWNER, view)


def flagged(direct, user, since):
    with reading(direct, user) as reader:
        return set(reader.changes(reader.mailbox("INBOX"), since).flagged)


def unseen(direct, user):
    with reading(direct, user) as reader:
        return reader.unseen(reader.mailbox("INBOX"))


def stored_seen(direct, user):
    with reading(direct, user) as reader:
        return set(reader.private_seen(reader.mailbox("INBOX")))


def sweep(direct):
    """Sweep in steps until nothing is due; return their number."""
    for steps in range(1, 50):
        if not direct.apply(SweepStep(direct.clock.now))[0].more:
            return steps
    raise AssertionError("the sweep does not end")


@pytest.mark.parametrize("user", [OWNER, BOB])
def test_only_the_sessions_of_a_user_are_sent_its_seen(shared, user):
    since = shared.mailbox().highest_modseq
    store(shared, user, (1, 2), STORE_ADD, SEEN)
    store(shared, user, (2,), STORE_REMOVE, SEEN)
    assert {one: flagged(shared, one, since) for one in (OWNER, BOB, CAROL)} == {
        OWNER: set(),
        BOB: set(),
        CAROL: set(),
        user: {1, 2},
    }
    assert {one: unseen(shared, one) for one in (OWNER, BOB, CAROL)} == {
        OWNER: 20,
        BOB: 20,
        CAROL: 20,
        user: 19,
    }
    store(shared, user, (3,), STORE_ADD, FLAGGED)
    assert all(3 in flagged(shared, one, since) for one in (OWNER, BOB, CAROL))
    assert shared.check() == []


@pytest.mark.parametrize("user", [OWNER, BOB])
def test_shared_seen_is_sent_to_all(shared, user):
    shared.apply(SetSharedSeen(OWNER, 1, shared=True))
    since = shared.mailbox().highest_modseq
    store(shared, user, (1,), STORE_ADD, SEEN)
    assert [flagged(shared, one, since) for one in (OWNER, BOB, CAROL)] == [{1}] * 3
    assert [unseen(shared, one) for one in (OWNER, BOB, CAROL)] == [19] * 3
    for one in (OWNER, BOB, CAROL):
        if one != user:
            assert set(store(shared, one, (1,), STORE_REPLACE, SEEN, since=since).refused) == {1}


@pytest.mark.parametrize("user", [OWNER, BOB])
@pytest.mark.parametrize("other", [OWNER, CAROL])
def test_seen_of_another_user_is_not_modified(shared, user, other):
    if user == other:
        return
    since = shared.mailbox().highest_modseq
    store(shared, other, (1, 2, 3), STORE_ADD, SEEN)
    assert not store(shared, user, (1,), STORE_ADD, FLAGGED, since=since).refused
    assert not store(shared, user, (2,), STORE_ADD, SEEN, since=since).refused
    assert not store(shared, user, (3,), STORE_REPLACE, SEEN, since=since).refused
    # Its own changes are, and what others see of them.
    assert set(store(shared, user, (1, 2), STORE_REPLACE, 0, since=since).refused) == {1, 2}
    assert 1 in store(shared, other, (1, 2), STORE_REPLACE, 0, since=since).refused
    assert shared.check() == []


def test_a_message_that_has_arrived_since_is_modified(shared):
    since = shared.mailbox().highest_modseq
    shared.apply(AppendMessages(OWNER, 1, (message(21),), START))
    store(shared, CAROL, (21,), STORE_ADD, SEEN)
    assert set(store(shared, BOB, (21,), STORE_ADD, SEEN, since=since).refused) == {21}


def test_a_client_with_an_old_modseq_gets_modified_for_each_change(shared, monkeypatch):
    since = shared.mailbox().highest_modseq
    store(shared, CAROL, (1,), STORE_ADD, SEEN)
    monkeypatch.setattr(changes, "ROWS_COMPARED", 2)
    assert not store(shared, BOB, (1,), STORE_ADD, SEEN, since=since).refused
    for _ in range(2):
        store(shared, CAROL, (2,), STORE_ADD, SEEN)
        store(shared, CAROL, (2,), STORE_REMOVE, SEEN)
    assert set(store(shared, BOB, (2,), STORE_ADD, SEEN, since=since).refused) == {2}


def test_a_choice_of_whose_seen_readers_have_changes_all_messages(shared):
    since = shared.mailbox().highest_modseq
    shared.apply(SetSharedSeen(OWNER, 1, shared=True), TouchMessages(OWNER, 1, UidSet([(1, 30)])))
    assert [flagged(shared, one, since) for one in (OWNER, BOB)] == [set(range(1, 21))] * 2
    with shared.reading() as reader:
        assert set(reader.snapshot.modified(1, since)) == set(range(1, 21))
    assert shared.check() == []


@pytest.mark.parametrize("seed", range(4))
def test_expunged_messages_are_swept_from_what_readers_have_seen(shared, seed):
    dice = random.Random(seed)
    for user in (BOB, CAROL):
        store(shared, user, dice.sample(range(1, 21), 12), STORE_ADD, SEEN)
    before = {user: stored_seen(shared, user) for user in (BOB, CAROL)}
    gone = dice.sample(range(1, 21), 9)
    store(shared, OWNER, gone, STORE_ADD, DELETED)
    shared.apply(ExpungeMessages(OWNER, 1, uids(*gone), START))
    assert shared.check() == []  # the sweep removes them
    assert sweep(shared) == 1
    for user, seen in before.items():
        assert stored_seen(shared, user) == seen - set(gone)
    assert shared.check() == []


def test_the_rows_of_many_readers_are_swept_in_steps(shared, monkeypatch):
    many = range(100, 130)

    class Mark:
        def apply(self, txn):
            for user in many:
                change_seen(txn, 1, user, uids(1, 2, SEEN_BLOCK + 1), seen=True)

    shared.apply(Mark())
    assert any("1 messages that do not exist" in finding for finding in shared.check())
    store(shared, OWNER, (1,), STORE_ADD, DELETED)
    shared.apply(ExpungeMessages(OWNER, 1, uids(1), START))
    monkeypatch.setattr("imapvm.filepool.operations.sweep.STEP_ROWS", 30)
    assert 3 < sweep(shared) < 10
    assert all(stored_seen(shared, user) == {2, SEEN_BLOCK + 1} for user in many)
    # The others are found by the check, and swept after its repair.
    assert len(shared.check()) == len(many)
    shared.pool.check(repair=True)
    sweep(shared)
    assert all(stored_seen(shared, user) == {2} for user in many)
    assert shared.check() == []
