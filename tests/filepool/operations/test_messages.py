"""Messages: APPEND, STORE, EXPUNGE, COPY, MOVE."""

import random

import pytest
from tests.filepool.direct import START, look, message, message_bytes, received, records, uids

from imapvm._core import SEGMENT_RECORDS, STORE_ADD, STORE_REMOVE, STORE_REPLACE, UidSet
from imapvm.filepool.errors import LimitError, MessageGoneError, NoSuchAccountError
from imapvm.filepool.operations.append import AppendMessages
from imapvm.model.flags import SystemFlag
from imapvm.model.ids import UID_MAX

SEEN, DELETED, DRAFT = SystemFlag.SEEN.value, SystemFlag.DELETED.value, SystemFlag.DRAFT.value


async def test_appended_message_is_stored_unchanged(alice, clock):
    inbox = look(alice).id
    data = message_bytes(1)
    done = await alice.append(inbox, [message(data, SEEN | DRAFT, ("$Label1",), date=-86_400)])
    found = look(alice)
    assert (done.uids, done.modseq) == (uids(1), 2)
    assert done.uid_validity == found.mailbox.uid_validity
    record = found.records[1]
    assert (record.size, record.flags, record.modseq) == (len(data), SEEN | DRAFT, 2)
    assert (record.date, record.zone, record.saved) == (-86_400, 60, clock.now)
    assert found.keywords[record.keyword_set] == ("$Label1",)
    assert (found.mailbox.messages, found.mailbox.unseen, found.mailbox.size) == (1, 0, len(data))
    with alice.reading() as reader:
        assert reader.body(record.body, 0, len(data)) == data
        assert reader.snapshot.metadata(record.body)


async def test_messages_are_appended_all_or_none(alice):
    inbox = look(alice).id
    with pytest.raises(LimitError):
        await alice.append(inbox, [message(1), message(2, keywords=("x" * 101,))])
    assert look(alice).mailbox.uid_next == 1
    done = await alice.append(inbox, [message(n) for n in range(1, 101)])
    assert done.uids == UidSet([(1, 100)])
    found = look(alice)
    assert {record.modseq for record in found.records.values()} == {2}
    assert found.changes.appended == done.uids


async def test_appending_no_messages_changes_nothing(alice):
    inbox = look(alice)
    assert not (await alice.append(inbox.id, [])).uids
    assert look(alice).mailbox == inbox.mailbox


