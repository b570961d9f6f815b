"""Resynchronisation of QRESYNC clients: against the truth, with lost connections and a short log.

RFC 7162 sections 3.2.5, 3.2.6 and 6.
"""

import re
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import lmdb
import pytest
import trio
from hypothesis import example, given, settings
from tests.commands.fakes import connection, send

from imapvm._core import SequenceSet, UidMap, UidSet
from imapvm.commands.handlers import select
from imapvm.commands.handlers.fetch import changes_since
from imapvm.commands.handlers.resync import last_match
from imapvm.filepool import reading
from imapvm.filepool.errors import StoreUnavailableError
from imapvm.filepool.operations import sweep
from imapvm.filepool.pool import create_filepool, open_filepool
from imapvm.filepool.tables.schema import FORGOTTEN_EXPUNGES, GroupTables

FLAGS = (r"\Seen", r"\Flagged", r"\Deleted", "$Work")
MESSAGE = b"APPEND INBOX {4+}\r\nA: b"
LOG_KEPT, EXPUNGES_KEPT = 4, 6


def expand(text: str) -> list[int]:
    """Return the numbers of a set without `*`."""
    parts = (part.partition(":") for part in text.split(","))
    return [n for one, _, end in parts for n in range(int(one), int(end or one) + 1)]


class Client:
    """Client that follows RFC 7162 section 6; `cache` and `modseq` survive its connections."""

    def __init__(self, store) -> None:
        self.store = store
        self.cache: dict[int, frozenset[str]] = {}
        self.modseq = 0
        self.uid_validity = 0
        self.counted: list[int | None] = []
        """UIDs by message number, None until they are received."""
        self.ctx = None
        self.complete_to = 0
        """Highest UID of the cache before SELECT: all messages up to it are in the cache."""
        self.earlier: list[int] = []
        """UIDs of VANISHED (EARLIER) in the last command."""
        self._tags = 0

    async def do(self, command: str) -> list[str]:
        """Send a command, apply the responses, and note the new HIGHESTMODSEQ."""
        self._tags += 1
        lines = await send(self.ctx, f"q{self._tags} {command}\r\n".encode())
        self.earlier = []
        highest, code = self.modseq, None
        for line in lines:
            if found := re.search(r"\[HIGHESTMODSEQ (\d+)\]", line):
                code = int(found[1])
            if line.startswith("* "):
                highest = max(highest, self._apply(line))
        assert lines[-1].startswith((f"q{self._tags} OK", f"q{self._tags} NO")), lines
        # With the code even if FETCH had higher ones (RFC 7162 section 6).
        self.modseq = highest if code is None else code
        return lines

    async def select(self, *, known: bool, matches: bool) -> list[str]:
        self.ctx = connection(store=self.store)
        await send(self.ctx, b"e ENABLE QRESYNC\r\n")
        self.counted = []
        self.complete_to = max(self.cache, default=0)
        parameter = ""
        if self.modseq:
            uids = ",".join(map(str, sorted(self.cache)))
            numbers = f" (1:{len(self.cache)} {uids})" if matches and uids else ""
            known_uids = f" {uids}" if known and uids else ""
            parameter = f" (QRESYNC ({self.uid_validity} {self.modseq}{known_uids}{numbers}))"
        lines = await self.do(f"SELECT INBOX{parameter}")
        (validity,) = (re.search(r"UIDVALIDITY (\d+)", line) for line in lines if "UIDVAL" in line)
        self.uid_validity = int(validity[1])
        return lines

    async def fetch_new(self) -> None:
        """Fetch new messages; then all UIDs are known, and with them their numbers.

        SELECT (QRESYNC) has sent the flags of some, those that changed after `modseq`.
        """
        await self.do(f"UID FETCH {self.complete_to + 1}:* (FLAGS)")
        assert len(self.cache) == len(self.counted)
        self.counted = [*sorted(self.cache)]

    def drop(self) -> None:
        """Lose the connection; keep messages before the first one whose UID was not received."""
        if None in self.counted:
            known = self.counted[: self.counted.index(None)]
            last = max((uid for uid in known if uid is not None), default=0)
            self.cache = {uid: flags for uid, flags in self.cache.items() if uid <= last}
        self.ctx, self.counted = None, []

    def _apply(self, line: str) -> int:
        """Apply a response; return its MODSEQ, or 0."""
        if found := re.fullmatch(r"\* (\d+) EXISTS", line):
            self.counted += [None] * (int(found[1]) - len(self.counted))
        elif found := re.fullmatch(r"\* VANISHED \(EARLIER\) ([\d,:]+)", line):
            self.earlier += expand(found[1])
            for uid in expand(found[1]):
                assert uid not in self.counted
                self.cache.pop(uid, None)
        elif found := re.fullmatch(r"\* VANISHED ([\d,:]+)", line):
            for uid in expand(found[1]):
                self.cache.pop(uid, None)
                self._remove(uid)
        elif found := re.fullmatch(r"\* (\d+) FETCH \((.*)\)", line):
            return self._apply_fetch(int(found[1]), found[2])
        else:
            assert "EXPUNGE" not in line
        return 0

    def _remove(self, uid: int) -> None:
        """Remove a counted message; if its UID is not known yet, one before the next known UID."""
        if uid in self.counted:
            self.counted.remove(uid)
            return
        above = (n for n, other in enumerate(self.counted) if other is not None and other > uid)
        assert self.counted.pop(next(above, len(self.counted)) - 1) is None

    def _apply_fetch(self, number: int, items: str) -> int:
        uid = int(re.search(r"UID (\d+)", items)[1])
        assert self.counted[number - 1] in (None, uid)
        self.counted[number - 1] = uid
        if found := re.search(r"FLAGS \((.*?)\)", items):
            self.cache[uid] = frozenset(found[1].split()) - {r"\Recent"}
        found = re.search(r"MODSEQ \((\d+)\)", items)
        return int(found[1]) if found else 0


