"""Updates of a view: which, in which order, with which message numbers."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from tests.session.naive import NaiveClient, NaiveMailbox, flag_names

from imapvm._core import ResponseWriter, UidSet
from imapvm.model.flags import SystemFlag
from imapvm.model.ids import ModSeq
from imapvm.model.limits import EXPUNGE_UPDATES_MAX, FLAG_UPDATES_MAX, UPDATE_BYTES_MAX
from imapvm.session.update_form import UpdateForm
from imapvm.session.view import FLAGS_RENDERED

SEEN, DELETED, FLAGGED = SystemFlag.SEEN, SystemFlag.DELETED, SystemFlag.FLAGGED


def opened(count: int) -> tuple[NaiveMailbox, NaiveClient]:
    mailbox = NaiveMailbox()
    if count:
        mailbox.append(count)
    return mailbox, NaiveClient(mailbox, mailbox.view())


def test_no_change_no_update():
    _, client = opened(3)
    assert client.receive() == ""


def test_order_is_expunge_from_the_highest_then_exists_then_fetch():
    """RFC 9051 sections 7.5.1 and 7.4.1: each number is valid when the client receives it."""
    mailbox, client = opened(5)
    mailbox.store(5, flags=FLAGGED)
    mailbox.expunge(2, 3)
    mailbox.append()
    assert client.receive().splitlines() == [
        "* 3 EXPUNGE",
        "* 2 EXPUNGE",
        "* 4 EXISTS",
        r"* 3 FETCH (UID 5 FLAGS (\Flagged))",
    ]


def test_held_expunges_count_in_exists_and_are_written_later():
    """RFC 9051 section 5.2: the count does not go down without EXPUNGE."""
    mailbox, client = opened(3)
    mailbox.expunge(2)
    mailbox.append()
    assert client.receive(hold_expunges=True) == "* 4 EXISTS"
    assert client.view.expunged == UidSet.of([2])
    assert client.receive() == "* 2 EXPUNGE"
    assert client.agrees()


def test_flags_of_a_held_expunge_are_not_written():
    mailbox, client = opened(3)
    mailbox.store(2, flags=SEEN)
    mailbox.expunge(2)
    assert client.receive(hold_expunges=True) == ""


def test_a_message_appended_and_expunged_between_updates_is_never_counted():
    mailbox, client = opened(1)
    (uid,) = mailbox.append()
    mailbox.expunge(uid)
    assert client.receive() == ""
    assert client.agrees()


def test_a_counted_message_that_is_expunged_gets_an_expunge():
    mailbox, client = opened(1)
    (uid,) = mailbox.append()
    assert client.receive(hold_expunges=True) == "* 2 EXISTS"
    mailbox.expunge(uid)
    assert client.receive(hold_expunges=True) == ""
    assert client.receive() == "* 2 EXPUNGE"


def test_condstore_adds_uid_and_modseq():
    """RFC 7162 section 3.2.4."""
    mailbox, client = opened(2)
    modseq = mailbox.store(2, flags=SEEN)
    expected = rf"* 2 FETCH (UID 2 MODSEQ ({modseq}) FLAGS (\Seen))"
    assert client.receive(modseq=True) == expected


def test_vanished_in_place_of_expunge():
    """RFC 7162 section 3.2.10: UIDs, and no message that was never counted."""
    mailbox, client = opened(5)
    mailbox.append(2)
    mailbox.expunge(2, 3, 5, 6)
    assert client.receive(modseq=True, vanished=True).splitlines() == [
        "* VANISHED 2:3,5",
        "* 3 EXISTS",
    ]
    assert client.view.take_highest_modseq() == mailbox.modseq
    assert client.view.take_highest_modseq() is None
    assert client.agrees()


def test_highest_modseq_after_a_message_that_was_never_counted():
    mailbox, client = opened(1)
    mailbox.append(1)
    client.view.read_changes(mailbox)
    mailbox.expunge(2)
    assert client.receive() == ""
    assert client.view.highest_modseq == mailbox.modseq
    assert client.view.take_highest_modseq() is None


def test_uids_in_place_of_message_numbers():
    """RFC 9586 section 3.3: no UID item, since the UID is in front."""
    mailbox, client = opened(3)
    mailbox.expunge(1)
    modseq = mailbox.store(3, flags=SEEN)
    assert client.receive(vanished=True, uid_fetch=True).splitlines() == [
        "* VANISHED 1",
        r"* 3 UIDFETCH (FLAGS (\Seen))",
    ]
    modseq = mailbox.store(3, flags=0)
    expected = rf"* 3 UIDFETCH (MODSEQ ({modseq}) FLAGS ())"
    assert client.receive(vanished=True, uid_fetch=True, modseq=True) == expected


def test_highest_modseq_is_below_expunges_that_are_held():
    """RFC 7162 section 3.2: a client that loses its connection learns of them afterwards."""
    mailbox, client = opened(3)
    before = mailbox.modseq
    mailbox.expunge(1)
    mailbox.store(2, flags=SEEN)
    client.receive(hold_expunges=True, modseq=True, vanished=True)
    mailbox.store(3, flags=SEEN)
    client.receive(hold_expunges=True, modseq=True, vanished=True)
    assert client.view.highest_modseq == client.view.take_highest_modseq() == before
    assert client.view.take_highest_modseq() == before
    mailbox.expunge(2)
    assert client.receive(modseq=True, vanished=True) == "* VANISHED 1:2"
    assert client.view.highest_modseq == client.view.take_highest_modseq() == mailbox.modseq


def test_highest_modseq_is_not_due_after_other_changes():
    mailbox, client = opened(3)
    mailbox.store(2, flags=SEEN)
    mailbox.append()
    client.receive(modseq=True)
    assert client.view.take_highest_modseq() is None
    assert client.view.highest_modseq == mailbox.modseq


def test_highest_modseq_is_below_new_messages_that_are_due():
    mailbox, client = selected(1)
    before = mailbox.modseq
    mailbox.append()
    out = ResponseWriter()
    client.view.write_updates(
        out,
        mailbox,
        UpdateForm(recent=True, modseq=True),
        hold_expunges=False,
        uid=True,
        hold_exists=True,
    )
    assert client.view.highest_modseq == before
    client.receive(modseq=True)
    assert client.view.highest_modseq == mailbox.modseq


def test_own_changes_need_no_update():
    """RFC 9051 section 6.4.6: STORE has returned the flags, or was .SILENT."""
    mailbox, client = opened(2)
    modseq = mailbox.store(1, flags=SEEN)
    client.view.note_own_change(UidSet.of([1]), ModSeq(modseq))
    assert client.receive() == ""


def test_a_change_by_others_after_an_own_change_is_written():
    mailbox, client = opened(2)
    modseq = mailbox.store(1, flags=SEEN)
    client.view.note_own_change(UidSet.of([1]), ModSeq(modseq))
    mailbox.store(1, flags=SEEN | FLAGGED)
    assert client.receive() == r"* 1 FETCH (UID 1 FLAGS (\Flagged \Seen))"


def test_an_unread_change_by_others_before_an_own_change_is_written():
    """RFC 9051 section 6.4.6, note on .SILENT: no race hides a change by others."""
    mailbox, client = opened(2)
    mailbox.store(1, flags=FLAGGED)
    modseq = mailbox.store(1, flags=FLAGGED | SEEN)
    client.view.note_own_change(UidSet.of([1]), ModSeq(modseq))
    assert client.receive() == r"* 1 FETCH (UID 1 FLAGS (\Flagged \Seen))"


def test_a_change_read_before_an_own_change_is_written_with_the_latest_flags():
    """Only messages that others changed, with their flags now (.SILENT, section 6.4.6)."""
    mailbox, client = opened(3)
    mailbox.store(1, 2, flags=FLAGGED)
    mailbox.append()
    mailbox.expunge(3)
    client.view.read_changes(mailbox)
    modseq = mailbox.store(1, flags=FLAGGED | SEEN)
    client.view.note_own_change(UidSet.of([1]), ModSeq(modseq))
    assert client.receive(hold_expunges=True).splitlines() == [
        "* 4 EXISTS",
        r"* 1 FETCH (UID 1 FLAGS (\Flagged \Seen))",
        r"* 2 FETCH (UID 2 FLAGS (\Flagged))",
    ]
    assert client.receive() == "* 3 EXPUNGE"


def test_a_message_that_was_read_and_then_expunged_is_never_counted():
    mailbox, client = opened(1)
    (uid,) = mailbox.append()
    client.view.read_changes(mailbox)
    mailbox.expunge(uid)
    assert client.receive() == ""
    assert client.agrees()


def test_an_own_store_without_changes_hides_no_update():
    mailbox, client = opened(2)
    mailbox.store(1, flags=FLAGGED)
    client.view.note_own_change(UidSet(), mailbox.modseq)
    assert client.receive() == r"* 1 FETCH (UID 1 FLAGS (\Flagged))"


def test_saved_and_recent_lose_expunged_messages():
    """RFC 9051 section 6.4.4.1, for `$`."""
    mailbox, client = opened(3)
    client.view.saved = UidSet.of([1, 2])
    client.view.recent = UidSet.of([2, 3])
    mailbox.expunge(2)
    client.receive(hold_expunges=True)
    assert client.view.saved == UidSet.of([1, 2])
    client.receive()
    assert client.view.saved == UidSet.of([1])
    assert client.view.recent == UidSet.of([3])


def selected(count: int, **more) -> tuple[NaiveMailbox, NaiveClient]:
    """Return a mailbox in which all messages are claimed."""
    mailbox = NaiveMailbox()
    mailbox.append(count)
    mailbox.recent_from = count + 1
    return mailbox, NaiveClient(mailbox, mailbox.view(**more))


def test_new_messages_are_counted_then_claimed_then_recent():
    """RFC 3501 sections 2.3.2 and 7.3.2; FETCH follows, with the flags of that time."""
    mailbox, client = selected(1)
    mailbox.append(2)
    mailbox.store(1, flags=SEEN)
    assert client.receive(recent=True) == "* 3 EXISTS"
    assert client.view.undecided == UidSet.of([2, 3])
    assert client.view.has_due
    mailbox.store(3, flags=SEEN)
    assert client.receive(recent=True) == ""
    client.view.note_claim(3, 3)  # another session has claimed 2
    mailbox.recent_from = 4
    assert client.receive(recent=True).splitlines() == [
        "* 1 RECENT",
        r"* 1 FETCH (UID 1 FLAGS (\Seen))",
        r"* 3 FETCH (UID 3 FLAGS (\Recent \Seen))",
    ]
    assert client.view.recent == UidSet.of([3])
    assert not client.view.has_due


def test_new_messages_that_others_claimed_need_no_claim():
    mailbox, client = selected(1)
    mailbox.append()
    mailbox.recent_from = 3
    assert client.receive(recent=True).splitlines() == ["* 2 EXISTS", "* 0 RECENT"]
    assert not client.view.undecided


def test_messages_claimed_before_exists_are_recent():
    """APPEND claims in its own transaction."""
    mailbox, client = selected(1)
    mailbox.append(2)
    client.view.note_claim(2, 3)
    mailbox.recent_from = 4
    assert client.receive(recent=True).splitlines() == ["* 3 EXISTS", "* 2 RECENT"]
    assert client.view.recent == UidSet.of([2, 3])


def test_new_messages_are_recent_in_a_read_only_session_without_a_claim():
    mailbox, client = selected(1, read_only=True)
    mailbox.append(2)
    mailbox.recent_from = 3
    assert client.receive(recent=True).splitlines() == ["* 3 EXISTS", "* 1 RECENT"]
    assert client.view.recent == UidSet.of([3])
    assert not client.view.undecided


def test_rev2_has_neither_recent_nor_claims():
    mailbox, client = selected(1)
    mailbox.append()
    assert client.receive(recent=False) == "* 2 EXISTS"
    assert client.view.recent == client.view.undecided == UidSet()


def test_messages_are_recent_if_the_claim_fails():
    """RFC 3501 section 2.3.2: it is unknown which session was notified first."""
    mailbox, client = selected(1)
    mailbox.append()
    client.receive(recent=True)
    client.view.note_claim(None, 2)
    assert client.receive(recent=True) == "* 1 RECENT"
    mailbox.append()  # the next one is claimed alone
    client.receive(recent=True)
    assert client.view.undecided == UidSet.of([3])


def test_messages_that_arrive_during_a_claim_are_counted_after_recent():
    """Or RECENT and FETCH would wait as long as more messages arrive."""
    mailbox, client = selected(1)
    mailbox.append()
    client.receive(recent=True)
    mailbox.append()
    mailbox.store(1, flags=SEEN)
    assert client.receive(recent=True) == ""
    client.view.note_claim(2, 2)
    assert client.receive(recent=True).splitlines() == [
        "* 1 RECENT",
        r"* 1 FETCH (UID 1 FLAGS (\Seen))",
        "* 3 EXISTS",
    ]
    assert client.view.undecided == UidSet.of([3])
    client.view.note_claim(3, 3)
    assert client.receive(recent=True) == "* 2 RECENT"


def test_held_exists_is_due_until_the_next_call():
    mailbox, client = selected(1)
    mailbox.append()
    out = ResponseWriter()
    client.view.write_updates(
        out, mailbox, UpdateForm(recent=True), hold_expunges=False, uid=False, hold_exists=True
    )
    assert out.take() == b""
    assert client.view.has_due
    assert client.receive(recent=True) == "* 2 EXISTS"


def test_recent_follows_the_expunge_of_a_recent_message():
    """RFC 3501 section 7.3.2: the size of the mailbox changes, and so does the count."""
    mailbox, client = selected(3, recent=UidSet.of([2, 3]))
    mailbox.expunge(1)
    assert client.receive(recent=True) == "* 1 EXPUNGE"
    mailbox.expunge(2)
    assert client.receive(recent=True).splitlines() == ["* 1 EXPUNGE", "* 1 RECENT"]
    mailbox.append()
    mailbox.expunge(3)
    mailbox.recent_from = 5
    assert client.receive(recent=True).splitlines() == ["* 1 EXPUNGE", "* 1 EXISTS", "* 0 RECENT"]


def test_message_expunged_during_its_claim_is_not_recent():
    mailbox, client = selected(1)
    mailbox.append()
    client.receive(recent=True)
    mailbox.expunge(2)
    assert client.receive(recent=True).splitlines() == ["* 2 EXPUNGE", "* 0 RECENT"]
    client.view.note_claim(2, 2)
    assert client.receive(recent=True) == ""
    assert client.view.recent == UidSet()


def test_recent_is_among_the_flags_in_rev1_only():
    mailbox, client = opened(1)
    client.view.recent = UidSet.of([1])
    mailbox.store(1, flags=SEEN)
    assert r"\Recent" in client.receive(recent=True)
    mailbox.store(1, flags=0)
    assert r"\Recent" not in client.receive(recent=False)


def test_fetch_has_the_uid_only_if_requested():
    mailbox, client = opened(1)
    mailbox.store(1, flags=SEEN)
    assert client.receive(uid=False) == r"* 1 FETCH (FLAGS (\Seen))"


def test_flags_is_written_again_before_a_new_keyword():
    """RFC 9051 section 7.3.5."""
    mailbox, client = opened(1)
    mailbox.keywords[1] = ("$Junk", "Later")
    mailbox.store(1, flags=0, keyword_set=1)
    assert client.receive().splitlines() == [
        r"* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Junk Later)",
        "* 1 FETCH (UID 1 FLAGS ($Junk Later))",
    ]
    mailbox.keywords[2] = ("later",)  # a new set of known keywords
    mailbox.store(1, flags=SEEN, keyword_set=2)
    assert "* FLAGS" not in client.receive()


def test_a_trimmed_journal_is_replaced_by_the_index():
    mailbox, client = opened(4)
    mailbox.complete = False
    mailbox.expunge(1)
    mailbox.store(3, flags=SEEN)
    mailbox.append(2)
    mailbox.expunge(5)
    assert client.receive().splitlines() == [
        "* 1 EXPUNGE",
        "* 4 EXISTS",
        r"* 2 FETCH (UID 3 FLAGS (\Seen))",
    ]
    assert client.agrees()


def calls_until_written(client: NaiveClient) -> int:
    """Write all updates; return the number of calls it took."""
    calls, more = 0, True
    while more:
        out = ResponseWriter()
        more = client.view.write_updates(
            out, client.mailbox, UpdateForm(), hold_expunges=False, uid=True
        )
        for line in out.take().decode().splitlines():
            client._apply(line)
        calls += 1
    return calls


@pytest.mark.at_limit("FLAG_UPDATES_MAX")
@pytest.mark.past_limit("FLAG_UPDATES_MAX")
@pytest.mark.parametrize(("more", "calls"), [(0, 1), (1, 2)])
def test_many_changed_flags_are_written_in_several_calls(more, calls):
    mailbox, client = opened(FLAG_UPDATES_MAX + more)
    mailbox.store(*(m.uid for m in mailbox.messages), flags=SEEN)
    assert calls_until_written(client) == calls
    assert client.agrees()


@pytest.mark.at_limit("UPDATE_BYTES_MAX")
@pytest.mark.past_limit("UPDATE_BYTES_MAX")
@pytest.mark.parametrize(("more", "calls"), [(-1, 1), (0, 2)])
def test_long_keywords_are_written_in_more_calls(more, calls):
    mailbox, client = opened(2000)
    line = UPDATE_BYTES_MAX // FLAGS_RENDERED + more
    keyword = "k" * (line - len("* 1000 FETCH (UID 1000 FLAGS ())\r\n"))
    mailbox.keywords[1] = (keyword,)
    client.receive()
    mailbox.store(*range(1000, 1000 + 2 * FLAGS_RENDERED), flags=0, keyword_set=1)
    assert calls_until_written(client) == calls
    assert client.flags.count({keyword}) == 2 * FLAGS_RENDERED


@pytest.mark.parametrize("per_read", [1, 2, 5])
def test_many_changes_are_read_in_several_calls(per_read):
    mailbox, client = opened(3)
    mailbox.per_read = per_read
    mailbox.append(2)
    mailbox.store(1, 4, flags=SEEN)
    mailbox.expunge(2, 5)
    assert client.view.read_changes(mailbox) == (per_read < 3)
    assert client.view.has_due
    client.receive()
    assert not client.view.has_due
    assert not client.view.read_changes(mailbox)
    assert client.agrees()


@pytest.mark.at_limit("EXPUNGE_UPDATES_MAX")
@pytest.mark.past_limit("EXPUNGE_UPDATES_MAX")
@pytest.mark.parametrize(("more", "calls"), [(0, 1), (1, 2)])
def test_many_expunges_are_written_in_several_calls(more, calls):
    mailbox, client = opened(EXPUNGE_UPDATES_MAX + more + 1)
    mailbox.expunge(*range(2, EXPUNGE_UPDATES_MAX + more + 2))
    mailbox.append()
    assert calls_until_written(client) == calls
    assert client.agrees()


FLAGS = st.sampled_from([0, SEEN, FLAGGED, DELETED | SEEN])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 3), FLAGS),
        st.tuples(st.just("expunge"), st.integers(0, 9), st.integers(0, 9)),
        st.tuples(st.just("store"), st.integers(0, 9), FLAGS),
        st.tuples(st.just("own store"), st.integers(0, 9), FLAGS),
        st.tuples(st.just("trim"), st.just(0), st.just(0)),
        st.tuples(st.just("receive"), st.booleans(), st.booleans()),
        st.tuples(st.just("read"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=300)
@given(
    start=st.integers(0, 4),
    steps=STEPS,
    per_read=st.sampled_from([1, 2, 1000]),
    form=st.sampled_from(
        [
            {},
            {"modseq": True, "uid": True},
            {"modseq": True, "vanished": True, "uid": True},
            {"vanished": True, "uid_fetch": True},
            {"modseq": True, "vanished": True, "uid_fetch": True},
        ]
    ),
)
def test_after_random_changes_the_client_agrees_with_the_mailbox(start, steps, per_read, form):
    """Against the model: after the last update numbers, UIDs and flags are the mailbox's."""
    mailbox, client = opened(start)
    mailbox.per_read = per_read
    for step, one, two in steps:
        uids = [m.uid for m in mailbox.messages]
        at = uids[one % len(uids)] if uids and step != "append" else None
        match step:
            case "append":
                mailbox.append(one, flags=two)
            case "expunge" if at is not None:
                mailbox.expunge(at, uids[two % len(uids)])
            case "store" if at is not None:
                mailbox.store(at, flags=two)
            case "own store":
                # A command names counted messages only, and the client has its result.
                known = sorted(set(client.view.numbers.uids) & set(uids))
                if known:
                    uid = known[one % len(known)]
                    modseq = mailbox.store(uid, flags=two)
                    client.view.note_own_change(UidSet.of([uid]), ModSeq(modseq))
                    place = list(client.view.numbers.uids).index(uid)
                    client.uids[place], client.flags[place] = uid, flag_names(two)
            case "trim":
                mailbox.complete = not mailbox.complete
            case "read":
                client.view.read_changes(mailbox)
            case "receive":
                client.receive(**{"hold_expunges": bool(one), "uid": bool(two)} | form)
                assert_complete_up_to(client, client.view.highest_modseq)
            case _:
                pass
    client.receive(**form)
    assert client.agrees()
    assert client.view.highest_modseq == mailbox.modseq


def assert_complete_up_to(client: NaiveClient, modseq: ModSeq) -> None:
    """Assert that the client needs no change up to HIGHESTMODSEQ (RFC 7162 section 3.2)."""
    mailbox = client.mailbox
    before = {(kind, uid) for at, kind, uid in mailbox.log if at <= modseq}
    counted = set(client.view.numbers.uids)
    assert not {uid for uid in counted if ("expunged", uid) in before}
    existing = {m.uid for m in mailbox.messages}
    assert {uid for uid in existing if ("appended", uid) in before} <= counted


def test_a_view_is_synced_by_a_response_only_if_no_change_is_due():
    mailbox, client = opened(3)
    view = client.view
    view.note_synced(mailbox, 7)
    assert view.synced == 7
    modseq = mailbox.store(2, flags=SEEN)
    view.note_synced(mailbox, 8)
    assert view.synced == 7  # the change is not read
    view.note_own_change(UidSet.of([2]), modseq)
    view.note_synced(mailbox, 8)
    assert view.synced == 8
    mailbox.expunge(3)
    view.read_changes(mailbox)
    view.note_synced(mailbox, 9)
    assert view.synced == 8  # EXPUNGE is due
