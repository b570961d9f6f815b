"""What ENABLE turns on (RFC 5161, RFC 9051 section 6.3.1)."""

from collections.abc import Collection, Iterable
from typing import Final

ENABLEABLE: Final = {"IMAP4REV2": "IMAP4rev2", "UTF8=ACCEPT": "UTF8=ACCEPT"}
"""In upper case, and as ENABLED writes it."""


def newly_enabled(asked: Iterable[str], already: Collection[str]) -> list[str]:
    """The names of `asked` that are turned on by it, in upper case, each once.

    Names that are not known, or need no enabling, are passed over (RFC 5161 section 3.1).
    """
    return [name for name in dict.fromkeys(asked) if name in ENABLEABLE and name not in already]
