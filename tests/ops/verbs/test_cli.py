"""The command line: help for every verb, one line for every error, and exit codes."""

import argparse
import errno
import subprocess
import sys
from importlib.metadata import version

import pytest

from imapvm.filepool.errors import FilepoolMissingError, StoreUnavailableError
from imapvm.ops import cli
from imapvm.ops.errors import ConfigError, OperatorError


def verbs(parser, words=()):
    yield words
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from verbs(inner, (*words, name))


EVERY_VERB = list(verbs(cli.parser()))


def test_documented_verbs_exist():
    documented = {
        ("demo",),
        ("serve",),
        *(("user", verb) for verb in ("enroll", "delete", "rename", "list", "password")),
        *(("user", "alias", verb) for verb in ("add", "remove", "list")),
        *(("filepool", verb) for verb in ("create", "check", "sweep")),
    }
    assert documented <= set(EVERY_VERB)


@pytest.mark.parametrize("words", EVERY_VERB, ids=" ".join)
def test_every_verb_has_help(words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(" ".join(["usage: imapvm", *words]))


def test_version_is_printed(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"imapvm {version('imapvm')}\n"


@pytest.mark.parametrize("line", [[], ["fly"], ["user"], ["serve"], ["demo", "--imap-port", "x"]])
def test_wrong_command_line_is_a_usage_error(line, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(line)
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (OperatorError("no"), 1, "no"),
        (ConfigError("f", 3, "a.b", "is wrong"), 78, "f:3: a.b: is wrong"),
        (StoreUnavailableError("the disk is full"), 75, "the disk is full"),
        (FilepoolMissingError("nothing here"), 1, "nothing here"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "/x: permission denied"),
        (
            ExceptionGroup("", [ExceptionGroup("", [StoreUnavailableError("full")])]),
            75,
            "full",
        ),
    ],
)
def test_error_is_one_line_and_an_exit_code(monkeypatch, capsys, error, code, message):
    def fails(_):
        raise error

    monkeypatch.setattr(cli.demo, "run", fails)
    assert cli.main(["demo"]) == code
    assert capsys.readouterr().err == f"imapvm: {message}\n"


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("ours"), ExceptionGroup("", [OperatorError("no"), KeyError("ours")])],
)
def test_bug_raises_with_a_traceback(monkeypatch, error):
    def fails(_):
        raise error

    monkeypatch.setattr(cli.demo, "run", fails)
    with pytest.raises(type(error)):
        cli.main(["demo"])


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), BaseExceptionGroup("", [KeyboardInterrupt()])]
)
def test_interrupt_exits_as_shells_expect(monkeypatch, error):
    def interrupted(_):
        raise error

    monkeypatch.setattr(cli.demo, "run", interrupted)
    assert cli.main(["demo"]) == 130


def test_closed_standard_output_prints_no_error(tmp_path):
    assert cli.main(["filepool", "create", "--filepool", str(tmp_path / "pool")]) == 0
    lists = [sys.executable, "-m", "imapvm", "user", "list", "--json"]
    with subprocess.Popen(
        [*lists, "--filepool", tmp_path / "pool"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_help_does_not_load_the_server():
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, imapvm.ops.cli as c; c.parser(); print(*sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert {"trio", "lmdb", "msgspec", "argon2"} & set(loaded) == set()


def test_no_filepool_selected(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("imapvm.ops.arguments.DEFAULT_CONFIG", tmp_path / "imapvm.toml")
    assert cli.main(["user", "list"]) == 2
    assert capsys.readouterr().err == (
        "imapvm: no filepool selected: use --filepool DIR or --config FILE"
        f" ({tmp_path}/imapvm.toml does not exist)\n"
    )


def test_configuration_selects_the_filepool(tmp_path, capsys):
    config = tmp_path / "c.toml"
    config.write_text('filepool = "pool"\n')
    assert cli.main(["filepool", "create", "--config", str(config)]) == 0
    assert (tmp_path / "pool" / "FORMAT").is_file()
    assert cli.main(["user", "list", "--config", str(config)]) == 0
    config.write_text('filepol = "pool"\n')
    assert cli.main(["user", "list", "--config", str(config)]) == 78
    assert "c.toml:1: filepol: unknown key; did you mean filepool?" in (capsys.readouterr().err)
