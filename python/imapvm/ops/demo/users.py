"""Users of the demonstration, as the command line gives them: `--user` and `--users`."""

import argparse
import re
from dataclasses import dataclass
from typing import Final

from imapvm.ops.arguments import utf8

USERS_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class DemoUser:
    """User of the demonstration; the password is not secret."""

    name: str
    password: str


def parse_user(text: str) -> DemoUser:
    """Parse NAME:PASSWORD."""
    name, colon, password = utf8(text).partition(":")
    if not (name and colon and password):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME:PASSWORD")
    return DemoUser(name, password)


def parse_users(text: str) -> list[DemoUser]:
    """Parse PATTERN%d:COUNT:PASSWORD, such as `load%d:1000:secret`; `%05d` pads with zeros."""
    form = re.fullmatch(r"([^:%]*)%(0[1-9])?d([^:%]*):([0-9]{1,7}):(.+)", utf8(text))
    if form is None or not 1 <= int(form[4]) <= USERS_MAX:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not of the form PATTERN%d:COUNT:PASSWORD with COUNT from 1 to {USERS_MAX}"
        )
    before, width, after, count, password = form.groups()
    return [
        DemoUser(f"{before}{number:{width or ''}d}{after}", password)
        for number in range(1, int(count) + 1)
    ]
