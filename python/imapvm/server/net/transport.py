"""Transport: bytes of one connection, plain TCP, AF_UNIX or TLS, at the cost of a `recv`.

COMPRESS deflates bytes before they are encrypted, and inflates those that were decrypted.

Non-blocking sockets and `trio.lowlevel` instead of `SocketStream` and `SSLStream`, which cost two
to three times as much a request. A read that finds bytes does not go through the scheduler, except
every `READS_PER_TURN` times, where a busy connection can be cancelled. States: `transport_state`.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Final, final

import outcome
import trio
from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, reschedule, wait_task_rescheduled

from imapvm.model.limits import LINGER_BYTES_MAX, OUTPUT_WAITING_MAX, RECEIVE_MAX
from imapvm.model.peers import network_of
from imapvm.model.stepping import suspend
from imapvm.server.net.compression import Compression, CorruptInputError, pieces_of
from imapvm.server.net.output_queue import WOULD_BLOCK, OutputQueue
from imapvm.server.net.reactor import ENDED, READABLE, WRITABLE, Reactor
from imapvm.server.net.tcp import acknowledge, send_at_once
from imapvm.server.net.tls import (
    HANDSHAKE_SECONDS,
    ProxyHeaderError,
    TlsFacts,
    TlsServer,
    client_hello_has_arrived,
    send_close_notify,
)
from imapvm.server.net.transport_state import QUEUE_STATES, TLS_STATES, TRANSITIONS, TransportState

READS_PER_TURN: Final = 64
"""Reads that find bytes at once, before other tasks run."""
READS_AT_ONCE: Final = 4
"""Reads from one connection in the reactor's callback; more input is read by the task."""
LINGER_SECONDS: Final = 2.0
"""Longest wait of `finish` for a client that has been sent BYE to close the connection."""

_PLAIN: Final = TransportState.PLAIN  # a global is read faster than an attribute of the enum
_DEFLATE: Final = TransportState.DEFLATE
_CLOSED: Final = "the connection was closed here"


