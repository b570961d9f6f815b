"""The server that a machine of mixed clients runs against: here without sockets, in this process.

Rules of a state machine are not async: they run in the test's thread, the server in Trio's.
"""

import shutil
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
import trio
import trio.testing
from tests.commands.fakes import FakeChannel, NoAccounts, connection, send
from tests.commands.mixed.model import TEAM, Observed

from imapvm._core import segment_records
from imapvm.commands.outcome import Hangup
from imapvm.commands.services import Services
from imapvm.filepool.operations import sweep
from imapvm.filepool.pool import Filepool, create_filepool, open_filepool
from imapvm.filepool.store import AccountStore
from imapvm.model.stepping import suspend
from imapvm.server.imap.notifier import Notifier

FAST = Path("/dev/shm")
EXPUNGES_KEPT = 4


class Link(Protocol):
    """Connection that has signed in."""

    completes: bool
    """True if `pushed` returns also updates that are held back until the next command."""

    def send(self, data: bytes) -> list[str]:
        """Send a command; return the lines up to the tagged one, or to the end."""

    def start_idle(self, tag: str) -> list[str]:
        """Send IDLE; return the lines up to the continuation."""

    def pushed(self, *, due: bool) -> list[str]:
        """Return the lines that were received since the last call, without a command.

        Args:
            due: True if there have to be some.
        """

    def stop_idle(self) -> list[str]:
        """Send DONE; return the lines up to the tagged one, or to the end."""

    def sign_in_again(self, user: str) -> None:
        """Sign in after UNAUTHENTICATE."""

    def close(self) -> None:
        """Close the connection without LOGOUT."""


class Backend(Protocol):
    """Server with some users."""

    def connect(self, user: str) -> Link:
        """Return a connection that has signed in."""

    def observe(self, user: str, name: str) -> Observed:
        """Return what is stored of a user's own mailbox."""

    def share_seen(self, user: str, name: str, *, shared: bool) -> None:
        r"""Choose between one \\Seen for all and one for each reader."""

    def set_member(self, user: str, *, member: bool) -> None:
        """Let a user join or leave the group of users."""

    def forget_expunges(self) -> None:
        """Forget old expunges, but for the last few."""

    def close(self) -> None: ...


