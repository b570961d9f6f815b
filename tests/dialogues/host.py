"""Whole server for dialogues: a filepool on disk, and connections without a listener."""

import select
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio
import trio.testing
from tests.dialogues.processes import OtherProcess

from imapvm._core import STORE_ADD, UidSet
from imapvm.auth.authenticator import LoginFailedError
from imapvm.commands.services import Services
from imapvm.filepool.accounts import Account
from imapvm.filepool.pool import Filepool, create_filepool, open_filepool
from imapvm.filepool.store import AccountStore, NewMessage
from imapvm.model.flags import SYSTEM_FLAG_NAMES
from imapvm.server.imap.connection import serve_connection
from imapvm.server.imap.connections import Connections
from imapvm.server.imap.notifier import Notifier
from imapvm.server.net.reactor import Reactor
from imapvm.server.net.tls import TlsServer
from imapvm.server.net.transport import Transport
from imapvm.server.shared.wakeup import WorkerWakeup

USER, PASSWORD = "alice", b"secret"
NEW_YEAR = 1704067200  # 2024-01-01 00:00:00 UTC
CLOCK = NEW_YEAR + 86400 * 30
SERVER_ANNOTATIONS = {b"/comment": b"Shared comment", b"/admin": b"mailto:postmaster@example.org"}
SERVER_NAME = "imap.example.org"


class ClientStream:
    """Client's end of one connection, read line by line."""

    def __init__(self, sock: socket.socket, client_tls: ssl.SSLContext) -> None:
        self._socket = sock
        self._plain = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        self._stream: trio.abc.Stream = self._plain
        self._client_tls = client_tls
        self._buffer = bytearray()
        self.received = bytearray()
        """All bytes from the server, from the greeting on."""
        self._ended = False
        self._deflater: zlib._Compress | None = None
        self._inflater: zlib._Decompress | None = None

    def close(self) -> None:
        self._plain.socket.close()
        self._ended = True

    async def send(self, data: bytes) -> None:
        if self._deflater is not None:
            data = self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        await self._stream.send_all(data)

    def start_compression(self) -> None:
        self._deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        assert not self._buffer

    def stop_compression(self) -> None:
        """Expect the end of the server's stream; send plain bytes."""
        assert self._inflater is not None
        assert self._inflater.eof
        assert not self._inflater.unused_data
        self._deflater = self._inflater = None

    async def start_tls(self) -> None:
        secure = trio.SSLStream(self._plain, self._client_tls, server_hostname=SERVER_NAME)
        await secure.do_handshake()
        self._stream = secure

    async def read_line(self) -> str | None:
        """Return the next line without its end; None if the server has closed."""
        while b"\r\n" not in self._buffer:
            await self._receive()
            if self._ended:
                assert not self._buffer, f"half a line: {bytes(self._buffer)!r}"
                return None
        line, _, rest = bytes(self._buffer).partition(b"\r\n")
        self._buffer[:] = rest
        return line.decode("utf-8", "backslashreplace")

    async def read_pending(self) -> str:
        """Return what has been received and not read yet."""
        with trio.move_on_after(0.05):  # TLS records without data also make the socket readable
            while not self._ended and select.select([self._socket], [], [], 0)[0]:
                await self._receive()
        return self._buffer.decode("utf-8", "backslashreplace")

    async def _receive(self) -> None:
        try:
            data = await self._stream.receive_some()
        except trio.BrokenResourceError:
            data = b""
        self._ended = not data
        if self._inflater is not None:
            data = self._inflater.decompress(data)
        self._buffer += data
        self.received += data


class OneUser:
    """Authenticator with the account of alice."""

    def __init__(self, pool: Filepool) -> None:
        self.pool = pool

    async def login(self, name: str, password: bytes, *, peer: str, while_connected) -> Account:
        await trio.lowlevel.checkpoint()
        account = self.pool.accounts.find(name)
        if account is None or password != PASSWORD:
            raise LoginFailedError("unknown user or wrong password")
        return account


@dataclass(frozen=True)
class ServerFiles:
    """Files that a server needs."""

    folder: Path
    certificate: Path
    key: Path


