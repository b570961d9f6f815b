"""`imapvm user`: enrollment and aliases, with and without a running server; errors."""

import io
import json
import sys

import pytest
import trio

from imapvm.auth import passwords
from imapvm.filepool.pool import open_filepool
from imapvm.model.limits import PASSWORD_MAX
from imapvm.model.names import NEW_ACCOUNT_MAILBOXES
from imapvm.ops import cli


class Stdin(io.TextIOWrapper):
    """Standard input with bytes; `terminal`: whether it is a terminal."""

    def __init__(self, data=b"", *, terminal=False):
        super().__init__(io.BytesIO(data))
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def pool(tmp_path, capsys):
    path = tmp_path / "pool"
    assert cli.main(["filepool", "create", "--filepool", str(path)]) == 0
    capsys.readouterr()
    return path


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch):
    """Make password hashes cheap."""
    quick = passwords.argon2.Parameters(
        passwords.argon2.Type.ID, 19, 16, 32, time_cost=1, memory_cost=8, parallelism=1
    )
    monkeypatch.setattr(passwords.hash_password, "__kwdefaults__", {"parameters": quick})


@pytest.fixture
def user(pool, capsys, monkeypatch):
    def run(*words, stdin=None):
        monkeypatch.setattr(sys, "stdin", stdin or Stdin())
        code = cli.main(["user", *words, "--filepool", str(pool)])
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


def inside(pool, look):
    """Return the result of `look` for the opened filepool."""

    async def opened():
        async with open_filepool(pool) as filepool:
            return look(filepool)

    return trio.run(opened)


def credential(pool, name):
    return inside(pool, lambda filepool: filepool.accounts.find(name).credential)


def enroll(user, name, password=b"secret\n"):
    assert user("enroll", name, "--password-stdin", stdin=Stdin(password))[0] == 0


def test_enroll_sets_password_and_creates_mailboxes(pool, user):
    code, out, err = user("enroll", "ada", "--password-stdin", stdin=Stdin(b"s p\xc3\xa9\r\nmore"))
    assert (code, out, err) == (0, "enrolled ada\n", "")
    assert passwords.verify(credential(pool, "ada"), b"s p\xc3\xa9")

    def mailboxes(filepool):
        with filepool.account(filepool.accounts.find("ADA")).reading() as reader:
            return {mailbox.name for mailbox in reader.mailboxes()}

    assert inside(pool, mailboxes) == {"INBOX", *(name for name, _ in NEW_ACCOUNT_MAILBOXES)}


def test_existing_user_is_not_enrolled_again(user):
    enroll(user, "ada")
    code, _, err = user("enroll", "Ada", "--password-stdin", stdin=Stdin(b"x"))
    assert (code, err) == (
        1,
        "imapvm: cannot enroll Ada: user exists; to set the password: imapvm user password Ada\n",
    )


