"""The sweep: expired data is removed in bounded steps, and nothing earlier."""

import pytest
from tests.filepool.direct import START, look, message, message_bytes, uids

from imapvm._core import UidSet
from imapvm.filepool.operations import sweep
from imapvm.filepool.operations.append import AppendMessages
from imapvm.filepool.operations.deliver import DeliverMessage
from imapvm.filepool.operations.mailboxes.mailboxes import CreateMailbox, DeleteMailbox
from imapvm.filepool.operations.sweep import STEP_ROWS, SweepReport, SweepStep
from imapvm.filepool.tables.messages.bodies import GRACE_SECONDS, SweepKind, sweep_key


async def test_sweep_of_a_new_filepool_removes_nothing(pool, alice):
    assert await pool.sweep() == SweepReport()


@pytest.mark.parametrize("rows", [pytest.param(1, marks=pytest.mark.slow), 7, 50, STEP_ROWS])
def test_deleted_mailbox_is_swept_in_bounded_steps(direct, monkeypatch, rows):
    monkeypatch.setattr(sweep, "STEP_ROWS", rows)
    account = direct.account.id
    box = direct.apply(CreateMailbox(account, "big", (), subscribe=False, now=START))
    for start in range(0, 200, 40):
        messages = tuple(message(n, keywords=(f"k{n % 7}",)) for n in range(start, start + 40))
        direct.apply(AppendMessages(account, box.id, messages, START))
    direct.apply(DeleteMailbox(account, box.id, START))
    assert direct.check() == []
    total, steps, after = SweepReport(more=True), 0, b""
    while total.more:
        report, after = direct.apply(SweepStep(START, after))
        total += report
        steps += 1
        assert direct.check() == []
    assert total == SweepReport(mailboxes=1)
    assert steps >= 212 // (rows + 40)
    while (report := direct.apply(SweepStep(START + GRACE_SECONDS))[0]).more:
        assert direct.check() == []
        total += report
    assert (total + report).bodies == 200
    assert direct.pool.check().bodies == 0


async def test_one_sweep_is_bounded_and_reports_that_more_remains(pool, alice, clock, monkeypatch):
    monkeypatch.setattr(sweep, "STEP_ROWS", 5)
    inbox = look(alice).id
    await alice.append(inbox, [message(n, 8) for n in range(200)])
    await alice.expunge(inbox, UidSet([(1, 200)]))
    clock.now += GRACE_SECONDS
    first = await pool.sweep()
    assert first.more
    assert 0 < first.bodies < 200
    total = first
    while total.more:
        total += await pool.sweep()
    assert total.bodies == 200


def test_old_journal_rows_are_removed(direct, monkeypatch):
    monkeypatch.setattr(sweep, "JOURNAL_ROWS_KEPT", 10)
    account, inbox = direct.account.id, direct.mailbox().id
    for number in range(30):
        direct.apply(AppendMessages(account, inbox, (message(number),), START))
    report, _ = direct.apply(SweepStep(START))
    with direct.group.env.begin() as txn:
        assert txn.stat(direct.group.tables.journal)["entries"] == 10
    assert report.journal_rows == 26
    assert direct.check() == []
    assert direct.apply(SweepStep(START))[0].journal_rows == 0


def test_large_body_is_swept_in_several_steps(direct, monkeypatch):
    monkeypatch.setattr(sweep, "STEP_ROWS", 10)
    import os

    from imapvm.filepool.operations.store_flags import ExpungeMessages

    account, inbox = direct.account.id, direct.mailbox().id
    direct.apply(AppendMessages(account, inbox, (message(os.urandom(200_000), 8),), START))
    direct.apply(ExpungeMessages(account, inbox, uids(1), START))
    reports = []
    while not reports or reports[-1].more:
        reports.append(direct.apply(SweepStep(START + GRACE_SECONDS))[0])
        assert direct.check() == []
    assert len(reports) >= 5
    assert sum(report.bodies for report in reports) == 1
    assert direct.pool.check().bodies == 0


def test_deliveries_are_swept_in_the_order_of_time(direct):
    for number in range(5):
        direct.apply(
            DeliverMessage(
                b"%016d" % number,
                ((direct.account.id, "INBOX"),),
                message(message_bytes(number)),
                START + number,
            )
        )
    due = START + 30 * 24 * 3600
    for number in range(5):
        report, _ = direct.apply(SweepStep(due + number))
        assert report.deliveries == 1
    assert direct.check() == []


def test_body_in_use_is_not_swept_even_with_a_row_in_sweep(direct):
    account, inbox = direct.account.id, direct.mailbox().id
    direct.apply(AppendMessages(account, inbox, (message(1),), START))
    with direct.group.env.begin(write=True) as txn:
        for kind in (SweepKind.BODY, SweepKind.STAGED):
            txn.put(sweep_key(START, kind, 1), b"", db=direct.group.tables.sweep)
    direct.apply(SweepStep(START))
    assert direct.check() == []
    with direct.reading() as reader:
        assert reader.body(1, 0, 6) == b"From: "
