"""The change log: changes since a MODSEQ, for CONDSTORE and QRESYNC (RFC 7162)."""

import pytest
from tests.filepool.direct import look, message, uids

from imapvm._core import STORE_ADD, STORE_REMOVE, UidSet
from imapvm.filepool.operations import sweep
from imapvm.filepool.operations.append import AppendMessages
from imapvm.filepool.operations.mailboxes.mailboxes import CreateMailbox, DeleteMailbox
from imapvm.filepool.operations.store_flags import ExpungeMessages, StoreFlags
from imapvm.filepool.tables.messages import changes
from imapvm.filepool.tables.schema import COUNTER, FORGOTTEN_EXPUNGES, forgotten_key
from imapvm.model.changes import MailboxChanges
from imapvm.model.flags import SystemFlag
from imapvm.model.limits import CHANGE_ROWS_MAX

SEEN, DELETED = SystemFlag.SEEN.value, SystemFlag.DELETED.value


async def test_each_change_increments_the_modseq_and_is_reported_once(alice):
    inbox = look(alice).id
    await alice.append(inbox, [message(n) for n in (1, 2, 3)])  # 2
    await alice.store_flags(inbox, uids(1, 2), mode=STORE_ADD, flags=SEEN, keywords=())  # 3
    await alice.store_flags(inbox, uids(2), mode=STORE_ADD, flags=DELETED, keywords=())  # 4
    await alice.expunge(inbox, uids(2))  # 5
    await alice.append(inbox, [message(4)])  # 6
    with alice.reading() as reader:
        mailbox = reader.mailbox("INBOX")
        found = {since: reader.changes(mailbox, since) for since in range(8)}
    assert {change.modseq for change in found.values()} == {6}
    assert all(change.complete for change in found.values())
    changes = {since: (c.appended, c.flagged, c.expunged) for since, c in found.items()}
    assert changes == {
        0: (uids(1, 2, 3, 4), uids(), uids(2)),
        1: (uids(1, 2, 3, 4), uids(), uids(2)),
        2: (uids(4), uids(1, 2), uids(2)),
        3: (uids(4), uids(2), uids(2)),
        4: (uids(4), uids(), uids(2)),
        5: (uids(4), uids(), uids()),
        6: (uids(), uids(), uids()),
        7: (uids(), uids(), uids()),
    }


async def test_change_of_many_scattered_messages_is_one_change(alice):
    inbox = look(alice).id
    await alice.append(inbox, [message(1)] * 3000)
    odd = UidSet.of(range(1, 3001, 2))
    done = await alice.store_flags(inbox, odd, mode=STORE_ADD, flags=SEEN, keywords=())
    found = look(alice).mailbox
    with alice.reading() as reader:
        change = reader.changes(found, done.modseq - 1)
    assert change == MailboxChanges(done.modseq, uids(), uids(), odd, complete=True)
    assert found.unseen == 1500


def noted(direct, rows: int) -> int:
    """Change flags as often as makes that many rows of the log; return the MODSEQ before."""
    inbox, account = direct.mailbox(), direct.account.id
    direct.apply(
        *(
            StoreFlags(
                account, inbox.id, uids(1), STORE_REMOVE if n % 2 else STORE_ADD, SEEN, (), None
            )
            for n in range(rows)
        )
    )
    return inbox.highest_modseq


@pytest.mark.at_limit("CHANGE_ROWS_MAX")
@pytest.mark.past_limit("CHANGE_ROWS_MAX")
def test_log_is_read_in_several_calls(direct):
    inbox, account = direct.mailbox().id, direct.account.id
    direct.apply(AppendMessages(account, inbox, (message(1), message(2)), 0))
    since = noted(direct, CHANGE_ROWS_MAX)
    with direct.reading() as reader:
        found = reader.changes(direct.mailbox(), since)
    assert found.modseq == direct.mailbox().highest_modseq
    direct.apply(StoreFlags(account, inbox, uids(2), STORE_ADD, SEEN, (), None))
    with direct.reading() as reader:
        first = reader.changes(direct.mailbox(), since)
        second = reader.changes(direct.mailbox(), first.modseq)
    assert first == found
    assert (second.modseq, second.flagged) == (direct.mailbox().highest_modseq, uids(2))


