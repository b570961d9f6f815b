"""Connections of a process: limits on their number, and timeouts of idle ones."""

import logging
import random
from collections import Counter
from collections.abc import Iterator
from typing import Final, Protocol, final

import trio

from imapvm.commands.context import Context
from imapvm.model.limits import CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX
from imapvm.model.logs import LogInterval
from imapvm.model.peers import PROXY_LOG_SECONDS, is_loopback, network_of
from imapvm.server.net.transport import Transport

LOG: Final = logging.getLogger(__name__)

LOGIN_SECONDS: Final = 60.0
"""Without a command before login; RFC 9051 section 5.4 requires 30 minutes after login only."""
AUTOLOGOUT_SECONDS: Final = 30 * 60.0
"""Without a byte from the client after login; the minimum of RFC 9051 section 5.4."""
STALL_SECONDS: Final = 5 * 60.0
"""Without progress while output waits for a client that does not read."""
SWEEP_SECONDS: Final = 10.0
"""Between two sweeps; the timeouts above may be late by this much."""
STILL_HERE_SWEEPS: Final = 24
"""Sweeps (four minutes) between two "still here" responses in IDLE, which keep address translators
from dropping the connection; each sweep sends them to an equal part of the clients."""
SWEEP_SLICE: Final = 500
"""Connections visited before other tasks run: about a millisecond."""
ENDED_PER_SECOND: Final = 100.0
"""Clients that a process sends to its successor: their handshakes take some 0.1 s of a core."""
"""Between two log events of one kind that any client can cause."""


class PeerCounts(Protocol):
    """Connections by network in other processes (`imapvm.server.shared.memory`)."""

    def elsewhere(self, network: str) -> int:
        """Return the connections of a network in all other processes."""

    def change(self, network: str, by: int) -> None:
        """Change the count of this process."""


class OpenConnection(Protocol):
    """Connection as it is counted and swept (`imapvm.server.imap.connection`)."""

    commands: int
    """Commands run so far, malformed ones included."""

    @property
    def transport(self) -> Transport: ...

    @property
    def context(self) -> Context: ...

    @property
    def signed_in(self) -> bool: ...

    def end(self, reason: str, code: str | None = None) -> None:
        """Send BYE: at once while the client is idle, else after its command."""


@final
class _Activity:
    """Counters of one connection at the last sweep that saw them change."""

    __slots__ = ("input", "input_at", "output", "output_at")

    def __init__(self) -> None:
        self.input = self.output = -1
        """-1: the timeout has not started."""
        self.input_at = self.output_at = 0.0


