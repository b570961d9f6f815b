"""Limits of keywords, each at the limit and one past it."""

from itertools import combinations as combinations_of
from itertools import islice

import pytest
from tests.filepool.direct import START, look, message, uids

from imapvm._core import STORE_ADD, STORE_REPLACE, UidSet
from imapvm.filepool.errors import LimitError
from imapvm.filepool.operations.append import AppendMessages
from imapvm.filepool.operations.store_flags import StoreFlags
from imapvm.filepool.tables.messages.keyword_cache import KeywordCache, KeywordNames
from imapvm.filepool.tables.schema import KEYWORDS_KEY
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.limits import (
    KEYWORD_MAX,
    KEYWORD_SET_MAX,
    KEYWORD_SETS_BYTES_MAX,
    KEYWORD_SETS_PER_MAILBOX_MAX,
    KEYWORDS_PER_MAILBOX_MAX,
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
    names = [f"k{number}" for number in range(200)]
    pairs = islice(combinations_of(names, 2), count)
    direct.apply(
        *(StoreFlags(account, inbox, uids(1), STORE_REPLACE, 0, pair, None) for pair in pairs)
    )


@pytest.mark.at_limit("KEYWORD_SETS_PER_MAILBOX_MAX")
def test_keyword_sets_of_a_mailbox_at_the_limit_are_accepted(direct):
    combinations(direct, KEYWORD_SETS_PER_MAILBOX_MAX)
    mailbox = direct.mailbox()
    assert mailbox.keyword_sets == KEYWORD_SETS_PER_MAILBOX_MAX
    with direct.reading() as reader:
        text = reader.keyword_text(mailbox, range(1, KEYWORD_SETS_PER_MAILBOX_MAX + 1))
    assert len(set(text.values())) == KEYWORD_SETS_PER_MAILBOX_MAX


@pytest.mark.past_limit("KEYWORD_SETS_PER_MAILBOX_MAX")
def test_keyword_sets_past_the_limit_are_refused_and_existing_ones_can_be_used(direct):
    combinations(direct, KEYWORD_SETS_PER_MAILBOX_MAX)
    account, inbox = direct.account.id, direct.mailbox().id
    for names in (("one", "more"), ("K7", "k8", "k9")):
        with pytest.raises(LimitError, match=str(KEYWORD_SETS_PER_MAILBOX_MAX)):
            direct.apply(StoreFlags(account, inbox, uids(1), STORE_REPLACE, 0, names, None))
    done = direct.apply(StoreFlags(account, inbox, uids(1), STORE_REPLACE, 0, ("K1", "K0"), None))
    assert done.changed == uids(1)
    assert direct.check() == []


@pytest.mark.at_limit("KEYWORDS_PER_MAILBOX_MAX")
@pytest.mark.past_limit("KEYWORDS_PER_MAILBOX_MAX")
async def test_different_keywords_of_a_mailbox_are_limited(alice):
    inbox, archive = look(alice).id, look(alice, "Archive").id
    every = [f"k{number}" for number in range(KEYWORDS_PER_MAILBOX_MAX)]
    for start in range(0, len(every), 50):
        await alice.append(inbox, [message(1, keywords=tuple(every[start : start + 50]))])
    with pytest.raises(LimitError, match=str(KEYWORDS_PER_MAILBOX_MAX)):
        await alice.append(inbox, [message(1, keywords=("k1", "another"))])
    with pytest.raises(LimitError, match=str(KEYWORDS_PER_MAILBOX_MAX)):
        await alice.store_flags(inbox, uids(1), mode=STORE_ADD, flags=0, keywords=("another",))
    await alice.append(archive, [message(1, keywords=("another",))])
    with pytest.raises(LimitError, match=str(KEYWORDS_PER_MAILBOX_MAX)):
        await alice.copy(archive, uids(1), inbox)
    await alice.append(inbox, [message(1, keywords=("K0", "k499"))])  # it has both
    with alice.reading() as reader:
        assert reader.keywords(reader.mailbox("INBOX")) == sorted(every)


def test_messages_with_too_many_keywords_together_are_refused_before_anything_is_written(direct):
    """An operation that fails after it has written makes the writer repeat its whole batch."""
    account, inbox = direct.account.id, direct.mailbox().id
    many = [message(n, keywords=tuple(f"k{n}-{k}" for k in range(50))) for n in range(11)]
    with direct.group.env.begin(write=True) as raw:
        txn = GroupTxn(raw, direct.group.tables, direct.keyword_cache)
        with pytest.raises(LimitError, match=str(KEYWORDS_PER_MAILBOX_MAX)):
            AppendMessages(account, inbox, tuple(many), START).apply(txn)
        assert txn.written == 0
    direct.apply(AppendMessages(account, inbox, tuple(many[:10]), START))
    assert direct.mailbox().keyword_sets == 10


@pytest.mark.past_limit("KEYWORD_SETS_BYTES_MAX")
@pytest.mark.at_limit("KEYWORD_SETS_BYTES_MAX")
def test_bytes_of_all_keyword_sets_of_a_mailbox_are_limited(direct):
    account, inbox = direct.account.id, direct.mailbox().id
    direct.apply(AppendMessages(account, inbox, (message(1),), START))
    names = [f"{number:03}".ljust(KEYWORD_MAX, "x") for number in range(KEYWORDS_PER_MAILBOX_MAX)]
    count = 0
    groups = [tuple(names[at : at + 17]) for at in range(KEYWORDS_PER_MAILBOX_MAX - 17)]
    groups += [(*group[:16], names[0]) for group in groups[2:]]
    with pytest.raises(LimitError, match=str(KEYWORD_SETS_BYTES_MAX)):  # noqa: PT012
        for group in groups:
            direct.apply(StoreFlags(account, inbox, uids(1), STORE_REPLACE, 0, group, None))
            count += 1
    size = len(" ".join(groups[0]))
    assert (count - 1) * size < KEYWORD_SETS_BYTES_MAX <= count * size
    direct.apply(StoreFlags(account, inbox, uids(1), STORE_REPLACE, 0, groups[0], None))


async def test_mailbox_of_an_older_version_shows_keywords_up_to_the_limit(alice, monkeypatch):
    for place in ("filepool.tables.messages.keywords", "filepool.tables.messages.keyword_cache"):
        monkeypatch.setattr(f"imapvm.{place}.KEYWORDS_PER_MAILBOX_MAX", 9)
    inbox = look(alice).id
    await alice.append(inbox, [message(1, keywords=("a", "b", "c", "d", "e", "f", "g", "h", "i"))])
    for place in ("filepool.tables.messages.keywords", "filepool.tables.messages.keyword_cache"):
        monkeypatch.setattr(f"imapvm.{place}.KEYWORDS_PER_MAILBOX_MAX", 4)
    with alice.reading() as reader:
        assert reader.keywords(reader.mailbox("INBOX")) == ["a", "b", "c", "d"]
    await alice.append(inbox, [message(2, keywords=("H",))])
    await alice.store_flags(inbox, uids(1), mode=STORE_REPLACE, flags=0, keywords=("g",))
    with pytest.raises(LimitError):
        await alice.append(inbox, [message(3, keywords=("new",))])
    assert look(alice).keywords == {1: tuple("abcdefghi"), 2: ("h",), 3: ("g",)}


@pytest.mark.at_limit("KEYWORD_CACHES_BYTES_MAX")
@pytest.mark.past_limit("KEYWORD_CACHES_BYTES_MAX")
def test_cache_is_limited_in_bytes_over_all_mailboxes():
    def fill(cache, mailboxes):
        for mailbox in range(mailboxes):
            cache.get(mailbox, 10, lambda key: b"".join(key.hex().encode().split(b" ")) + b" b")

    counting = KeywordCache()
    fill(counting, 4)
    at_limit = KeywordCache(counting._used)
    fill(at_limit, 4)
    assert len(at_limit._mailboxes) == 4
    fill(at_limit, 5)
    assert list(at_limit._mailboxes) == [4]
    assert at_limit._used * 4 == counting._used


def test_estimate_of_the_memory_is_not_too_low():
    import tracemalloc

    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        cache = KeywordCache()
        rows = {
            KEYWORDS_KEY.pack(1, number): " ".join(
                f"keyword-{number * step % 500}" for step in range(1, 1 + number % 20)
            ).encode()
            or b"k"
            for number in range(1, 2001)
        }
        before = tracemalloc.get_traced_memory()[0]
        cache.get(1, 2000, rows.__getitem__)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert used * 0.8 < cache._used < used * 2


async def test_keyword_sets_are_read_again_after_the_cache_was_cleared(alice, pool):
    pool.groups[0]._writer_keyword_cache._limit = 1500
    pool.groups[0].keyword_names._limit = 1500
    names = ("INBOX", "Archive", "Sent", "Trash")
    for round_ in (1, 2):
        for name in names:
            await alice.append(look(alice, name).id, [message(1, keywords=(name, f"r{round_}"))])
    for name in names:
        assert look(alice, name).keywords == {
            1: tuple(sorted((name, "r1"), key=str.lower)),
            2: tuple(sorted((name, "r2"), key=str.lower)),
        }
        with alice.reading() as reader:
            listed = reader.keywords(reader.mailbox(name))
        assert listed == sorted((name, "r1", "r2"), key=str.lower)


class NamesOfMany:
    """Snapshot with mailboxes of one set of keywords each."""

    def __init__(self, keywords):
        self.keywords = keywords
        self.calls = 0

    def keyword_names(self, mailbox, first, last, max_names):
        self.calls += 1
        return [f"{mailbox:06}-{number:03}" for number in range(self.keywords)]


def test_names_are_limited_in_bytes_over_all_mailboxes():
    snapshot, names = NamesOfMany(100), KeywordNames(1 << 20)
    for mailbox in range(1000):
        assert len(names.get(mailbox, 1, snapshot)) == 100
    assert names._used <= 1 << 20 < names._used * 1.1
    assert names._used == sum(known.memory for known in names._mailboxes.values())
    assert snapshot.calls == 1000
    names.get(999, 1, snapshot)
    assert snapshot.calls == 1000
    names.get(0, 1, snapshot)
    assert snapshot.calls == 1001


def test_estimate_of_the_memory_of_names_is_not_too_low():
    import tracemalloc

    snapshot, names = NamesOfMany(300), KeywordNames(1 << 30)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for mailbox in range(50):
            names.get(mailbox, 1, snapshot)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert used * 0.8 < names._used < used * 2


async def test_names_are_listed_in_their_first_spelling_up_to_the_limit(alice, monkeypatch):
    monkeypatch.setattr("imapvm.filepool.tables.messages.keyword_cache.KEYWORDS_PER_MAILBOX_MAX", 4)
    inbox = look(alice).id
    expected = []
    for words, more in ((("b", "A"), ["A", "b"]), (("a", "B"), []), (("C", "b", "d"), ["C", "d"])):
        await alice.append(inbox, [message(1, keywords=words)])
        expected += more
        with alice.reading() as reader:
            assert reader.keywords(reader.mailbox("INBOX")) == sorted(expected, key=str.lower)
    await alice.append(inbox, [message(1, keywords=("e", "a"))])
    with alice.reading() as reader:
        assert reader.keywords(reader.mailbox("INBOX")) == ["A", "b", "C", "d"]


async def test_copy_keeps_keywords_and_uses_existing_sets_of_the_target(alice):
    inbox, archive = look(alice).id, look(alice, "Archive").id
    await alice.append(archive, [message(1, keywords=("BETA", "alpha"))])
    await alice.append(inbox, [message(n, keywords=("Alpha", "beta")[:n]) for n in (1, 2)])
    await alice.copy(inbox, UidSet([(1, 2)]), archive)
    found = look(alice, "Archive")
    assert found.keywords == {1: ("alpha", "BETA"), 2: ("alpha",)}
    assert [record.keyword_set for record in found.records.values()] == [1, 2, 1]
