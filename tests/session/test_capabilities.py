"""Table of capabilities: conditions, and the same rows in the documentation."""

import re
from pathlib import Path

import pytest

from imapvm.session.capabilities import TABLE, Facts, capabilities, newly_enabled
from imapvm.session.states import State

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"
BEFORE_LOGIN = State.NOT_AUTHENTICATED
IANA = (
    "ACL", "ANNOTATE-EXPERIMENT-1", "APPENDLIMIT", "AUTH=", "BINARY", "CATENATE", "CHILDREN",
    "COMPRESS=DEFLATE", "CONDSTORE", "CONTEXT=SEARCH", "CONTEXT=SORT", "CONVERT",
    "CREATE-SPECIAL-USE", "ENABLE", "ESEARCH", "ESORT", "FILTERS", "I18NLEVEL=1", "I18NLEVEL=2",
    "ID", "IDLE", "IMAP4REV1", "IMAP4REV2", "IMAPSIEVE=", "INPROGRESS", "JMAPACCESS",
    "LANGUAGE", "LIST-EXTENDED", "LIST-METADATA", "LIST-MYRIGHTS", "LIST-STATUS", "LITERAL+",
    "LITERAL-", "LOGIN-REFERRALS", "LOGINDISABLED", "MAILBOX-REFERRALS", "MESSAGELIMIT",
    "METADATA", "METADATA-SERVER", "MOVE", "MULTIAPPEND", "MULTISEARCH", "NAMESPACE", "NOTIFY",
    "OBJECTID", "PARTIAL", "PREVIEW", "QRESYNC", "QUOTA", "QUOTA=RES-", "QUOTASET", "REPLACE",
    "RIGHTS=", "SASL-IR", "SAVEDATE", "SAVELIMIT", "SEARCH=FUZZY", "SEARCHRES", "SORT",
    "SORT=DISPLAY", "SPECIAL-USE", "STARTTLS", "STATUS=SIZE", "THREAD", "UIDBATCHES", "UIDONLY",
    "UIDPLUS", "UNAUTHENTICATE", "UNSELECT", "URL-PARTIAL", "URLAUTH", "URLAUTH=BINARY",
    "URLFETCH=BINARY", "UTF8=ACCEPT", "UTF8=ALL", "UTF8=APPEND", "UTF8=ONLY", "UTF8=USER",
    "WITHIN",
)  # fmt: skip
"""Names in the registry of IMAP capabilities, as of 2026-08-04; THREAD is the prefix THREAD=."""
NOT_REGISTERED = {"OBJECTID+"}
"""Capabilities of an Internet-Draft."""


def offered(
    state: State, *, can_start_tls: bool = False, password_allowed: bool = True
) -> set[str]:
    facts = Facts(state=state, can_start_tls=can_start_tls, password_allowed=password_allowed)
    return set(capabilities(facts).split())


def test_the_document_has_the_same_rows():
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| (yes|no):", DOCUMENT.read_text(), re.MULTILINE)
    assert [(name, rfc.strip(), offered == "yes") for name, rfc, offered in rows] == [
        (row.name, row.rfc, row.when is not None) for row in TABLE
    ]


def test_the_table_has_all_names_of_the_registry_and_no_unknown_ones():
    names = {row.name.upper() for row in TABLE}
    prefixes = ("AUTH=", "THREAD=", "QUOTA=RES-")
    registered = set(IANA) - {"AUTH=", "THREAD", "QUOTA=RES-"}
    assert names >= registered
    for prefix in prefixes:
        assert any(name.startswith(prefix) for name in names)
    others = {name for name in names if not name.startswith(prefixes)}
    assert others - registered == NOT_REGISTERED


def test_the_document_compares_each_row_with_other_servers():
    rows = re.findall(
        r"^\| `([^`]+)` \| (?:yes|no|RFC|-) \| (?:yes|no|RFC|-) \| (?:yes|no|RFC|-) \|$",
        DOCUMENT.read_text(),
        re.MULTILINE,
    )
    assert rows == [row.name for row in TABLE]


def test_each_row_has_a_condition_or_a_reason_and_each_name_is_unique():
    assert len({row.name for row in TABLE}) == len(TABLE)
    for row in TABLE:
        assert (row.when is None) == bool(row.why_not), row.name


def test_both_revisions_are_always_offered():
    for state in State:
        assert {"IMAP4rev1", "IMAP4rev2"} <= offered(state)


def test_starttls_is_offered_before_tls_only():
    """RFC 9051 section 6.2.1."""
    assert "STARTTLS" in offered(BEFORE_LOGIN, can_start_tls=True, password_allowed=False)
    assert "STARTTLS" not in offered(BEFORE_LOGIN)
    assert "STARTTLS" not in offered(State.AUTHENTICATED, can_start_tls=True)


def test_password_mechanisms_are_offered_only_if_a_password_may_be_sent():
    """RFC 9051 section 6.2.3, RFC 8314 section 3."""
    refused = offered(BEFORE_LOGIN, can_start_tls=True, password_allowed=False)
    assert "LOGINDISABLED" in refused
    assert not {"AUTH=PLAIN", "AUTH=LOGIN"} & refused
    allowed = offered(BEFORE_LOGIN)
    assert "LOGINDISABLED" not in allowed
    assert {"AUTH=PLAIN", "AUTH=LOGIN"} <= allowed


@pytest.mark.parametrize(
    "name", ["AUTH=PLAIN", "AUTH=LOGIN", "LOGINDISABLED", "SASL-IR", "STARTTLS"]
)
def test_login_capabilities_are_not_offered_after_login(name):
    assert name not in offered(State.AUTHENTICATED)


def test_names_and_values_have_no_spaces():
    for row in TABLE:
        assert re.fullmatch(
            r"[^\s]+", row.name + (row.value if isinstance(row.value, str) else "=1")
        )


def test_enable_skips_unknown_and_enabled_names():
    """RFC 5161 section 3.1."""
    asked = ("UTF8=ACCEPT", "IDLE", "X-GOOD-IDEA", "IMAP4REV2", "UTF8=ACCEPT")
    assert newly_enabled(asked, ()) == ["UTF8=ACCEPT", "IMAP4REV2"]
    assert newly_enabled(asked, {"IMAP4REV2"}) == ["UTF8=ACCEPT"]
