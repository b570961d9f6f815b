"""Languages: lookup of ranges (RFC 4647 section 3.4), and the German texts."""

import ast
import re
from pathlib import Path

import pytest

from imapvm.commands.dispatch import INTERNAL_ERROR
from imapvm.commands.handlers.authenticate import WRONG
from imapvm.commands.message_limit import LIMITED
from imapvm.filepool.engine.writer import CLOSED
from imapvm.filepool.operations.mailboxes.acl import DENIED
from imapvm.filepool.reading import BODY_GONE
from imapvm.session.german import TEXTS
from imapvm.session.languages import (
    LANGUAGES,
    TRANSLATED_CHARS,
    InvalidRangeError,
    find_language,
)

SOURCES = Path(__file__).parents[2] / "python" / "imapvm"
GERMAN = LANGUAGES[-1]


@pytest.mark.parametrize(
    ("ranges", "tag"),
    [
        (["de"], "de"),
        (["DE"], "de"),
        (["de-AT"], "de"),
        (["de-x-private"], "de"),
        (["de-Latn-DE-1996"], "de"),
        (["i-default"], "i-default"),
        (["default"], "i-default"),
        (["*"], "i-default"),
        (["en-GB"], "en"),
        (["fr", "de", "en"], "de"),
        (["fr-CA", "en-CA"], "en"),
        (["fr"], None),
        (["deu"], None),
        (["x-de"], None),
        (["mul"], None),
    ],
)
def test_first_range_with_a_language_wins(ranges, tag):
    found = find_language(ranges)
    assert (None if found is None else found.tag) == tag


@pytest.mark.parametrize(
    "one", ["", "-", "de-", "-de", "de_AT", "abcdefghi", "d e", "dé", "1", "**"]
)
def test_what_is_no_language_range_is_refused(one):
    with pytest.raises(InvalidRangeError):
        find_language(["de", one])


def test_texts_are_translated_with_their_values():
    for text, german in (
        ("SELECT completed", "SELECT ausgeführt"),
        ("mailbox does not exist", "Postfach existiert nicht"),
        ("unknown mechanism {0}", "unbekanntes Anmeldeverfahren {0}"),
        (
            "cannot FETCH: UIDONLY is enabled; use UID FETCH",
            "FETCH nicht möglich: UIDONLY ist eingeschaltet; verwenden Sie UID FETCH",
        ),
        ("no translation", "no translation"),
        ("SEARCH: expected a space at column 9", "SEARCH: expected a space at column 9"),
    ):
        assert GERMAN.translate(text) == german


def test_long_texts_stay_english():
    for chars, translated in ((TRANSLATED_CHARS, True), (TRANSLATED_CHARS + 1, False)):
        text = "unknown mechanism ".ljust(chars, "x")
        assert (GERMAN.translate(text) != text) == translated


def test_translations_have_the_values_of_the_english_texts():
    for text, german in TEXTS.items():
        assert text.count("{}") == german.count("{}"), text
        assert not german.startswith("["), "a response code would start so"
        assert german.isprintable()


# --- texts of the code ----------------------------------------------------------------------------

CALLS = {
    "Refusal": 0,
    "Hangup": 0,
    "Failure": 0,
    "Failed": 1,
    "condition": 1,
    "end": 0,
    "prompt": 0,
}
"""Functions with a human-readable text, and the position of it among their arguments."""
ERRORS = re.compile(
    r"(?:NoSuch|MailboxExists|PermissionDenied|UnknownGrant|InvalidName|Limit|SpecialUse"
    r"|Annotation\w+|TooManyAnnotations|BodyGone|MessageGone|StagedExpired)\w*Error"
)
"""Errors of the filepool that clients are sent."""
ENGLISH = {
    "DONE ends IDLE: {}": "syntax",
    "RELEVANCY without the search key FUZZY": "syntax",
    "cannot update: {}": "for clients with a bug",
    "cannot {}: {}": "each of its reasons is translated",
    "a group name must not be empty or have spaces or controls": "for operators",
    "FETCH items of a mailbox that is not selected": "syntax of NOTIFY",
    "MessageNew and MessageExpunge only together, also for FlagChange": "syntax of NOTIFY",
    "SELECTED twice in one NOTIFY": "syntax of NOTIFY",
    "SELECTED with an event that is not of messages": "syntax of NOTIFY",
    "cannot notify with BINARY": "syntax of NOTIFY",
    "unknown event {}": "syntax of NOTIFY",
    "{} has at most {} bytes": "for operators",
    "{} must not be empty": "for operators",
    "{} must not contain spaces or control characters": "for operators",
}
"""Texts that stay English, with the reason. So do those of limits, which few users meet."""


def template(node: ast.expr) -> list[str]:
    """Return the texts that an expression can have, with `{}` for values; none if it is a name."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            fixed = [part.value if isinstance(part, ast.Constant) else "{}" for part in parts]
            return ["".join(map(str, fixed))]
        case ast.IfExp(body=one, orelse=other):
            return template(one) + template(other)
    return []


def texts_of_the_code() -> set[str]:
    found = {"{} completed"}
    for path in SOURCES.rglob("*.py"):
        if path.is_relative_to(SOURCES / "ops") or path.is_relative_to(SOURCES / "intake"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            at = 0 if ERRORS.fullmatch(name) else CALLS.get(name)
            if at is not None and len(node.args) > at:
                found.update(template(node.args[at]))
    return found


def test_the_check_sees_texts():
    found = texts_of_the_code()
    assert {"mailbox does not exist", "unknown mechanism {}", "idling"} <= found
    assert len(found) > 100


def is_about_a_limit(text: str) -> bool:
    return (
        "at most {}" in text
        or "more than {}" in text
        or "over {}" in text
        or " at least {}" in text
    )


def test_each_text_is_translated_or_stays_english_on_purpose():
    missing = {
        text
        for text in texts_of_the_code() - TEXTS.keys() - ENGLISH.keys()
        if not is_about_a_limit(text) and GERMAN.translate(text) == text
    }
    assert missing == set()


def test_lines_of_select_are_translated():
    lines = (
        b"* 3 EXISTS\r\n* OK [PERMANENTFLAGS (a]] \\*)] flags permitted\r\n* OK [UIDNEXT 5] x\r\n"
    )
    translated = lines.replace(b"flags permitted", b"erlaubte Markierungen")
    assert GERMAN.translate_lines(lines) == translated


def test_texts_with_a_name_are_translated():
    for text in (WRONG, LIMITED, DENIED, BODY_GONE, CLOSED, INTERNAL_ERROR):
        assert text in TEXTS
