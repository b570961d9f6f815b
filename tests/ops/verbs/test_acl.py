"""`imapvm acl` and `imapvm group`: rights, groups, audit lines, and errors."""

import json

import pytest
import trio

from imapvm.filepool.pool import open_filepool
from imapvm.ops import acls, cli


@pytest.fixture
def pool(tmp_path, capsys):
    path = tmp_path / "pool"
    assert cli.main(["filepool", "create", "--filepool", str(path)]) == 0

    async def enroll():
        async with open_filepool(path) as filepool:
            for name in ("ada", "bob"):
                await filepool.accounts.enroll(name, "x")

    trio.run(enroll)
    capsys.readouterr()
    return path


@pytest.fixture
def lines(monkeypatch):
    """Return the audit lines."""
    found = []
    monkeypatch.setattr(acls, "record", lambda event, path, **fields: found.append((event, fields)))
    return found


@pytest.fixture
def imapvm(pool, capsys):
    def run(*words):
        code = cli.main([*words[:2], "--filepool", str(pool), *words[2:]])
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


def test_rights_are_set_shown_and_deleted(imapvm, lines):
    assert imapvm("acl", "set", "ada", "inbox", "bob", "lr") == (0, "INBOX of ada: bob lr\n", "")
    assert imapvm("acl", "set", "ada", "INBOX", "bob", "+d")[1] == "INBOX of ada: bob lrted\n"
    assert imapvm("acl", "set", "ada", "INBOX", "--", "-anyone", "r")[0] == 0
    assert imapvm("acl", "show", "ada") == (
        0,
        "INBOX  \\Seen private\n    -anyone r\n    bob lrted\n",
        "",
    )
    assert imapvm("acl", "delete", "ada", "INBOX", "bob")[1] == "INBOX of ada: bob no rights\n"
    assert lines[0] == (
        "rights changed",
        {"user": "ada", "mailbox": "INBOX", "identifier": "bob", "rights": "lr"},
    )
    assert [event for event, _ in lines] == ["rights changed"] * 4
    assert json.loads(imapvm("acl", "show", "ada", "--json")[1]) == [
        {
            "mailbox": "INBOX",
            "seen": "private",
            "acl": [{"identifier": "-anyone", "rights": "r"}],
        }
    ]
    assert json.loads(imapvm("acl", "show", "ada", "Drafts", "--json")[1]) == [
        {"mailbox": "Drafts", "seen": "private", "acl": []}
    ]


def test_seen_is_shared_or_private(imapvm, lines):
    assert imapvm("acl", "seen", "ada", "INBOX", "shared")[1] == "INBOX of ada: \\Seen is shared\n"
    assert "\\Seen shared" in imapvm("acl", "show", "ada", "INBOX")[1]
    assert imapvm("acl", "seen", "ada", "INBOX", "private")[0] == 0
    assert "\\Seen private" in imapvm("acl", "show", "ada", "INBOX")[1]
    assert lines[0] == ("seen changed", {"user": "ada", "mailbox": "INBOX", "seen": "shared"})


def test_groups_are_created_filled_listed_and_deleted(imapvm, lines):
    assert imapvm("group", "create", "Team") == (0, "created group Team\n", "")
    assert imapvm("group", "add", "team", "ada", "bob") == (0, "added ada\nadded bob\n", "")
    assert imapvm("group", "remove", "team", "ada") == (0, "removed ada\n", "")
    assert imapvm("group", "list") == (0, "Team bob\n", "")
    assert json.loads(imapvm("group", "list", "--json")[1]) == [
        {"group": "Team", "members": ["bob"]}
    ]
    assert imapvm("acl", "set", "ada", "INBOX", "$team", "lr")[0] == 0
    assert "$Team lr" in imapvm("acl", "show", "ada")[1]
    assert imapvm("group", "delete", "team") == (0, "deleted group team\n", "")
    assert imapvm("acl", "show", "ada") == (0, "", "")
    assert [event for event, _ in lines] == [
        "group created",
        "member added",
        "member added",
        "member removed",
        "rights changed",
        "group deleted",
    ]


def test_the_shared_account_is_chosen(imapvm, lines):
    assert imapvm("acl", "shared-account") == (0, "no shared account\n", "")
    assert imapvm("acl", "shared-account", "bob") == (0, "bob\n", "")
    assert imapvm("acl", "shared-account") == (0, "bob\n", "")
    assert imapvm("acl", "shared-account", "--none") == (0, "no shared account\n", "")
    assert lines == [
        ("shared account changed", {"user": "bob"}),
        ("shared account changed", {"user": None}),
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("acl", "show", "zoe"), "user zoe does not exist"),
        (("acl", "show", "ada", "None"), "user ada has no mailbox None"),
        (("acl", "set", "ada", "INBOX", "zoe", "lr"), "cannot set rights: unknown identifier zoe"),
        (("acl", "set", "ada", "INBOX", "bob", "q"), "cannot set rights: unknown right q"),
        (("acl", "set", "ada", "INBOX", "", "l"), "cannot set rights: identifier is empty"),
        (("acl", "set", "ada", "INBOX", "ada", "l"), "cannot set rights: ada owns the mailbox"),
        (("acl", "shared-account", "zoe"), "user zoe does not exist"),
        (("group", "add", "none", "ada"), "group none does not exist"),
        (("group", "delete", "none"), "group none does not exist"),
        (("group", "create", "a b"), "cannot create group a b: a group name"),
    ],
)
def test_errors_name_the_thing(imapvm, lines, words, message):
    code, out, err = imapvm(*words)
    assert code != 0
    assert out == ""
    assert message in err
    assert lines == []


def test_a_group_exists_once(imapvm, lines):
    assert imapvm("group", "create", "team")[0] == 0
    code, _, err = imapvm("group", "create", "TEAM")
    assert (code != 0, "group TEAM already exists" in err) == (True, True)
