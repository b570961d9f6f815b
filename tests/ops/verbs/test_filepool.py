"""`imapvm filepool`: create, check with its exit codes, and sweep."""

import json

import pytest
import trio

from imapvm.filepool.pool import CheckReport, Filepool, Finding, SweepReport, open_filepool
from imapvm.ops import cli


@pytest.fixture
def pool(tmp_path, capsys):
    path = tmp_path / "pool"
    assert cli.main(["filepool", "create", "--filepool", str(path)]) == 0
    assert capsys.readouterr().out == f"created filepool {path}\n"
    return path


@pytest.fixture
def run(pool, capsys):
    def of(*words):
        code = cli.main(["filepool", *words, "--filepool", str(pool)])
        written = capsys.readouterr()
        return code, written.out, written.err

    return of


def test_a_new_filepool_is_clean_and_private(pool, run):
    assert pool.stat().st_mode & 0o777 == 0o700
    assert run("check") == (
        0,
        "0 errors in 0 accounts, 0 mailboxes, 0 messages, 0 bodies\n",
        "",
    )


def test_number_of_groups(tmp_path):
    path = tmp_path / "three"
    assert cli.main(["filepool", "create", "--groups", "3", "--filepool", str(path)]) == 0

    async def groups():
        async with open_filepool(path) as pool:
            return len(pool.groups)

    assert trio.run(groups) == 3


@pytest.mark.parametrize("groups", ["0", "-1", "100000"])
def test_number_of_groups_outside_the_range(tmp_path, capsys, groups):
    words = ["filepool", "create", "--groups", groups, "--filepool", str(tmp_path / "x")]
    assert cli.main(words) == 1
    assert "storage groups" in capsys.readouterr().err


def test_existing_filepool_is_not_replaced(run):
    code, out, err = run("create")
    assert (code, out) == (1, "")
    assert err.startswith("imapvm: cannot create filepool ")


def test_findings_are_printed(run, monkeypatch):
    repairs = []
    outdated = 0

    def check(_, *, repair):
        repairs.append(repair)
        return CheckReport((Finding("The sky is green.", repair),), 1, 2, 3, 4, outdated)

    monkeypatch.setattr(Filepool, "check", check)
    assert run("check")[:2] == (
        3,
        "The sky is green.\n1 error in 1 accounts, 2 mailboxes, 3 messages, 4 bodies\n",
    )
    assert run("check", "--repair")[:2] == (
        0,
        "The sky is green. (repaired)\n1 error in 1 accounts, 2 mailboxes, 3 messages, 4 bodies\n",
    )
    code, out, _ = run("check", "--json")
    assert code == 3
    assert json.loads(out)["findings"] == [{"sentence": "The sky is green.", "repaired": False}]
    assert repairs == [False, True, False]
    outdated = 5
    assert run("check")[1].endswith(
        " 4 bodies\nmetadata of an older version in 5 bodies: valid; --repair makes it again\n"
    )
    assert run("check", "--repair")[1].endswith("in 5 bodies: made again\n")


def test_sweep_repeats_until_nothing_is_left(run, monkeypatch):
    steps = iter([SweepReport(bodies=5, more=True), SweepReport(bodies=2, deliveries=1)])

    async def sweep(_):
        return next(steps)

    monkeypatch.setattr(Filepool, "sweep", sweep)
    code, out, _ = run("sweep")
    assert code == 0
    assert "bodies: 7\n" in out
    assert "deliveries: 1\n" in out
    assert "more" not in out


def test_other_directory_is_not_changed(tmp_path, capsys):
    (tmp_path / "letter").write_text("dear")
    for verb in ("create", "check", "sweep"):
        assert cli.main(["filepool", verb, "--filepool", str(tmp_path)]) == 1
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert str(tmp_path) in message
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]