@pytest.mark.parametrize("at_once", [3, 20, SEGMENT_RECORDS, 200])
def test_two_segments_share_a_page(direct, at_once):
    """In mailboxes that grow at the same time, too."""
    account = direct.account.id
    mailboxes = [direct.mailbox(name).id for name in ("INBOX", "Drafts", "Sent")]
    new = (message(),) * at_once
    for _ in range(20 * SEGMENT_RECORDS // at_once):
        direct.apply(*(AppendMessages(account, each, new, START) for each in mailboxes))
    with direct.group.env.begin() as txn:
        stat = txn.stat(direct.group.tables.index)
    assert stat["entries"] >= 3 * 18
    assert stat["leaf_pages"] <= stat["entries"] / 2 + len(mailboxes)
    assert not direct.check()


async def test_segments_are_filled_before_new_ones_start(alice):
    inbox = look(alice).id
    for _ in range(SEGMENT_RECORDS + 2):
        await alice.append(inbox, [message(1)])
    with alice.reading() as reader:
        segments = reader.segments(look(alice).mailbox)
        last = reader.segments(look(alice).mailbox, uids(SEGMENT_RECORDS + 2, 4_000_000_000))
    assert len(segments) == 2
    assert last == segments[1:]


@pytest.mark.parametrize(
    ("mode", "flags", "keywords", "expected"),
    [
        (STORE_ADD, DELETED, ("new", "OLD"), (SEEN | DELETED, {"old", "both", "new"})),
        (STORE_REMOVE, SEEN, ("BOTH", "never"), (0, {"old"})),
        (STORE_REPLACE, DRAFT, ("new",), (DRAFT, {"new"})),
        (STORE_REPLACE, 0, (), (0, set())),
    ],
)
async def test_store_changes_flags_and_keywords(alice, mode, flags, keywords, expected):
    inbox = look(alice).id
    await alice.append(inbox, [message(1, SEEN, ("old", "both")), message(2)])
    done = await alice.store_flags(inbox, uids(1, 9), mode=mode, flags=flags, keywords=keywords)
    found = look(alice)
    assert (done.changed, done.refused, done.modseq) == (uids(1), uids(), 3)
    record = found.records[1]
    names = set(found.keywords[record.keyword_set]) if record.keyword_set else set()
    assert (record.flags, names) == expected
    assert record.modseq == found.mailbox.highest_modseq == 3
    assert found.records[2].modseq == 2
    assert found.changes.flagged == uids()  # a new message is sent with its flags
    with alice.reading() as reader:
        assert reader.changes(found.mailbox, 2).flagged == uids(1)


async def test_store_of_existing_flags_changes_no_modseq(alice):
    inbox = look(alice).id
    await alice.append(inbox, [message(1, SEEN, ("a",))])
    done = await alice.store_flags(inbox, uids(1), mode=STORE_ADD, flags=SEEN, keywords=("A",))
    assert (done.changed, done.modseq) == (uids(), 2)
    assert look(alice).mailbox.highest_modseq == 2


async def test_store_skips_messages_changed_since(alice):
    inbox = look(alice).id
    for number in range(1, 5):  # MODSEQ 2 to 5
        await alice.append(inbox, [message(number)])
    done = await alice.store_flags(
        inbox, uids(1, 2, 3, 4), mode=STORE_REPLACE, flags=SEEN, keywords=(), unchanged_since=3
    )
    assert (done.changed, done.refused) == (uids(1, 2), uids(3, 4))
    assert look(alice).mailbox.unseen == 2


FLAGGED = SystemFlag.FLAGGED.value


@pytest.mark.parametrize(
    ("mode", "flags", "keywords", "refused"),
    [
        (STORE_ADD, FLAGGED, (), {2, 3}),  # is set: perhaps since then
        (STORE_ADD, DELETED, (), {4}),
        (STORE_ADD, FLAGGED | DELETED, (), {2, 3, 4}),
        (STORE_ADD, 0, ("A",), {3}),
        (STORE_ADD, 0, ("b", "other"), {3, 4}),
        (STORE_ADD, SEEN, ("A",), {3}),
        (STORE_REMOVE, FLAGGED, (), {4}),
        (STORE_REMOVE, 0, ("a",), {2, 4}),
        (STORE_REMOVE, FLAGGED, ("a", "B"), {2, 4}),
        (STORE_REMOVE, SEEN, (), {2, 3, 4}),  # is not set
        (STORE_REPLACE, SEEN, (), {2, 3, 4}),
        (STORE_ADD, 0, (), set()),
    ],
)
async def test_store_of_other_flags_than_were_changed_is_not_refused(
    alice, mode, flags, keywords, refused
):
    inbox = look(alice).id
    await alice.append(inbox, [message(1), message(2), message(3), message(4)])
    for changed, bits, names in [
        (uids(2, 3), FLAGGED, ()), (uids(3), 0, ("a", "b")), (uids(4), DELETED, ("b",))
    ]:  # fmt: skip
        await alice.store_flags(inbox, changed, mode=STORE_ADD, flags=bits, keywords=names)
    done = await alice.store_flags(
        inbox, uids(1, 2, 3, 4), mode=mode, flags=flags, keywords=keywords, unchanged_since=2
    )
    assert done.refused == UidSet.of(refused)


async def test_store_unchanged_since_zero_tests_the_presence_of_keywords(alice):
    """System flags are always present (RFC 7162 section 3.1.3, before example 7)."""
    inbox = look(alice).id
    await alice.append(inbox, [message(1, 0, ("a",)), message(2)])
    for mode, flags, keywords, refused in [
        (STORE_ADD, SEEN, (), {1, 2}),
        (STORE_REMOVE, SEEN, (), {1, 2}),
        (STORE_REMOVE, 0, ("a",), {1}),
        (STORE_ADD, 0, ("a",), {1}),
        (STORE_ADD, 0, ("a",), {1, 2}),
        (STORE_REPLACE, 0, ("c",), {1, 2}),
    ]:
        done = await alice.store_flags(
            inbox, uids(1, 2), mode=mode, flags=flags, keywords=keywords, unchanged_since=0
        )
        assert done.refused == UidSet.of(refused), (mode, flags, keywords)


async def test_keyword_keeps_its_first_spelling_in_the_mailbox(alice):
    inbox = look(alice).id
    await alice.append(inbox, [message(1, 0, ("$Forwarded",)), message(2, 0, ("$FORWARDED", "b"))])
    await alice.append(inbox, [message(3, 0, ("B", "$forwarded"))])
    found = look(alice)
    assert found.keywords == {1: ("$Forwarded",), 2: ("$Forwarded", "b")}
    assert [found.records[uid].keyword_set for uid in (1, 2, 3)] == [1, 2, 2]
    with alice.reading() as reader:
        assert reader.keyword_text(found.mailbox, (1, 2)) == {1: b"$Forwarded", 2: b"$Forwarded b"}


async def test_expunge_removes_only_deleted_messages_of_the_uid_set(alice):
    inbox = look(alice).id
    flags = [DELETED if number % 2 else 0 for number in range(1, 101)]
    await alice.append(inbox, [message(1, flag) for flag in flags])
    before = look(alice).mailbox
    done = await alice.expunge(inbox, UidSet([(11, 20), (90, 4_294_967_295)]))
    assert done.uids == uids(11, 13, 15, 17, 19, 91, 93, 95, 97, 99)
    found = look(alice)
    assert found.uids == UidSet([(1, 100)]) - done.uids
    assert (found.mailbox.messages, found.mailbox.deleted, found.mailbox.unseen) == (90, 40, 90)
    assert done.modseq == found.mailbox.highest_modseq == before.highest_modseq + 1
    assert found.changes.expunged == done.uids
    again = await alice.expunge(inbox, done.uids)
    assert (again.uids, again.modseq) == (uids(), done.modseq)


async def test_index_is_dense_and_ordered_after_any_expunge(alice):
    inbox = look(alice).id
    dice = random.Random(5)
    await alice.append(inbox, [message(1) for _ in range(700)])
    left = set(range(1, 701))
    while left:
        gone = set(dice.sample(sorted(left), min(len(left), 40)))
        await alice.store_flags(inbox, UidSet.of(gone), mode=STORE_ADD, flags=DELETED, keywords=())
        assert (await alice.expunge(inbox, UidSet([(1, 700)]))).uids == UidSet.of(gone)
        left -= gone
        with alice.reading() as reader:
            mailbox = reader.mailbox("INBOX")
            assert [record.uid for record in records(reader, mailbox)] == sorted(left)
            assert len(reader.segments(mailbox)) <= 1 + len(left) // (SEGMENT_RECORDS // 6)
            some = UidSet.of(dice.sample(sorted(left), min(len(left), 7)))
            assert [record.uid for record in records(reader, mailbox, some)] == list(some)


@pytest.mark.parametrize(
    ("left", "segments"), [((19, 8), 1), ((20, 8), 2), ((35, 8), 2), ((19, 9), 2), ((1, 1), 1)]
)
async def test_sparse_segment_is_joined_to_the_previous_one_if_that_has_room(alice, left, segments):
    inbox = look(alice).id
    await alice.append(inbox, [message(1) for _ in range(2 * SEGMENT_RECORDS)])
    assert SEGMENT_RECORDS == 35
    gone = UidSet([(left[0] + 1, 35)] if left[0] < 35 else []) | UidSet([(36 + left[1], 70)])
    await alice.store_flags(inbox, gone, mode=STORE_ADD, flags=DELETED, keywords=())
    await alice.expunge(inbox, gone)
    with alice.reading() as reader:
        mailbox = reader.mailbox("INBOX")
        assert len(reader.segments(mailbox)) == segments
        assert len(records(reader, mailbox)) == sum(left)


async def test_uids_are_not_reused_after_expunge(alice):
    inbox = look(alice).id
    await alice.append(inbox, [message(1, DELETED)])
    await alice.expunge(inbox, uids(1))
    assert (await alice.append(inbox, [message(2)])).uids == uids(2)


async def test_copy_shares_the_body_and_keeps_flags_and_dates(alice, clock):
    inbox, archive = look(alice).id, look(alice, "Archive").id
    await alice.append(inbox, [message(n, SEEN, ("k", str(n))) for n in (1, 2, 3)])
    clock.now += 100
    done = await alice.copy(inbox, uids(1, 3, 77), archive)
    assert (done.source, done.copies) == (uids(1, 3), uids(1, 2))
    source, target = look(alice), look(alice, "Archive")
    assert done.uid_validity == target.mailbox.uid_validity
    for old, new in zip(done.source, done.copies, strict=True):
        was, now = source.records[old], target.records[new]
        assert (now.body, now.thread, now.date, now.zone) == (was.body, was.thread, was.date, 60)
        assert (now.flags, now.size, now.saved) == (SEEN, was.size, clock.now)
        assert target.keywords[now.keyword_set] == source.keywords[was.keyword_set]
    assert len(source.records) == 3
    with alice.reading() as reader:
        assert reader.usage().messages == 5
        assert reader.usage().size == sum(
            r.size for found in (source, target) for r in found.records.values()
        )


async def test_copy_as_a_whole_is_refused_if_a_message_was_expunged(alice):
    inbox, archive = look(alice).id, look(alice, "Archive").id
    await alice.append(inbox, [message(n) for n in (1, 2, 3)])
    for some in (uids(2, 4), uids(4), UidSet([(1, 4)])):
        with pytest.raises(MessageGoneError):
            await alice.copy(inbox, some, archive, whole=True)
    assert not look(alice, "Archive").records
    done = await alice.copy(inbox, uids(1, 3), archive, whole=True)
    assert (done.source, done.copies) == (uids(1, 3), uids(1, 2))


async def test_move_removes_the_messages_in_the_same_transaction(alice):
    inbox, archive = look(alice).id, look(alice, "Archive").id
    await alice.append(inbox, [message(n, DELETED) for n in range(1, 61)])
    body = look(alice).records[60].body
    done = await alice.move(inbox, UidSet([(31, 99)]), archive)
    source, target = look(alice), look(alice, "Archive")
    assert (done.source, done.copies) == (UidSet([(31, 60)]), UidSet([(1, 30)]))
    assert source.uids == UidSet([(1, 30)])
    assert source.changes.expunged == done.source
    assert target.changes.appended == done.copies
    assert target.records[30].body == body
    assert (source.mailbox.deleted, target.mailbox.deleted) == (30, 30)
    with alice.reading() as reader:
        assert reader.usage().messages == 60


@pytest.mark.parametrize("move", [False, True])
async def test_copy_and_move_to_the_same_mailbox(alice, move):
    inbox = look(alice).id
    await alice.append(inbox, [message(n) for n in range(1, 81)])
    bodies = {uid: record.body for uid, record in look(alice).records.items()}
    everything_from_3 = UidSet([(3, 4_294_967_295)])  # not including the copies
    done = await (alice.move if move else alice.copy)(inbox, everything_from_3, inbox)
    assert (done.source, done.copies) == (UidSet([(3, 80)]), UidSet([(81, 158)]))
    found = look(alice)
    kept = {1, 2} if move else set(range(1, 81))
    assert set(found.uids) == kept | set(done.copies)
    assert [found.records[uid].body for uid in done.copies] == [bodies[u] for u in done.source]


@pytest.mark.parametrize("move", [False, True])
async def test_copying_unknown_uids_changes_nothing(alice, move):
    inbox, archive = look(alice), look(alice, "Archive")
    done = await (alice.move if move else alice.copy)(inbox.id, UidSet([(1, 9)]), archive.id)
    assert (done.source, done.copies) == (uids(), uids())
    assert look(alice).mailbox == inbox.mailbox
    assert look(alice, "Archive").mailbox == archive.mailbox


def test_mailbox_without_uids_left_refuses_messages(direct):
    inbox = direct.mailbox()
    group, tables = direct.group, direct.group.tables

    class Exhaust:
        def apply(self, txn):
            row = txn.mailbox(direct.account.id, inbox.id)
            txn.edit(row)
            row.uid_next = UID_MAX - 1

    def append(*messages):
        return direct.apply(AppendMessages(direct.account.id, inbox.id, messages, START))

    direct.apply(Exhaust())
    with pytest.raises(LimitError, match="UID"):
        append(message(1), message(2))
    assert append(message(1)).uids == uids(UID_MAX - 1)
    with pytest.raises(LimitError, match="UID"):
        append(message(2))
    assert group.tables is tables
    assert direct.check() == []


async def test_operations_of_a_deleted_account_are_refused(alice, pool):
    inbox = look(alice).id
    await pool.accounts.delete(alice.account.id)
    for attempt in (
        alice.append(inbox, [message(1)]),
        alice.create_mailbox("x"),
        alice.subscribe("x"),
        alice.rename_mailbox("INBOX", "x"),
    ):
        with pytest.raises(NoSuchAccountError):
            await attempt
    with alice.reading() as reader, pytest.raises(NoSuchAccountError):
        reader.usage()


async def test_replies_are_in_the_same_thread(alice, pool):
    def answer(number, *to):
        return message_bytes(number, answers=to)

    inbox, archive = look(alice).id, look(alice, "Archive").id
    for data in (answer(1), answer(3, 1, 2), answer(2, 1), answer(9), answer(4, 7), answer(7)):
        await alice.append(inbox, [received(alice, data)])
    await alice.copy(inbox, uids(1), archive)
    threads = [record.thread for record in look(alice).records.values()]
    assert threads[0] == threads[1] == threads[2] == look(alice, "Archive").records[1].thread
    assert threads[4] == threads[5]
    assert len(set(threads)) == 3
    bob = pool.account(await pool.accounts.enroll("bob", "x"))
    await bob.append(look(bob).id, [received(bob, answer(1))])
    assert look(bob).records[1].thread not in threads


async def test_reply_to_two_threads_is_in_the_nearest_and_does_not_join_them(alice):
    inbox = look(alice).id
    for data in (
        message_bytes(1),
        message_bytes(2),
        message_bytes(3, answers=(1, 2)),
        message_bytes(4, answers=(1,)),
    ):
        await alice.append(inbox, [received(alice, data)])
    first, second, both, later = (record.thread for record in look(alice).records.values())
    assert first != second == both
    assert later == first


async def test_each_message_without_ids_is_a_thread(alice):
    inbox = look(alice).id
    await alice.append(inbox, [message(b"Subject: x\r\n\r\n"), message(b"Subject: x\r\n\r\n")])
    first, second = look(alice).records.values()
    assert first.thread != second.thread
