"""Listener set: listening sockets of all workers, kept open by the master.

Each worker has its own socket at each address (SO_REUSEPORT): the kernel distributes connections
evenly, and no worker is woken in vain. The master keeps them open while a worker restarts, so
clients that connect meanwhile wait instead of being refused. Sockets from systemd, and unix
sockets, are shared by all workers.
"""

import contextlib
import socket
from typing import Final, final

from imapvm.server.net.listen import (
    BACKLOG,
    UNIX,
    Listeners,
    bind,
    listen,
    not_inherited,
    parse,
    take_inherited,
)
from imapvm.server.settings import Listening, Settings, SettingsError

IMAP_KINDS: Final = ("imap", "imaps")


@final
class ListenerSet:
    """Sockets at the addresses of the settings.

    Args:
        settings: addresses and number of workers.

    Raises:
        SettingsError: an address is invalid or cannot be bound.
    """

    def __init__(self, settings: Settings) -> None:
        self._per_worker = [Listeners() for _ in range(settings.workers)]
        self._shared = Listeners()
        try:
            take_inherited(self._shared)
            for kind in IMAP_KINDS:
                for address in not_inherited(self._shared, settings, kind):
                    if address.startswith(UNIX):
                        self._listen_shared(kind, address)
                    else:
                        self._listen_per_worker(kind, address)
            for address in not_inherited(self._shared, settings, "lmtp"):
                self._listen_shared("lmtp", address)
            if settings.certificate is None and self.of(0).imaps:
                raise SettingsError("imaps needs a certificate and a key")
        except BaseException:
            self.close()
            raise

    def of(self, worker: int) -> Listeners:
        """Return the IMAP sockets of a worker (the first is 0)."""
        own, shared = self._per_worker[worker], self._shared
        return Listeners(imap=own.imap + shared.imap, imaps=own.imaps + shared.imaps)

    @property
    def intake(self) -> Listeners:
        """The LMTP sockets."""
        return Listeners(lmtp=list(self._shared.lmtp))

    def addresses(self) -> Listening:
        """Return the addresses to connect to."""
        first = self.of(0)
        first.lmtp.extend(self._shared.lmtp)
        return first.addresses()

    def pause(self, worker: int) -> None:
        """Direct the connections of this worker to the others.

        Connections that wait for it are reset; their clients reconnect to another worker. Shared
        sockets keep listening.
        """
        for sock in self._sockets_of(worker):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RD)  # Linux: stops listening, keeps the address

    def resume(self, worker: int) -> None:
        """Listen again; does nothing without a pause."""
        for sock in self._sockets_of(worker):
            sock.listen(BACKLOG)

    def close(self) -> None:
        """Stop listening; may be called again."""
        for listeners in (*self._per_worker, self._shared):
            listeners.close()

    def _sockets_of(self, worker: int) -> list[socket.socket]:
        return [*self._per_worker[worker].imap, *self._per_worker[worker].imaps]

    def _listen_shared(self, kind: str, address: str) -> None:
        getattr(self._shared, kind).extend(listen(address))
        if address.startswith(UNIX):
            self._shared.paths.append(address.removeprefix(UNIX))

    def _listen_per_worker(self, kind: str, address: str) -> None:
        """Open a socket for each worker; several for a name with several addresses."""
        port = parse(address)[1]
        # With SO_REUSEPORT another imapvm at this address would silently share it, so first bind
        # without. A free port is reserved by a socket that does not listen.
        held = bind(address, reuse_port=port == 0)
        try:
            if port == 0:
                port = held[0].getsockname()[1]
            else:
                for sock in held:
                    sock.close()
            same = f"{address.rpartition(':')[0]}:{port}"
            for own in self._per_worker:
                getattr(own, kind).extend(listen(same, reuse_port=True))
        finally:
            for sock in held:
                sock.close()
