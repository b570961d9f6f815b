"""A small blocking IMAP client: it looks at a server before a load, and fills mailboxes.

Nothing is measured with it; that is what the engine is for.
"""

import re
import socket
import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from imapvm_bench.errors import BenchError
from imapvm_bench.format import printable
from imapvm_bench.server.target import Target
from imapvm_bench.server.users import User

TIMEOUT_SECONDS: Final = 60.0
LINE_MAX: Final = 1024 * 1024
"""Octets of one line of an answer; more is no IMAP."""

_LITERAL: Final = re.compile(rb"\{(\d+)\}$")


class Refused(BenchError):
    """The server said NO or BAD to a command, or BYE."""

    def __init__(self, command: str, answer: str) -> None:
        super().__init__(f"{command} → {answer}")
        self.answer = answer


class Client:
    """One connection; use it in a `with`.

    Raises:
        BenchError: nobody answers, TLS fails, or what answers is no IMAP server.
    """

    def __init__(self, target: Target, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self.target = target
        self._count = 0
        self.capabilities: frozenset[str] = frozenset()
        where = f"{target.name} ({target.imap})" if target.name != str(target.imap) else target.name
        self._where = where
        try:
            self._socket: socket.socket = socket.create_connection(
                (target.imap.host, target.imap.port), timeout
            )
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if target.tls == "tls":
                self._wrap()
            self._file = self._socket.makefile("rb")
        except OSError as error:
            raise BenchError(f"{where} cannot be reached: {_reason(error)}") from None
        try:
            self.greeting = self._line()
            if not re.match(rb"\* (OK|PREAUTH)\b", self.greeting, re.IGNORECASE):
                raise BenchError(f"{where} greets with {shown(self.greeting)!r}, not as IMAP does")
            if target.tls == "starttls":
                self.command("STARTTLS")
                self._file.close()
                self._wrap()
                self._file = self._socket.makefile("rb")
            self.ask_capabilities()
        except OSError as error:
            self.close()
            raise BenchError(f"{where} cannot be used: {_reason(error)}") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up without LOGOUT."""
        if hasattr(self, "_file"):
            self._file.close()
        self._socket.close()

    @property
    def fast_literals(self) -> bool:
        """Whether literals may be sent without waiting, of any size (RFC 7888)."""
        return "LITERAL+" in self.capabilities

    def ask_capabilities(self) -> None:
        """Learn what the server offers now."""
        for line in self.command("CAPABILITY"):
            if line.upper().startswith(b"* CAPABILITY "):
                self.capabilities = frozenset(line.decode("ascii", "replace").upper().split()[2:])

    def login(self, user: User) -> None:
        """Sign in.

        Raises:
            Refused: with the user's name, not the password.
        """
        line = b"LOGIN " + quoted(user.name) + b" " + quoted(user.password)
        self.command(line, f"LOGIN {user.name}")
        self.ask_capabilities()

    def command(self, text: str | bytes, shown_as: str | None = None) -> list[bytes]:
        """Run a command and return the lines before the tagged one (literals are left out).

        Raises:
            Refused: NO, BAD or BYE.
            BenchError: the server hung up, or is silent.
        """
        line = text.encode() if isinstance(text, str) else text
        tag = self._tag()
        self._send(tag + b" " + line + b"\r\n")
        return self._answer(tag, shown_as or shown(line))

    def append(self, mailbox: str, messages: Iterable[tuple[bytes, str]]) -> int:
        """APPEND messages, each with what stands before its literal: flags and date.

        With LITERAL+ all are sent before the first answer is read; else one at a time.

        Returns:
            How many there were.

        Raises:
            Refused: the first that was.
        """
        tags: list[bytes] = []
        name = quoted(mailbox)
        shown_as = f"APPEND {mailbox}"
        for octets, before in messages:
            tag = self._tag()
            start = b"%s APPEND %s%s {%d" % (tag, name, before.encode(), len(octets))
            if self.fast_literals:
                self._send(start + b"+}\r\n" + octets + b"\r\n")
            else:
                self._send(start + b"}\r\n")
                self._continuation(tag, shown_as)
                self._send(octets + b"\r\n")
                self._answer(tag, shown_as)
            tags.append(tag)
        if self.fast_literals:
            for tag in tags:
                self._answer(tag, shown_as)
        return len(tags)

    def _wrap(self) -> None:
        context = ssl.create_default_context(cafile=self.target.ca)
        if not self.target.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        name = self.target.server_name or self.target.imap.host
        self._socket = context.wrap_socket(self._socket, server_hostname=name)

    def _tag(self) -> bytes:
        self._count += 1
        return b"b%d" % self._count

    def _send(self, octets: bytes) -> None:
        try:
            self._socket.sendall(octets)
        except OSError as error:
            raise BenchError(f"{self._where} does not take more: {_reason(error)}") from None

    def _line(self) -> bytes:
        try:
            line = self._file.readline(LINE_MAX)
        except OSError as error:
            raise BenchError(f"{self._where} does not answer: {_reason(error)}") from None
        if not line.endswith(b"\n"):
            raise BenchError(f"{self._where} closed the connection")
        return line.rstrip(b"\r\n")

    def _continuation(self, tag: bytes, command: str) -> None:
        while not (line := self._line()).startswith(b"+"):
            if line.startswith(tag + b" "):
                raise Refused(command, shown(line[len(tag) + 1 :]))

    def _answer(self, tag: bytes, command: str) -> list[bytes]:
        lines: list[bytes] = []
        while True:
            line = self._line()
            if line.startswith(tag + b" "):
                answer = line[len(tag) + 1 :]
                if answer[:2].upper() != b"OK":
                    raise Refused(command, shown(answer))
                return lines
            if line[:6].upper() == b"* BYE ":
                raise Refused(command, shown(line[2:]))
            lines.append(line)
            literal = _LITERAL.search(line)
            if literal:
                self._skip(int(literal[1]))

    def _skip(self, octets: int) -> None:
        while octets:
            piece = self._file.read(min(octets, 65536))
            if not piece:
                raise BenchError(f"{self._where} closed the connection")
            octets -= len(piece)


def quoted(text: str) -> bytes:
    """Return a text as an IMAP quoted string (RFC 9051 section 4.3)."""
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def shown(line: bytes) -> str:
    """Return what a server said as text to be shown: short, and without control characters."""
    return printable(line.decode("utf-8", "replace")[:300])


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    return (error.strerror or str(error)).lower()
