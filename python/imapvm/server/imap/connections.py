"""All connections of a process: how many there may be, and which have been silent too long."""

import ipaddress
import logging
import random
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol, final

import trio

from imapvm.model.limits import CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imapvm.server.imap.connection import Connection

LOG: Final = logging.getLogger(__name__)

LOGIN_SECONDS: Final = 60.0
"""Without a command before login; RFC 9051 section 5.4 asks for half an hour after login only."""
AUTOLOGOUT_SECONDS: Final = 30 * 60.0
"""Without an octet from the client after login. RFC 9051 section 5.4: at least this."""
STALL_SECONDS: Final = 5 * 60.0
"""Without progress while the client is sent something and does not read it."""
SWEEP_SECONDS: Final = 10.0
"""Between two looks at everybody; what is said above may come that much later."""
STILL_HERE_SWEEPS: Final = 24
"""Looks (four minutes) between the words that keep address translators on the way from forgetting
a connection in IDLE; each look says them to an equal part."""
SWEEP_SLICE: Final = 500
"""Connections that are looked at before others get their turn: about a millisecond."""
ENDED_PER_SECOND: Final = 100.0
"""Clients that a process sends to its successor: some 0.1 s of a core for their handshakes."""
LOCAL: Final = "local"
"""The peer's address on a unix socket."""


class Peers(Protocol):
    """Connections of addresses that other processes have (`imapvm.server.shared.memory`)."""

    def elsewhere(self, network: str) -> int:
        """How many a network has in all other processes."""

    def change(self, network: str, by: int) -> None:
        """Let the others know that there is one more here, or one less."""


@final
class Connections:
    """Counts and sweeps; one a process."""

    __slots__ = ("_all", "_limit", "_limit_per_peer", "_peers", "_round", "_shared")

    def __init__(
        self,
        *,
        limit: int = CONNECTIONS_MAX,
        limit_per_peer: int = CONNECTIONS_PER_PEER_MAX,
        shared: Peers | None = None,
    ) -> None:
        """Count nobody yet.

        Args:
            limit: in this process.
            limit_per_peer: from one address, in all processes.
            shared: what the others have; None where there are no others.
        """
        self._limit = limit
        self._limit_per_peer = limit_per_peer
        self._all: dict[Connection, None] = {}
        self._peers: Counter[str] = Counter()
        self._round = 0
        self._shared = shared

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> "Iterator[Connection]":
        """All of them; a copy, so that they may come and go meanwhile."""
        return iter(tuple(self._all))

    def refusal(self, peer: str) -> str | None:
        """Say why one more connection from this address cannot be had; None where it can."""
        if len(self._all) >= self._limit:
            return "too many connections; try again later"
        if not is_loopback(peer):
            network = network_of(peer)
            there = self._shared.elsewhere(network) if self._shared is not None else 0
            if self._peers[network] + there >= self._limit_per_peer:
                return "too many connections from your address"
        return None

    def enter(self, connection: "Connection") -> None:
        self._all[connection] = None
        network = network_of(connection.transport.peer)
        self._peers[network] += 1
        if self._shared is not None:
            self._shared.change(network, 1)

    def leave(self, connection: "Connection") -> None:
        del self._all[connection]
        network = network_of(connection.transport.peer)
        self._peers[network] -= 1
        if not self._peers[network]:
            del self._peers[network]
        if self._shared is not None:
            self._shared.change(network, -1)

    async def sweep_forever(self) -> None:
        """End who has been silent too long: one task for all, no timer for any."""
        while True:
            await trio.sleep(SWEEP_SECONDS)
            await self.sweep()

    async def sweep(self) -> None:
        """Look at everybody once."""
        now = trio.current_time()
        self._round += 1
        for number, connection in enumerate(self):
            if number % SWEEP_SLICE == SWEEP_SLICE - 1:
                await trio.lowlevel.checkpoint()
            if connection not in self._all:
                continue
            reason = self._overdue(connection, now)
            if reason is not None:
                connection.end(reason)
            elif (number + self._round) % STILL_HERE_SWEEPS == 0:
                connection.context.still_here()

    def _overdue(self, connection: "Connection", now: float) -> str | None:
        """Compare with what was seen last time; say why it is to end, or None.

        A stranger's octets are no activity, only its commands are: one octet a minute would keep
        a connection for ever. For somebody who has signed in a slow upload is activity.
        """
        transport = connection.transport
        if transport.waiting:
            if transport.bytes_out != connection.sent:
                connection.sent = transport.bytes_out
                connection.sent_at = now
            elif now - connection.sent_at >= STALL_SECONDS:
                LOG.info("client does not read", extra={"peer": transport.peer})
                transport.close()  # there is no way to tell it anything
            connection.heard = -1
            return None
        connection.sent = -1
        if not transport.is_reading:
            connection.heard = -1  # a command runs; the client's time begins behind it
            return None
        signed_in = connection.signed_in
        heard = transport.bytes_in if signed_in else connection.commands
        if heard != connection.heard:
            connection.heard = heard
            connection.heard_at = now
        elif now - connection.heard_at >= (AUTOLOGOUT_SECONDS if signed_in else LOGIN_SECONDS):
            return "autologout; idle for too long"
        return None

    async def end_gradually(self, reason: str, seconds: float) -> None:
        """Say BYE to everybody who is here now, each at a moment of its own.

        All come back at once, and to another process that begins with a handshake and a sign-in
        for each: so ENDED_PER_SECOND, or as many as it takes to have told the last in time.

        Args:
            reason: for the clients.
            seconds: about so long it takes at most. Who is in the middle of a command at its moment
                hears BYE behind it, and may still be here at the end.
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
                connection.end(reason)

    async def end_all(self, reason: str) -> None:
        """Say BYE to everybody, and return when the last is gone; may be cancelled before."""
        while self._all:
            for number, connection in enumerate(self):
                if number % SWEEP_SLICE == SWEEP_SLICE - 1:
                    await trio.lowlevel.checkpoint()
                if connection in self._all:
                    connection.end(reason)
            # Those in the middle of a command end behind it; where it has begun to wait for its
            # client meanwhile, the next look finds it.
            await trio.sleep(0.02)


def is_loopback(peer: str) -> bool:
    """True for a peer on this machine: a web mailer, a proxy, the operator."""
    if peer == LOCAL:
        return True
    address = ipaddress.ip_address(peer)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def network_of(peer: str) -> str:
    """What counts as one address: of IPv6 the /64, which one household has to itself."""
    if ":" not in peer:
        return peer
    address = ipaddress.IPv6Address(peer)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