def test_rows_of_one_change_are_read_together(direct):
    inbox, account = direct.mailbox().id, direct.account.id
    count = 2 * changes.RUNS_PER_PART + 1
    direct.apply(AppendMessages(account, inbox, (message(1),) * (2 * count), 0))
    since = noted(direct, CHANGE_ROWS_MAX - 1)
    odd = UidSet.of(range(3, 3 + 2 * count - 2, 2))
    direct.apply(StoreFlags(account, inbox, odd, STORE_ADD, SEEN, (), None))
    with direct.reading() as reader:
        found = reader.changes(direct.mailbox(), since)
    assert found.modseq == direct.mailbox().highest_modseq
    assert found.flagged == odd | uids(1)


@pytest.fixture
def short_log(monkeypatch):
    monkeypatch.setattr(changes, "CHANGES_KEPT", 5)
    monkeypatch.setattr(sweep, "CHANGES_KEPT", 5)


def test_only_expunges_of_old_changes_are_kept(direct, short_log):
    inbox = direct.mailbox().id
    account = direct.account.id
    direct.apply(AppendMessages(account, inbox, (message(1), message(2), message(3, DELETED)), 0))
    for number in range(20):
        mode = STORE_REMOVE if number % 2 else STORE_ADD
        direct.apply(StoreFlags(account, inbox, uids(1), mode, SEEN, (), None))
    direct.apply(ExpungeMessages(account, inbox, uids(3), 0))
    for number in range(8):
        mode = STORE_REMOVE if number % 2 else STORE_ADD
        direct.apply(StoreFlags(account, inbox, uids(2), mode, SEEN, (), None))
    report, _ = direct.apply(sweep.SweepStep(direct.clock.now))
    assert report.change_rows > 0
    assert not report.more
    mailbox = direct.mailbox()
    assert mailbox.changes_from == mailbox.highest_modseq - 5
    with direct.reading() as reader:
        old = reader.changes(mailbox, 1)
        new = reader.changes(mailbox, mailbox.changes_from)
        older = reader.changes(mailbox, mailbox.changes_from - 1)
        since = reader.snapshot.modified(mailbox.id, 1)
    assert (old.complete, older.complete, new.complete) == (False, False, True)
    assert old.expunged == uids(3)
    assert new.flagged == uids(2)
    assert since == uids(1, 2)
    assert direct.check() == []


def expunged_one_by_one(direct, count):
    """Append and expunge messages with the UIDs 1 to `count`; return the MODSEQ before each."""
    inbox, account = direct.mailbox().id, direct.account.id
    direct.apply(AppendMessages(account, inbox, (message(1, DELETED),) * count, 0))
    before = []
    for uid in range(1, count + 1):
        before.append(direct.mailbox().highest_modseq)
        direct.apply(ExpungeMessages(account, inbox, uids(uid), 0))
    return before


@pytest.mark.at_limit("REMEMBERED_EXPUNGES_MAX")
@pytest.mark.past_limit("REMEMBERED_EXPUNGES_MAX")
def test_expunges_are_kept_up_to_the_limit(direct, short_log):
    before = expunged_one_by_one(direct, 20)
    report, _ = direct.apply(sweep.SweepStep(direct.clock.now, expunges_kept=8))
    assert report.change_rows == 13  # 12 expunges and the append
    assert direct.check() == []
    mailbox = direct.mailbox()
    with direct.reading() as reader:
        at_limit = reader.changes(mailbox, before[12])
        past_limit = reader.changes(mailbox, before[11])
    assert mailbox.highest_modseq - before[12] == 8
    assert (at_limit.expunges_complete, past_limit.expunges_complete) == (True, False)
    assert at_limit.expunged == uids(*range(13, 21))


