"""ESEARCH (RFC 7377): filters against a model, and searches of many mailboxes."""

import random
import re

import pytest
from tests.commands.fakes import send

from imapvm._core import UidSet
from imapvm.commands.handlers.search import multi_search, results
from imapvm.model.limits import ESEARCH_NAMES_MAX
from imapvm.model.names import DELIMITER

NAMES = ("INBOX", "INBOX/a", "a", "a/b", "a/b/c", "a/bc", "ab", "b", "B", "é")


@pytest.fixture
async def mailboxes(signed_in):
    """Mailboxes with one message each, of which every third is subscribed."""
    for place, name in enumerate(NAMES):
        await send(signed_in, b"a CREATE %b\r\n" % name.encode())
        verb = b"SUBSCRIBE" if place % 3 == 0 else b"UNSUBSCRIBE"
        await send(signed_in, b"b %b %b\r\n" % (verb, name.encode()))
        await send(signed_in, b"c APPEND %b {1+}\r\nx\r\n" % name.encode())
    return signed_in


async def searched(ctx, sources: str, keys: str = "ALL") -> list[str]:
    lines = await send(ctx, f"t ENABLE UTF8=ACCEPT\r\nu ESEARCH IN ({sources}) {keys}\r\n".encode())
    text = "\n".join(lines)
    assert "u OK" in text, text
    return [name.strip('"') for name in re.findall(r"MAILBOX (\S+) UIDVALIDITY", text)]


def is_wanted(name: str, word: str, given: str, subscribed: bool) -> bool:
    match word:
        case "personal":
            return True
        case "inboxes":
            return name == "INBOX"
        case "subscribed":
            return subscribed
        case "mailboxes":
            return name == given
        case "subtree":
            return (name + DELIMITER).startswith(given + DELIMITER)
    return name == given or name.rpartition(DELIMITER)[0] == given


async def test_filters_select_as_a_model(mailboxes):
    dice = random.Random(7)
    words = ("inboxes", "subscribed", "mailboxes", "subtree", "subtree-one", "personal")
    for _ in range(120):
        filters = [
            (word, dice.choice([*NAMES, "none"]))
            for word in dice.choices(words, weights=(1, 1, 3, 3, 3, 1), k=dice.randint(1, 3))
        ]
        sources = " ".join(
            f'{word} "{name}"' if word in words[2:5] else word for word, name in filters
        )
        expected = [
            name
            for place, name in enumerate(NAMES)
            if any(is_wanted(name, word, given, place % 3 == 0) for word, given in filters)
        ]
        assert sorted(await searched(mailboxes, sources)) == sorted(expected), sources


async def test_names_are_read_in_batches(mailboxes, monkeypatch):
    everything = await searched(mailboxes, "personal")
    for size in (1, 2, 9, 10, 11):
        monkeypatch.setattr(multi_search, "NAMES_PER_READ", size)
        assert await searched(mailboxes, "personal") == everything


async def test_a_mailbox_that_is_deleted_meanwhile_is_left_out(mailboxes, monkeypatch):
    opened = multi_search._open

    def delete_first(ctx, mailbox):
        found = opened(ctx, mailbox)
        if found is not None and found[0].name == "a/b":
            writer = ctx.store
            with writer.reading() as reader:
                assert reader.mailbox("a/b") is not None
            monkeypatch.setattr(type(found[1]), "mailbox_row", gone)
        else:
            monkeypatch.undo()
            monkeypatch.setattr(multi_search, "_open", delete_first)
        return found

    def gone(self, reader):
        raise multi_search.Refusal("selected mailbox was deleted", code="NONEXISTENT")

    monkeypatch.setattr(multi_search, "_open", delete_first)
    found = await searched(mailboxes, "personal")
    assert "a/b" not in found
    assert {"a", "b", "a/b/c"} <= set(found)


@pytest.mark.parametrize("returns", ["", "RETURN (COUNT) ", "RETURN (PARTIAL 2:30 MIN) "])
async def test_a_long_result_is_the_same_as_a_short_one(signed_in, monkeypatch, returns):
    messages = b"".join(
        b" %b{1+}\r\nx" % (b"(\\Seen) " if number % 3 == 0 else b"") for number in range(40)
    )
    await send(signed_in, b"a APPEND INBOX%b\r\n" % messages)
    command = b"t ESEARCH IN (personal) %bNOT SEEN\r\n" % returns.encode()
    expected = await send(signed_in, command)
    for module in (multi_search, results):
        monkeypatch.setattr(module, "RESULT_NUMBERS", 3)
    assert await send(signed_in, command) == expected


@pytest.mark.at_limit("ESEARCH_NAMES_MAX")
@pytest.mark.past_limit("ESEARCH_NAMES_MAX")
async def test_names_of_one_command_are_limited(mailboxes):
    names = " ".join(["a"] * (ESEARCH_NAMES_MAX - 1))
    assert await searched(mailboxes, f"subtree-one b mailboxes ({names})") == ["a", "b"]
    lines = await send(mailboxes, f"t ESEARCH IN (mailboxes ({names} a b)) ALL\r\n".encode())
    assert lines == ["t NO [LIMIT] more than 1000 mailboxes in one ESEARCH"]


async def test_selected_mailbox_stays_as_it_was(mailboxes):
    await send(mailboxes, b"a SELECT INBOX\r\nb SEARCH RETURN (SAVE) ALL\r\n")
    view = mailboxes.session.view
    before = (view.numbers, view.recent, view.saved)
    await searched(mailboxes, "personal")
    assert mailboxes.session.view is view
    assert (view.numbers, view.recent, view.saved) == before
    assert view.saved == UidSet([(1, 1)])