@asynccontextmanager
async def two_sessions():
    """Yield a pool, a client, and a session of another client in the same mailbox."""
    with TemporaryDirectory() as folder:
        create_filepool(Path(folder) / "pool")
        async with open_filepool(Path(folder) / "pool") as pool:
            store = pool.account(await pool.accounts.enroll("alice", "x"))
            other = connection(store=store)
            await send(other, b"o SELECT INBOX\r\n")
            yield pool, Client(store), other


async def truth(store) -> dict[int, frozenset[str]]:
    """Return UIDs and flags of INBOX, as a new session fetches them."""
    ctx = connection(store=store)
    await send(ctx, b"t EXAMINE INBOX\r\n")
    lines = await send(ctx, b"t UID FETCH 1:* (FLAGS)\r\n")
    found = (re.search(r"UID (\d+) FLAGS \((.*?)\)", line) for line in lines)
    return {int(f[1]): frozenset(f[2].split()) - {r"\Recent"} for f in found if f}


OTHERS = ("append", "store", "expunge", "sweep")
OWN = (
    "noop",
    "fetch",
    "own store",
    "conditional store",
    "search",
    "uid search",
    "own expunge",
    "drop",
    "resync",
)
NUMBER = st.integers(0, 7)
STEPS = st.lists(
    st.tuples(st.sampled_from(OTHERS), NUMBER, NUMBER)
    | st.tuples(st.sampled_from(OTHERS), NUMBER, NUMBER)
    | st.tuples(st.sampled_from(OWN), NUMBER, NUMBER),
    min_size=12,
    max_size=40,
)


async def act(step: str, one: int, two: int, client: Client, other, pool) -> None:
    """Run one step of the example."""
    flag = FLAGS[two % len(FLAGS)]
    sign = "+" if one % 2 else "-"
    online = client.ctx is not None
    uids = sorted(client.cache)
    uid = uids[one % len(uids)] if uids else 1
    match step:
        case "append":
            await send(other, b"o %b\r\n" % MESSAGE)
        case "store":
            await send(
                other, f"o UID STORE {1 + one}:{1 + one + two} {sign}FLAGS ({flag})\r\n".encode()
            )
        case "expunge":
            await send(
                other, f"o UID STORE {1 + one},{2 * two + 1} +FLAGS (\\Deleted)\r\n".encode()
            )
            await send(other, b"o EXPUNGE\r\n")
        case "sweep":
            await pool.sweep(expunges_kept=3)
        case "noop" if online:
            await client.do("NOOP")
        case "fetch" if online and client.counted:
            await client.do("FETCH 1:* (UID FLAGS MODSEQ)")
        case "own store" if online:
            await client.do(f"UID STORE {uid} {sign}FLAGS ({flag})")
        case "conditional store" if online and client.counted:
            await client.do(f"STORE 1:* (UNCHANGEDSINCE {client.modseq}) {sign}FLAGS ({flag})")
        case "search" if online:
            await client.do(f"SEARCH MODSEQ {1 + two}")
        case "uid search" if online and client.counted:
            await client.do(f"UID SEARCH 1 {'UNSEEN' if two % 2 else 'SEEN'}")
        case "own expunge" if online:
            await client.do("EXPUNGE")
        case "drop":
            client.drop()
        case "resync":
            client.drop()
            await client.select(known=bool(one % 2), matches=bool(two % 2))
            await client.fetch_new()
            assert client.cache == await truth(client.store)
        case _:
            pass


@pytest.fixture
def short_log(monkeypatch):
    monkeypatch.setattr(sweep, "CHANGES_KEPT", LOG_KEPT)


