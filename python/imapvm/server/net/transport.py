"""One connection's octets: plain TCP and TLS behind the same face, at the price of a `recv`.

Non-blocking sockets and `trio.lowlevel` instead of `SocketStream` and `SSLStream`, which cost two
to three times as much a request. A read that finds octets does not go through the scheduler, except
every `READS_PER_TURN` times; that one is also where a busy connection can be cancelled.
"""

import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Final, final

import trio
from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, reschedule, wait_task_rescheduled

from imapvm.model.limits import OUTPUT_WAITING_MAX, RECEIVE_MAX
from imapvm.server.net.reactor import ENDED, READABLE, WRITABLE, Reactor
from imapvm.server.net.tls import HANDSHAKE_SECONDS, TlsFacts, TlsServer

READS_PER_TURN: Final = 64
"""Reads that found octets at once, before other tasks get their turn."""
READS_AT_ONCE: Final = 4
"""Reads from one connection in the reactor's turn; who sends more is served by its own task."""
LINGER_SECONDS: Final = 2.0
LINGER_BYTES_MAX: Final = 1024 * 1024
"""How long, and for how much, we go on reading from a client that we have said BYE to."""
TLS_RECORD: Final = 16 * 1024
"""RFC 8446 section 5.1: what one record holds."""

_AGAIN: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_CLOSED: Final = "the connection was closed here"


