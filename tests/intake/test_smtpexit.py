"""imapvm-smtpexit, as mail systems and shells run it."""

import json
import os
import pwd
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from tests.intake.spool.test_bsmtp import messages
from tests.intake.spooling import names

from imapvm.intake import smtpexit
from imapvm.intake.envelope import Recipient, Sender
from imapvm.intake.smtpexit import EX_DATAERR, EX_TEMPFAIL, EX_USAGE, ExitError, run
from imapvm.intake.spool.file import submit_file
from imapvm.model.limits import INCOMING_MAX, SMTPEXIT_HEADER_MAX, SPOOL_RECIPIENTS_MAX

TEXT = b"Subject: x\n\n.\nhi\n"
WIRE = b"Subject: x\r\n\r\n.\r\nhi\r\n"
COMMAND = [sys.executable, "-c", "from imapvm.intake.smtpexit import main; main()"]


@pytest.fixture
def exit_with(spool, tmp_path):
    """Return a function that runs it in this process, with the spool from the environment."""

    def call(*arguments, stdin=TEXT, environment=None):
        (tmp_path / "stdin").write_bytes(stdin)
        with (tmp_path / "stdin").open("rb") as file:
            given = {"IMAPVM_SPOOL": str(spool)} if environment is None else environment
            return run(list(arguments), given, file.fileno())

    return call


def dropped(spool):
    """Return envelope and data of the only message in the only file."""
    (name,) = names(spool, "new")
    assert names(spool, "tmp") == []
    (found,) = messages((spool / "new" / name).read_bytes())
    return found


def test_sender_and_recipients_are_on_the_command_line(exit_with, spool):
    assert exit_with("-f", "ada@x.example", "--", "bob@h", "cyn") == 0
    envelope, data = dropped(spool)
    assert envelope.sender == Sender("ada@x.example")
    assert envelope.recipients == (Recipient("bob@h"), Recipient("cyn"))
    assert data == WIRE


def test_only_owner_and_group_can_read_the_file(exit_with, spool):
    exit_with("bob")
    (name,) = names(spool, "new")
    assert (spool / "new" / name).stat().st_mode & 0o137 == 0


@pytest.mark.parametrize(
    "sent", [TEXT, WIRE, TEXT[:-1], b"From ada Mon Nov 23 00:00:00 2026\n" + TEXT]
)
def test_line_ends_become_crlf(exit_with, spool, sent):
    exit_with("bob", stdin=sent)
    assert dropped(spool)[1] == WIRE


def test_a_from_field_is_kept(exit_with, spool):
    exit_with("bob", stdin=b"From: x\n\nFrom the body\n")
    assert dropped(spool)[1] == b"From: x\r\n\r\nFrom the body\r\n"


def test_a_from_line_is_removed_in_any_portions(tmp_path):
    for data, left in (
        (b"From x\nabc\n", b"abc\n"),
        (b"From " + b"y" * 50 + b"\nabc", b"abc"),
        (b"Fro", b"Fro"),
        (b"From x", b""),
        (b"", b""),
    ):
        for size in (1, 2, 100):
            cut = [data[i : i + size] for i in range(0, len(data), size)]
            assert b"".join(smtpexit.without_from_line(iter(cut))) == left


@pytest.mark.parametrize(
    ("arguments", "sender", "recipients"),
    [
        (["-fada", "bob"], "ada", ["bob"]),
        (["-r", "ada", "bob"], "ada", ["bob"]),
        (["-f", "", "bob"], "", ["bob"]),
        (["-f", "<>", "bob"], "", ["bob"]),
        (["-f", "<ada@x>", "<bob@h>"], "ada@x", ["bob@h"]),
        (["-i", "-oi", "-om", "-bm", "-v", "-f", "ada", "bob"], "ada", ["bob"]),
        (["-B", "8BITMIME", "-B7BIT", "-F", "Ada L.", "-fada", "bob"], "ada", ["bob"]),
        (["bob", "-f", "ada", "cyn"], "ada", ["bob", "cyn"]),
        (["-fada", "--", "-bob", "--cyn"], "ada", ["-bob", "--cyn"]),
        (["-fada", "bob", "bob", "<bob>"], "ada", ["bob"]),
        (["-f", '"a b"@x', "bob"], '"a b"@x', ["bob"]),
        (["-f", "adá@x", "böb"], "adá@x", ["böb"]),
    ],
)
def test_options_are_those_of_sendmail(exit_with, spool, arguments, sender, recipients):
    exit_with(*arguments)
    envelope, _ = dropped(spool)
    assert envelope.sender.address == sender
    assert [r.address for r in envelope.recipients] == recipients


