"""Listening sockets of several workers, all of them held open by the master.

Each worker has a socket of its own at each address (SO_REUSEPORT): the kernel deals connections out
evenly, and nobody is woken in vain. The master keeps them open while a worker is started again, so
whoever has connected meanwhile waits instead of being refused. What systemd hands over, and unix
sockets, all workers listen at together.
"""

import contextlib
import socket
from typing import TYPE_CHECKING, Final, final

from imapvm.server.net.listen import (
    BACKLOG,
    UNIX,
    Listeners,
    bind,
    listen,
    parse,
    take_inherited,
)
from imapvm.server.settings import Listening, SettingsError

if TYPE_CHECKING:
    from imapvm.server.settings import Settings

IMAP_KINDS: Final = ("imap", "imaps")


@final
class ListenerSet:
    """The sockets.

    Args:
        settings: say where, and for how many workers.

    Raises:
        SettingsError: an address is none, or cannot be had.
    """

    def __init__(self, settings: "Settings") -> None:
        self._per_worker = [Listeners() for _ in range(settings.workers)]
        self._shared = Listeners()
        try:
            take_inherited(self._shared)
            for kind in IMAP_KINDS:
                for address in getattr(settings, kind):
                    if address.startswith(UNIX):
                        self._listen_shared(kind, address)
                    else:
                        self._listen_per_worker(kind, address)
            for address in settings.lmtp:
                self._listen_shared("lmtp", address)
            if settings.certificate is None and self.of(0).imaps:
                raise SettingsError("imaps needs a certificate and a key")
        except BaseException:
            self.close()
            raise

    def of(self, worker: int) -> Listeners:
        """Where a worker (the first is 0) listens for clients."""
        own, together = self._per_worker[worker], self._shared
        return Listeners(imap=own.imap + together.imap, imaps=own.imaps + together.imaps)

    @property
    def intake(self) -> Listeners:
        """Where mail is handed over."""
        return Listeners(lmtp=list(self._shared.lmtp))

    def addresses(self) -> Listening:
        """Addresses for whoever wants to connect."""
        first = self.of(0)
        first.lmtp.extend(self._shared.lmtp)
        return first.addresses()

    def pause(self, worker: int) -> None:
        """Let the other workers have the connections that would come to this one.

        Those that wait for it are reset: they come again, and get to another. What workers listen
        at together goes on.
        """
        for sock in self._sockets_of(worker):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RD)  # Linux: it listens no more, and keeps its address

    def resume(self, worker: int) -> None:
        """Listen again; does nothing where there was no pause."""
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
        """One socket for each worker; of a name with several addresses, several."""
        port = parse(address)[1]
        # With SO_REUSEPORT another server of ours at this address would share it without a word,
        # so it is looked for without. A free port is held by a socket that does not listen.
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
