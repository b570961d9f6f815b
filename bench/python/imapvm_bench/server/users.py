"""User patterns: `user{1..500}:secret` is 500 users with one password."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imapvm_bench.errors import BenchError, ExitStatus

USERS_MAX: Final = 1_000_000
"""Users of one load; more is taken for a typing error."""

_RANGE: Final = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True, slots=True)
class User:
    """User of the server under test."""

    name: str
    password: str


def parse_users(patterns: Sequence[str], password: str | None = None) -> tuple[User, ...]:
    """Expand patterns in their order.

    A pattern is `NAME`, `NAME:PASSWORD`, or `@FILE` with one of these on each line (`#` starts a
    comment line). One range `{1..500}` in the name counts up, with the leading zeros of its first
    number; a range in the password counts along.

    Args:
        patterns: as given with --users.
        password: for patterns without a password.

    Raises:
        BenchError: status USAGE; the message quotes the pattern.
    """
    users: list[User] = []
    for pattern in patterns:
        if pattern.startswith("@"):
            users += _from_file(Path(pattern[1:]), password)
        else:
            users += _expand(pattern, password)
        if len(users) > USERS_MAX:
            raise _invalid(pattern, f"more than {USERS_MAX:,} users")
    if not users:
        raise BenchError(
            "no users: use --users, such as --users user{1..10}:secret", ExitStatus.USAGE
        )
    return tuple(users)


def _from_file(path: Path, password: str | None) -> list[User]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"--users: cannot read {path}: {error}", ExitStatus.USAGE) from None
    kept = [line.strip() for line in lines]
    return [user for line in kept if line and line[0] != "#" for user in _expand(line, password)]


def _expand(pattern: str, password: str | None) -> list[User]:
    name, colon, own = pattern.partition(":")
    if not colon:
        if password is None:
            raise _invalid(pattern, "no password: write NAME:PASSWORD, or use --password")
        own = password
    if not name:
        raise _invalid(pattern, "no name before the colon")
    if any(ord(letter) < 32 or letter == "\x7f" for letter in name + own):
        raise _invalid(pattern, "control character")
    names = _count(pattern, name)
    passwords = _count(pattern, own) if colon else [own]
    if len(passwords) == 1:
        passwords *= len(names)
    if len(passwords) != len(names):
        raise _invalid(pattern, "ranges of different length in name and password")
    return [User(one, secret) for one, secret in zip(names, passwords, strict=True)]


def _count(pattern: str, text: str) -> list[str]:
    found = _RANGE.findall(text)
    if not found:
        return [text]
    if len(found) > 1:
        raise _invalid(pattern, "more than one range in a name or password")
    first, last = found[0]
    if int(last) < int(first):
        raise _invalid(pattern, f"range from {first} down to {last}")
    if int(last) - int(first) >= USERS_MAX:
        raise _invalid(pattern, f"more than {USERS_MAX:,} users")
    width = len(first) if first.startswith("0") else 0
    before, after = _RANGE.split(text)[0], _RANGE.split(text)[-1]
    return [f"{before}{n:0{width}d}{after}" for n in range(int(first), int(last) + 1)]


def _invalid(pattern: str, reason: str) -> BenchError:
    return BenchError(f"--users: invalid pattern {pattern!r}: {reason}", ExitStatus.USAGE)
