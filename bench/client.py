"""A small blocking IMAP client that only measures."""

import socket


class ServerError(Exception):
    """The server answered NO, BAD or BYE, or not at all."""


class Client:
    """One connection. Answers are read whole; only their length and their last line are kept."""

    def __init__(self, address: tuple[str, int], user: str, password: str) -> None:
        self.socket = socket.create_connection(address, timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.count = 0
        self._read_to(b"* OK")
        self.command(f"LOGIN {user} {password}".encode())

    def close(self) -> None:
        self.socket.close()

    def command(self, line: bytes) -> int:
        """Run one command; return the octets of its answer.

        Raises:
            ServerError: it did not end with OK.
        """
        tag = self._tag()
        self.socket.sendall(tag + b" " + line + b"\r\n")
        return self._read_to(tag)

    def append(self, mailbox: str, message: bytes) -> int:
        """APPEND with a synchronising literal, as every server takes it."""
        tag = self._tag()
        self.socket.sendall(b"%s APPEND %s {%d}\r\n" % (tag, mailbox.encode(), len(message)))
        self._read_to(b"+")
        self.socket.sendall(message + b"\r\n")
        return self._read_to(tag)

    def append_many(self, mailbox: str, messages: list[bytes]) -> None:
        """Fill a mailbox: pipelined APPENDs with LITERAL+."""
        tags = []
        for message in messages:
            tags.append(self._tag())
            self.socket.sendall(
                b"%s APPEND %s {%d+}\r\n%s\r\n"
                % (tags[-1], mailbox.encode(), len(message), message)
            )
        self._read_to(tags[-1])

    def _tag(self) -> bytes:
        self.count += 1
        return b"Zq%d" % self.count

    def _read_to(self, start: bytes) -> int:
        """Read until the last line begins with `start`."""
        total, tail = 0, b""
        while True:
            data = self.socket.recv(262144)
            if not data:
                raise ServerError("the server closed the connection")
            total += len(data)
            tail = data if len(data) >= 4096 else (tail + data)[-8192:]
            if not tail.endswith(b"\r\n"):
                continue
            last = tail[tail.rfind(b"\r\n", 0, -2) + 2 :] if tail.count(b"\r\n") > 1 else tail
            if last.startswith(start):
                if start.startswith(b"Zq") and b" OK" not in last[: len(start) + 4]:
                    raise ServerError(last.decode(errors="replace").strip())
                return total
            if last.startswith(b"* BYE"):
                raise ServerError(last.decode(errors="replace").strip())
