"""Templates of commands: `FETCH {random_message} (FLAGS)`, parsed into parts for the engine.

Placeholders in braces are filled in when the command is sent; `{{` and `}}` are literal braces.
"""

import re
from typing import Final, TypeAlias

Part: TypeAlias = dict[str, object]
"""Part of a command in the plan of the engine, see `_engine.pyi`."""

PLACEHOLDERS: Final = {
    "user": "user name",
    "password": "password",
    "plain": "both for SASL PLAIN, in base64",
    "random FIRST LAST": "uniform random integer",
    "exists": "number of messages in the selected mailbox (last EXISTS)",
    "random_message": "number of a random message of the selected mailbox",
    "random_range COUNT": "COUNT consecutive messages, as FIRST:LAST; fewer in a smaller mailbox",
    "counter": "1, 2, 3 … on each connection",
    "connection": "number of the connection, from 0",
    "message": "a message of the scenario as a literal, for APPEND",
    "data": "after DATA of LMTP: a message of the scenario with the final dot, sent after 354",
}
"""Placeholders and their meaning. bench/README.md has the same table."""

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")


class TemplateError(Exception):
    """Error of a template."""


def parse(text: str) -> tuple[Part, ...]:
    """Parse a template.

    Raises:
        TemplateError: unbalanced brace, unknown placeholder, line break, or empty.
    """
    if not text.strip():
        raise TemplateError("empty command")
    if "\r" in text or "\n" in text:
        raise TemplateError("more than one line")
    parts: list[Part] = []
    for token in _TOKEN.finditer(text):
        found = token[0]
        if token[1] is not None:
            parts.append(_placeholder(token[1]))
        elif found in {"{", "}"}:
            raise TemplateError(f"single {found!r}: write {found * 2!r} for a literal brace")
        else:
            _add_text(parts, found[0] if found in {"{{", "}}"} else found)
    return tuple(parts)


def _add_text(parts: list[Part], text: str) -> None:
    if parts and "text" in parts[-1]:
        parts[-1] = {"text": f"{parts[-1]['text']}{text}"}
    else:
        parts.append({"text": text})


def _placeholder(inside: str) -> Part:
    match inside.split():
        case [("user" | "password" | "plain") as name]:
            return {name: True}
        case [
            ("exists" | "random_message" | "counter" | "connection" | "message" | "data") as name
        ]:
            return {name: True}
        case ["random", first, last] if first.isdecimal() and last.isdecimal():
            if int(first) > int(last):
                raise TemplateError(f"{{{inside}}}: FIRST is above LAST")
            return {"random": [int(first), int(last)]}
        case ["random_range", count] if count.isdecimal() and int(count) > 0:
            return {"random_range": int(count)}
        case ["random", *_]:
            raise TemplateError(f"{{{inside}}}: write {{random FIRST LAST}}, two integers")
        case ["random_range", *_]:
            raise TemplateError(f"{{{inside}}}: write {{random_range COUNT}}, an integer from 1")
        case _:
            known = ", ".join("{" + name.split()[0] + "}" for name in PLACEHOLDERS)
            raise TemplateError(f"unknown placeholder {{{inside}}}: use {known}")


def label_of(text: str) -> str:
    """Return the verb of a command, the default label of its row in reports.

    >>> label_of("UID FETCH 1:* (FLAGS)"), label_of("LOGIN {user} {password}")
    ('UID FETCH', 'LOGIN')
    """
    words = text.split()
    first = words[0].upper()
    if first == "UID" and len(words) > 1:
        return f"UID {words[1].upper()}"
    if first == "RCPT" or first == "MAIL" or first.startswith("{"):
        return first.strip("{}").split(":")[0]
    return first


def uses(parts: tuple[Part, ...], *names: str) -> bool:
    """Return whether the parts contain one of these placeholders."""
    return any(name in part for part in parts for name in names)
