"""What a client is told, in which order, and with which numbers."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from tests.session.naive import NaiveClient, NaiveMailbox, flag_names

from imapvm._core import UidSet
from imapvm.model.flags import SystemFlag
from imapvm.model.ids import ModSeq
from imapvm.model.limits import ANNOUNCED_EXPUNGES_MAX, ANNOUNCED_FLAGS_MAX

SEEN, DELETED, FLAGGED = SystemFlag.SEEN, SystemFlag.DELETED, SystemFlag.FLAGGED


def opened(count: int) -> tuple[NaiveMailbox, NaiveClient]:
    mailbox = NaiveMailbox()
    if count:
        mailbox.append(count)
    return mailbox, NaiveClient(mailbox, mailbox.view())


def test_nothing_is_said_where_nothing_happened():
    _, client = opened(3)
    assert client.hear() == ""


def test_expunges_go_from_the_highest_then_exists_then_fetch():
    """RFC 9051 sections 7.5.1 and 7.4.1: each number is one the client counts to by then."""
    mailbox, client = opened(5)
    mailbox.store(5, flags=FLAGGED)
    mailbox.expunge(2, 3)
    mailbox.append()
    assert client.hear().splitlines() == [
        "* 3 EXPUNGE",
        "* 2 EXPUNGE",
        "* 4 EXISTS",
        r"* 3 FETCH (UID 5 FLAGS (\Flagged))",
    ]


def test_held_expunges_are_counted_by_exists_and_told_later():
    """RFC 9051 section 5.2: the count does not go down without EXPUNGE."""
    mailbox, client = opened(3)
    mailbox.expunge(2)
    mailbox.append()
    assert client.hear(hold_expunges=True) == "* 4 EXISTS"
    assert client.view.expunged == UidSet.of([2])
    assert client.hear() == "* 2 EXPUNGE"
    assert client.agrees()


def test_flags_of_a_held_expunge_are_not_told():
    mailbox, client = opened(3)
    mailbox.store(2, flags=SEEN)
    mailbox.expunge(2)
    assert client.hear(hold_expunges=True) == ""


def test_a_message_that_came_and_went_untold_is_never_told():
    mailbox, client = opened(1)
    (uid,) = mailbox.append()
    mailbox.expunge(uid)
    assert client.hear() == ""
    assert client.agrees()


def test_a_message_that_was_told_and_then_went_is_told_to_be_gone():
    mailbox, client = opened(1)
    (uid,) = mailbox.append()
    assert client.hear(hold_expunges=True) == "* 2 EXISTS"
    mailbox.expunge(uid)
    assert client.hear(hold_expunges=True) == ""
    assert client.hear() == "* 2 EXPUNGE"


def test_own_changes_are_not_told_again():
    """RFC 9051 section 6.4.6: STORE has answered, or .SILENT did not want to know."""
    mailbox, client = opened(2)
    modseq = mailbox.store(1, flags=SEEN)
    client.view.note_own_change(UidSet.of([1]), ModSeq(modseq))
    assert client.hear() == ""


def test_what_others_change_after_an_own_change_is_told():
    mailbox, client = opened(2)
    modseq = mailbox.store(1, flags=SEEN)
    client.view.note_own_change(UidSet.of([1]), ModSeq(modseq))
    mailbox.store(1, flags=SEEN | FLAGGED)
    assert client.hear() == r"* 1 FETCH (UID 1 FLAGS (\Flagged \Seen))"


def test_what_others_changed_unheard_before_an_own_change_is_told():
    """The note on .SILENT in RFC 9051 section 6.4.6: no race hides a foreign change."""
    mailbox, client = opened(2)
    mailbox.store(1, flags=FLAGGED)
    modseq = mailbox.store(1, flags=FLAGGED | SEEN)
    client.view.note_own_change(UidSet.of([1]), ModSeq(modseq))
    assert client.hear() == r"* 1 FETCH (UID 1 FLAGS (\Flagged \Seen))"


def test_what_was_learnt_before_an_own_change_is_told_with_the_flags_after_it():
    """Only what others changed, and as it is now: .SILENT leaves no doubt (section 6.4.6)."""
    mailbox, client = opened(3)
    mailbox.store(1, 2, flags=FLAGGED)
    mailbox.append()
    mailbox.expunge(3)
    client.view.read_changes(mailbox)
    modseq = mailbox.store(1, flags=FLAGGED | SEEN)
    client.view.note_own_change(UidSet.of([1]), ModSeq(modseq))
    assert client.hear(hold_expunges=True).splitlines() == [
        "* 4 EXISTS",
        r"* 1 FETCH (UID 1 FLAGS (\Flagged \Seen))",
        r"* 2 FETCH (UID 2 FLAGS (\Flagged))",
    ]
    assert client.hear() == "* 3 EXPUNGE"


def test_a_message_that_was_learnt_and_then_went_is_never_told():
    mailbox, client = opened(1)
    (uid,) = mailbox.append()
    client.view.read_changes(mailbox)
    mailbox.expunge(uid)
    assert client.hear() == ""
    assert client.agrees()


def test_an_own_store_that_changed_nothing_hides_nothing():
    mailbox, client = opened(2)
    mailbox.store(1, flags=FLAGGED)
    client.view.note_own_change(UidSet(), mailbox.modseq)
    assert client.hear() == r"* 1 FETCH (UID 1 FLAGS (\Flagged))"


def test_saved_and_recent_follow_expunges():
    """RFC 9051 section 6.4.4.1: `$` holds no message that is gone."""
    mailbox, client = opened(3)
    client.view.saved = UidSet.of([1, 2])
    client.view.recent = UidSet.of([2, 3])
    mailbox.expunge(2)
    client.hear(hold_expunges=True)
    assert client.view.saved == UidSet.of([1, 2])
    client.hear()
    assert client.view.saved == UidSet.of([1])
    assert client.view.recent == UidSet.of([3])


def test_arrivals_are_recent_in_rev1_and_not_in_rev2():
    mailbox, client = opened(1)
    mailbox.append()
    assert client.hear(recent=True).splitlines() == ["* 2 EXISTS", "* 1 RECENT"]
    assert client.view.recent == UidSet.of([2])
    assert client.view.unclaimed_recent
    mailbox.append()
    assert client.hear(recent=False) == "* 3 EXISTS"
    assert client.view.recent == UidSet.of([2])


def test_recent_is_among_the_flags_in_rev1_only():
    mailbox, client = opened(1)
    client.view.recent = UidSet.of([1])
    mailbox.store(1, flags=SEEN)
    assert r"\Recent" in client.hear(recent=True)
    mailbox.store(1, flags=0)
    assert r"\Recent" not in client.hear(recent=False)


def test_uid_stands_in_fetch_only_where_it_is_asked_for():
    mailbox, client = opened(1)
    mailbox.store(1, flags=SEEN)
    assert client.hear(uid=False) == r"* 1 FETCH (FLAGS (\Seen))"


def test_flags_is_said_again_before_a_keyword_that_is_new():
    """RFC 9051 section 7.3.5."""
    mailbox, client = opened(1)
    mailbox.keywords[1] = ("$Junk", "Later")
    mailbox.store(1, flags=0, keyword_set=1)
    assert client.hear().splitlines() == [
        r"* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Junk Later)",
        "* 1 FETCH (UID 1 FLAGS ($Junk Later))",
    ]
    mailbox.keywords[2] = ("later",)  # a new set of keywords that are known
    mailbox.store(1, flags=SEEN, keyword_set=2)
    assert "* FLAGS" not in client.hear()


def test_a_trimmed_log_is_made_good_from_the_index():
    mailbox, client = opened(4)
    mailbox.complete = False
    mailbox.expunge(1)
    mailbox.store(3, flags=SEEN)
    mailbox.append(2)
    mailbox.expunge(5)
    assert client.hear().splitlines() == [
        "* 1 EXPUNGE",
        "* 4 EXISTS",
        r"* 2 FETCH (UID 3 FLAGS (\Seen))",
    ]
    assert client.agrees()


def announcements(client: NaiveClient) -> int:
    """How many calls it takes until there is no more to say."""
    from imapvm._core import ResponseWriter

    calls, more = 0, True
    while more:
        out = ResponseWriter()
        more = client.view.write_updates(
            out, client.mailbox, hold_expunges=False, uid=True, recent=False
        )
        for line in out.take().decode().splitlines():
            client._understand(line)
        calls += 1
    return calls


@pytest.mark.at_limit("ANNOUNCED_FLAGS_MAX")
@pytest.mark.past_limit("ANNOUNCED_FLAGS_MAX")
@pytest.mark.parametrize(("more", "calls"), [(0, 1), (1, 2)])
def test_many_changed_flags_are_told_in_portions(more, calls):
    mailbox, client = opened(ANNOUNCED_FLAGS_MAX + more)
    mailbox.store(*(m.uid for m in mailbox.messages), flags=SEEN)
    assert announcements(client) == calls
    assert client.agrees()


@pytest.mark.at_limit("ANNOUNCED_EXPUNGES_MAX")
@pytest.mark.past_limit("ANNOUNCED_EXPUNGES_MAX")
@pytest.mark.parametrize(("more", "calls"), [(0, 1), (1, 2)])
def test_many_expunges_are_told_in_portions(more, calls):
    mailbox, client = opened(ANNOUNCED_EXPUNGES_MAX + more + 1)
    mailbox.expunge(*range(2, ANNOUNCED_EXPUNGES_MAX + more + 2))
    mailbox.append()
    assert announcements(client) == calls
    assert client.agrees()


FLAGS = st.sampled_from([0, SEEN, FLAGGED, DELETED | SEEN])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 3), FLAGS),
        st.tuples(st.just("expunge"), st.integers(0, 9), st.integers(0, 9)),
        st.tuples(st.just("store"), st.integers(0, 9), FLAGS),
        st.tuples(st.just("own store"), st.integers(0, 9), FLAGS),
        st.tuples(st.just("trim"), st.just(0), st.just(0)),
        st.tuples(st.just("hear"), st.booleans(), st.booleans()),
        st.tuples(st.just("read"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=300)
@given(start=st.integers(0, 4), steps=STEPS)
def test_whatever_happens_the_client_ends_with_the_mailbox(start, steps):
    """Against a list: after the last announcement numbers, UIDs and flags are the mailbox's."""
    mailbox, client = opened(start)
    for what, one, two in steps:
        uids = [m.uid for m in mailbox.messages]
        at = uids[one % len(uids)] if uids and what != "append" else None
        match what:
            case "append":
                mailbox.append(one, flags=two)
            case "expunge" if at is not None:
                mailbox.expunge(at, uids[two % len(uids)])
            case "store" if at is not None:
                mailbox.store(at, flags=two)
            case "own store":
                # A command: only what the client counts can be named, and its answer is known.
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
            case "hear":
                client.hear(hold_expunges=bool(one), uid=bool(two))
            case _:
                pass
    client.hear()
    assert client.agrees()
