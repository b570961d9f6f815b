"""Clients with and without CONDSTORE, QRESYNC, UIDONLY and IMAP4rev2 in one mailbox.

After each command, its responses and the client's mailbox are compared with a model.
"""

import re
import shutil
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import trio
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.commands.fakes import connection, send
from tests.commands.random.mixed import KINDS, MixedClient, Model, Result, numbers

from imapvm.filepool.operations import sweep
from imapvm.filepool.pool import create_filepool, open_filepool

FLAGS = (r"\Seen", r"\Flagged", r"\Deleted", "$Work")
FAST = Path("/dev/shm")
EXPUNGES_KEPT = 4

clients = st.integers(0, len(KINDS) - 1)
with_condstore = st.sampled_from([n for n, kind in enumerate(KINDS) if kind.condstore])
with_qresync = st.sampled_from([n for n, kind in enumerate(KINDS) if kind.qresync])
places = st.lists(st.integers(0, 9), min_size=1, max_size=3)
flag_sets = st.frozensets(st.sampled_from(FLAGS), max_size=2)
signs = st.sampled_from(["+", "-", ""])
booleans = st.booleans()


class Loop:
    """Trio in a thread of its own, with an open filepool: rules are not async."""

    def __init__(self, path: Path) -> None:
        create_filepool(path)
        self._path = path
        self._started = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._main,))
        self._thread.start()
        self._started.wait()

    async def _main(self) -> None:
        async with open_filepool(self._path) as self.pool:
            self.store = self.pool.account(await self.pool.accounts.enroll("alice", "x"))
            self._token = trio.lowlevel.current_trio_token()
            self._over = trio.Event()
            self._started.set()
            await self._over.wait()

    def run(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        return trio.from_thread.run(function, *args, trio_token=self._token)

    def close(self) -> None:
        trio.from_thread.run_sync(self._over.set, trio_token=self._token)
        self._thread.join()


class MixedClients(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.home = Path(tempfile.mkdtemp(dir=FAST if FAST.is_dir() else None))
        self.loop = Loop(self.home / "pool")
        self.model = Model()
        self.clients = [self.connected(n) for n in range(len(KINDS))]
        self.tags = 0
        self.swept = False
        for client in self.clients:
            self.select(client)
        self.append(0, [frozenset()] * 4)
        for client in self.clients:
            self.command(client, "NOOP", "NOOP")
            self.command(client, "FETCH", "UID FETCH 1:* (FLAGS)", uid=True)

    def teardown(self):
        if hasattr(self, "loop"):
            self.loop.close()
            shutil.rmtree(self.home)

    def connected(self, number: int) -> MixedClient:
        kind = KINDS[number]
        client = MixedClient(kind, self.model, connection(store=self.loop.store))
        client.ctx.services.pool = self.loop.pool
        if kind.enabled:
            self.loop.run(send, client.ctx, f"e ENABLE {kind.enabled}\r\n".encode())
        return client

    def command(
        self, client: MixedClient, name: str, text: str, *, holds: bool = False, uid: bool = False
    ) -> Result:
        """Send a command, and check all that it changes for this client."""
        self.tags += 1
        lines = self.loop.run(send, client.ctx, f"a{self.tags} {text}\r\n".encode())
        assert re.match(rf"a{self.tags} (OK|NO \[EXPUNGEISSUED|NO \[MODIFIED)", lines[-1]), lines
        return client.apply(name, lines, holds=holds, uid=uid)

    def select(self, client: MixedClient, parameters: str = "") -> Result:
        client.start_selecting()
        result = self.command(client, "SELECT", f"SELECT INBOX{parameters}")
        if not result.fetched:
            assert client.modseq == self.model.highest
        return result

    def chosen(self, client: MixedClient, places: list[int], *, uid: bool) -> tuple[str, list[int]]:
        """Return a set of messages that the client has counted, and their UIDs."""
        at = sorted({place % len(client.counted) for place in places})
        uids = [client.counted[n] for n in at]
        return ",".join(str(n) for n in (uids if uid else [n + 1 for n in at])), uids

    # --- rules ----------------------------------------------------------------------------------

    @rule(number=clients, messages=st.lists(flag_sets, min_size=1, max_size=3))
    def append(self, number, messages):
        self.model.append(messages)
        parts = " ".join(f"({' '.join(sorted(flags))}) {{4+}}\r\nA: b" for flags in messages)
        self.command(self.clients[number], "APPEND", f"APPEND INBOX {parts}")

    @rule(number=clients, places=places, sign=signs, flags=flag_sets, uid=booleans, silent=booleans)
    def store(self, number, places, sign, flags, uid, silent, since=None):
        client = self.clients[number]
        if not client.counted:
            return
        uid = uid or client.kind.uidonly
        named, uids = self.chosen(client, places, uid=uid)
        if since is not None:
            client.enable()
        refused = self.model.store(uids, sign, flags, since)
        if silent:
            self.assume(client, set(uids) - set(refused), sign, flags)
        unchanged = "" if since is None else f" (UNCHANGEDSINCE {since})"
        words = f"{sign}FLAGS{'.SILENT' * silent} ({' '.join(sorted(flags))})"
        result = self.command(
            client,
            "STORE",
            f"{'UID ' * uid}STORE {named}{unchanged} {words}",
            holds=not uid,
            uid=uid,
        )
        found = re.search(r"\[MODIFIED ([\d,:]+)\]", result.tagged)
        modified = numbers(found[1]) if found else []
        assert refused == (modified if uid else [client.counted[n - 1] for n in modified])
        existing = {one for one in uids if one in self.model.messages}
        if not silent:
            assert existing <= set(result.fetched)

    def assume(self, client, uids, sign, flags):
        """Compute the flags after .SILENT as the client does."""
        for uid in uids & set(client.flags):
            before = client.flags[uid]
            client.flags[uid] = {"+": before | flags, "-": before - flags, "": flags}[sign]

    @rule(
        number=with_condstore,
        places=places,
        sign=signs,
        flags=flag_sets,
        uid=booleans,
        silent=booleans,
        back=st.integers(0, 6),
    )
    def store_if_unchanged(self, number, places, sign, flags, uid, silent, back):
        since = max(0, self.model.highest - back)
        self.store(number, places, sign, flags, uid, silent, since)

    @rule(number=clients, places=places, by_uid=booleans)
    def expunge(self, number, places, by_uid):
        client = self.clients[number]
        deleted = [uid for uid, one in self.model.messages.items() if r"\Deleted" in one.flags]
        if by_uid and client.counted:
            named, uids = self.chosen(client, places, uid=True)
            self.model.expunge([uid for uid in uids if uid in deleted])
            self.command(client, "EXPUNGE", f"UID EXPUNGE {named}", uid=True)
        elif not by_uid:
            self.model.expunge([uid for uid in deleted if uid in client.counted])
            self.command(client, "EXPUNGE", "EXPUNGE")

    @rule(number=clients, places=places, then=with_qresync, back=st.integers(0, 6), uid=booleans)
    def move_before_search(self, number, places, then, back, uid):
        """Expunge messages that the client of the next SEARCH has counted."""
        self.move(number, places, uid)
        self.search(then, back, uid, True)

    @rule(number=clients, places=places, uid=booleans)
    def move(self, number, places, uid):
        client = self.clients[number]
        uid = uid or client.kind.uidonly
        if client.counted:
            named, uids = self.chosen(client, places, uid=uid)
            self.model.expunge(uids)
            self.command(client, "MOVE", f"{'UID ' * uid}MOVE {named} Trash", uid=uid)

    @rule(number=clients, places=places, uid=booleans)
    def copy(self, number, places, uid):
        client = self.clients[number]
        uid = uid or client.kind.uidonly
        named, uids = self.chosen(client, places, uid=uid) if client.counted else ("", [])
        existing = [one for one in uids if one in self.model.messages]
        if existing and (uid or existing == uids):  # with numbers it fails if one is expunged
            self.model.append([self.model.messages[one].flags for one in existing])
            self.command(client, "COPY", f"{'UID ' * uid}COPY {named} INBOX", uid=uid)

    @rule(number=clients)
    def noop(self, number):
        self.command(self.clients[number], "NOOP", "NOOP")

    @rule(number=clients, uid=booleans, modseq=booleans)
    def fetch(self, number, uid, modseq):
        client = self.clients[number]
        uid = uid or client.kind.uidonly
        if not client.counted:
            return
        if modseq and client.kind.condstore:
            client.enable()
        before = set(client.counted)
        items = (
            "FLAGS"
            + " UID" * (not client.kind.uidonly)
            + " MODSEQ" * (modseq and client.kind.condstore)
        )
        result = self.command(
            client, "FETCH", f"{'UID ' * uid}FETCH 1:* ({items})", holds=not uid, uid=uid
        )
        assert before & set(self.model.messages) <= set(result.fetched)

    @rule(number=clients, places=places)
    def fetch_body(self, number, places):
        client = self.clients[number]
        if client.counted:
            named, uids = self.chosen(client, places, uid=True)
            self.model.store(uids, "+", frozenset({r"\Seen"}))
            self.command(client, "FETCH", f"UID FETCH {named} (BODY[TEXT])", uid=True)

    @rule(number=with_condstore, back=st.integers(0, 20), uid=booleans, vanished=booleans)
    def fetch_changes(self, number, back, uid, vanished):
        client = self.clients[number]
        uid = uid or client.kind.uidonly
        if not (uid or client.counted):
            return
        client.enable()
        vanished = vanished and uid and client.kind.qresync
        since = max(1, self.model.highest - back)
        before = set(client.counted)
        result = self.command(
            client,
            "FETCH",
            f"{'UID ' * uid}FETCH 1:* (FLAGS) (CHANGEDSINCE {since}{' VANISHED' * vanished})",
            holds=not uid,
            uid=uid,
        )
        changed = {one for one, message in self.model.messages.items() if message.modseq > since}
        assert changed & before <= set(result.fetched)
        if vanished:
            self.check_vanished(result.earlier, since, counted=before)
        else:
            assert not result.earlier

    def check_vanished(self, earlier, since, counted=frozenset()):
        """Compare UIDs with those expunged since a MODSEQ; after a sweep there may be more."""
        gone = {uid for uid, modseq in self.model.expunged.items() if modseq > since}
        assert len(earlier) == len(set(earlier))
        assert gone - counted <= set(earlier) <= set(self.model.expunged) - counted
        assert self.swept or set(earlier) == gone - counted

    @rule(number=with_condstore, back=st.integers(0, 6), uid=booleans, numbered=booleans)
    def search(self, number, back, uid, numbered):
        client = self.clients[number]
        uid, numbered = uid or client.kind.uidonly, numbered and not client.kind.uidonly
        if not client.counted:
            return
        client.enable()
        since = max(0, self.model.highest - back)
        counted = list(client.counted)
        result = self.command(
            client,
            "SEARCH",
            f"{'UID ' * uid}SEARCH {'1:* ' * numbered}MODSEQ {since}",
            holds=not uid or (numbered and client.kind.qresync),
            uid=uid,
        )
        expected = [
            one
            for one in counted
            if one in self.model.messages and self.model.messages[one].modseq >= since
        ]
        assert result.found == [one if uid else counted.index(one) + 1 for one in expected]
        modseqs = [self.model.messages[one].modseq for one in expected]
        assert result.modseq == (max(modseqs) if modseqs else None)

    @rule(number=with_condstore)
    def status(self, number):
        client = self.clients[number]
        client.enable()
        lines = self.loop.run(send, client.ctx, b"s STATUS INBOX (MESSAGES HIGHESTMODSEQ)\r\n")
        counts = f"MESSAGES {len(self.model.messages)} HIGHESTMODSEQ {self.model.highest}"
        assert any(line.endswith(f"({counts})") for line in lines), lines
        client.apply("STATUS", lines)

    @rule(number=clients)
    def select_again(self, number):
        client = self.clients[number]
        self.select(client, " (CONDSTORE)" if client.condstore else "")

    @rule(number=clients)
    def reconnect(self, number):
        self.clients[number] = self.connected(number)
        self.select(self.clients[number])

    @rule(number=with_qresync, back=st.integers(0, 20), places=places, known=booleans, own=booleans)
    def resynchronise(self, number, back, places, known, own):
        client = self.clients[number]
        since = client.modseq if own else max(1, self.model.highest - back)
        with self.loop.store.reading() as reader:
            validity = reader.mailbox("INBOX").uid_validity
        uids = sorted({place + 1 for place in places}) if known else []
        parameters = f"{validity} {since}{' ' * known}{','.join(map(str, uids))}"
        result = self.select(client, f" (QRESYNC ({parameters}))")
        changed = {uid for uid, one in self.model.messages.items() if one.modseq > since}
        if known:
            gone = {uid for uid, modseq in self.model.expunged.items() if modseq > since}
            assert set(result.fetched) == changed & set(uids)
            assert gone & set(uids) <= set(result.earlier) <= set(self.model.expunged) & set(uids)
        else:
            assert set(result.fetched) == changed
            self.check_vanished(result.earlier, since)

    @precondition(lambda self: self.model.expunged)
    @rule()
    def forget(self):
        """Forget old expunges."""
        self.swept = True
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sweep, "CHANGES_KEPT", 3)
            self.loop.run(lambda: self.loop.pool.sweep(expunges_kept=EXPUNGES_KEPT))


quick = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
MixedClients.TestCase.settings = quick
TestMixedClients = MixedClients.TestCase


class ManyMixedClients(MixedClients):
    pass


ManyMixedClients.TestCase.settings = settings(quick, max_examples=500, stateful_step_count=50)
TestManyMixedClients = pytest.mark.slow(ManyMixedClients.TestCase)
