"""Languages of human-readable text in responses: LANGUAGE (RFC 5255 section 3).

The code has English texts, which are "i-default" (RFC 2277). A text is translated when it is
written, and only for clients that have chosen another language: others pay nothing.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final

from imapvm.session.german import NAMESPACES, TEXTS

TRANSLATED_CHARS: Final = 1000
"""Longer texts, which contain what a client sent, stay English: the patterns may look at each
character several times."""

_RANGE: Final = re.compile(r"\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
"""language-range (RFC 4647 section 2.1)."""


_OK_LINE: Final = re.compile(rb"^(\* OK \[.*\] )([^\r\n\]]*)", re.MULTILINE)


class InvalidRangeError(ValueError):
    """An argument is no language range; the message is the argument."""


class TextLanguage:
    """A language, with its texts."""

    def __init__(
        self, tag: str, texts: Mapping[str, str] = {}, namespaces: Mapping[str, str] = {}
    ) -> None:
        """Describe a language.

        Args:
            tag: language tag (RFC 5646).
            texts: English text → text, each with `{}` for values, in the same order.
            namespaces: translations of the prefixes of namespaces.
        """
        self.tag = tag
        self.namespaces = namespaces
        self._texts = texts

    @property
    def is_english(self) -> bool:
        """True if texts are sent as they are in the code."""
        return not self._texts

    def translate(self, text: str) -> str:
        """Return a text in this language; the same text if there is no translation."""
        found = self._texts.get(text)
        if found is not None or len(text) > TRANSLATED_CHARS:
            return found or text
        for pattern, translation in self._patterns:
            if values := pattern.fullmatch(text):
                return translation.format(*values.groups())
        return text

    def translate_lines(self, lines: bytes) -> bytes:
        """Return response lines with the texts of `* OK [code] text` in this language."""
        return _OK_LINE.sub(lambda line: line[1] + self.translate(line[2].decode()).encode(), lines)

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        """Texts with values, those with the most fixed characters first."""
        with_values = [item for item in self._texts.items() if "{}" in item[0]]
        with_values.sort(key=lambda item: -len(item[0]))
        return [
            (re.compile("(.*)".join(map(re.escape, text.split("{}"))), re.DOTALL), translation)
            for text, translation in with_values
        ]


I_DEFAULT: Final = TextLanguage("i-default")
LANGUAGES: Final = (I_DEFAULT, TextLanguage("en"), TextLanguage("de", TEXTS, NAMESPACES))


def find_language(ranges: Iterable[str]) -> TextLanguage | None:
    """Return the language of the first range that has one: by lookup (RFC 4647 section 3.4).

    A range without a language is shortened from its end: de-AT is de. `*` and `default` are the
    language that the server prefers.

    Raises:
        InvalidRangeError: an argument is no language range.
    """
    ranges = list(ranges)
    for one in ranges:
        if not _RANGE.fullmatch(one):
            raise InvalidRangeError(one)
    known = {language.tag.lower(): language for language in LANGUAGES}
    known["*"] = known["default"] = I_DEFAULT
    for one in ranges:
        subtags = one.lower().split("-")
        while subtags:
            if (found := known.get("-".join(subtags))) is not None:
                return found
            subtags.pop()
            if subtags and len(subtags[-1]) == 1:
                subtags.pop()  # a singleton goes with what follows it
    return None
