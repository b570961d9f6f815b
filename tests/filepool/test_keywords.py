"""Limits of keywords, each at the limit and one past it."""

import pytest
from tests.filepool.direct import START, look, message, uids

from imapvm._core import STORE_ADD, STORE_REPLACE, UidSet
from imapvm.filepool.errors import LimitError
from imapvm.filepool.operations.append import AppendMessages
from imapvm.filepool.operations.store_flags import StoreFlags
from imapvm.model.limits import (
    KEYWORD_MAX,
    KEYWORD_SET_MAX,
    KEYWORD_SETS_PER_MAILBOX_MAX,
    KEYWORDS_PER_MESSAGE_MAX,
)


def keywords(count: int, size: int) -> tuple[str, ...]:
    """Return different keywords that have `size` bytes when joined by spaces."""
    names = [f"{number:03}" for number in range(count)]
    remaining = size - (count - 1) - 3 * count
    for number in range(count):
        more = min(remaining, KEYWORD_MAX - 3)
        names[number] += "x" * more
        remaining -= more
    assert len(" ".join(names)) == size
    return tuple(names)


AT_LIMIT = [
    pytest.param(("k" * KEYWORD_MAX,), id="long"),
    pytest.param(keywords(KEYWORDS_PER_MESSAGE_MAX, 1000), id="many"),
    pytest.param(keywords(20, KEYWORD_SET_MAX), id="bytes"),
    pytest.param(("a", "A", "b") * 100, id="the same"),
]
PAST_LIMIT = [
    pytest.param(("k" * (KEYWORD_MAX + 1),), str(KEYWORD_MAX), id="long"),
    pytest.param(
        keywords(KEYWORDS_PER_MESSAGE_MAX + 1, 1000), str(KEYWORDS_PER_MESSAGE_MAX), id="many"
    ),
    pytest.param(keywords(20, KEYWORD_SET_MAX + 1), str(KEYWORD_SET_MAX), id="bytes"),
]


@pytest.mark.at_limit("KEYWORD_MAX", "KEYWORDS_PER_MESSAGE_MAX", "KEYWORD_SET_MAX")
@pytest.mark.parametrize("names", AT_LIMIT)
async def test_keywords_at_a_limit_are_accepted(alice, names):
    inbox = look(alice).id
    await alice.append(inbox, [message(1, keywords=names), message(2)])
    await alice.store_flags(inbox, uids(2), mode=STORE_ADD, flags=0, keywords=names)
    found = look(alice)
    assert {len(found.keywords[r.keyword_set]) for r in found.records.values()} == {
        len({name.lower() for name in names})
    }


@pytest.mark.past_limit("KEYWORD_MAX", "KEYWORDS_PER_MESSAGE_MAX", "KEYWORD_SET_MAX")
@pytest.mark.parametrize(("names", "match"), PAST_LIMIT)
async def test_keywords_past_a_limit_are_refused(alice, names, match):
    inbox = look(alice).id
    await alice.append(inbox, [message(1, keywords=names[1:])])
    with pytest.raises(LimitError, match=match):
        await alice.append(inbox, [message(1, keywords=names)])
    for mode, more in ((STORE_REPLACE, names), (STORE_ADD, names[:1])):
        with pytest.raises(LimitError, match=match):
            await alice.store_flags(inbox, uids(1), mode=mode, flags=1, keywords=more)
    assert look(alice).mailbox.unseen == 1


def combinations(direct, count: int) -> None:
    """Store `count` keyword sets in the mailbox."""
    account, inbox = direct.account.id, direct.mailbox().id
    direct.apply(AppendMessages(account, inbox, (message(1),), START))
    direct.apply(
        *(
            StoreFlags(account, inbox, uids(1), STORE_REPLACE, 0, (f"k{number}",), None)
            for number in range(count)
        )
    )


@pytest.mark.at_limit("KEYWORD_SETS_PER_MAILBOX_MAX")
def test_keyword_sets_of_a_mailbox_at_the_limit_are_accepted(direct):
    combinations(direct, KEYWORD_SETS_PER_MAILBOX_MAX)
    mailbox = direct.mailbox()
    assert mailbox.keyword_sets == KEYWORD_SETS_PER_MAILBOX_MAX
    with direct.reading() as reader:
        assert len(reader.keywords(mailbox)) == KEYWORD_SETS_PER_MAILBOX_MAX


@pytest.mark.past_limit("KEYWORD_SETS_PER_MAILBOX_MAX")
def test_keyword_sets_past_the_limit_are_refused_and_existing_ones_can_be_used(direct):
    combinations(direct, KEYWORD_SETS_PER_MAILBOX_MAX)
    account, inbox = direct.account.id, direct.mailbox().id
    for names in (("one", "more"), ("K7", "k8")):
        with pytest.raises(LimitError, match=str(KEYWORD_SETS_PER_MAILBOX_MAX)):
            direct.apply(StoreFlags(account, inbox, uids(1), STORE_REPLACE, 0, names, None))
    done = direct.apply(StoreFlags(account, inbox, uids(1), STORE_REPLACE, 0, ("K7",), None))
    assert done.changed == uids(1)
    assert direct.check() == []


async def test_keyword_sets_are_read_again_after_the_cache_was_cleared(alice, monkeypatch):
    monkeypatch.setattr("imapvm.filepool.tables.keyword_cache.CACHED_MAILBOXES_MAX", 2)
    names = ("INBOX", "Archive", "Sent", "Trash")
    for round_ in (1, 2):
        for name in names:
            await alice.append(look(alice, name).id, [message(1, keywords=(name, f"r{round_}"))])
    for name in names:
        assert look(alice, name).keywords == {
            1: tuple(sorted((name, "r1"), key=str.lower)),
            2: tuple(sorted((name, "r2"), key=str.lower)),
        }


async def test_copy_keeps_keywords_and_uses_existing_sets_of_the_target(alice):
    inbox, archive = look(alice).id, look(alice, "Archive").id
    await alice.append(archive, [message(1, keywords=("BETA", "alpha"))])
    await alice.append(inbox, [message(n, keywords=("Alpha", "beta")[:n]) for n in (1, 2)])
    await alice.copy(inbox, UidSet([(1, 2)]), archive)
    found = look(alice, "Archive")
    assert found.keywords == {1: ("alpha", "BETA"), 2: ("alpha",)}
    assert [record.keyword_set for record in found.records.values()] == [1, 2, 1]
