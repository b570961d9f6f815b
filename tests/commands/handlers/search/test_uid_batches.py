"""UIDBATCHES (RFC 10022): ranges of a view, made without a store."""

import itertools
import random
import re

import pytest
from tests.commands.fakes import connection, send

from imapvm._core import CommandReader, UidBatches, UidMap, UidSet
from imapvm.commands.context import SelectedContext
from imapvm.commands.handlers.search.uid_batches import uid_batches
from imapvm.commands.outcome import Refusal
from imapvm.model.ids import MailboxId, ModSeq
from imapvm.model.limits import UIDBATCH_MESSAGES_MIN, UIDBATCHES_MESSAGES_MAX
from imapvm.session.view import View


def ranges(uids: UidSet, arguments: str) -> list[tuple[int, int]]:
    """Return the ranges that a command gets for a mailbox."""
    ctx = connection(store=object())
    ctx.session.view = View(MailboxId(1), numbers=UidMap(uids), known_modseq=ModSeq(1))
    reader = CommandReader()
    reader.feed(f"t UIDBATCHES {arguments}\r\n".encode())
    command = reader.next()
    assert isinstance(command, UidBatches)
    uid_batches(SelectedContext(ctx), command)
    line = ctx.out.take().decode()
    found = re.fullmatch(r'\* UIDBATCHES \(TAG "t"\)(?: ([\d:,]+))?\r\n', line)
    assert found is not None, line
    pairs = re.findall(r"(\d+):(\d+)", found[1] or "")
    return [(int(high), int(low)) for high, low in pairs]


def code(uids: UidSet, arguments: str) -> tuple[str | None, bool]:
    with pytest.raises(Refusal) as error:
        ranges(uids, arguments)
    return error.value.code, error.value.bad


def first(count: int) -> UidSet:
    return UidSet([(1, count)]) if count else UidSet()


def test_example():
    """UIDs 2, 4 … 2600; section 3.1."""
    uids = UidSet.of(range(2, 2601, 2))
    assert ranges(uids, "500") == [(2600, 1602), (1601, 602), (601, 1)]
    assert ranges(uids, "500 2:3") == [(1601, 602), (601, 1)]
    assert ranges(uids, "500 2:9") == [(1601, 602), (601, 1)]
    assert ranges(uids, "500 1:1") == [(2600, 1602)]
    assert ranges(uids, "500 4:9") == []
    assert ranges(uids, "2000") == ranges(uids, "4294967295") == [(2600, 1)]
    assert code(uids, "500 3:2") == ("CLIENTBUG", True)
    assert code(uids, "2000 1:60") == ("TOOMANY", False)


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 999, 1000, 1001, 1500])
def test_ranges_have_so_many_messages_and_adjoin(count):
    found = ranges(first(count), "500")
    sizes = [high - low + 1 for high, low in found]
    assert sum(sizes) == count
    assert all(size == 500 for size in sizes[:-1])
    assert len(found) == -(-count // 500)
    assert all(low == high + 1 for (_, low), (high, _) in itertools.pairwise(found))
    assert not found or (found[0][0], found[-1][1]) == (count, 1)


def test_random_mailboxes_are_covered_once():
    dice = random.Random(3)
    for _ in range(50):
        uids = UidSet.of(dice.sample(range(1, 20_000), dice.randint(0, 4000)))
        size = dice.choice([500, 501, 777, 2000, 5000])
        found = ranges(uids, str(size))
        counts = [len(uids & UidSet([(low, high)])) for high, low in found]
        assert sum(counts) == len(uids)
        assert all(count == size for count in counts[:-1])
        assert not counts or counts[-1] <= size
        for batch in range(1, len(found) + 1):
            assert ranges(uids, f"{size} {batch}:{batch}") == [found[batch - 1]]


@pytest.mark.at_limit("UIDBATCH_MESSAGES_MIN")
def test_smallest_batch():
    assert ranges(first(10), str(UIDBATCH_MESSAGES_MIN)) == [(10, 1)]


@pytest.mark.past_limit("UIDBATCH_MESSAGES_MIN")
def test_batches_that_are_smaller_are_refused():
    assert code(first(10), str(UIDBATCH_MESSAGES_MIN - 1)) == ("TOOFEW", False)


@pytest.mark.at_limit("UIDBATCHES_MESSAGES_MAX")
def test_most_messages_of_one_command():
    assert len(ranges(first(UIDBATCHES_MESSAGES_MAX), "500")) == UIDBATCHES_MESSAGES_MAX // 500
    last = UIDBATCHES_MESSAGES_MAX // 500
    more = first(UIDBATCHES_MESSAGES_MAX * 10)
    assert len(ranges(more, f"500 1:{last}")) == last
    assert len(ranges(more, f"500 {last + 1}:{2 * last}")) == last
    assert len(ranges(more, "4294967295")) == 1  # one range is always possible


@pytest.mark.past_limit("UIDBATCHES_MESSAGES_MAX")
def test_more_messages_of_one_command_are_refused():
    more = first(UIDBATCHES_MESSAGES_MAX + 1)
    assert code(more, "500") == ("TOOMANY", False)
    assert code(more, f"500 1:{UIDBATCHES_MESSAGES_MAX // 500 + 1}") == ("TOOMANY", False)
    assert code(more, "4294967295 1:4294967295") == ("TOOMANY", False)


async def test_ranges_are_those_of_counted_messages(signed_in):
    """RFC 10022 section 3.1: a message that has arrived is counted first."""
    await send(signed_in, b"a APPEND INBOX {1+}\r\nx {1+}\r\nx\r\nb SELECT INBOX\r\n")
    store = signed_in.session.store
    with store.reading() as reader:
        mailbox = reader.mailbox("INBOX")
    await store.copy(mailbox.id, UidSet([(1, 2)]), mailbox.id)
    lines = await send(signed_in, b"c UIDBATCHES 500\r\nd UIDBATCHES 500\r\n")
    assert '* UIDBATCHES (TAG "c") 2:1' in lines
    assert '* UIDBATCHES (TAG "d") 4:1' in lines