@final
class Transport:
    """Owner of a connected stream socket (TCP or AF_UNIX).

    At most one task reads and at most one awaits `write`; `write_nowait` may be called at any time
    on Trio's thread. Output keeps its order: bytes that the socket does not take at once are
    queued, and sent when the client reads.

    Methods that may block await `suspend()` first (`imapvm.model.stepping`).
    """

    __slots__ = (
        "_compression",
        "_connected_scope",
        "_fd",
        "_output",
        "_peer_ended",
        "_reactor",
        "_readable",
        "_reader",
        "_reason",
        "_socket",
        "_state",
        "_sticky",
        "_take",
        "_tls_server",
        "_turns",
        "_writer",
        "bytes_in",
        "bytes_out",
        "is_compressed",
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
            reactor: has to run as long as the transport is in use.
            sock: is made non-blocking; the caller must not use it any more.
            peer: the other side's address without port, for logs and limits.
            tls_server: None where `start_tls` is not available.
        """
        sock.settimeout(0)
        send_at_once(sock)
        self._state = TransportState.PLAIN
        self._reason: str | None = None
        """Text of the error in FAILED, `_CLOSED` in CLOSED. No exception: it would hold the frames
        it passed through, and those this object, a cycle that only a collection could free."""
        self._socket = sock
        self._fd = sock.fileno()
        self._reactor = reactor
        self._tls_server = tls_server
        self._readable = False  # registering reports bytes that have already arrived
        self._sticky = False
        """A short read does not mean that the socket is drained: TLS, or the client's end."""
        self._peer_ended = False
        """True after the client has closed its direction; input before it may still be unread."""
        self._compression: Compression | None = None
        """Set from `start_compression` on, until input is not compressed any more."""
        self.is_compressed = False
        self._connected_scope: trio.CancelScope | None = None
        self._turns = READS_PER_TURN
        self._reader: Task | None = None
        """Task that waits for the client; None while `_take` runs."""
        self._take: Callable[[bytes], bool] | None = None
        """Set while a task is in `serve` and waits."""
        self._writer: Task | None = None
        self._output: OutputQueue | None = None
        self.waiting = 0
        """Bytes in the output queue."""
        self.bytes_in = 0
        self.bytes_out = 0
        """Bytes taken by the kernel, before encryption and after compression."""
        self.peer = peer
        self.tls: TlsFacts | None = None
        """None before TLS."""
        reactor.register(self._fd, self)

    # --- reading ---------------------------------------------------------------------------

    async def read(self, max_bytes: int = RECEIVE_MAX) -> bytes:
        """Return the next bytes, at least one; b"" when the client will send no more.

        Cancelled: nothing was taken.

        Raises:
            trio.BrokenResourceError: the connection failed.
            trio.ClosedResourceError: it was closed here, before or meanwhile.
        """
        self._turns -= 1
        if self._turns <= 0:
            self._turns = READS_PER_TURN
            await suspend()
            await trio.lowlevel.checkpoint()
        if self._compression is not None:
            return await self._read_inflated(self._compression)
        return await self._read_raw(max_bytes)

    async def _read_raw(self, max_bytes: int) -> bytes:
        self._check_alive()
        while True:
            if self._readable:
                try:
                    data = self._socket.recv(max_bytes)
                except WOULD_BLOCK:
                    self._readable = False
                except OSError as error:
                    self._fail(error)
                    raise self._lost() from error
                else:
                    # A short read has drained a socket (epoll(7)) and the next bytes make a new
                    # edge. Not if the FIN was announced together with these bytes, and not with
                    # TLS, where a short read only ends a record.
                    if len(data) < max_bytes and not self._sticky:
                        self._readable = False
                    self.bytes_in += len(data)
                    return data
            acknowledge(self._socket)
            await self._wait_readable(None)
            self._turns = READS_PER_TURN

    async def _read_inflated(self, compression: Compression) -> bytes:
        self._check_alive()
        try:
            data = await compression.read(self._read_raw, self._reactor.turns)
        except CorruptInputError as error:
            self._fail(error)
            raise self._lost() from error
        self._compression = None if compression.is_plain else compression
        return data

    async def serve(self, take: Callable[[bytes], bool]) -> bool:
        """Pass bytes to `take` as they arrive, until it returns False.

        Mostly the reactor calls `take`, without a task switch: it must not wait, and must not read
        from this transport. An exception from it is raised here.

        Returns:
            False when the client will send no more.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: as `read`.
        """
        while True:
            if self._readable or (self._compression is not None and self._compression.has_more):
                data = await self.read()
                if not data:
                    return False
                if not take(data):
                    return True
                del data  # or an idle session would keep it
            elif await self._wait_readable(take):
                return True

    @property
    def error(self) -> str | None:
        """Text of the error in FAILED; else None."""
        return None if self._state is TransportState.CLOSED else self._reason

    @property
    def is_reading(self) -> bool:
        """True while a task waits for input from the client."""
        return self._reader is not None

    async def _wait_readable(self, take: Callable[[bytes], bool] | None) -> bool:
        """Wait for an event; return True if `take` was called meanwhile and returned False."""
        await suspend()
        if self._reader is not None:
            raise trio.BusyResourceError("another task is reading")
        self._check_alive()
        if self._readable:
            return False  # the event arrived while the coroutine moved to its task
        self._reader, self._take = current_task(), take
        stopped: bool = await wait_task_rescheduled(self._abort_reader)
        self._check_alive()
        return stopped

    # --- writing ---------------------------------------------------------------------------

    def write_nowait(self, data: bytes) -> None:
        """Send bytes, or queue them if the socket does not take them now.

        Never raises for the client's sake: on a failed connection the bytes are dropped, and the
        next read raises. The connection also fails if more than OUTPUT_WAITING_MAX bytes are
        queued already: the client has stopped reading.
        """
        if not data:
            return
        if self._state is _PLAIN and self._output is None:
            try:
                sent = self._socket.send(data)
            except WOULD_BLOCK:
                sent = 0
            except OSError as error:
                self._fail(error)
                return
            self.bytes_out += sent
            if sent != len(data):
                self._output = OutputQueue(memoryview(data)[sent:])
                self.waiting = len(data) - sent
        elif self.is_compressed and self._compression is not None and self._reason is None:
            self._enqueue(self._compression.deflate(data))
        else:
            self._enqueue(data)

    def _enqueue(self, data: bytes) -> None:
        if self._output is not None:
            if self.waiting > OUTPUT_WAITING_MAX:
                self._fail(TimeoutError("the client does not read what it is sent"))
            else:
                self._output.append(data)
                self.waiting += len(data)
        elif self._state in QUEUE_STATES:
            self._output = OutputQueue(memoryview(data))
            self.waiting = len(data)
            self._flush(self._output)

    def _flush(self, output: OutputQueue) -> None:
        try:
            sent = output.flush(self._socket, tls=self._state in TLS_STATES)
        except OSError as error:
            self._fail(error)
            return
        self.bytes_out += sent
        self.waiting -= sent
        if not self.waiting:
            self._output = None
            self._wake_writer()

    async def write(self, data: bytes) -> None:
        """Send, and return when the kernel has taken these bytes and all written before.

        Cancelled: the bytes stay queued and are sent, unless the connection is closed.

        Raises:
            trio.BrokenResourceError: the connection failed; how much arrived is not known.
            trio.ClosedResourceError: it was closed here, before or meanwhile.
        """
        if self.is_compressed:
            *pieces, data = pieces_of(data)
            for piece in pieces:
                self.write_nowait(piece)
                await self.drained()
                if self._reactor.turns.is_over():
                    await self._reactor.turns.next()
        self.write_nowait(data)
        if self.waiting or self._reason is not None:
            await self.drained()

    async def drained(self) -> None:
        """Return when the kernel has taken all that was written.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: as `write`.
        """
        if self.waiting:
            await suspend()
        while self.waiting:
            if self._writer is not None:
                raise trio.BusyResourceError("another task is writing")
            self._writer = current_task()
            await wait_task_rescheduled(self._abort_writer)
        self._check_alive()

    # --- TLS -------------------------------------------------------------------------------

    @property
    def can_start_tls(self) -> bool:
        """True where STARTTLS may be offered: a certificate, no TLS and no compression."""
        return self._tls_server is not None and self.tls is None and not self.is_compressed

    @property
    def tls_version(self) -> str | None:
        """Version of TLS in OpenSSL's words, `TLSv1.3`; None without TLS."""
        return None if self.tls is None else self.tls.version

    async def start_tls(self) -> None:
        """Run the handshake as the server; bytes written before are sent in the clear.

        The caller has to discard bytes that were read before (RFC 9051 section 6.2.1).

        Raises:
            trio.BrokenResourceError: no agreement, or it took too long. Close.
            trio.ClosedResourceError: it was closed here, before or meanwhile.
        """
        server = self._tls_server
        if server is None or not self.can_start_tls:
            raise ValueError("TLS is not available, or a layer is already active")
        await self.drained()
        await suspend()
        self._check_alive()
        self._compression = None  # discards input after a compressed stream
        self._enter(TransportState.HANDSHAKE)
        try:
            with trio.fail_after(HANDSHAKE_SECONDS):
                await self._client_hello()
            peer = network_of(self.peer)
            with self.while_connected():
                await server.places.acquire(peer)
            try:
                with trio.fail_after(HANDSHAKE_SECONDS):
                    secure = await self._handshake(server)
            finally:
                server.places.release(peer)
        except trio.TooSlowError as late:
            self._fail(TimeoutError("the TLS handshake took too long"))
            raise self._lost() from late
        except OSError as error:
            self._fail(error)
            raise self._lost() from error
        self._enter(TransportState.TLS)
        self.tls = TlsFacts.of(secure)
        self._sticky = self._readable = True

    async def _client_hello(self) -> None:
        """Wait until `client_hello_has_arrived`, or the client ends.

        Raises:
            ProxyHeaderError: the first bytes are a PROXY header.
        """
        while True:
            self._check_alive()
            self._readable = False
            try:
                if client_hello_has_arrived(self._socket) or self._peer_ended:
                    return
            except ProxyHeaderError as error:
                self._fail(ConnectionError(str(error)))
                raise
            await self._wait_readable(None)

    async def _handshake(self, server: TlsServer) -> ssl.SSLSocket:
        self._check_alive()
        secure = self._socket = server.wrap(self._socket)
        while True:
            # A thousand clients that reconnect at once would block the loop for as many
            # signatures. A step is never held while waiting for the network.
            async with server.steps:
                self._check_alive()
                self._readable = False
                try:
                    secure.do_handshake()
                except WOULD_BLOCK:
                    pass
                else:
                    return secure
            await self._wait_readable(None)

    def start_compression(self) -> None:
        """Deflate output that is written, and inflate input that is read; raises as `write`."""
        self._check_alive()
        if self._compression is not None:
            raise ValueError("compression is already active, or its end has not arrived")
        self._enter(_DEFLATE if self.tls is None else TransportState.TLS_DEFLATE)
        self._compression, self.is_compressed = Compression(self._reactor.codecs), True

    def stop_compression(self, last: bytes) -> None:
        """Send the last deflated bytes; inflate input to its stream's end; raises as `write`."""
        self._check_alive()
        if self._compression is None or not self.is_compressed:
            raise ValueError("compression is not active")
        self._enqueue(self._compression.finish(last))
        self._check_alive()
        self._compression.stop()
        self.is_compressed = False
        self._enter(_PLAIN if self.tls is None else TransportState.TLS)

    # --- the client's end --------------------------------------------------------------------

    @contextlib.contextmanager
    def while_connected(self) -> Iterator[None]:
        """Cancel the body when the client has closed its direction, if the body waits.

        One context at a time. Call it in a task.

        Raises:
            trio.BrokenResourceError: the body was cancelled.
            trio.ClosedResourceError: the connection was closed here, and the body was cancelled.
        """
        with trio.CancelScope() as scope:
            self._connected_scope = scope
            if self._peer_ended:
                scope.cancel()
            try:
                yield
            finally:
                self._connected_scope = None
        if scope.cancelled_caught:
            self._check_alive()
            raise trio.BrokenResourceError("the client closed the connection")

    # --- closing ---------------------------------------------------------------------------

    def close(self) -> None:
        """Close both directions at once: queued output is dropped, waiting tasks raise.

        May be called again.
        """
        if self._state is TransportState.CLOSED:
            return
        self._reactor.forget(self._fd)
        clean = self._state in TLS_STATES and not self.waiting
        self._enter(TransportState.CLOSED)
        self._reason = _CLOSED
        if clean:
            send_close_notify(self._socket)
        self._socket.close()
        self._release()

    async def finish(self) -> None:
        """Send queued output, shut down sending, and close when the client has closed.

        Closing at once would answer unread input with RST, and the client's kernel then discards
        the BYE that the client has not read yet (RFC 9293 section 3.6.1). Never raises; takes at
        most LINGER_SECONDS.
        """
        try:
            await suspend()
            with trio.move_on_after(LINGER_SECONDS):
                await self.drained()
                if self.tls is not None:
                    send_close_notify(self._socket)
                self._socket.shutdown(socket.SHUT_WR)
                until = self.bytes_in + LINGER_BYTES_MAX
                while self.bytes_in < until and await self.read():
                    pass
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has closed before
        finally:
            self.close()

    # --- events ----------------------------------------------------------------------------

    def ready(self, events: int) -> None:
        """Handle events of the socket. Called by the reactor only."""
        if events & ENDED:
            self._sticky = self._peer_ended = True
            self._cancel_while_connected()
        # Either direction of TLS may have waited for either direction of the socket.
        tls = self._state is not _PLAIN and self._state is not _DEFLATE
        if events & READABLE or tls:
            self._readable = True
            if self._take is None or self._compression is not None:
                self._wake_reader()
            else:
                self._serve_now(self._take)
        if self._output is not None and (events & WRITABLE or tls):
            self._flush(self._output)

    def _serve_now(self, take: Callable[[bytes], bool]) -> None:
        """Read and serve in the reactor's callback; resume the task for all but the simple case."""
        task, self._reader = self._reader, None  # no task waits for the client meanwhile
        for _ in range(READS_AT_ONCE):
            try:
                data = self._socket.recv(RECEIVE_MAX)
            except WOULD_BLOCK:
                self._readable = False
                self._reader = task
                return
            except OSError:
                break  # the task's own read raises it
            if not data:
                break
            if len(data) < RECEIVE_MAX and not self._sticky:
                self._readable = False
            self.bytes_in += len(data)
            try:
                if not take(data):
                    self._resume(task, outcome.Value(value=True))
                    return
            except BaseException as error:
                self._resume(task, outcome.Error(error))
                return
            if self._reason is not None:
                break
            if not self._readable:
                self._reader = task
                return
        self._resume(task, outcome.Value(value=False))

    def _resume(self, task: Task | None, stopped: outcome.Outcome[bool]) -> None:
        self._take = None
        self._wake(task, stopped)

    def _abort_reader(self, _raise_cancel: RaiseCancelT) -> Abort:
        self._reader = self._take = None
        return Abort.SUCCEEDED

    def _abort_writer(self, _raise_cancel: RaiseCancelT) -> Abort:
        self._writer = None
        return Abort.SUCCEEDED

    def _wake_reader(self) -> None:
        task = self._reader
        if task is not None:  # else: none waits, or `_serve_now` wakes it
            self._reader = self._take = None
            self._wake(task)

    def _cancel_while_connected(self) -> None:
        if self._connected_scope is not None:
            self._reactor.woken = True
            self._connected_scope.cancel()

    def _wake_writer(self) -> None:
        task, self._writer = self._writer, None
        self._wake(task)

    def _wake(self, task: Task | None, stopped: outcome.Outcome[bool] | None = None) -> None:
        if task is not None:
            self._reactor.woken = True
            reschedule(task, stopped or outcome.Value(value=False))

    # --- transitions -----------------------------------------------------------------------

    def _enter(self, state: TransportState) -> None:
        assert state in TRANSITIONS[self._state], (self._state, state)
        self._state = state

    def _fail(self, error: OSError) -> None:
        if self._reason is None:
            self._enter(TransportState.FAILED)
            self._reason = str(error) or type(error).__name__
        self._release()

    def _release(self) -> None:
        """Free buffers, and resume all tasks that wait for this connection."""
        self._output, self.waiting = None, 0
        if self._compression is not None:
            self._compression.close()
        self._cancel_while_connected()
        self._wake_reader()
        self._wake_writer()

    def _check_alive(self) -> None:
        if self._reason is not None:
            raise self._lost()

    def _lost(self) -> Exception:
        if self._state is TransportState.CLOSED:
            return trio.ClosedResourceError(_CLOSED)
        return trio.BrokenResourceError(self._reason)
