"""Dialogue files: reading, and comparison of lines."""

import pytest
from tests.dialogues import script


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ("a1 OK", "a1 OK"),
        ("a1 OK", "a1 OK all is well"),
        ("* BYE", "* BYE good night"),
        ("+", "+ go ahead"),
        ("a1 NO [CANNOT] <*>", "a1 NO [CANNOT] never"),
        ("* 1 EXISTS", "* 1 EXISTS"),
        ("* OK [UIDNEXT <n>] <*>", "* OK [UIDNEXT 7] next"),
        ("* X (<n> <n>)", "* X (7 7)"),
    ],
)
def test_matching_lines(expected, line):
    assert script.matches(expected, line, {})


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ("a1 OK", "a1 NO"),
        ("a1 OK", "a1 OKAY"),
        ("a1 OK", "a11 OK"),
        ("* 1 EXISTS", "* 1 EXISTS more"),
        ("* 1 FETCH (FLAGS ())", "* 1 FETCH (FLAGS () UID 1)"),
        ("* OK [UIDNEXT <n>] <*>", "* OK [UIDNEXT 7 8] next"),
        ("* X (<n> <n>)", "* X (7 8)"),
    ],
)
def test_lines_that_do_not_match(expected, line):
    assert not script.matches(expected, line, {})


def test_a_name_matches_the_same_word_each_time():
    captured = {}
    assert script.matches("* STATUS x (UIDVALIDITY <v>)", "* STATUS x (UIDVALIDITY 5)", captured)
    assert captured == {"v": "5"}
    assert not script.matches("[COPYUID <v> 1 1]", "[COPYUID 6 1 1]", captured)
    assert script.matches("[COPYUID <v> 1 1]", "[COPYUID 5 1 1]", captured)
    assert script.substitute("a SEARCH EMAILID <v> <w>", captured) == "a SEARCH EMAILID 5 <w>"


def test_escapes_of_a_packet():
    assert script.unescape(r"a \Seen\r\n\x00\0\\") == b"a \\Seen\r\n\x00\x00\\\\"
    assert script.unescape("ü") == b"\xc3\xbc"


def test_commands_are_found_in_lines_and_packets(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("# x\nC: a1 uid fetch 1 (UID)   # comment\nC!: a2 NOOP\\r\\na3 IDLE\\r\\n\n")
    found = script.read(path)
    assert list(script.commands(found)) == ["UID FETCH", "NOOP", "IDLE"]
    assert found.steps[0].text == "a1 uid fetch 1 (UID)"


@pytest.mark.parametrize("text", ["C: a1 NOOP\n", "# x\nD: a1 NOOP\n", "# x\n1 a1 NOOP\n"])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "x.txt"
    path.write_text(text)
    with pytest.raises(script.ScriptError):
        script.read(path)
