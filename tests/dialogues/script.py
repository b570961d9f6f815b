"""Dialogue files: commands of clients and the responses they must receive, as text.

    # The first line describes the file.
    given INBOX 11 12 13            messages with these UIDs (and no others) in a mailbox
    given INBOX 12 flags \\Deleted   flags of some of them
    given user bob                  another user beside alice, with the same password
    given group team bob            group of users with its members
    given shared account news       account whose mailboxes are below Shared/
    given 2 signed in as bob        client of another user
    given 1 2 selected INBOX        clients that have signed in and selected a mailbox
    given quota STORAGE 10          limits of alice
    given administrator alice
    given user bob                  another account

    1 C: a1 UID EXPUNGE 12          client 1 sends a line
    1 S: * 2 EXPUNGE                client 1 must receive this line next
    1 S: a1 OK

* `# …` after two spaces, or alone on a line, is a comment. With one client, its number may be
  omitted.
* `C!:` sends without adding a line end, with `\\r`, `\\n`, `\\0` and `\\xNN` as escapes: for bytes
  that are not text, and for several lines in one packet.
* `S:` compares the whole line; the text of a status response (tagged, `* OK`, `* BYE` …, `+`) may
  be omitted. `<name>` matches one word, the same each time, and can be used in later `C:` lines;
  `<*>` matches anything.
* `S~:` lines in sequence may be received in any order.
* `S: <nothing>`: nothing has been received. `S: <closed>`: the server has closed the connection.
* `TLS` runs the handshake, as a client does after OK to STARTTLS.
* `DEFLATE` compresses both directions from here on, as a client does after OK to COMPRESS.
* `PLAIN` ends it, as a client does after OK to UNAUTHENTICATE.
* `HANGUP` closes the client's side.

At the end no client may have received anything that is not in the file.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
_LINE = re.compile(r"(?:(\d+) )?(C!?:|S~?:|TLS\b|DEFLATE\b|PLAIN\b|HANGUP\b) ?(.*)")
_COMMENT = re.compile(r"(?:^|\s\s)#.*$")
STATUS = re.compile(r"(\S+ (?:OK|NO|BAD)|\* (?:OK|NO|BAD|BYE|PREAUTH)|\+)( \[.*?\])?")


@dataclass(frozen=True)
class Step:
    """One line of a file."""

    number: int
    client: int
    kind: str
    text: str


@dataclass(frozen=True)
class Script:
    """One file."""

    path: Path
    title: str
    givens: tuple[tuple[str, ...], ...]
    steps: tuple[Step, ...]

    @property
    def clients(self) -> list[int]:
        return sorted({step.client for step in self.steps})


class ScriptError(Exception):
    """A line of a dialogue file cannot be parsed."""


def files() -> list[Path]:
    return sorted(FOLDER.glob("*.txt"))


def read(path: Path) -> Script:
    """Read one file."""
    title, givens, steps = "", [], []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if number == 1:
            if not line.startswith("# "):
                raise ScriptError(f"{path.name}: the first line has to describe it")
            title = line[2:]
            continue
        bare = _COMMENT.sub("", line).rstrip()
        if not bare:
            continue
        if bare.startswith("given "):
            givens.append(tuple(bare.split()[1:]))
            continue
        found = _LINE.fullmatch(bare)
        if not found:
            raise ScriptError(f"{path.name}:{number}: {bare}")
        client, kind, text = found.groups()
        steps.append(Step(number, int(client or 1), kind.rstrip(":"), text))
    return Script(path, title, tuple(givens), tuple(steps))


def commands(script: Script) -> Iterator[str]:
    """Yield the names of the commands in a file: `NOOP`, `UID FETCH` …"""
    for step in script.steps:
        if step.kind == "C":
            yield from _named(step.text)
        elif step.kind == "C!":
            for line in step.text.split("\\r\\n"):
                yield from _named(line)


def _named(line: str) -> Iterator[str]:
    words = line.upper().split(" ")
    if len(words) > 1:
        yield " ".join(words[1:3]) if words[1] == "UID" and len(words) > 2 else words[1]


def substitute(text: str, captured: dict[str, str]) -> str:
    """Return a client's line with the captured values of `<name>`."""
    for name, value in captured.items():
        text = text.replace(f"<{name}>", value)
    return text


def unescape(text: str) -> bytes:
    """Return the bytes that a `C!:` line sends."""
    escapes = {b"r": b"\r", b"n": b"\n", b"0": b"\0"}

    def undo(found: re.Match[bytes]) -> bytes:
        return escapes[found[1]] if found[1] in escapes else bytes.fromhex(found[1][1:].decode())

    return re.sub(rb"\\([rn0]|x[0-9a-f]{2})", undo, text.encode())


def matches(expected: str, line: str, captured: dict[str, str]) -> bool:
    """Return True if a line matches the file's; capture the values of `<name>`."""
    pattern, names = "", []
    for index, piece in enumerate(re.split(r"<(\*|[a-z][a-z0-9-]*)>", expected)):
        if index % 2 == 0:
            pattern += re.escape(piece)
        elif piece == "*":
            pattern += ".*"
        elif piece in captured:
            pattern += re.escape(captured[piece])
        elif piece in names:
            pattern += f"(?P=n{names.index(piece)})"
        else:
            pattern += rf"(?P<n{len(names)}>[^\s()\[\]\"]+)"
            names.append(piece)
    if STATUS.fullmatch(expected):
        pattern += r"( .*)?"
    found = re.fullmatch(pattern, line)
    if found is None:
        return False
    captured.update((name, found[f"n{index}"]) for index, name in enumerate(names))
    return True