def test_delivery_status_options_become_parameters(exit_with, spool):
    exit_with("-fada", "-N", "never", "-R", "full", "-V", "a+2Bb", "bob")
    envelope, _ = dropped(spool)
    assert envelope.sender == Sender("ada", envelope_id="a+b", full_return=True)
    assert envelope.recipients == (Recipient("bob", wants_failures=False),)


def test_the_default_sender_is_the_current_user(exit_with, spool):
    exit_with("bob")
    assert dropped(spool)[0].sender.address == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ([], EX_USAGE, "no recipient"),
        (["-f"], EX_USAGE, "-f requires a value"),
        (["--spool"], EX_USAGE, "--spool requires a value"),
        (["--frob", "bob"], EX_USAGE, "unknown option --frob"),
        (["-q", "bob"], EX_USAGE, "unknown option -q"),
        (["-bs"], EX_USAGE, "-bs"),
        (["-N", "maybe", "bob"], EX_USAGE, "-N requires"),
        (["-R", "some", "bob"], EX_USAGE, "-R requires"),
        (["-V", "a b", "bob"], EX_USAGE, "-V requires"),
        (["bob lee"], EX_DATAERR, "invalid recipient 'bob lee': expected local@domain"),
        ([""], EX_DATAERR, "recipient is empty"),
        (["-f", "a b", "bob"], EX_DATAERR, "invalid sender 'a b'"),
        (["bob\nRCPT TO:<root>"], EX_DATAERR, "invalid recipient"),
        (["--spool", "/nowhere", "bob"], EX_TEMPFAIL, "/nowhere: No such file or directory"),
        (["--config", "/nowhere", "bob"], EX_TEMPFAIL, "cannot read /nowhere"),
    ],
)
def test_an_error_has_a_status_and_a_text(exit_with, spool, arguments, status, text):
    with pytest.raises(ExitError, match=text) as caught:
        exit_with(*arguments)
    assert caught.value.status == status
    assert names(spool, "new") == names(spool, "tmp") == []


def test_the_spool_is_from_the_options_the_environment_or_the_configuration(
    exit_with, tmp_path, monkeypatch
):
    for name in ("a", "b", "c"):
        for part in ("tmp", "new"):
            (tmp_path / name / part).mkdir(parents=True)
    config = tmp_path / "imapvm.toml"
    config.write_text('spool = "c"\n')
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    both = {"IMAPVM_SPOOL": b, "IMAPVM_CONFIG": str(config)}
    exit_with("--spool", a, "bob", environment=both)
    exit_with(f"--spool={a}", "bob", environment=both)
    exit_with("bob", environment=both)
    exit_with("bob", environment={"IMAPVM_CONFIG": str(config)})
    exit_with("--config", str(config), "bob", environment=both)
    counts = [len(names(tmp_path / name, "new")) for name in ("a", "b", "c")]
    assert counts == [2, 1, 2]
    monkeypatch.setattr(smtpexit, "CONFIG", str(config))
    exit_with("bob", environment={})
    assert len(names(tmp_path / "c", "new")) == 3
    monkeypatch.setattr(smtpexit, "CONFIG", str(tmp_path / "none"))
    with pytest.raises(ExitError, match="no spool") as caught:
        exit_with("bob", environment={})
    assert caught.value.status == EX_USAGE
    for wrong in ("spool = 1\n", "spool", 'spool = ""\n'):
        config.write_text(wrong)
        with pytest.raises(ExitError) as caught:
            exit_with("bob", environment={"IMAPVM_CONFIG": str(config)})
        assert caught.value.status == EX_TEMPFAIL


# --- batch SMTP -----------------------------------------------------------------------------------

BATCH = b"MAIL FROM:<ada>\nRCPT TO:<bob>\nDATA\nSubject: x\n\n..\nhi\n.\n"


@pytest.mark.parametrize(
    "batch",
    [
        BATCH,
        BATCH.replace(b"\n", b"\r\n"),
        b"ehlo x\n" + BATCH + b"QUIT\n",
        b"HELO x\r\n" + BATCH.replace(b"\n", b"\r\n") + b"quit\r\n\r\n",
    ],
)
@pytest.mark.parametrize("option", ["-bS", "-i"])
def test_a_batch_is_written_unchanged(exit_with, spool, batch, option):
    exit_with(option, "-bS", stdin=batch)
    envelope, data = dropped(spool)
    assert (envelope.sender.address, envelope.recipients) == ("ada", (Recipient("bob"),))
    assert data == WIRE
    (name,) = names(spool, "new")
    assert (spool / "new" / name).read_bytes() == batch