def test_all_expunges_are_kept_without_a_limit(direct, short_log):
    before = expunged_one_by_one(direct, 20)
    direct.apply(sweep.SweepStep(direct.clock.now))
    with direct.reading() as reader:
        found = reader.changes(direct.mailbox(), before[0])
    assert (found.complete, found.expunges_complete) == (False, True)
    assert found.expunged == uids(*range(1, 21))


def test_expunges_are_forgotten_in_steps(direct, short_log, monkeypatch):
    before = expunged_one_by_one(direct, 30)
    monkeypatch.setattr(sweep, "STEP_ROWS", 7)
    after, more = b"", True
    while more:
        step = sweep.SweepStep(direct.clock.now, after, expunges_kept=10)
        report, after = direct.apply(step)
        more = report.more
        assert report.change_rows <= 7
        assert direct.check() == []
    with direct.reading() as reader:
        assert reader.changes(direct.mailbox(), before[20]).expunges_complete
        assert not reader.changes(direct.mailbox(), before[19]).expunges_complete


def test_limit_of_expunges_is_at_least_that_of_other_changes(direct, short_log):
    """The log up to `changes_from` has expunges only, so no more can be forgotten."""
    before = expunged_one_by_one(direct, 20)
    direct.apply(sweep.SweepStep(direct.clock.now, expunges_kept=1))
    assert direct.check() == []
    with direct.reading() as reader:
        assert reader.changes(direct.mailbox(), before[15]).expunges_complete
        assert not reader.changes(direct.mailbox(), before[14]).expunges_complete


def test_counter_of_a_deleted_mailbox_is_removed(direct, short_log):
    account = direct.account.id
    box = direct.apply(CreateMailbox(account, "box", (), subscribe=False, now=0))
    deleted = (message(1, DELETED),) * 20
    direct.apply(AppendMessages(account, box.id, deleted, 0))
    for uid in range(1, 21):
        direct.apply(ExpungeMessages(account, box.id, uids(uid), 0))
    direct.apply(sweep.SweepStep(direct.clock.now, expunges_kept=8))
    counters = direct.group.tables.counters
    with direct.group.env.begin() as txn:
        assert txn.get(forgotten_key(box.id), None, counters) is not None
    direct.apply(DeleteMailbox(account, box.id, 0))
    direct.apply(sweep.SweepStep(direct.clock.now, expunges_kept=8))
    with direct.group.env.begin() as txn:
        assert txn.get(forgotten_key(box.id), None, counters) is None
    assert direct.check() == []


def test_check_finds_and_repairs_a_wrong_number_of_forgotten_expunges(direct):
    inbox = direct.mailbox()
    with direct.group.env.begin(write=True) as txn:
        txn.put(forgotten_key(inbox.id), COUNTER.pack(7), db=direct.group.tables.counters)
        txn.put(forgotten_key(4711), COUNTER.pack(1), db=direct.group.tables.counters)
        txn.put(FORGOTTEN_EXPUNGES + b"x", b"", db=direct.group.tables.counters)
    assert len(direct.check()) == 3
    direct.pool.check(repair=True)
    assert direct.check() == []


def test_long_change_log_is_swept_in_steps(direct, short_log, monkeypatch):
    inbox = direct.mailbox().id
    account = direct.account.id
    direct.apply(AppendMessages(account, inbox, (message(1),), 0))
    for number in range(30):
        mode = STORE_REMOVE if number % 2 else STORE_ADD
        direct.apply(StoreFlags(account, inbox, uids(1), mode, SEEN, (), None))
    monkeypatch.setattr(sweep, "STEP_ROWS", 10)
    steps, after, more = 0, b"", True
    while more:
        report, after = direct.apply(sweep.SweepStep(direct.clock.now, after))
        more, steps = report.more, steps + 1
        assert report.change_rows <= 10
        assert direct.check() == []
    assert steps == 3
    assert direct.mailbox().changes_from == direct.mailbox().highest_modseq - 5


async def test_unchanged_mailbox_is_the_same_object(alice):
    first, second = look(alice).mailbox, look(alice).mailbox
    assert first is second
    await alice.append(first.id, [message(1)])
    assert look(alice).mailbox is not first
