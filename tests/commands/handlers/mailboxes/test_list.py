"""LIST and LSUB over many names, and their limits."""

from functools import partial

import pytest
import trio
from tests.commands.fakes import send

from imapvm.commands.handlers.mailboxes.hierarchy import NAMES_PER_CHUNK, NAMES_PER_READ
from imapvm.model.limits import LIST_PATTERNS_MAX, LIST_WILDCARDS_MAX

MANY = NAMES_PER_READ * 2 + NAMES_PER_CHUNK + 1


@pytest.fixture
async def crowded(signed_in):
    """Account with more names than one read transaction returns."""
    store = signed_in.session.store
    async with trio.open_nursery() as nursery:
        for number in range(MANY):
            create = partial(store.create_mailbox, f"many/{number:05}", subscribe=number % 2 == 0)
            nursery.start_soon(create)
    return signed_in


def names(lines: list[str]) -> list[str]:
    return [line.split(' "/" ')[1] for line in lines if line.startswith("* L")]


async def test_all_names_are_listed_once_in_order(crowded):
    *lines, done = await send(crowded, b'a LIST "" *\r\n')
    assert done.startswith("a OK")
    own = [f"many/{number:05}" for number in range(MANY)]
    expected = ["INBOX", *sorted(["Archive", "Drafts", "Junk", "Sent", "Trash", "many", *own])]
    assert names(lines) == expected


async def test_a_name_that_no_pattern_matches_is_not_listed(crowded):
    lines = await send(crowded, b'a LIST "" (many/%1 nothing)\r\n')
    assert len(names(lines)) == len([number for number in range(MANY) if number % 10 == 1])


async def test_names_above_are_listed_once_for_many_children(crowded):
    lines = await send(crowded, b'a LIST (SUBSCRIBED RECURSIVEMATCH) "" many\r\n')
    assert lines[0] == '* LIST (\\HasChildren) "/" many ("CHILDINFO" ("SUBSCRIBED"))'
    assert len(lines) == 2


async def test_subscribed_names_are_listed_by_lsub(crowded):
    lines = await send(crowded, b'a LSUB "" many/*\r\n')
    assert names(lines) == [f"many/{number:05}" for number in range(0, MANY, 2)]
    lines = await send(crowded, b'a LSUB "" many%\r\n')
    assert lines[0] == '* LSUB (\\Noselect) "/" many'


async def test_status_is_written_after_the_line_of_its_mailbox(crowded):
    lines = await send(crowded, b'a LIST "" many/%0 RETURN (STATUS (MESSAGES))\r\n')
    listed = lines[:-1:2]
    assert names(listed) == [line.split()[2] for line in lines[1:-1:2]]


async def test_a_mailbox_that_is_deleted_meanwhile_is_not_listed(crowded, monkeypatch):
    store = crowded.session.store
    with store.reading() as reader:
        doomed = reader.mailbox("many/00500")
    flush = type(crowded).flush

    async def delete_and_flush(ctx):
        if doomed is not None and "many/00500" not in seen:
            seen.append("many/00500")
            await store.delete_mailbox(doomed.id)
        await flush(ctx)

    seen: list[str] = []
    monkeypatch.setattr(type(crowded), "flush", delete_and_flush)
    monkeypatch.setattr("imapvm.commands.handlers.mailboxes.listing.SEND_BYTES", 1)
    lines = await send(crowded, b'a LIST "" *\r\n')
    assert seen
    assert "many/00500" not in names(lines)
    assert "many/00499" in names(lines)


async def test_select_finds_children_and_subscription_of_its_mailbox(crowded):
    await send(crowded, b"a ENABLE IMAP4rev2\r\n")
    lines = await send(crowded, b"a SELECT many\r\n")
    assert '* LIST (\\HasChildren) "/" many' in lines
    lines = await send(crowded, b"a SELECT many/00002\r\n")
    assert '* LIST (\\Subscribed \\HasNoChildren) "/" many/00002' in lines


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.at_limit("LIST_PATTERNS_MAX")
@pytest.mark.past_limit("LIST_PATTERNS_MAX")
async def test_a_list_has_a_limited_number_of_patterns(signed_in):
    patterns = [b"x%d" % number for number in range(LIST_PATTERNS_MAX)]
    lines = await send(signed_in, b'a LIST "" (' + b" ".join(patterns) + b")\r\n")
    assert lines == ["a OK LIST completed"]
    lines = await send(signed_in, b'a LIST "" (' + b" ".join([*patterns, b"y"]) + b")\r\n")
    assert lines == [f"a NO [LIMIT] more than {LIST_PATTERNS_MAX} patterns in one LIST"]


@pytest.mark.at_limit("LIST_WILDCARDS_MAX")
@pytest.mark.past_limit("LIST_WILDCARDS_MAX")
@pytest.mark.parametrize("command", [b"LIST", b"LSUB"])
@pytest.mark.parametrize("wildcard", [b"%", b"*"])
async def test_patterns_have_a_limited_number_of_wildcards(signed_in, command, wildcard):
    pattern = (wildcard + b"a") * LIST_WILDCARDS_MAX
    lines = await send(signed_in, b'a %b "" %b\r\n' % (command, pattern))
    assert lines == [f"a OK {command.decode()} completed"]
    lines = await send(signed_in, b'a %b "" %b*\r\n' % (command, pattern))
    assert lines == [f"a NO [LIMIT] more than {LIST_WILDCARDS_MAX} wildcards in one command"]


async def test_wildcards_of_all_patterns_and_of_the_reference_count(signed_in):
    patterns = b" ".join([b"%"] * (LIST_WILDCARDS_MAX // 2))
    assert (await send(signed_in, b'a LIST "" (%b)\r\n' % patterns))[-1].startswith("a OK")
    assert (await send(signed_in, b'a LIST "*" (%b)\r\n' % patterns))[-1].startswith("a OK")
    assert (await send(signed_in, b'a LIST "*a*" (%b)\r\n' % patterns))[-1].startswith("a NO [LIM")