def resynchronise(steps) -> None:
    """Run an example with a short log, and resynchronise at its end."""

    async def run() -> None:
        async with two_sessions() as (pool, client, other):
            await prepared(client, other, 8)
            for step in [*steps, ("resync", 1, 0)]:
                await act(*step, client, other, pool)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "CHANGES_KEPT", 2)
        trio.run(run)


@settings(max_examples=15, deadline=None)
@given(steps=STEPS)
# SELECT sends the last message, which is new, and not those before it.
@example(
    [
        *[("append", 0, 0)] * 2,
        ("store", 1, 0),
        ("noop", 0, 0),
        ("append", 0, 0),
        ("resync", 0, 0),
    ]
)
# VANISHED names a message after one with a known UID, which is after one without.
@example(
    [
        *[("append", 0, 0)] * 3,
        ("noop", 0, 0),
        ("store", 9, 0),
        ("noop", 0, 0),
        ("expunge", 10, 0),
        ("noop", 0, 0),
    ]
)
def test_client_agrees_with_the_mailbox_after_each_resynchronisation(steps):
    """Against the truth; connections are lost between any two commands."""
    resynchronise(steps)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(steps=STEPS)
def test_client_agrees_with_the_mailbox_after_many_resynchronisations(steps):
    resynchronise(steps)


async def prepared(client: Client, other, count: int) -> int:
    """Append messages, let the client synchronise, and return its MODSEQ."""
    for _ in range(count):
        await send(other, b"o %b\r\n" % MESSAGE)
    await client.select(known=False, matches=False)
    await client.fetch_new()
    return client.modseq


async def expunge(other, uids: str) -> None:
    await send(other, f"o UID STORE {uids} +FLAGS (\\Deleted)\r\n".encode())
    await send(other, b"o EXPUNGE\r\n")