@final
class Transport:
    """A connected stream socket (TCP or AF_UNIX) of which this is the owner.

    At most one task reads and at most one awaits `write`; `write_nowait` may be called by anybody
    at any time on Trio's thread. Output keeps its order: what the socket does not take at once
    waits here and goes by itself when the client reads.
    """

    __slots__ = (
        "_fault",
        "_fd",
        "_reactor",
        "_readable",
        "_reader",
        "_secure",
        "_socket",
        "_sticky",
        "_take",
        "_thrown",
        "_tls_server",
        "_turns",
        "_waiting",
        "_writer",
        "bytes_in",
        "bytes_out",
        "peer",
        "tls",
        "waiting",
    )

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket,
        *,
        peer: str = "local",
        tls_server: TlsServer | None = None,
    ) -> None:
        """Take over a connected socket.

        Args:
            reactor: must run as long as this is in use.
            sock: is made non-blocking; nobody else may use it from now on.
            peer: the other side's address without port, for logs and bounds.
            tls_server: None where `start_tls` is not to be had.
        """
        sock.settimeout(0)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._fd = sock.fileno()
        self._reactor = reactor
        self._tls_server = tls_server
        self._readable = False  # registering reports what is already there
        self._sticky = False
        self._secure = False
        self._fault: str | None = None
        """Why there is no connection any more. In words: an exception would hold the frames that
        it came through, and those this object, which only a garbage collection could undo."""
        self._turns = READS_PER_TURN
        self._reader: Task | None = None
        self._writer: Task | None = None
        self._take: Callable[[bytes], bool] | None = None
        self._thrown: BaseException | None = None
        """What `_take` raised, on its way to the task that serves."""
        self._waiting: deque[memoryview] | None = None
        self.waiting = 0
        """Octets that were written here and that the kernel has not taken yet."""
        self.bytes_in = 0
        self.bytes_out = 0
        """Taken by the kernel, TLS not counted."""
        self.peer = peer
        self.tls: TlsFacts | None = None
        """None while the connection is in the clear."""
        reactor.register(self._fd, self)

    # --- what a session does ---------------------------------------------------------------

    async def read(self, limit: int = RECEIVE_MAX) -> bytes:
        """Return the next octets, at least one; b"" when the client will send no more.

        Cancelled: nothing was taken.

        Raises:
            trio.BrokenResourceError: the connection failed.
            trio.ClosedResourceError: it was closed here, before or meanwhile.
        """
        self._turns -= 1
        if self._turns <= 0:
            self._turns = READS_PER_TURN
            await trio.lowlevel.checkpoint()
        self._check_alive()
        while True:
            if self._readable:
                try:
                    data = self._socket.recv(limit)
                except _AGAIN:
                    self._readable = False
                except OSError as fault:
                    self._fail(fault)
                    raise self._lost() from fault
                else:
                    # A short read has drained a socket (epoll(7)) and the next octets make a new
                    # edge. Not so when the FIN has been announced together with these octets, and
                    # not with TLS, where a short read only ends a record.
                    if len(data) < limit and not self._sticky:
                        self._readable = False
                    self.bytes_in += len(data)
                    return data
            await self._event()
            self._turns = READS_PER_TURN

    async def serve(self, take: Callable[[bytes], bool]) -> bool:
        """Give octets to `take` as they come, until it returns False.

        Mostly it is called by the reactor itself, and no task is switched to: it must not wait,
        and not read from here. What it raises is raised here.

        Returns:
            False when the client will send no more.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: as `read`.
        """
        while True:
            if self._readable:
                data = await self.read()
                if not data:
                    return False
                if not take(data):
                    return True
                del data  # or an idle session would keep it
                continue
            self._take = take
            try:
                await self._event()
            finally:
                refused, self._take = self._take is None, None
                thrown, self._thrown = self._thrown, None
            if thrown is not None:
                raise thrown
            if refused:
                return True

    def write_nowait(self, data: bytes) -> None:
        """Send now what fits; the rest waits and goes by itself.

        Never raises for the client's sake: when the connection has failed the octets are gone,
        and whoever reads is told. The connection also fails when more than OUTPUT_WAITING_MAX
        waits already: the client has stopped reading, and is not owed the memory.
        """
        if self._fault is not None or not data:
            return
        if self._waiting is not None:
            if self.waiting > OUTPUT_WAITING_MAX:
                self._fail(TimeoutError("the client does not read what it is sent"))
            else:
                self._waiting.append(memoryview(data))
                self.waiting += len(data)
        elif not self._secure:
            try:
                sent = self._socket.send(data)
            except _AGAIN:
                sent = 0
            except OSError as fault:
                self._fail(fault)
                return
            self.bytes_out += sent
            if sent != len(data):
                self._waiting = deque((memoryview(data)[sent:],))
                self.waiting = len(data) - sent
        elif self.tls is not None:  # else: hands are being shaken, and nobody can be told anything
            self._waiting = deque((memoryview(data),))
            self.waiting = len(data)
            self._send_waiting()

    async def write(self, data: bytes) -> None:
        """Send, and return when the kernel has taken this and all that was written before.

        Cancelled: the octets wait and still go, unless the connection is closed.

        Raises:
            trio.BrokenResourceError: the connection failed; how much arrived is not known.
            trio.ClosedResourceError: it was closed here, before or meanwhile.
        """
        self.write_nowait(data)
        if self._waiting is not None or self._fault is not None:
            await self.drained()

    async def drained(self) -> None:
        """Return when the kernel has taken all that was written.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: as `write`.
        """
        while self._waiting is not None:
            if self._writer is not None:
                raise trio.BusyResourceError("another task is writing")
            self._writer = current_task()
            await wait_task_rescheduled(self._abort_writer)
        self._check_alive()

    @property
    def is_reading(self) -> bool:
        """True while a task waits for the client to say something."""
        return self._reader is not None

    # --- TLS -------------------------------------------------------------------------------

    @property
    def can_start_tls(self) -> bool:
        """True where STARTTLS may be offered: there is a certificate, and no TLS yet."""
        return self._tls_server is not None and self.tls is None

    async def start_tls(self) -> None:
        """Shake hands, as the server; what was written before goes in the clear.

        Octets that were read before are the caller's to forget (RFC 9051 section 6.2.1).

        Raises:
            trio.BrokenResourceError: no agreement, or it took too long. Close.
            trio.ClosedResourceError: it was closed here, before or meanwhile.
        """
        server = self._tls_server
        if server is None or self.tls is not None:
            raise ValueError("TLS is not available, or already there")
        await self.drained()
        try:
            async with server.places:
                with trio.fail_after(HANDSHAKE_SECONDS):
                    secure = await self._shake_hands(server)
        except trio.TooSlowError as late:
            self._fail(TimeoutError("the TLS handshake took too long"))
            raise self._lost() from late
        except OSError as fault:
            self._fail(fault)
            raise self._lost() from fault
        self.tls = TlsFacts.of(secure)
        self._sticky = self._readable = True

    async def _shake_hands(self, server: TlsServer) -> ssl.SSLSocket:
        self._check_alive()
        secure = self._socket = server.wrap(self._socket)
        self._secure = True
        while True:
            # A thousand clients that come back at once would hold the loop for as many
            # signatures. A place is never kept while the network is waited for.
            async with server.steps:
                self._check_alive()
                try:
                    secure.do_handshake()
                except _AGAIN:
                    pass
                else:
                    return secure
            await self._event()

    # --- the end ---------------------------------------------------------------------------

    def close(self) -> None:
        """End it at once, both ways; what waits is dropped, and tasks that wait are told.

        May be called again.
        """
        if self._fd < 0:
            return
        self._reactor.forget(self._fd)
        self._fd = -1
        clean = self._fault is None and self._waiting is None
        self._fault = _CLOSED
        self._waiting, self.waiting = None, 0
        if clean and self.tls is not None:
            self._say_close_notify()
        self._socket.close()
        self._wake_reader()
        self._wake_writer()

    async def finish(self) -> None:
        """Send what waits, say that no more will come, and close when the client has heard it.

        Closing at once would answer octets that we have not read with RST, and the client's
        kernel then throws away the BYE it has not read yet (RFC 9293 section 3.6.1). Never raises;
        takes at
        most LINGER_SECONDS.
        """
        try:
            with trio.move_on_after(LINGER_SECONDS):
                await self.drained()
                if self.tls is not None:
                    self._say_close_notify()
                self._socket.shutdown(socket.SHUT_WR)
                until = self.bytes_in + LINGER_BYTES_MAX
                while self.bytes_in < until and await self.read():
                    pass
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client was faster
        finally:
            self.close()

    # --- inside ----------------------------------------------------------------------------

    def ready(self, events: int) -> None:
        """Called by the reactor, which alone calls it."""
        if events & ENDED:
            self._sticky = True
        # Either direction of TLS may have been waiting for either direction of the socket.
        if events & READABLE or self._secure:
            self._readable = True
            if self._take is None:
                self._wake_reader()
            else:
                self._serve_now(self._take)
        if self._waiting is not None and (events & WRITABLE or self._secure):
            self._send_waiting()

    def _serve_now(self, take: Callable[[bytes], bool]) -> None:
        """Read and serve on the reactor's stack; wake the task for what is not that simple."""
        task, self._reader = self._reader, None  # nobody waits for the client meanwhile
        for _ in range(READS_AT_ONCE):
            try:
                data = self._socket.recv(RECEIVE_MAX)
            except _AGAIN:
                self._readable = False
                self._reader = task
                return
            except OSError:
                break  # the task finds it, too
            if not data:
                break
            if len(data) < RECEIVE_MAX and not self._sticky:
                self._readable = False
            self.bytes_in += len(data)
            try:
                if not take(data):
                    self._take = None
                    break
            except BaseException as thrown:
                self._thrown = thrown
                break
            if self._fault is not None:
                break
            if not self._readable:
                self._reader = task
                return
        self._wake(task)

    def _send_waiting(self) -> None:
        waiting = self._waiting
        assert waiting is not None
        limit = TLS_RECORD if self._secure else self.waiting
        while waiting:
            head = waiting[0]
            try:
                # After a refused write OpenSSL must be given the same octets again; the head of
                # the queue does not change until they are gone.
                sent = self._socket.send(head[:limit])
            except _AGAIN:
                return
            except OSError as fault:
                self._fail(fault)
                return
            self.bytes_out += sent
            self.waiting -= sent
            if sent == len(head):
                waiting.popleft()
            else:
                waiting[0] = head[sent:]
                if not self._secure:
                    return  # the socket is full; its next edge brings us back
        self._waiting = None
        self._wake_writer()

    async def _event(self) -> None:
        """Wait until the reactor has seen something new (or the connection is over)."""
        if self._reader is not None:
            raise trio.BusyResourceError("another task is reading")
        self._readable = False
        self._reader = current_task()
        await wait_task_rescheduled(self._abort_reader)
        if self._thrown is None:
            self._check_alive()

    def _check_alive(self) -> None:
        if self._fault is not None:
            raise self._lost()

    def _abort_reader(self, _raise_cancel: RaiseCancelT) -> Abort:
        self._reader = None
        return Abort.SUCCEEDED

    def _abort_writer(self, _raise_cancel: RaiseCancelT) -> Abort:
        self._writer = None
        return Abort.SUCCEEDED

    def _wake_reader(self) -> None:
        task, self._reader = self._reader, None
        self._wake(task)

    def _wake_writer(self) -> None:
        task, self._writer = self._writer, None
        self._wake(task)

    def _wake(self, task: Task | None) -> None:
        if task is not None:
            self._reactor.woken = True
            reschedule(task)

    def _fail(self, fault: OSError) -> None:
        if self._fault is None:
            self._fault = str(fault) or type(fault).__name__
        self._waiting, self.waiting = None, 0
        self._wake_reader()
        self._wake_writer()

    def _lost(self) -> Exception:
        if self._fault is _CLOSED:
            return trio.ClosedResourceError(_CLOSED)
        return trio.BrokenResourceError(self._fault)

    def _say_close_notify(self) -> None:
        if isinstance(self._socket, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):
                self._socket.unwrap()  # sends ours, and does not wait for the client's
