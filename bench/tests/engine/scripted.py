"""Small scripted servers with one thread for each connection."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

Script = Callable[[socket.socket, BinaryIO], None]
"""Serves one connection, which is closed when the script returns."""


@contextlib.contextmanager
def serving(script: Script) -> Iterator[int]:
    """Run a server on loopback and yield its port. Closes all connections at the end."""
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
    """Greet, and answer OK to every command."""
    connection.sendall(b"* OK hello\r\n")
    for line in lines:
        connection.sendall(line.split(b" ")[0] + b" OK done\r\n")