@pytest.mark.parametrize(
    ("batch", "text"),
    [
        (b"", "does not end with a dot"),
        (b"Subject: x\n\nhi\n.\n", "does not start with a command"),
        (b"MAILBOX\n.\n", "does not start with a command"),
        (BATCH[:-1], "does not end with a dot"),
        (BATCH[:-2], "does not end with a dot"),
        (BATCH[:-3] + b"x.\n", "does not end with a dot"),
        (BATCH + b"MAIL FROM:<x>\n", "does not end with a dot"),
    ],
)
def test_a_malformed_or_truncated_batch_is_refused(exit_with, spool, batch, text):
    with pytest.raises(ExitError, match=text) as caught:
        exit_with("-bS", stdin=batch)
    assert caught.value.status == EX_DATAERR
    assert names(spool, "new") == names(spool, "tmp") == []


def test_a_batch_is_checked_in_any_portions():
    for size in (1, 2, 3, 64):
        cut = [BATCH[i : i + size] for i in range(0, len(BATCH), size)]
        assert b"".join(smtpexit.checked_batch(iter(cut))) == BATCH
        with pytest.raises(ExitError):
            list(smtpexit.checked_batch(iter([b"Sub", b"ject: x\n", *cut])))


@pytest.mark.parametrize("arguments", [["bob"], ["-t"], ["-f", "ada"]])
def test_a_batch_excludes_an_envelope_on_the_command_line(exit_with, arguments):
    with pytest.raises(ExitError, match="they are in the batch") as caught:
        exit_with("-bS", *arguments, stdin=BATCH)
    assert caught.value.status == EX_USAGE


# --- recipients of the header ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "recipients", "kept"),
    [
        (b"To: bob\n", ["bob"], b"To: bob\n"),
        (
            b'to: "Bob, Lee" <bob@h>,\n cyn@h (Cyn)\nCC: dan\nSubject: x\nBcc: eve,\n\tfay\nX: y\n',
            ["bob@h", "cyn@h", "dan", "eve", "fay"],
            b'to: "Bob, Lee" <bob@h>,\n cyn@h (Cyn)\nCC: dan\nSubject: x\nX: y\n',
        ),
        (b"To: friends: bob, cyn;\n", ["bob", "cyn"], b"To: friends: bob, cyn;\n"),
        (
            b"To: bob\nResent-To: cyn\nResent-Bcc: dan\n",
            ["cyn", "dan"],
            b"To: bob\nResent-To: cyn\n",
        ),
        ("To: Bö <bö@h>\n".encode(), ["bö@h"], "To: Bö <bö@h>\n".encode()),
        (b"To: bob\nBcc: undisclosed:;\n", ["bob"], b"To: bob\n"),
    ],
)
@pytest.mark.parametrize("body", [b"\nTo: unknown\n", b"\r\nx\n", b""])
def test_t_adds_the_recipients_in_the_header_and_removes_bcc(
    exit_with, spool, header, recipients, kept, body
):
    exit_with("-t", stdin=header + body)
    envelope, data = dropped(spool)
    assert [r.address for r in envelope.recipients] == recipients
    assert data.replace(b"\r\n", b"\n") == kept + body.replace(b"\r\n", b"\n")


def test_t_keeps_the_recipients_on_the_command_line(exit_with, spool):
    exit_with("-ti", "dan", stdin=b"To: bob\n\n")
    assert [r.address for r in dropped(spool)[0].recipients] == ["dan", "bob"]


@pytest.mark.parametrize("header", [b"Subject: x\n\nTo: bob\n", b"\nTo: bob\n", b""])
def test_t_without_recipients_is_an_error(exit_with, spool, header):
    with pytest.raises(ExitError, match="no recipient") as caught:
        exit_with("-t", stdin=header)
    assert caught.value.status == EX_DATAERR


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.at_limit("SMTPEXIT_HEADER_MAX")
@pytest.mark.past_limit("SMTPEXIT_HEADER_MAX")
@pytest.mark.parametrize("end", [b"\nbody\n", b""])
def test_the_size_of_the_header_for_t_is_limited(exit_with, spool, end):
    header = b"To: bob\nX: " + b"x" * (SMTPEXIT_HEADER_MAX - 12) + b"\n"
    assert len(header) == SMTPEXIT_HEADER_MAX
    exit_with("-t", stdin=header + end)
    assert len(dropped(spool)[0].recipients) == 1
    with pytest.raises(ExitError, match="header is larger than"):
        exit_with("-t", stdin=b"Y" + header + end)


