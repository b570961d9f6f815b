"""Small servers that do what a test wants, well or badly; a thread for each connection."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

Script = Callable[[socket.socket, BinaryIO], None]
"""Serves one connection. It is closed when this returns."""


@contextlib.contextmanager
def serving(script: Script) -> Iterator[int]:
    """A server on loopback: its port. At the end all its connections are closed."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    open_sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            script(connection, lines)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_sockets.append(connection)
            thread = threading.Thread(target=serve, args=(connection,))
            threads.append(thread)
            thread.start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for connection in open_sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def polite(connection: socket.socket, lines: BinaryIO) -> None:
    """Greets, and says OK to everything."""
    connection.sendall(b"* OK hello\r\n")
    for line in lines:
        connection.sendall(line.split(b" ")[0] + b" OK done\r\n")