@dataclass
class Host:
    """Server in this process, and a way to connect to it."""

    services: Services
    nursery: trio.Nursery
    reactor: Reactor
    connections: Connections
    tls: TlsServer
    client_tls: ssl.SSLContext
    others: Sequence[OtherProcess] = ()
    """Other processes, which serve some of the clients."""
    streams: list[ClientStream] = field(default_factory=list)

    async def connect(
        self, *, plain_allowed: bool = True, offer_tls: bool = False, tls_first: bool = False
    ) -> ClientStream:
        ours, theirs = socket.socketpair()
        options = {"plain_allowed": plain_allowed, "offer_tls": offer_tls, "tls_first": tls_first}
        index = len(self.streams) % (1 + len(self.others))
        if index:
            await self.others[index - 1].request("connect", options, hand_over=ours)
        else:
            self.serve(ours, **options)
        stream = ClientStream(theirs, self.client_tls)
        self.streams.append(stream)
        if tls_first:
            await stream.start_tls()
        return stream

    async def settle(self, seconds: float) -> None:
        """Return when all tasks of all processes have been waiting for some time."""
        await trio.testing.wait_all_tasks_blocked(seconds)
        for other in self.others:
            await other.request("settle", seconds)

    async def choose_administrators(self, names: Sequence[str]) -> None:
        """Set `login.administrators` of all processes."""
        self.services.administrators = frozenset(names)
        for other in self.others:
            await other.request("administrators", names)

    def serve(
        self, ours: socket.socket, *, plain_allowed: bool, offer_tls: bool, tls_first: bool
    ) -> None:
        """Serve a client in this process."""
        transport = Transport(
            self.reactor, ours, peer="192.0.2.1", tls_server=self.tls if offer_tls else None
        )

        async def run() -> None:
            await serve_connection(
                transport,
                self.services,
                self.connections,
                plain_allowed=plain_allowed,
                tls_first=tls_first,
            )

        self.nursery.start_soon(run)

    @property
    def store(self) -> AccountStore:
        account = self.services.pool.accounts.find(USER)
        assert account is not None
        return self.services.pool.account(account)

    async def enroll(self, name: str) -> None:
        await self.services.pool.accounts.enroll(name, "x")

    async def add_group(self, name: str, members: Sequence[str]) -> None:
        accounts = self.services.pool.accounts
        group = await accounts.add_user_group(name)
        for member in members:
            account = accounts.find(member)
            assert account is not None
            await accounts.set_member(group, account.id, member=True)

    async def choose_shared_account(self, name: str) -> None:
        accounts = self.services.pool.accounts
        account = accounts.find(name)
        assert account is not None
        await accounts.set_shared_account(account.id)

    async def put(self, mailbox: str, uids: list[int]) -> None:
        """Add messages to a mailbox, so that it gets exactly these new UIDs."""
        store = self.store
        with store.reading() as reader:
            row = reader.mailbox(mailbox)
        if row is None:
            row = await store.create_mailbox(mailbox)
        if not uids:
            return
        messages = []
        for uid in range(row.uid_next, max(uids) + 1):
            writer = store.new_body()
            if writer.feed(message(uid)):
                await writer.spill()
            messages.append(
                NewMessage(writer.finish(), flags=0, keywords=(), date=NEW_YEAR + uid, zone=0)
            )
        appended = await store.append(row.id, messages)
        unwanted = appended.uids - UidSet.of(uids)
        if unwanted:
            await self.flag(mailbox, unwanted, [r"\Deleted"])
            await store.expunge(row.id, unwanted)

    async def flag(self, mailbox: str, uids: UidSet, names: list[str]) -> None:
        with self.store.reading() as reader:
            row = reader.mailbox(mailbox)
        assert row is not None
        bits = {name: int(flag) for flag, name in SYSTEM_FLAG_NAMES.items()}
        await self.store.store_flags(
            row.id,
            uids,
            mode=STORE_ADD,
            flags=sum(bits.get(name, 0) for name in names),
            keywords=tuple(name for name in names if name not in bits),
        )


def message(uid: int) -> bytes:
    """Return a message with its UID in the text."""
    return (
        f"Date: Mon, 1 Jan 2024 00:00:{uid:02} +0000\r\n"
        f"From: Fred <fred@example.com>\r\n"
        f"To: alice@example.com\r\n"
        f"Subject: message {uid}\r\n"
        f"Message-ID: <{uid}@example.com>\r\n"
        f"\r\n"
        f"Body of {uid}.\r\n"
    ).encode()


@asynccontextmanager
async def running(
    files: ServerFiles,
    client_tls: ssl.SSLContext | None = None,
    *,
    wakeup: WorkerWakeup | None = None,
    others: Sequence[OtherProcess] = (),
    create: bool = True,
) -> AsyncIterator[Host]:
    """Run a server with the account alice, which has the mailboxes of a new user."""
    filepool = files.folder / "filepool"
    if create:
        create_filepool(filepool)
    async with open_filepool(filepool, clock=lambda: CLOCK) as pool:
        if create:
            await pool.accounts.enroll(USER, "x")
        connections, reactor = Connections(), Reactor()
        services = Services(
            pool=pool,
            authenticator=OneUser(pool),
            clock=lambda: CLOCK,
            turns=reactor.turns,
            annotations=SERVER_ANNOTATIONS,
        )
        notifier = Notifier(services, connections, wakeup)
        pool.on_changes = notifier.notify
        tls = TlsServer(files.certificate, files.key)
        async with trio.open_nursery() as nursery:
            await nursery.start(reactor.run)
            nursery.start_soon(notifier.push_forever)
            if wakeup is not None:
                pool.set_commit_hooks(wakeup.wake, wakeup.wake)
                nursery.start_soon(notifier.watch_wakeups)
            for other in others:
                await other.request(
                    "open", str(files.folder), str(files.certificate), str(files.key)
                )
            async with trio.open_nursery() as clients:
                host = Host(services, clients, reactor, connections, tls, client_tls, others)
                try:
                    yield host
                finally:
                    clients.cancel_scope.cancel()
                    for stream in host.streams:
                        stream.close()
                    with trio.CancelScope(shield=True):
                        for other in others:
                            await other.request("close")
            nursery.cancel_scope.cancel()