@pytest.mark.at_limit("SPOOL_RECIPIENTS_MAX")
@pytest.mark.past_limit("SPOOL_RECIPIENTS_MAX")
def test_the_number_of_recipients_is_limited(exit_with, spool):
    many = [f"u{number}" for number in range(SPOOL_RECIPIENTS_MAX)]
    exit_with(*many)
    assert len(dropped(spool)[0].recipients) == SPOOL_RECIPIENTS_MAX
    with pytest.raises(ExitError, match="recipients") as caught:
        exit_with(*many, "one-more")
    assert caught.value.status == EX_DATAERR


@pytest.mark.at_limit("INCOMING_MAX")
@pytest.mark.past_limit("INCOMING_MAX")
def test_the_size_of_a_message_is_limited(exit_with, spool):
    message = b"x" * (INCOMING_MAX - 2)
    exit_with("bob", stdin=message + b"\n")
    (name,) = names(spool, "new")
    with pytest.raises(ExitError, match="bytes") as caught:
        exit_with("bob", stdin=message + b"x\n")
    assert caught.value.status == EX_DATAERR
    assert names(spool, "new") == [name]
    assert names(spool, "tmp") == []


# --- durability -----------------------------------------------------------------------------------


def test_a_file_is_synced_before_it_is_renamed_and_the_directory_after(spool, monkeypatch):
    calls = []

    fsync, rename = os.fsync, os.rename

    def recorded_fsync(file):
        path = Path(os.readlink(f"/proc/self/fd/{file}"))
        calls.append(("fsync", "new/" if path == spool / "new" else path.parent.name))
        fsync(file)

    def recorded_rename(old, new):
        calls.append(("rename", Path(old).parent.name))
        rename(old, new)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "rename", recorded_rename)
    submit_file(spool, [b"x"], name="x")
    assert calls == [("fsync", "tmp"), ("rename", "tmp"), ("fsync", "new/")]
    assert names(spool, "new") == ["x"]


def test_a_full_disk_leaves_no_file(spool, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    for call in ("write", "fsync", "rename"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(OSError, match="No space"):
                submit_file(spool, [b"x"])
        assert names(spool, "tmp") == names(spool, "new") == []


def test_a_short_write_is_continued(spool, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, bytes(data[:3])))
    name = submit_file(spool, [b"0123456789", b"abc"])
    assert (spool / "new" / name).read_bytes() == b"0123456789abc"


# --- as a process ---------------------------------------------------------------------------------


def started(*arguments, stdin=TEXT, environment=None, **more):
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        env={**os.environ, **(environment or {})},
        timeout=60,
        **more,
    )


def test_the_process_prints_nothing_and_exits_with_zero(spool):
    done = started("--spool", str(spool), "-f", "ada", "--", "bob")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert dropped(spool)[1] == WIRE


def test_the_process_reports_an_error_on_one_line_with_its_status(tmp_path):
    done = started("--spool", str(tmp_path / "none"), "bob")
    assert done.returncode == EX_TEMPFAIL
    assert done.stderr.decode() == (
        f"imapvm-smtpexit: cannot write to the spool {tmp_path}/none: No such file or directory\n"
    )
    assert started("-q").returncode == EX_USAGE


def test_help_is_printed(spool):
    done = started("--help")
    assert done.returncode == 0
    assert done.stdout.startswith(b"usage: imapvm-smtpexit")


def test_a_full_disk_is_a_temporary_error(spool):
    """A limit on the size of files replaces the full disk."""
    done = started(
        *("--spool", str(spool), "bob"),
        stdin=b"x" * 1_000_000,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert done.returncode == EX_TEMPFAIL
    assert b"File too large" in done.stderr
    assert names(spool, "new") == names(spool, "tmp") == []


def test_a_bug_is_a_temporary_error(spool, monkeypatch, capsys):
    monkeypatch.setattr(smtpexit, "run", lambda *_: 1 / 0)
    with pytest.raises(SystemExit) as caught:
        smtpexit.main()
    assert caught.value.code == EX_TEMPFAIL
    assert "internal error: ZeroDivisionError" in capsys.readouterr().err


def test_expensive_modules_are_not_imported(spool):
    code = (
        "import sys, json; from imapvm.intake.smtpexit import run; "
        f"run(['--spool', {str(spool)!r}, 'bob'], {{}}, 0); print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=TEXT, capture_output=True, check=True)
    loaded = set(json.loads(done.stdout))
    heavy = {"trio", "lmdb", "imapvm._core", "typing", "dataclasses", "email", "socket", "argparse"}
    assert loaded & heavy == set()
