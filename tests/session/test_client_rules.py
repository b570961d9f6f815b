"""Rules that disable capabilities for some mail programs."""

import re
from pathlib import Path

import pytest

from imapvm.session.capabilities import TABLE
from imapvm.session.client_rules import ID_CHARS, SHIPPED, CapabilityRules, ClientRule
from imapvm.session.syntax import CapabilityNameError


@pytest.mark.parametrize(
    ("name", "version", "matches"),
    [
        ("Example Mail", "3.1", True),
        ("EXAMPLE mail", "3.", True),
        ("Example Mail", "30", False),
        ("Example Mail", "", False),
        ("Example Mail 2", "3.1", False),
        ("An Example Mail", "3.1", False),
    ],
)
def test_patterns_match_the_whole_name_and_version_in_any_case(name, version, matches):
    rule = ClientRule(name="example Mail", version="3.*", disabled=("SORT",))
    assert rule.matches(name, version) == matches


def test_a_rule_without_a_version_matches_all_versions():
    rule = ClientRule(name="Ex?mple*", disabled=("SORT",))
    assert rule.matches("Example Mail", "")
    assert rule.matches("exumple", "9")
    assert not rule.matches("Exmple", "9")


def test_long_fields_are_compared_up_to_a_limit():
    rule = ClientRule(name="*z", disabled=("SORT",))
    assert rule.matches("a" * (ID_CHARS - 1) + "z" + "a" * 5000, "")
    assert not rule.matches("a" * ID_CHARS + "z", "")


def test_rules_add_to_what_is_disabled_for_all():
    rules = CapabilityRules(
        ["SORT"],
        [
            ClientRule(name="a*", disabled=("MOVE",)),
            ClientRule(name="*b", disabled=("WITHIN",)),
        ],
    )
    assert "SORT=DISPLAY" in rules.for_all.names
    assert rules.for_client("c", "1") is rules.for_all
    assert rules.for_client("a", "1").names == rules.for_all.names | {"MOVE", "IMAP4rev2"}
    assert {"MOVE", "WITHIN", "SORT"} <= rules.for_client("ab", "").names
    assert rules.for_client("ab", "") is rules.for_client("AB", "2")


def test_names_in_rules_are_checked():
    with pytest.raises(CapabilityNameError, match="cannot disable MOOVE: no such"):
        CapabilityRules([], [ClientRule(name="*", disabled=("MOOVE",))])
    with pytest.raises(CapabilityNameError, match="cannot disable STARTTLS"):
        CapabilityRules(["STARTTLS"])


def test_each_shipped_rule_has_a_reason_a_source_and_known_capabilities():
    names = {row.name for row in TABLE}
    for rule in SHIPPED:
        assert rule.reason
        assert rule.source.startswith("https://")
        assert rule.disabled
        assert set(rule.disabled) <= names
        assert rule.name.strip("*?"), "a rule for all clients"


@pytest.mark.parametrize(
    ("name", "version", "disabled"),
    [
        ("Microsoft Office 365", "15.20.9160.4", {"UIDONLY"}),
        ("Thunderbird", "12.0b1", {"UTF8=ACCEPT"}),
        ("Thunderbird for Android", "12.0a1", {"UTF8=ACCEPT"}),
        ("K-9 Mail", "12.0b1", {"UTF8=ACCEPT"}),
        ("K-9 Mail", "12.0b2", set()),
        ("Thunderbird", "140.4.0", set()),
        ("Thunderbird", "12.0", set()),
        ("Another", "12.0b1", set()),
    ],
)
def test_shipped_rules_match_the_versions_with_the_error_only(name, version, disabled):
    assert CapabilityRules(shipped=True).for_client(name, version).names == disabled
    assert CapabilityRules().for_client(name, version).names == set()


def test_the_document_lists_the_shipped_rules():
    row = r"^\| `([^`]+)` \| `([^`]+)` \| `([^|]+)` \| [^|]+ \(\[report\]\(([^)]+)\)\) \|$"
    document = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    assert re.findall(row, document, re.MULTILINE) == [
        (rule.name, rule.version, ", ".join(rule.disabled), rule.source) for rule in SHIPPED
    ]
