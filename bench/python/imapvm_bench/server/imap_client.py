"""Blocking IMAP client, to probe a server before a load and to fill mailboxes.

Nothing is measured with it; the engine does that.
"""

import re
import ssl
from collections.abc import Iterable
from typing import Final

from imapvm_bench.errors import BenchError
from imapvm_bench.server.lines import LineConnection, Refused, excerpt
from imapvm_bench.server.target import Target
from imapvm_bench.server.users import User

TIMEOUT_SECONDS: Final = 60.0

_LITERAL: Final = re.compile(rb"\{(\d+)\}$")


class Client(LineConnection):
    """One IMAP connection."""

    def __init__(self, target: Target, *, timeout: float = TIMEOUT_SECONDS) -> None:
        """Connect, with TLS where the target has it, and read greeting and capabilities.

        Raises:
            BenchError: no connection, TLS fails, or the server does not speak IMAP.
        """
        name = f"{target.name} ({target.imap})" if target.name != str(target.imap) else target.name
        super().__init__(target.imap, name, timeout)
        self.target = target
        self._count = 0
        self.capabilities: frozenset[str] = frozenset()
        try:
            if target.tls == "tls":
                self._start_tls()
            self.greeting = self.read_line()
            if not re.match(rb"\* (OK|PREAUTH)\b", self.greeting, re.IGNORECASE):
                raise BenchError(
                    f"{name} is not an IMAP server: greeting {excerpt(self.greeting)!r}"
                )
            if target.tls == "starttls":
                self.command("STARTTLS")
                self._start_tls()
            self.read_capabilities()
        except BaseException:
            self.close()
            raise

    @property
    def fast_literals(self) -> bool:
        """Return whether literals of any size may be sent without waiting (RFC 7888)."""
        return "LITERAL+" in self.capabilities

    def read_capabilities(self) -> None:
        """Ask for the current capabilities."""
        for line in self.command("CAPABILITY"):
            if line.upper().startswith(b"* CAPABILITY "):
                self.capabilities = frozenset(line.decode("ascii", "replace").upper().split()[2:])

    def login(self, user: User) -> None:
        """Log in.

        Raises:
            Refused: with the name of the user, not the password.
        """
        line = b"LOGIN " + quoted(user.name) + b" " + quoted(user.password)
        self.command(line, f"LOGIN {user.name}")
        self.read_capabilities()

    def command(self, text: str | bytes, name: str | None = None) -> list[bytes]:
        """Run a command; return the lines before the tagged one, without literals.

        Raises:
            Refused: NO, BAD or BYE.
            BenchError: the server closes, or does not answer in time.
        """
        line = text.encode() if isinstance(text, str) else text
        tag = self._tag()
        self.send(tag + b" " + line + b"\r\n")
        return self._answer(tag, name or excerpt(line))

    def append(self, mailbox: str, messages: Iterable[tuple[bytes, str]]) -> int:
        """Append messages, each given with the text before its literal: flags and date.

        With LITERAL+ all are sent before the first answer is read; otherwise one at a time.

        Returns:
            The number of messages.

        Raises:
            Refused: of the first message that was refused.
        """
        tags: list[bytes] = []
        quoted_mailbox = quoted(mailbox)
        name = f"APPEND {mailbox}"
        for message, before in messages:
            tag = self._tag()
            start = b"%s APPEND %s%s {%d" % (tag, quoted_mailbox, before.encode(), len(message))
            if self.fast_literals:
                self.send(start + b"+}\r\n" + message + b"\r\n")
            else:
                self.send(start + b"}\r\n")
                self._continuation(tag, name)
                self.send(message + b"\r\n")
                self._answer(tag, name)
            tags.append(tag)
        if self.fast_literals:
            for tag in tags:
                self._answer(tag, name)
        return len(tags)

    def _start_tls(self) -> None:
        context = ssl.create_default_context(cafile=self.target.ca)
        if not self.target.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.start_tls(context, self.target.server_name or self.target.imap.host)

    def _tag(self) -> bytes:
        self._count += 1
        return b"b%d" % self._count

    def _continuation(self, tag: bytes, command: str) -> None:
        while not (line := self.read_line()).startswith(b"+"):
            if line.startswith(tag + b" "):
                raise Refused(command, excerpt(line[len(tag) + 1 :]))

    def _answer(self, tag: bytes, command: str) -> list[bytes]:
        lines: list[bytes] = []
        while True:
            line = self.read_line()
            if line.startswith(tag + b" "):
                answer = line[len(tag) + 1 :]
                if answer[:2].upper() != b"OK":
                    raise Refused(command, excerpt(answer))
                return lines
            if line[:6].upper() == b"* BYE ":
                raise Refused(command, excerpt(line[2:]))
            lines.append(line)
            literal = _LITERAL.search(line)
            if literal:
                self.skip(int(literal[1]))


def quoted(text: str) -> bytes:
    """Return a text as an IMAP quoted string (RFC 9051 section 4.3)."""
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'