@final
class Connections:
    """Counts and sweeps the connections of a process."""

    __slots__ = (
        "_all",
        "_limit",
        "_limit_per_peer",
        "_peers",
        "_proxy_headers",
        "_round",
        "_shared",
    )

    def __init__(
        self,
        *,
        limit: int = CONNECTIONS_MAX,
        limit_per_peer: int = CONNECTIONS_PER_PEER_MAX,
        shared: PeerCounts | None = None,
    ) -> None:
        """Start with no connections.

        Args:
            limit: in this process.
            limit_per_peer: from one address, in all processes.
            shared: counts of the other processes; None if there are none.
        """
        self._limit = limit
        self._limit_per_peer = limit_per_peer
        self._all: dict[OpenConnection, _Activity] = {}
        self._peers: Counter[str] = Counter()
        self._round = 0
        self._proxy_headers = LogInterval(PROXY_LOG_SECONDS)
        self._shared = shared

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[OpenConnection]:
        """Iterate over a copy: connections may be added and removed meanwhile."""
        return iter(tuple(self._all))

    def refusal(self, peer: str) -> str | None:
        """Return the reason to refuse a connection from this address; None to accept it."""
        if len(self._all) >= self._limit:
            return "too many connections; try again later"
        if not is_loopback(peer):
            network = network_of(peer)
            there = self._shared.elsewhere(network) if self._shared is not None else 0
            if self._peers[network] + there >= self._limit_per_peer:
                return "too many connections from your address"
        return None

    def enter(self, connection: OpenConnection) -> None:
        self._all[connection] = _Activity()
        network = network_of(connection.transport.peer)
        self._peers[network] += 1
        if self._shared is not None:
            self._shared.change(network, 1)

    def leave(self, connection: OpenConnection) -> None:
        del self._all[connection]
        network = network_of(connection.transport.peer)
        self._peers[network] -= 1
        if not self._peers[network]:
            del self._peers[network]
        if self._shared is not None:
            self._shared.change(network, -1)

    def log_proxy_header(self, peer: str) -> None:
        """Log that a connection of this peer was closed because of a PROXY header."""
        if (skipped := self._proxy_headers.skipped(trio.current_time())) is not None:
            extra = {"peer": peer, "skipped": skipped}
            LOG.warning("PROXY header received and connection closed", extra=extra)

    async def sweep_forever(self) -> None:
        """End connections that exceed a timeout: one task for all, no timer for each."""
        while True:
            await trio.sleep(SWEEP_SECONDS)
            await self.sweep()

    async def sweep(self) -> None:
        """Visit all connections once."""
        now = trio.current_time()
        self._round += 1
        for number, connection in enumerate(self):
            if number % SWEEP_SLICE == SWEEP_SLICE - 1:
                await trio.lowlevel.checkpoint()
            activity = self._all.get(connection)
            if activity is None:
                continue
            reason = _overdue(connection, activity, now)
            if reason is not None:
                connection.end(reason)
            elif (number + self._round) % STILL_HERE_SWEEPS == 0:
                connection.context.still_here()

    async def end_gradually(self, reason: str, seconds: float) -> None:
        """Send BYE to all present connections, spread over time in random order.

        If all clients reconnected at once, each of them with a handshake and a login, the other
        process would be overloaded: so ENDED_PER_SECOND, or as many as it takes to finish in time.

        Args:
            reason: for the clients.
            seconds: longest time, about. A client in the middle of a command is sent BYE after it,
                and may still be present when this returns.
        """
        waiting = list(self)
        random.shuffle(waiting)
        pause = min(1 / ENDED_PER_SECOND, seconds / max(len(waiting), 1))
        due = trio.current_time()
        while waiting:
            due += random.expovariate(1 / pause) if pause else 0.0
            await trio.sleep_until(due)
            connection = waiting.pop()
            if connection in self._all:
                connection.end(reason, "UNAVAILABLE")

    async def end_all(self, reason: str) -> None:
        """Send BYE to all, and return when the last one has left; may be cancelled before."""
        while self._all:
            for number, connection in enumerate(self):
                if number % SWEEP_SLICE == SWEEP_SLICE - 1:
                    await trio.lowlevel.checkpoint()
                if connection in self._all:
                    connection.end(reason, "UNAVAILABLE")
            # A connection in the middle of a command ends after it; if the command has started
            # to wait for its client meanwhile, the next round ends it.
            await trio.sleep(0.02)


def _overdue(connection: OpenConnection, activity: _Activity, now: float) -> str | None:
    """Update the activity; return the reason to end the connection, or None.

    Before login only commands count as activity, not bytes: one byte a minute would keep a
    connection for ever. After login a slow upload is activity.
    """
    transport = connection.transport
    if transport.waiting:
        if transport.bytes_out != activity.output:
            activity.output = transport.bytes_out
            activity.output_at = now
        elif now - activity.output_at >= STALL_SECONDS:
            LOG.info("client does not read", extra=connection.context.session.log_fields())
            transport.close()  # a BYE would only be queued
        activity.input = -1
        return None
    activity.output = -1
    if not transport.is_reading:
        activity.input = -1  # a command runs; the client's timeout starts after it
        return None
    signed_in = connection.signed_in
    received = transport.bytes_in if signed_in else connection.commands
    if received != activity.input:
        activity.input = received
        activity.input_at = now
    elif now - activity.input_at >= (AUTOLOGOUT_SECONDS if signed_in else LOGIN_SECONDS):
        return "autologout; idle for too long"
    return None
