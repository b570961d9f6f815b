"""Relay between a client and the server that keeps what it passes on."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

Address = tuple[str, int]


class Relay:
    """All bytes of all connections so far, by their direction."""

    def __init__(self, listener: socket.socket, server: Address) -> None:
        self.address: Address = listener.getsockname()
        self.sent = bytearray()
        """By clients."""
        self.received = bytearray()
        self._listener = listener
        self._server = server

    def clear(self) -> None:
        self.sent.clear()
        self.received.clear()

    def accept(self) -> None:
        """Accept connections until the listener is closed."""
        threads: list[threading.Thread] = []
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threads.append(threading.Thread(target=self._serve, args=(client,)))
                threads[-1].start()
        for thread in threads:
            thread.join()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            back = threading.Thread(target=_copy, args=(server, client, self.received))
            back.start()
            _copy(client, server, self.sent)
            back.join()


def _copy(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            kept += data
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def relayed(server: Address) -> Iterator[Relay]:
    """Yield a relay to a server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = Relay(listener, server)
        thread = threading.Thread(target=relay.accept)
        thread.start()
        try:
            yield relay
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
