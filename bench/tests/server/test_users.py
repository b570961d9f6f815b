"""User patterns: expansion and errors."""

import pytest

from imapvm_bench.errors import BenchError, ExitStatus
from imapvm_bench.server import users
from imapvm_bench.server.users import User, parse_users


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("ada:secret", [("ada", "secret")]),
        ("ada:a:b", [("ada", "a:b")]),
        ("ada:", [("ada", "")]),
        ("u{1..3}:x", [("u1", "x"), ("u2", "x"), ("u3", "x")]),
        ("u{08..10}@example.org:x", [(f"u{n}@example.org", "x") for n in ("08", "09", "10")]),
        ("u{9..10}:p{19..20}", [("u9", "p19"), ("u10", "p20")]),
        ("u{7..7}:x", [("u7", "x")]),
    ],
)
def test_a_pattern_expands_in_order(pattern, expected):
    assert parse_users([pattern]) == tuple(User(*user) for user in expected)


def test_several_patterns_follow_each_other_and_share_a_password():
    assert parse_users(["a", "b{1..2}", "c:own"], "shared") == (
        User("a", "shared"),
        User("b1", "shared"),
        User("b2", "shared"),
        User("c", "own"),
    )


def test_a_shared_password_is_not_expanded():
    assert parse_users(["a{1..2}"], "x{1..2}") == (User("a1", "x{1..2}"), User("a2", "x{1..2}"))


def test_a_file_has_one_pattern_per_line(tmp_path):
    file = tmp_path / "users"
    file.write_text("# who\nada:one\n\n  bob{1..2}:two\n")
    names = [(user.name, user.password) for user in parse_users([f"@{file}"])]
    assert names == [("ada", "one"), ("bob1", "two"), ("bob2", "two")]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("ada", "no password"),
        (":secret", "no name"),
        ("u{3..1}:x", "range from 3 down to 1"),
        ("u{1..2}{1..2}:x", "more than one range"),
        ("u{1..3}:p{1..2}", "ranges of different length"),
        ("u{1..1000001}:x", "more than 1,000,000"),
        ("u\r\nA1 LOGOUT:x", "control character"),
        ("@/nowhere/at/all", "cannot read /nowhere/at/all"),
    ],
)
def test_an_invalid_pattern_is_quoted_with_the_reason(pattern, message):
    with pytest.raises(BenchError) as caught:
        parse_users([pattern])
    assert message in str(caught.value)
    assert caught.value.status is ExitStatus.USAGE


def test_the_total_number_of_users_is_limited(monkeypatch):
    monkeypatch.setattr(users, "USERS_MAX", 10)
    assert len(parse_users(["a{1..5}:x", "b{1..5}:x"])) == 10
    with pytest.raises(BenchError, match="more than 10 users"):
        parse_users(["a{1..5}:x", "b{1..6}:x"])


def test_no_users_are_an_error(tmp_path):
    (tmp_path / "empty").write_text("# empty\n")
    with pytest.raises(BenchError, match="no users"):
        parse_users([f"@{tmp_path / 'empty'}"])
