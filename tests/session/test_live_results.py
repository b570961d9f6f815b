"""Results of searches with UPDATE: limits, and steps of the search."""

import pytest
from tests.session.naive import NaiveMailbox

from imapvm._core import CommandReader, CorruptError, ResponseWriter, Search, UidSet
from imapvm.model.limits import CONTEXT_MEMBERS_MAX, CONTEXTS_MAX
from imapvm.session.live_results import AGE_SECONDS, SEARCHED, LiveResult, LiveResults

SCATTERED = UidSet.of(range(1, 2 * CONTEXT_MEMBERS_MAX, 2))
"""As many ranges as a session may have."""


def program(keys: str):
    reader = CommandReader()
    reader.feed(f"a SEARCH {keys}\r\n".encode())
    event = reader.next()
    assert isinstance(event, Search)
    assert event.program is not None
    return event.program


def result(keys: str = "FLAGGED", uids: UidSet | None = None, now: float = 0) -> LiveResult:
    head = b'ESEARCH (TAG "a") UID'
    return LiveResult(program(keys), head=head, uid=True, uids=uids or UidSet(), now=now)


class Scanned:
    """Mailbox in which all messages of some UIDs match."""

    keys = 1

    def __init__(self, matching: UidSet) -> None:
        self.matching = matching
        self.scans: list[UidSet] = []

    def bind(self, program, messages):
        return self

    def scan(self, bound, uids):
        self.scans.append(uids)
        return uids & self.matching, ()


def step(live: LiveResults, source, uids: UidSet) -> bytes:
    out = ResponseWriter()
    numbers = NaiveMailbox().uid_map().appended(uids)
    live.step(out, source, numbers=numbers, expunged=UidSet(), recent=UidSet())
    return out.take()


@pytest.mark.at_limit("CONTEXTS_MAX")
@pytest.mark.past_limit("CONTEXTS_MAX")
def test_number_of_results_is_limited():
    live = LiveResults(lambda: 0)
    for number in range(CONTEXTS_MAX):
        assert live.add(b"a%d" % number, result()) is None
    assert live.add(b"b", result()) == f"more than {CONTEXTS_MAX} searches with UPDATE"
    assert b"b" not in live
    live.cancel(b"a0")
    assert live.add(b"b", result()) is None


@pytest.mark.at_limit("CONTEXT_MEMBERS_MAX")
@pytest.mark.past_limit("CONTEXT_MEMBERS_MAX")
def test_messages_of_all_results_are_limited():
    live = LiveResults(lambda: 0)
    one = UidSet.of([1])
    assert live.add(b"a", result(uids=SCATTERED - one)) is None
    assert live.add(b"b", result(uids=one)) is None
    reason = f"more than {CONTEXT_MEMBERS_MAX} messages in searches with UPDATE"
    assert live.add(b"c", result(uids=one)) == reason
    assert live.add(b"c", result("UID 7")) == reason  # ranges in the keys count
    assert live.add(b"c", result()) is None


def test_a_result_that_grows_past_the_limit_ends_with_noupdate():
    """RFC 5267 section 4.3.1: the other results are still updated."""
    live = LiveResults(lambda: 0)
    live.add(b"a", result(uids=SCATTERED))
    live.add(b"b", result())
    new = UidSet.of([2 * CONTEXT_MEMBERS_MAX + 3])
    live.note_changed(new)
    sent = step(live, Scanned(new), new)
    assert sent.startswith(b'* ESEARCH (TAG "a") UID ADDTO (0 500003)\r\n* NO [NOUPDATE "a"] ')
    assert b"a" not in live
    assert step(live, Scanned(new), new) == b'* ESEARCH (TAG "a") UID ADDTO (0 500003)\r\n'
    assert not live.has_due


def test_corrupt_data_ends_updates():
    class Corrupt(Scanned):
        def scan(self, bound, uids):
            raise CorruptError("a segment")

    live = LiveResults(lambda: 0)
    live.add(b"a", result())
    new = UidSet.of([1])
    live.note_changed(new)
    assert step(live, Corrupt(new), new).startswith(b'* NO [NOUPDATE "a"] cannot update: ')
    assert not live


def test_only_changed_messages_are_searched_and_few_in_a_step():
    every = UidSet([(1, 10 * SEARCHED)])
    live = LiveResults(lambda: 0)
    live.add(b"a", result())
    source = Scanned(every)
    changed = UidSet([(5, 2 * SEARCHED + 5)])
    live.note_changed(changed)
    steps = 0
    while live.has_due:
        step(live, source, every)
        steps += 1
    assert steps == 3
    assert [len(uids) for uids in source.scans] == [SEARCHED, SEARCHED, 1]
    assert source.scans[0] | source.scans[1] | source.scans[2] == changed


def test_many_keys_make_steps_shorter():
    live = LiveResults(lambda: 0)
    live.add(b"a", result())
    source = Scanned(UidSet())
    source.keys = 8192
    live.note_changed(UidSet([(1, SEARCHED)]))
    step(live, source, UidSet([(1, SEARCHED)]))
    assert len(source.scans[0]) == 128


def test_messages_are_compared_with_the_clock_once_a_minute():
    """RFC 5032 section 2 allows a delay."""
    now = 1000.0
    live = LiveResults(lambda: now)
    live.add(b"a", result("OLDER 60", now=now))
    live.add(b"b", result(now=now))
    uids = UidSet([(1, 3)])
    numbers = NaiveMailbox().uid_map().appended(uids)
    now += AGE_SECONDS - 1
    assert not live.ages
    now += 1
    assert live.ages
    live.start_aging(numbers)
    assert not live.ages
    source = Scanned(UidSet.of([2]))
    sent = b""
    while live.has_due:
        sent += step(live, source, uids)
    assert sent == b'* ESEARCH (TAG "a") UID ADDTO (0 2)\r\n'
    assert source.scans == [uids, UidSet.of([2])]  # the dates of all, the keys of one