def test_password_is_asked_for_twice(user, pool, monkeypatch):
    typed = iter(["one", "one", "two", "three"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    assert user("enroll", "ada", stdin=Stdin(terminal=True))[0] == 0
    assert passwords.verify(credential(pool, "ada"), b"one")
    code, _, err = user("password", "ada", stdin=Stdin(terminal=True))
    assert (code, err) == (1, "imapvm: cannot set the password: the two passwords differ\n")
    assert passwords.verify(credential(pool, "ada"), b"one")


def test_password_without_a_terminal(user):
    assert user("enroll", "ada") == (
        2,
        "",
        "imapvm: cannot ask for a password: standard input is not a terminal;"
        " use --password-stdin\n",
    )


@pytest.mark.parametrize(
    ("password", "message"),
    [
        (b"", "a password has 1 to"),
        (b"\n", "a password has 1 to"),
        (b"x" * (PASSWORD_MAX + 1) + b"\n", f"a password has 1 to {PASSWORD_MAX} bytes"),
        (b"x" * (PASSWORD_MAX * 3), f"a password has 1 to {PASSWORD_MAX} bytes"),
        (b"a\0b\n", "a password must not contain NUL"),
    ],
)
def test_unacceptable_password(user, pool, password, message):
    code, _, err = user("enroll", "ada", "--password-stdin", stdin=Stdin(password))
    assert code == 1
    assert message in err
    assert inside(pool, lambda filepool: filepool.accounts.find("ada")) is None


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_longest_password(user, pool, end):
    enroll(user, "ada", b"x" * PASSWORD_MAX + end)
    assert passwords.verify(credential(pool, "ada"), b"x" * PASSWORD_MAX)


def test_password_is_changed(user, pool):
    enroll(user, "ada", b"old")
    code, out, _ = user("password", "ada", "--password-stdin", stdin=Stdin(b"new"))
    assert (code, out) == (0, "set the password of ada\n")
    assert passwords.verify(credential(pool, "ada"), b"new")
    assert not passwords.verify(credential(pool, "ada"), b"old")


@pytest.mark.parametrize(("options", "epoch"), [((), 1), (("--keep-sessions",), 0)])
def test_changed_password_ends_sessions_unless_they_are_kept(user, pool, options, epoch):
    enroll(user, "ada", b"old")
    assert user("password", "ada", "--password-stdin", *options, stdin=Stdin(b"new"))[0] == 0

    async def login_epoch() -> int | None:
        async with open_filepool(pool) as opened:
            return opened.accounts.login_epoch(opened.accounts.find("ada").id)

    assert trio.run(login_epoch) == epoch


def test_delete_needs_confirmation(user, pool):
    enroll(user, "ada")
    assert user("delete", "ada") == (
        2,
        "",
        "imapvm: cannot ask for confirmation: standard input is not a terminal; use --yes\n",
    )
    code, out, err = user("delete", "ada", stdin=Stdin(b"y\n", terminal=True))
    assert (code, err) == (1, "imapvm: user ada was not deleted\n")
    assert "Delete user ada and all mail (0 messages, 0 bytes, " in out
    assert inside(pool, lambda filepool: filepool.accounts.find("ada")) is not None
    code, out, _ = user("delete", "ada", stdin=Stdin(b"yes\n", terminal=True))
    assert code == 0
    assert out.endswith("deleted ada\n")
    assert inside(pool, lambda filepool: filepool.accounts.find("ada")) is None


def test_ids_are_not_reused(user):
    enroll(user, "ada")
    first = json.loads(user("list", "--json")[1])[0]["id"]
    assert user("delete", "ada", "--yes")[0] == 0
    enroll(user, "ada")
    assert json.loads(user("list", "--json")[1])[0]["id"] > first


def test_rename(user, pool):
    enroll(user, "ada")
    enroll(user, "grace")
    assert user("rename", "ada", "countess")[:2] == (0, "renamed ada to countess\n")
    assert user("list")[1].split() == ["countess", "grace"]
    code, _, err = user("rename", "grace", "countess")
    assert code == 1
    assert err.startswith("imapvm: ")
    assert user("list")[1].split() == ["countess", "grace"]


def test_aliases(user, pool):
    enroll(user, "ada")
    enroll(user, "grace")
    assert user("alias", "add", "ada", "countess@example.org")[0] == 0
    assert user("alias", "add", "ada", "postmaster")[0] == 0
    assert sorted(user("alias", "list")[1].splitlines()) == [
        "countess@example.org ada",
        "postmaster ada",
    ]
    assert user("alias", "list", "grace")[1] == ""
    assert user("alias", "add", "grace", "postmaster")[0] == 1
    listed = {row["name"]: row for row in json.loads(user("list", "--json")[1])}
    assert sorted(listed["ada"]["aliases"]) == ["countess@example.org", "postmaster"]
    assert listed["ada"]["created"].endswith("Z")
    assert user("alias", "remove", "postmaster")[0] == 0
    assert user("alias", "list")[1] == "countess@example.org ada\n"
    assert user("alias", "remove", "postmaster") == (
        1,
        "",
        "imapvm: alias postmaster does not exist; 'imapvm user alias list' lists all aliases\n",
    )


def test_name_in_use_is_refused_with_its_user(user):
    enroll(user, "ada")
    enroll(user, "grace")
    assert user("alias", "add", "ada", "info")[0] == 0
    remove = "to remove it: imapvm user alias remove info"
    for words, message in (
        (("alias", "add", "grace", "Ada"), "cannot add alias Ada: user Ada already exists"),
        (("alias", "add", "ada", "ada"), "cannot add alias ada: user ada already exists"),
        (
            ("alias", "add", "grace", "info"),
            f"cannot add alias info: info is an alias of user ada; {remove}",
        ),
        (
            ("rename", "grace", "info"),
            f"cannot rename grace: info is an alias of user ada; {remove}",
        ),
        # Without asking for a password.
        (("enroll", "info"), f"cannot enroll info: it is an alias of user ada; {remove}"),
    ):
        assert user(*words) == (1, "", f"imapvm: {message}\n")
    assert user("list")[1] == "ada info\ngrace\n"


@pytest.mark.parametrize(
    "words",
    [
        ("delete", "eve", "--yes"),
        ("rename", "eve", "x"),
        ("password", "eve", "--password-stdin"),
        ("alias", "add", "eve", "x"),
        ("alias", "list", "eve"),
    ],
)
def test_unknown_user(user, words):
    assert user(*words, stdin=Stdin(b"x")) == (
        1,
        "",
        "imapvm: user eve does not exist; 'imapvm user list' lists all users\n",
    )


@pytest.mark.parametrize(
    "words",
    [
        ("enroll", "\udcff", "--password-stdin"),
        ("rename", "ada", "\udcff"),
        ("alias", "add", "ada", "\udcff@x"),
    ],
)
def test_argument_that_is_not_utf8(user, words, capsys):
    with pytest.raises(SystemExit) as ended:
        user(*words)
    assert ended.value.code == 2
    assert "not UTF-8" in capsys.readouterr().err


def test_while_another_process_has_the_filepool_open(user, pool):
    async def both():
        async with open_filepool(pool) as filepool:
            assert filepool.accounts.find("ada") is None
            await trio.to_thread.run_sync(enroll_elsewhere, pool)
            return filepool.accounts.find("ada")

    assert trio.run(both).name == "ada"


def enroll_elsewhere(pool):
    import subprocess

    subprocess.run(
        [sys.executable, "-m", "imapvm", "user", "enroll", "ada", "--password-stdin",
         "--filepool", pool],
        input=b"secret",
        check=True,
    )  # fmt: skip


def test_missing_filepool(tmp_path, capsys):
    assert cli.main(["user", "list", "--filepool", str(tmp_path / "no")]) == 1
    message = capsys.readouterr().err
    assert message.startswith("imapvm: ")
    assert message.count("\n") == 1
    assert str(tmp_path / "no") in message
