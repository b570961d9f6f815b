"""Line numbers of the keys of a TOML file; `tomllib` returns values without positions.

Only for texts that `tomllib` accepts, so this parser recognizes keys and nothing else.
"""

import re
import tomllib
from typing import Final

_KEY_PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEY: Final = re.compile(rf"\s*({_KEY_PART}(?:\s*\.\s*{_KEY_PART})*)\s*")
_TABLE: Final = re.compile(rf"\s*\[(\[)?{_KEY.pattern}\]")
_TOKEN: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*|[\[\]{}\n]",
    re.DOTALL,
)

Key = tuple[str, ...]


def lines_of_keys(text: str) -> dict[Key, int]:
    """Return the line number, from 1, of every table and every key outside inline tables."""
    found: dict[Key, int] = {}
    table: Key = ()
    at = len(text) - len(text.lstrip())
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        if head := _TABLE.match(text, at):
            table = _parts(head[2])
            found.setdefault(table, line)
            at = head.end()
        elif (key := _KEY.match(text, at)) and text[key.end() : key.end() + 1] == "=":
            found.setdefault(table + _parts(key[1]), line)
            at = key.end() + 1
        at = _statement_end(text, at)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def _parts(dotted: str) -> Key:
    """Return the parts of a dotted key, parsed by `tomllib` so that quoting is the same."""
    value: object = tomllib.loads(f"{dotted.strip()} = 0")
    parts = []
    while isinstance(value, dict):
        ((part, value),) = value.items()
        parts.append(part)
    return tuple(parts)


def _statement_end(text: str, at: int) -> int:
    """Return the offset after the end of the statement: a line end outside strings and arrays."""
    depth = 0
    for token in _TOKEN.finditer(text, at):
        match token[0]:
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth -= 1
            case "\n" if depth <= 0:
                return token.end()
            case _:
                continue
    return len(text)
