"""A command of a scenario: `FETCH {random_message} (FLAGS)` as the engine's parts.

What stands in braces is put in when the command is sent; `{{` and `}}` are braces.
"""

import re
from typing import Final, TypeAlias

Part: TypeAlias = dict[str, object]
"""One of the parts that the engine's plan knows: see `_engine.pyi`."""

PLACEHOLDERS: Final = {
    "user": "the name that signs in",
    "password": "its password",
    "plain": "both as SASL PLAIN wants them, in base64",
    "random FIRST LAST": "a whole number, each as likely as the others",
    "exists": "how many messages the selected mailbox has, as EXISTS said last",
    "random_message": "the number of a message of the selected mailbox",
    "random_range COUNT": "so many messages in a row, as FIRST:LAST; fewer where there are fewer",
    "counter": "1, 2, 3 … on each connection",
    "connection": "number of the connection, from 0",
    "message": "one of the scenario's messages as a literal, for APPEND",
    "data": "behind LMTP's DATA: one of the scenario's messages, with the final dot, after 354",
}
"""What may stand in braces, and what it becomes. The manual has the same table."""

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")


class TemplateError(Exception):
    """The text is no template; the message says why."""


def parse(text: str) -> tuple[Part, ...]:
    """Read a template.

    Raises:
        TemplateError: a brace too many, a placeholder that nobody knows, a line end.
    """
    if not text.strip():
        raise TemplateError("is empty")
    if "\r" in text or "\n" in text:
        raise TemplateError("is more than one line")
    parts: list[Part] = []
    for token in _TOKEN.finditer(text):
        whole = token[0]
        if token[1] is not None:
            parts.append(_placeholder(token[1]))
        elif whole in {"{", "}"}:
            raise TemplateError(f"has a lone {whole!r}: write {whole * 2!r} for a brace")
        else:
            _add_text(parts, whole[0] if whole in {"{{", "}}"} else whole)
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
                raise TemplateError(f"{{{inside}}} counts backwards")
            return {"random": [int(first), int(last)]}
        case ["random_range", count] if count.isdecimal() and int(count) > 0:
            return {"random_range": int(count)}
        case ["random", *_]:
            raise TemplateError(f"{{{inside}}}: write {{random FIRST LAST}}, two whole numbers")
        case ["random_range", *_]:
            raise TemplateError(
                f"{{{inside}}}: write {{random_range COUNT}}, a whole number from 1"
            )
        case _:
            known = ", ".join("{" + name.split()[0] + "}" for name in PLACEHOLDERS)
            raise TemplateError(f"{{{inside}}} is not known; known are {known}")


def label_of(text: str) -> str:
    """Name a command by its verb, as the report's rows are named where nothing else is said.

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
    """Whether one of these placeholders is among the parts."""
    return any(name in part for part in parts for name in names)