async def test_vanished_is_exact_within_the_limit_and_a_superset_past_it(short_log):
    """RFC 7162 section 3.2.6, note."""
    async with two_sessions() as (pool, client, other):
        await prepared(client, other, 30)
        await expunge(other, "2")
        states = []
        for uid in range(10, 10 + EXPUNGES_KEPT):
            with client.store.reading() as reader:
                states.append(reader.mailbox("INBOX").highest_modseq)
            await expunge(other, str(uid))
        await pool.sweep(expunges_kept=EXPUNGES_KEPT)
        with client.store.reading() as reader:
            highest = reader.mailbox("INBOX").highest_modseq
        assert states[len(states) // 2] == highest - EXPUNGES_KEPT
        client.cache = dict.fromkeys(range(1, 31), frozenset())
        client.modseq = states[len(states) // 2]
        await client.select(known=False, matches=False)
        assert client.earlier == list(range(10 + EXPUNGES_KEPT // 2, 10 + EXPUNGES_KEPT))
        client.modseq = states[len(states) // 2] - 1
        await client.select(known=False, matches=False)
        assert client.earlier == [2, *range(10, 10 + EXPUNGES_KEPT)]
        client.modseq, client.cache = states[0], dict.fromkeys(range(3, 14), frozenset())
        await client.select(known=True, matches=False)
        assert client.earlier == [*range(10, 14)]


async def test_match_data_spares_forgotten_expunges(short_log):
    """RFC 7162 section 3.2.5.2, examples: only UIDs divisible by three are left."""
    async with two_sessions() as (pool, client, other):
        await prepared(client, other, 30)
        old = client.modseq
        left = range(3, 31, 3)
        await expunge(other, ",".join(str(uid) for uid in range(1, 31) if uid % 3))
        for n in range(2 * EXPUNGES_KEPT):
            await send(other, f"o UID STORE 30 {'+-'[n % 2]}FLAGS (\\Seen)\r\n".encode())
        await pool.sweep(expunges_kept=EXPUNGES_KEPT)
        client.cache, client.modseq = dict.fromkeys(left, frozenset()), old
        await client.select(known=False, matches=False)
        assert client.earlier == [uid for uid in range(1, 30) if uid % 3]
        client.modseq = old
        await client.select(known=False, matches=True)
        assert client.earlier == []
        await client.fetch_new()
        assert client.cache == await truth(client.store)


async def test_other_uidvalidity_changes_nothing():
    """RFC 7162 section 3.2.5: the parameters are ignored, as if nothing had changed."""
    async with two_sessions() as (_, client, other):
        await prepared(client, other, 5)
        await expunge(other, "2")
        client.uid_validity += 1
        lines = await client.select(known=True, matches=True)
        assert not [line for line in lines if "VANISHED" in line or "FETCH" in line]


async def test_failed_resynchronisation_selects_nothing(monkeypatch):
    async with two_sessions() as (_, client, other):
        await prepared(client, other, 5)

        async def fail(*_args, **_options) -> None:
            raise StoreUnavailableError("disk failed")

        monkeypatch.setattr(select, "resynchronise", fail)
        lines = await send(client.ctx, b"a SELECT INBOX (QRESYNC (1 1))\r\n")
        assert lines[-1] == "a NO [UNAVAILABLE] disk failed"
        assert client.ctx.session.view is None


async def test_long_vanished_is_written_in_parts(monkeypatch):
    monkeypatch.setattr(changes_since, "VANISHED_BYTES", 4)
    monkeypatch.setattr(changes_since, "VANISHED_UIDS", 2)
    async with two_sessions() as (_, client, other):
        await prepared(client, other, 12)
        await expunge(other, "1,3")
        modseq = client.modseq
        lines = await client.select(known=False, matches=False)
        assert [line for line in lines if "VANISHED" in line] == ["* VANISHED (EARLIER) 1,3"]
        await expunge(other, "5,7,9")
        client.modseq = modseq
        lines = await client.select(known=False, matches=False)
        assert [line for line in lines if "VANISHED" in line] == [
            "* VANISHED (EARLIER) 1,3",
            "* VANISHED (EARLIER) 5,7",
            "* VANISHED (EARLIER) 9",
        ]


async def test_changes_are_read_in_several_transactions(monkeypatch):
    monkeypatch.setattr(reading, "CHANGE_ROWS_MAX", 2)
    async with two_sessions() as (_, client, other):
        await prepared(client, other, 20)
        for uid in range(1, 8):
            await expunge(other, str(uid))
            await send(other, f"o UID STORE {uid + 10} +FLAGS (\\Seen)\r\n".encode())
        await client.select(known=True, matches=False)
        assert client.earlier == [*range(1, 8)]
        await client.fetch_new()
        assert client.cache == await truth(client.store)


async def test_filepool_of_version_0_1_0_has_the_changes_of_its_clients(tmp_path):
    """It has no row for forgotten expunges, and lacks the tables that were added since."""
    create_filepool(tmp_path / "pool")
    async with open_filepool(tmp_path / "pool") as pool:
        store = pool.account(await pool.accounts.enroll("alice", "x"))
        other = connection(store=store)
        await send(other, b"o SELECT INBOX\r\n")
        client = Client(store)
        await prepared(client, other, 9)
        await expunge(other, "2,5:6")
        await send(other, b"o UID STORE 7 +FLAGS (\\Seen)\r\n")
    added = [table for table in fields(GroupTables) if table.metadata.get("added")]
    with lmdb.open(str(tmp_path / "pool" / "group-000"), max_dbs=32, map_size=1 << 30) as env:
        counters = env.open_db(b"counters")
        with env.begin(write=True) as txn:
            for table in added:
                txn.drop(env.open_db(table.name.encode(), txn=txn))
            with txn.cursor(counters) as cursor:
                keys = list(cursor.iternext(values=False))
                assert not any(key.startswith(FORGOTTEN_EXPUNGES) for key in keys)
    async with open_filepool(tmp_path / "pool") as pool:
        client.store = pool.account(pool.accounts.find("alice"))
        await client.select(known=True, matches=True)
        assert client.earlier == [2, 5, 6]
        assert client.cache[7] == {r"\Seen"}
        assert pool.check().findings == ()


@given(
    old=st.sets(st.integers(1, 30)),
    gone=st.sets(st.integers(1, 30)),
    sample=st.sets(st.integers(0, 29), min_size=1),
)
def test_match_data_leaves_out_only_what_the_client_knows(old, gone, sample):
    """Against the rule of RFC 7162 section 3.2.5.2: the last pair that matches, if any."""
    uids, now = sorted(old), UidMap(UidSet.of(old - gone))
    places = sorted(place for place in sample if place < len(uids))
    if not places:
        return
    numbers = SequenceSet.parse(",".join(str(place + 1) for place in places).encode())
    known = SequenceSet.parse(",".join(str(uids[place]) for place in places).encode())
    matching = [uids[place] for place in places if now.uid(place + 1) == uids[place]]
    assert last_match(now, (numbers, known)) == max(matching, default=0)


@pytest.mark.parametrize(
    ("numbers", "known", "last"),
    [
        (b"4,12", b"8,24", 8),  # the RFC's example: message 12 has UID 25
        (b"4", b"8", 8),
        (b"4,12", b"8", 8),  # sets of different sizes
        (b"4", b"8,25", 8),
        (b"5", b"8", 0),
        (b"1:4000000000", b"1:4000000000", 0),
    ],
)
def test_match_data_of_the_rfc(numbers, known, last):
    mailbox = UidMap(UidSet.of([2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 25, 30]))
    pair = SequenceSet.parse(numbers), SequenceSet.parse(known)
    assert last_match(mailbox, pair) == last
