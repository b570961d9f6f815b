"""`imapvm quota`: show, set, unset and recalculate, with their audit lines."""

import json

import pytest
import trio
from tests.filepool.direct import received

from imapvm.filepool.pool import open_filepool
from imapvm.ops import cli

FIRST = b"Subject: hello\r\n\r\nHello.\r\n"


@pytest.fixture
def config(tmp_path):
    """Configuration with a filepool, the users ada and bob, and a message of ada."""
    path = tmp_path / "pool"
    file = tmp_path / "imapvm.toml"
    file.write_text(f"filepool = '{path}'\n[quota]\nstorage_mib = 2\nmessages = 50\n")
    assert cli.main(["filepool", "create", "--filepool", str(path)]) == 0

    async def fill():
        async with open_filepool(path) as pool:
            store = pool.account(await pool.accounts.enroll("ada", "x"))
            await pool.accounts.enroll("bob", "x")
            with store.reading() as reader:
                inbox = reader.mailbox("INBOX").id
            await store.append(inbox, [received(store, FIRST)])

    trio.run(fill)
    return file


@pytest.fixture
def run(config, capsys, syslog):
    capsys.readouterr()
    syslog.recv(4096)  # filepool created

    def of(*words, filepool=False):
        where = (
            ["--filepool", str(config.parent / "pool")] if filepool else ["--config", str(config)]
        )
        code = cli.main(["quota", *words, *where])
        written = capsys.readouterr()
        return code, written.out, written.err

    return of


ADA = "ada: STORAGE 1 of 2048 KiB (default), MESSAGE 1 of 50 (default), MAILBOX 6"
BOB = "bob: STORAGE 0 of 2048 KiB (default), MESSAGE 0 of 50 (default), MAILBOX 6"
REST = ", ANNOTATION-STORAGE 0 KiB\n"


def test_show_lists_one_user_or_all(run):
    assert run("show", "ADA") == (0, ADA + REST, "")
    assert run("show") == (0, ADA + REST + BOB + REST, "")


def test_show_without_the_configuration_has_no_defaults(run):
    text = "ada: STORAGE 1 KiB, MESSAGE 1, MAILBOX 6, ANNOTATION-STORAGE 0 KiB\n"
    assert run("show", "ada", filepool=True) == (0, text, "")


def test_show_as_json(run):
    run("set", "ada", "--messages", "none", "--mailboxes", "10")
    code, out, _ = run("show", "ada", "--json")
    assert code == 0
    assert json.loads(out) == [
        {
            "name": "ada",
            "resources": {
                "STORAGE": {"used": 1, "limit": 2048, "unit_bytes": 1024, "is_default": True},
                "MESSAGE": {"used": 1, "limit": None, "unit_bytes": None, "is_default": False},
                "MAILBOX": {"used": 6, "limit": 10, "unit_bytes": None, "is_default": False},
                "ANNOTATION-STORAGE": {
                    "used": 0,
                    "limit": None,
                    "unit_bytes": 1024,
                    "is_default": True,
                },
            },
        }
    ]


def test_set_changes_the_limits_that_are_named(run, syslog):
    code, out, err = run("set", "ada", "--storage", "10G", "--annotation-storage", "64K")
    assert (code, err) == (0, "")
    assert out == (
        "ada: STORAGE 1 of 10485760 KiB, MESSAGE 1 of 50 (default), MAILBOX 6,"
        " ANNOTATION-STORAGE 0 of 64 KiB\n"
    )
    line = syslog.recv(4096).decode()
    assert 'event="quota changed"' in line
    assert "user=ada storage=10485760 annotation_storage=64 " in line
    out = run("set", "ada", "--storage", "none", "--messages", "0")[1]
    assert out == (
        "ada: STORAGE 1 KiB (no limit), MESSAGE 1 of 0, MAILBOX 6, ANNOTATION-STORAGE 0 of 64 KiB\n"
    )
    assert "storage=none messages=0" in syslog.recv(4096).decode()


def test_unset_returns_to_the_defaults(run, syslog):
    run("set", "ada", "--storage", "1M", "--messages", "3")
    syslog.recv(4096)
    out = run("unset", "ada", "messages")[1]
    assert out.startswith("ada: STORAGE 1 of 1024 KiB, MESSAGE 1 of 50 (default), ")
    assert "messages=default" in syslog.recv(4096).decode()
    assert run("unset", "ada") == (0, ADA + REST, "")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("set", "carol", "--messages", "1"), "user carol does not exist"),
        (("unset", "carol"), "user carol does not exist"),
        (("show", "carol"), "user carol does not exist"),
        (("recalculate", "carol"), "user carol does not exist"),
        (("set", "ada"), "cannot set quota of ada: use --storage, --messages"),
    ],
)
def test_errors_name_the_thing(run, words, reason):
    code, out, err = run(*words)
    assert code in {1, 2}
    assert out == ""
    assert err.startswith(f"imapvm: {reason}")


@pytest.mark.parametrize(
    "words",
    [
        ("--storage", "10"),
        ("--storage", "1.5G"),
        ("--storage", "-1G"),
        ("--storage", "9999999999999999999T"),
        ("--messages", "1K"),
        ("--messages", "9223372036854775808"),
    ],
)
def test_limits_that_are_no_numbers_are_refused(run, words):
    with pytest.raises(SystemExit) as refused:
        run("set", "ada", *words)
    assert refused.value.code == 2


def test_unknown_resource_is_refused(run, capsys):
    with pytest.raises(SystemExit):
        run("unset", "ada", "inodes")
    assert "'inodes' is not one of storage, messages, mailboxes" in capsys.readouterr().err


def test_recalculate_corrects_the_counters(run, config, syslog):
    right = "ada: 1 messages, 26 bytes, 6 mailboxes\n"
    assert run("recalculate", "ada") == (0, right, "")

    async def corrupt():
        async with open_filepool(config.parent / "pool") as pool:
            group = pool.groups[0]

            class Corrupt:
                def apply(self, txn):
                    usage = txn.usage(1)
                    txn.edit(usage)
                    usage.size += 100

            await group.submit(Corrupt())

    trio.run(corrupt)
    code, out, _ = run("recalculate", "--json")
    rows = json.loads(out)
    assert code == 0
    assert [(row["name"], row["corrected"]) for row in rows] == [("ada", True), ("bob", False)]
    assert rows[0]["before"]["size"] == 126
    assert rows[0]["size"] == 26
    assert 'event="usage corrected"' in syslog.recv(4096).decode()
    assert run("recalculate", "ada") == (0, right, "")