class Loop:
    """Trio in a thread of its own, for `main`."""

    def __init__(self, main: Callable[["Loop"], Awaitable[None]]) -> None:
        self._started = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._main, main))
        self._thread.start()
        self._started.wait()

    async def _main(self, main: Callable[["Loop"], Awaitable[None]]) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._over = trio.Event()
        try:
            await main(self)
        finally:
            self._started.set()

    async def serve(self) -> None:
        """Let `run` be called, until `close`."""
        self._started.set()
        await self._over.wait()

    def run(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        return trio.from_thread.run(function, *args, trio_token=self._token)

    def close(self) -> None:
        trio.from_thread.run_sync(self._over.set, trio_token=self._token)
        self._thread.join()


class Stored:
    """Access of the operator to an open filepool."""

    def __init__(self, pool: Filepool) -> None:
        self.pool = pool

    def store(self, user: str) -> AccountStore:
        account = self.pool.accounts.find(user)
        assert account is not None
        return self.pool.account(account)

    async def settle(self) -> None:
        """Wait until no task can run, and no commit is pending: a push may wait for one."""
        while True:
            await trio.testing.wait_all_tasks_blocked()
            writers = [group._writer for group in self.pool.groups]
            if all(writer is not None and writer._busy is None for writer in writers):
                return
            await trio.sleep(0.0005)

    async def observe(self, user: str, name: str) -> Observed:
        with self.store(user).reading() as reader:
            mailbox = reader.mailbox(name)
            records = [r for each in reader.segments(mailbox) for r in segment_records(each)]
        modseqs = {record.uid: record.modseq for record in records}
        return Observed(mailbox.uid_validity, mailbox.highest_modseq, modseqs)

    async def share_seen(self, user: str, name: str, shared: bool) -> None:
        store = self.store(user)
        with store.reading() as reader:
            mailbox = reader.mailbox(name).id
        await store.set_shared_seen(mailbox, shared=shared)

    async def create_team(self) -> None:
        self._team = await self.pool.accounts.add_user_group(TEAM.removeprefix("$"))

    async def set_member(self, user: str, member: bool) -> None:
        account = self.store(user).account.id
        await self.pool.accounts.set_member(self._team, account, member=member)

    async def forget_expunges(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sweep, "CHANGES_KEPT", 3)
            await self.pool.sweep(expunges_kept=EXPUNGES_KEPT)


class LocalBackend:
    """Filepool with two storage groups, and connections without sockets."""

    def __init__(self, users: tuple[str, ...]) -> None:
        self._users = users
        self.links: list[LocalLink] = []
        self._home = Path(tempfile.mkdtemp(dir=FAST if FAST.is_dir() else None))
        self.loop = Loop(self._main)

    async def _main(self, loop: Loop) -> None:
        path = self._home / "pool"
        create_filepool(path, groups=2)
        async with open_filepool(path) as pool, trio.open_nursery() as self.nursery:
            for user in self._users:
                await pool.accounts.enroll(user, "x")
            self.stored = Stored(pool)
            await self.stored.create_team()
            self.services = Services(pool=pool, authenticator=NoAccounts(), clock=trio.current_time)
            self._notifier = notifier = Notifier(self.services, self.links)
            pool.on_changes = notifier.notify
            self.nursery.start_soon(notifier.push_forever)
            await loop.serve()
            assert pool.check().findings == ()
            self.nursery.cancel_scope.cancel()

    def connect(self, user: str) -> "LocalLink":
        return LocalLink(self, user)

    def observe(self, user: str, name: str) -> Observed:
        observed: Observed = self.loop.run(self.stored.observe, user, name)
        return observed

    def share_seen(self, user: str, name: str, *, shared: bool) -> None:
        self.loop.run(self.stored.share_seen, user, name, shared)

    def set_member(self, user: str, *, member: bool) -> None:
        self.loop.run(self._set_member, user, member)

    async def _set_member(self, user: str, member: bool) -> None:
        await self.stored.set_member(user, member)
        await self._notifier.poll()

    def forget_expunges(self) -> None:
        self.loop.run(self.stored.forget_expunges)

    def close(self) -> None:
        self.loop.close()
        shutil.rmtree(self._home)


class IdleChannel(FakeChannel):
    """Channel whose `read` waits for `incoming`."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = trio.Event()

    async def read(self) -> bytes:
        await suspend()
        await self.arrived.wait()
        self.arrived = trio.Event()
        return self.incoming.pop(0)


class LocalLink:
    """Connection without a socket."""

    completes = False

    def __init__(self, backend: LocalBackend, user: str) -> None:
        self._backend = backend
        self._loop = backend.loop
        self._ended: trio.Event | None = None
        """Set after IDLE."""
        self.context = connection(store=backend.stored.store(user))
        self.context.services = backend.services
        self.context.channel = self._channel = IdleChannel()
        backend.links.append(self)

    def send(self, data: bytes) -> list[str]:
        lines: list[str] = self._loop.run(self._send, data)
        return lines

    async def _send(self, data: bytes) -> list[str]:
        """Run a command; before and afterwards the connection may be pushed to (RFC 5465)."""
        ctx = self.context
        if ctx.session.interest is not None and ctx.leave_rest():
            await ctx.complete_update()
        lines = await send(ctx, data)
        if ctx.session.interest is not None and not ctx.session.over:
            try:
                ctx.rest()
            except Hangup as reason:
                self.end(reason.text, reason.code)
        return lines

    def end(self, reason: str, code: str | None = None) -> None:
        """End the session between two commands, for the notifier."""
        self._channel.sent += f"* BYE [{code}] {reason}\r\n".encode()
        self.context.session.abort()

    def start_idle(self, tag: str) -> list[str]:
        self._loop.run(self._start, tag)
        return self.pushed(due=True)

    async def _start(self, tag: str) -> None:
        self._ended = trio.Event()
        self._backend.nursery.start_soon(self._idle, tag, self._ended)
        await trio.testing.wait_all_tasks_blocked()

    async def _idle(self, tag: str, ended: trio.Event) -> None:
        lines = await self._send(f"{tag} IDLE\r\n".encode())
        sent = "".join(f"{line}\r\n" for line in lines).encode()
        self._channel.sent[:0] = sent  # before what was pushed afterwards
        ended.set()

    def pushed(self, *, due: bool) -> list[str]:
        lines: list[str] = self._loop.run(self._pushed)
        assert lines or not due
        return lines

    async def _pushed(self) -> list[str]:
        await self._backend.stored.settle()
        lines = self._channel.sent.decode().splitlines()
        self._channel.sent.clear()
        return lines

    def stop_idle(self) -> list[str]:
        self._loop.run(self._stop)
        return self.pushed(due=True)

    async def _stop(self) -> None:
        if self._ended is not None and not self._ended.is_set():
            self._channel.incoming.append(b"DONE\r\n")
            self._channel.arrived.set()
            await self._ended.wait()

    def sign_in_again(self, user: str) -> None:
        self.context.sign_in(self._backend.stored.store(user))

    def close(self) -> None:
        self._loop.run(self._close)

    async def _close(self) -> None:
        await self._stop()
        self._backend.links.remove(self)
        self.context.services.watchers.leave(self.context)
