"""`imapvm-bench` on a real server."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench.tests.conftest import USERS
from bench.tests.display.test_pages import checked
from tests.demo import started

from imapvm_bench.cli import main
from imapvm_bench.corpus.fill import FillSpec, fill
from imapvm_bench.corpus.mail import Recipe
from imapvm_bench.errors import ExitStatus
from imapvm_bench.scenario import file as scenario_file

QUICK = ["--duration", "0.3", "--warmup", "0.05", "--users", USERS]


@pytest.fixture(scope="module")
def filled(server):
    """Return the server, with 100 messages in each INBOX."""
    fill(FillSpec(server.target(), 100, recipe=Recipe(sizes=(1500,))))
    return server


@pytest.mark.parametrize("name", scenario_file.names())
def test_every_scenario_runs_without_an_error(filled, name, tmp_path):
    file = tmp_path / "report.json"
    call = ["run", filled.imap, "--scenario", name, "--lmtp", filled.lmtp, "--json", str(file)]
    quick = ["--duration", "1.3" if name == "idle" else "0.3", *QUICK[2:]]  # IDLE lasts one second
    assert main([*call, *quick, "--connections", "4"]) == ExitStatus.OK
    report = json.loads(file.read_text())["report"]
    assert report["totals"]["commands"] > 0
    assert report["errors"] == {}
    scenario = scenario_file.load(name)
    labels = {command.label for entry in scenario.mix for command in entry.commands}
    assert labels & set(report["labels"])


def test_a_run_writes_table_json_and_html(filled, tmp_path, capsys):
    call = ["run", filled.imap, "--scenario", "noop", "--connections", "8", *QUICK]
    made = {kind: tmp_path / f"report.{kind}" for kind in ("json", "html")}
    for kind, file in made.items():
        call += [f"--{kind}", str(file)]
    assert main(call) == ExitStatus.OK
    shown = capsys.readouterr().out
    assert re.search(r"noop on 127\.0\.0\.1:\d+ \(imapvm [\d.]+\), 8 connections, closed", shown)
    assert re.search(r"NOOP +[\d,]+ ", shown)
    values = json.loads(made["json"].read_text())
    noop = values["report"]["labels"]["NOOP"]
    assert sum(count for _, count in noop["histogram"]) == noop["count"]
    assert values["per_second"]["commands"] > 100
    assert values["percentiles_us"]["NOOP"]["p50"] <= values["percentiles_us"]["NOOP"]["p99"]
    checked(made["html"].read_text())


def test_an_open_loop_keeps_its_rate(filled, tmp_path):
    file = tmp_path / "report.json"
    call = ["run", filled.imap, "--scenario", "noop", "--connections", "4", "--rate", "100"]
    quick = ["--duration", "1", "--warmup", "0.05", "--users", USERS, "--json", str(file)]
    assert main([*call, *quick]) == ExitStatus.OK
    assert json.loads(file.read_text())["report"]["totals"]["entries"] == pytest.approx(100, abs=15)


@pytest.mark.parametrize("how", ["--tls", "--starttls"])
def test_a_run_with_tls(filled, how, capsys):
    server = filled.imaps if how == "--tls" else filled.imap
    call = ["run", server, how, "--scenario", "noop", "--connections", "2", *QUICK]
    assert main(call) == ExitStatus.OK
    assert "NOOP" in capsys.readouterr().out


def test_refused_commands_are_counted_with_an_example(filled, tmp_path, capsys):
    own = tmp_path / "own.toml"
    own.write_text(
        'about = "wrong on purpose"\nlogin = ["LOGIN {user} {password}"]\n'
        '[[mix]]\ncommands = ["STATUS nowhere{random 1 9} (MESSAGES)"]\n'
    )
    call = ["run", filled.imap, "--scenario", str(own), "--connections", "2", *QUICK]
    assert main(call) == ExitStatus.ERRORS
    assert re.search(r"NO +[\d,]+ +.*STATUS", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("call", "status", "message"),
    [
        (["--scenario", "nop"], ExitStatus.USAGE, "unknown scenario 'nop'"),
        (["--scenario", "lmtp"], ExitStatus.USAGE, "--lmtp HOST:PORT"),
        (["--scenario", "idle", "--pipeline", "3"], ExitStatus.USAGE, "cannot pipeline idle"),
        (
            ["--scenario", "noop", "--json", "/nowhere/x"],
            ExitStatus.USAGE,
            "cannot write /nowhere/x",
        ),
        (["--scenario", "noop", "--users", "x:wrong"], ExitStatus.NOT_STARTED, "LOGIN x → NO"),
    ],
)
def test_a_run_that_cannot_start_is_one_message_and_a_status(server, call, status, message, capsys):
    users = [] if "--users" in call else ["--users", USERS]
    assert main(["run", server.imap, *call, *users]) == status
    written = capsys.readouterr()
    assert message in written.err
    assert written.out == ""


def test_a_refused_connection_is_one_message(capsys):
    assert main(["run", "127.0.0.1:9", "--scenario", "noop", *QUICK]) == ExitStatus.NOT_STARTED
    assert capsys.readouterr().err == (
        "imapvm-bench: cannot connect to 127.0.0.1:9: connection refused\n"
    )


@contextlib.contextmanager
def command(*arguments):
    program = str(Path(sys.executable).with_name("imapvm-bench"))
    with subprocess.Popen(
        [program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_line(process, start):
    for line in process.stderr:
        if line.startswith(start):
            return
    raise AssertionError(f"exit status {process.wait()} before {start!r}")


def test_ctrl_c_ends_a_run_with_its_results(server, tmp_path):
    file = tmp_path / "report.json"
    with command(
        "run", server.imap, "--scenario", "noop", "--users", USERS, "--duration", "600",
        "--warmup", "0.01", "--connections", "4", "--json", str(file),
    ) as process:  # fmt: skip
        wait_for_line(process, "measuring")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
        assert process.returncode == ExitStatus.INTERRUPTED
    assert "Interrupted" in out
    assert re.search(r"NOOP +[\d,]+ ", out)
    report = json.loads(file.read_text())
    assert report["interrupted"] is True
    assert report["report"]["totals"]["commands"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_a_server_that_stops_answering_ends_the_run_with_its_results(tmp_path, how):
    with (
        started(tmp_path / "demo", "--users", "user%d:4:secret") as demo,
        command(
            "run", "{}:{}".format(*demo.imap), "--scenario", "noop", "--users", USERS,
            "--duration", "600", "--warmup", "0.01", "--connections", "4",
            "--answer-seconds", "3", "--html", str(tmp_path / "x.html"),
        ) as process,
    ):  # fmt: skip
        wait_for_line(process, "measuring")
        time.sleep(0.5)
        demo.process.send_signal(how)
        try:
            out, _ = process.communicate(timeout=60)
        finally:
            demo.process.send_signal(signal.SIGCONT)
        assert process.returncode == ExitStatus.SERVER_STOPPED
    assert "Server stopped answering" in out
    assert re.search(r"NOOP +[\d,]+ ", out)
    assert "Server stopped answering" in (tmp_path / "x.html").read_text()


def test_idle_measures_memory_and_latency_of_updates(server, tmp_path, capsys):
    made = {kind: tmp_path / f"report.{kind}" for kind in ("json", "html")}
    call = [
        "idle", server.imap, "--users", USERS, "--connections", "40", "--processes", "2",
        "--server-pid", str(server.pid), "--lmtp", server.lmtp, "--deliveries", "12",
        "--json", str(made["json"]), "--html", str(made["html"]),
    ]  # fmt: skip
    assert main(call) == ExitStatus.OK
    shown = capsys.readouterr().out
    assert "40 sessions idle" in shown
    values = json.loads(made["json"].read_text())
    assert (values["idling"], values["client_processes"], values["failed"]) == (40, 2, 0)
    news = values["news"]
    assert (news["deliveries"], news["expected"], news["missed"]) == (12, 120, 0)
    assert 0 < news["from_dot_us"]["p50"] <= news["from_dot_us"]["p99"]
    assert news["from_dot_us"]["p99"] <= news["last_from_dot_us"]["max"]
    memory = values["memory"]
    assert memory["before"]["pss"] > memory["before"]["anonymous"] > 1_000_000
    assert memory["after"]["processes"] == 1
    assert "Delivery to EXISTS" in "".join(checked(made["html"].read_text()).itertext())


def test_idle_reports_a_refused_login(server, capsys):
    call = ["idle", server.imap, "--users", "user1:wrong", "--connections", "2"]
    assert main(call) == ExitStatus.NOT_STARTED
    assert "LOGIN user1 → NO" in capsys.readouterr().err


def test_failed_sessions_are_counted(server, capsys):
    call = ["idle", server.imap, "--users", "user1:secret", "--users", "user2:wrong"]
    assert main([*call, "--connections", "4"]) == ExitStatus.ERRORS
    shown = capsys.readouterr().out
    assert "2 sessions idle" in shown
    assert "2 failed" in shown
    assert "AUTHENTICATIONFAILED" in shown


def test_two_servers_are_compared(filled, tmp_path, capsys):
    made = {kind: tmp_path / f"report.{kind}" for kind in ("json", "html")}
    call = [
        "compare", f"one={filled.imap}", f"two={filled.imap},lmtp={filled.lmtp}",
        "--scenarios", "noop,bulk-fetch", "--connections", "2", "--rounds", "2",
        "--json", str(made["json"]), "--html", str(made["html"]), *QUICK,
    ]  # fmt: skip
    assert main(call) == ExitStatus.OK
    written = capsys.readouterr()
    assert "one ÷ two" in written.out
    assert len(re.findall(r"^\d/8 round [12]: ", written.err, re.MULTILINE)) == 8
    rows = json.loads(made["json"].read_text())["rows"]
    assert [row["name"] for row in rows] == ["noop, 2", "bulk-fetch, 2"]
    assert all(len(row["values"][name]) == 2 for row in rows for name in ("one", "two"))
    assert all(row["ratio"]["one / two"] > 0 for row in rows)
    checked(made["html"].read_text())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["a=x:1"], "two or more servers"),
        (["a=x:1", "a=y:1"], "duplicate server name"),
        (["a=x:1", "=y:1"], "NAME=HOST:PORT"),
        (["a=x:1,foo=3", "b=y:1"], "expected lmtp=HOST:PORT after the comma"),
        (["a=x:1", "b=y:1", "--scenarios", "lmtp"], "use a=x:1,lmtp=HOST:PORT"),
        (["a=x:1", "b=y:1", "--scenarios", "noop,noop"], "duplicate scenario noop"),
    ],
)
def test_a_wrong_comparison_is_a_usage_error(call, message, capsys):
    assert main(["compare", *call, "--users", "a:b"]) == ExitStatus.USAGE
    assert message in capsys.readouterr().err


def test_scenarios_are_listed_shown_and_checked(tmp_path, capsys):
    assert main(["scenarios"]) == ExitStatus.OK
    assert "login-storm" in capsys.readouterr().out
    assert main(["scenarios", "--show", "mixed"]) == ExitStatus.OK
    own = tmp_path / "own.toml"
    own.write_text(capsys.readouterr().out)
    assert main(["scenarios", "--check", str(own)]) == ExitStatus.OK
    own.write_text(own.read_text().replace("weight = 30", "weight = -30"))
    assert main(["scenarios", "--check", str(own)]) == ExitStatus.USAGE
    assert f"{own}: mix[1].weight: must be a number above 0" in capsys.readouterr().err


def test_the_password_may_come_from_a_file_or_the_environment(server, tmp_path, monkeypatch):
    (tmp_path / "pw").write_text("secret\nmore\n")
    call = ["run", server.imap, "--scenario", "noop", *QUICK[:4], "--connections", "1"]
    users = ["--users", "user{1..2}"]
    assert main([*call, *users, "--password-file", str(tmp_path / "pw")]) == ExitStatus.OK
    monkeypatch.setenv("IMAPVM_BENCH_PASSWORD", "secret")
    assert main([*call, *users]) == ExitStatus.OK
    monkeypatch.delenv("IMAPVM_BENCH_PASSWORD")
    assert main([*call, *users]) == ExitStatus.USAGE


@pytest.mark.slow
def test_a_server_that_stops_during_deliveries_ends_idle_with_its_results(tmp_path):
    file = tmp_path / "report.json"
    with (
        started(tmp_path / "demo", "--users", "user%d:4:secret") as demo,
        command(
            "idle", "{}:{}".format(*demo.imap), "--users", USERS, "--connections", "8",
            "--lmtp", "{}:{}".format(*demo.lmtp), "--deliveries", "1000000", "--json", str(file),
        ) as process,
    ):  # fmt: skip
        wait_for_line(process, "delivering")
        time.sleep(0.5)
        demo.process.send_signal(signal.SIGKILL)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == ExitStatus.SERVER_STOPPED
    assert "The server stopped answering: " in out
    assert json.loads(file.read_text())["news"]["deliveries"] > 0
