"""The master of several processes, with processes that do nothing but live and die."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from imapvm.server.settings import SHUTDOWN_SECONDS
from imapvm.server.supervisor.master import GRACE_SECONDS, Master, Plan, ReloadRefused
from imapvm.server.supervisor.process import DUMP_SECONDS, HANG_SECONDS, Process
from imapvm.server.supervisor.spawn_config import Role
from imapvm.server.supervisor.worker_slot import (
    AGAIN_SECONDS_FIRST,
    AGAIN_SECONDS_MOST,
    HEALTHY_SECONDS,
    LOOP_DEATHS,
    Seat,
)

PATIENCE_SECONDS = 20
RELOAD_SECONDS = 50

HEAD = """
import os, signal, sys, time
report = int(sys.argv[1])
def on(what, then): signal.signal(getattr(signal, what), then)
def end(*_): os._exit(0)
def beat(*_): os.write(report, b".")
"""
GOOD = f"""{HEAD}
on("SIGTERM", end); on("SIGUSR1", end); on("SIGUSR2", beat)
os.write(report, b"r")
while True: signal.pause()
"""
LINGERING = GOOD.replace('on("SIGUSR1", end)', 'on("SIGUSR1", beat)')
STUBBORN = GOOD.replace('on("SIGTERM", end)', 'on("SIGTERM", signal.SIG_IGN)')
SLOW = GOOD.replace('os.write(report, b"r")', "")
FAILS = f"{HEAD}\nsys.exit(3)"
FAILS_LATER = f'{HEAD}\nos.write(report, b"r")\nsys.exit(3)'
DAZED = STUBBORN.replace(
    'os.write(report, b"r")', 'on("SIGABRT", beat)\nos.write(report, b"r")'
).replace("while True: signal.pause()", "time.sleep(1000)")


class Clock:
    """Goes on only when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeLauncher:
    """Starts scripts, and notes what it is asked for."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.scripts: dict[str, str] = {}
        """By name; GOOD where there is none."""
        self.refuses = False
        self.launched: list[tuple[str, int | None, Plan]] = []
        self.noted: list[str] = []
        self.children: list[subprocess.Popen] = []

    def launch(self, seat: Seat, plan: Plan) -> Process:
        if self.refuses:
            raise OSError(11, "no more processes")
        self.launched.append((seat.name, seat.place, plan))
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        script = self.scripts.get(seat.name, GOOD)
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", script, str(theirs)],
            pass_fds=[theirs],
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        self.children.append(child)
        return Process(child, ours, now=self.clock())

    def collected(self, seat: Seat) -> None:
        self.noted.append(f"collected {seat.name}")

    def pause(self, seat: Seat) -> None:
        self.noted.append(f"pause {seat.name}")

    def resume(self, seat: Seat) -> None:
        self.noted.append(f"resume {seat.name}")

    def close(self) -> None:
        self.noted.append("close")

    def names(self) -> list[str]:
        return [name for name, _, _ in self.launched]


class Told:
    """What the master says of itself."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def ready(self) -> None:
        self.words.append("ready")

    def reloading(self) -> None:
        self.words.append("reloading")

    def stopping(self) -> None:
        self.words.append("stopping")


def plan(workers: int = 3, *, intake: bool = True) -> Plan:
    return Plan(workers=workers, intake=intake, reload_seconds=RELOAD_SECONDS)


class Server:
    """A master, moved by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.launcher = FakeLauncher(self.clock)
        self.told = Told()
        self.next_plan: Plan | ReloadRefused = plan()
        self.first_plan = plan()
        self.master = self.new(self.first_plan)

    def new(self, first: Plan) -> Master:
        self.master = Master(first, self.launcher, self.told, self.reread, clock=self.clock)
        return self.master

    def reread(self) -> Plan:
        if isinstance(self.next_plan, ReloadRefused):
            raise self.next_plan
        return self.next_plan

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the master go on until something is true; the clock stands."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < end, (self.told.words, self.launcher.noted)
            self.master.step(0.05)

    def begin(self) -> None:
        self.until(lambda: self.told.words == ["ready"])

    def quietly(self) -> None:
        """Let the master do what it would do now."""
        for _ in range(3):
            self.master.step(0.01)

    def pid(self, name: str) -> int:
        return self.master.processes()[name][0]

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.pid(name), how)

    def die(self, name: str) -> None:
        """Kill a process; return when the master has seen it."""
        count = self.launcher.noted.count(f"collected {name}")
        self.until(lambda: name in self.master.processes())
        self.kill(name)
        self.until(lambda: self.launcher.noted.count(f"collected {name}") > count)


@pytest.fixture
def server(caplog) -> Iterator[Server]:
    caplog.set_level(logging.INFO, "imapvm.server.supervisor.master")
    server = Server()
    yield server
    for child in server.launcher.children:
        child.kill()
        child.wait()
    for _, process in server.master._occupied():
        process.collect()


def events(caplog) -> list[tuple[str, ...]]:
    """What was logged: the event, the role, and how it ended."""
    return [
        tuple(
            str(getattr(record, name))
            for name in ("msg", "role", "signal", "status")
            if hasattr(record, name)
        )
        for record in caplog.records
    ]


# --- the beginning ------------------------------------------------------------------------------


def test_the_keeper_comes_first_and_ready_is_said_when_all_are(server):
    server.launcher.scripts["worker-2"] = SLOW
    server.until(lambda: len(server.launcher.launched) == 5)
    assert server.launcher.names()[0] == "keeper"
    assert set(server.launcher.names()) == {"keeper", "intake", "worker-1", "worker-2", "worker-3"}
    server.quietly()
    assert server.told.words == []
    server.launcher.scripts.clear()
    server.kill("worker-2")  # the start has failed, and says so by its code
    server.until(lambda: server.master.over)
    assert server.told.words == []
    assert server.master.code == 1


def test_without_intake_there_is_no_process_for_it(server):
    server.new(plan(1, intake=False))
    server.begin()
    assert set(server.master.processes()) == {"keeper", "worker-1"}


@pytest.mark.parametrize("who", ["keeper", "intake", "worker-2"])
def test_a_start_that_fails_ends_all_with_the_code_of_who_failed(server, who, caplog):
    server.launcher.scripts[who] = FAILS
    server.until(lambda: server.master.over)
    assert server.master.code == 3
    assert server.told.words == []
    assert server.launcher.noted.count("close") == 1
    assert server.launcher.names().count(who) == 1
    assert caplog.text == ""  # who failed has said why
    if who == "keeper":
        assert server.launcher.names() == ["keeper"]


def test_a_start_that_the_system_refuses_ends_all(server):
    server.launcher.refuses = True
    server.until(lambda: server.master.over)
    assert server.master.code == 1


# --- dying --------------------------------------------------------------------------------------


def test_a_process_that_dies_is_replaced_at_once_and_the_others_stay(server, caplog):
    server.begin()
    before = server.master.processes()
    server.die("worker-2")
    server.until(lambda: "worker-2" in server.master.processes())
    after = server.master.processes()
    assert after["worker-2"] != before["worker-2"]
    assert {**after, "worker-2": None} == {**before, "worker-2": None}
    assert ("process died", "worker-2", "SIGKILL") in events(caplog)
    assert server.told.words == ["ready"]


@pytest.mark.parametrize("who", ["keeper", "intake"])
def test_keeper_and_intake_are_replaced_too(server, who, caplog):
    server.begin()
    before = server.pid(who)
    server.die(who)
    server.until(lambda: server.master.processes().get(who, [before]) != [before])
    assert ("process died", who, "SIGKILL") in events(caplog)


def test_who_dies_again_and_again_is_started_ever_more_slowly_and_the_others_stay(server, caplog):
    server.begin()
    others = {k: v for k, v in server.master.processes().items() if k != "worker-1"}
    server.launcher.scripts["worker-1"] = FAILS_LATER
    waits = []
    server.kill("worker-1")
    for deaths in range(1, LOOP_DEATHS + 5):
        server.until(
            lambda deaths=deaths: server.launcher.noted.count("collected worker-1") == deaths
        )
        (seat,) = (seat for seat in server.master._seats if seat.name == "worker-1")
        waits.append(seat.due - server.clock.now)
        starts = len(server.launcher.launched)
        if waits[-1]:
            server.clock.now += waits[-1] - 0.1
            for process in [process for _, process in server.master._occupied()]:
                process.heard_at = server.clock.now  # the others live
            server.quietly()
            assert len(server.launcher.launched) == starts
            server.clock.now += 0.1
        server.master.step(0.01)
    first = AGAIN_SECONDS_FIRST
    assert waits[:6] == [0, first, 2 * first, 4 * first, 8 * first, 16 * first]
    assert waits[6:] == [AGAIN_SECONDS_MOST] * len(waits[6:])
    assert events(caplog)[0] == ("process died", "worker-1", "SIGKILL")
    assert ("process died", "worker-1", "3") in events(caplog)
    loops = [event for event in events(caplog) if event[0] == "process dies over and over"]
    assert len(loops) == len(waits) - LOOP_DEATHS + 1
    assert {k: v for k, v in server.master.processes().items() if k != "worker-1"} == others
    # Its clients are sent to the others while it is away, and come again when it does.
    assert server.launcher.noted.count("pause worker-1") == sum(wait >= 2 for wait in waits)
    last_resume = len(server.launcher.noted) - server.launcher.noted[::-1].index("resume worker-1")
    assert last_resume > server.launcher.noted.index("pause worker-1")


def test_the_only_worker_is_not_paused(server):
    server.new(plan(1))
    server.begin()
    server.launcher.scripts["worker-1"] = FAILS_LATER
    server.kill("worker-1")
    for deaths in range(1, 5):
        server.until(
            lambda deaths=deaths: server.launcher.noted.count("collected worker-1") == deaths
        )
        server.clock.now += AGAIN_SECONDS_MOST - 1
        for _, process in server.master._occupied():
            process.heard_at = server.clock.now
    assert "pause worker-1" not in server.launcher.noted


def test_a_death_after_a_long_life_is_not_counted_with_earlier_ones(server):
    server.begin()
    server.die("worker-1")
    server.die("worker-1")
    (seat,) = (seat for seat in server.master._seats if seat.name == "worker-1")
    assert seat.due > server.clock.now
    server.clock.now = seat.due
    server.until(lambda: seat.ready)
    server.clock.now += HEALTHY_SECONDS
    for _, process in server.master._occupied():
        process.heard_at = server.clock.now
    server.die("worker-1")
    assert seat.due == server.clock.now


def test_the_system_may_refuse_a_process_for_a_while(server, caplog):
    server.begin()
    server.launcher.refuses = True
    server.die("worker-1")
    server.until(lambda: ("process not started", "worker-1") in events(caplog))
    server.launcher.refuses = False
    server.clock.now += AGAIN_SECONDS_MOST - 1
    for _, process in server.master._occupied():
        process.heard_at = server.clock.now
    server.until(lambda: "worker-1" in server.master.processes())


def test_when_one_has_died_the_keeper_is_told(server):
    server.launcher.scripts["keeper"] = GOOD.replace('"SIGUSR2", beat', '"SIGUSR2", end')
    server.begin()
    keeper = server.pid("keeper")
    server.die("worker-1")
    server.until(lambda: server.master.processes().get("keeper", [keeper]) != [keeper])


# --- hanging ------------------------------------------------------------------------------------


def test_a_process_without_a_sign_of_life_is_killed_and_replaced(server, caplog):
    server.launcher.scripts["worker-1"] = DAZED
    server.begin()
    before = server.master.processes()
    server.launcher.scripts.clear()
    server.clock.now += HANG_SECONDS - 1
    for name in set(before) - {"worker-1"}:
        server.kill(name, signal.SIGUSR2)  # a sign of life
    heard = [process for seat, process in server.master._occupied() if seat.name != "worker-1"]
    server.until(lambda: all(process.heard_at == server.clock.now for process in heard))
    assert server.master.processes() == before
    server.clock.now += 1
    server.until(lambda: ("process hangs", "worker-1") in events(caplog))
    assert server.master.processes() == before  # it may write where it hangs
    server.clock.now += DUMP_SECONDS
    server.until(
        lambda: server.master.processes().get("worker-1", before["worker-1"]) != before["worker-1"]
    )
    assert ("process died", "worker-1", "SIGKILL") in events(caplog)
    after = server.master.processes()
    assert {**after, "worker-1": None} == {**before, "worker-1": None}


def test_a_process_that_is_stopped_hangs_too(server, caplog):
    server.begin()
    before = server.pid("intake")
    server.kill("intake", signal.SIGSTOP)
    server.clock.now += HANG_SECONDS
    for seat, process in server.master._occupied():
        if seat.name != "intake":
            process.heard_at = server.clock.now
    server.until(lambda: ("process hangs", "intake") in events(caplog))
    server.clock.now += DUMP_SECONDS
    server.until(lambda: server.master.processes().get("intake", [before]) != [before])


# --- ending -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_ends_all_and_listens_no_more(server, how):
    server.begin()
    server.master.signalled(how)
    assert server.told.words == ["ready", "stopping"]
    assert server.launcher.noted[-1] == "close"
    server.until(lambda: server.master.over)
    assert server.master.code == 0
    assert [child.poll() for child in server.launcher.children] == [0] * 5


def test_who_does_not_end_is_killed_when_its_time_is_over(server, caplog):
    server.launcher.scripts["worker-1"] = STUBBORN
    server.begin()
    server.master.signalled(signal.SIGTERM)
    server.until(lambda: list(server.master.processes()) == ["worker-1"])
    server.clock.now += SHUTDOWN_SECONDS
    server.quietly()
    assert not server.master.over
    server.clock.now += GRACE_SECONDS
    server.until(lambda: server.master.over)
    assert ("process ended", "worker-1", "SIGKILL") in events(caplog)
    assert server.master.code == 0


def test_told_twice_it_ends_all_at_once(server):
    server.launcher.scripts["intake"] = STUBBORN
    server.begin()
    server.master.signalled(signal.SIGINT)
    server.master.signalled(signal.SIGINT)
    server.until(lambda: server.master.over)
    assert server.told.words == ["ready", "stopping"]


def test_told_to_end_before_all_are_ready_it_ends(server):
    server.launcher.scripts["worker-1"] = SLOW
    server.until(lambda: "worker-1" in server.launcher.names())
    server.master.signalled(signal.SIGTERM)
    server.until(lambda: server.master.over)
    assert server.master.code == 0


# --- reloading ----------------------------------------------------------------------------------


def test_a_reload_replaces_all_and_the_old_workers_take_their_leave(server):
    server.launcher.scripts = dict.fromkeys(["worker-1", "worker-2", "worker-3"], LINGERING)
    server.begin()
    before = server.master.processes()
    server.next_plan = Plan(workers=3, intake=True, reload_seconds=1)
    server.master.signalled(signal.SIGHUP)
    server.until(lambda: server.told.words == ["ready", "reloading", "ready"])
    for name in ("worker-1", "worker-2", "worker-3"):
        new, old = server.master.processes()[name]
        assert [old] == before[name]
        assert new != old
    latest = server.launcher.launched[-3:]
    assert {place for _, place, _ in latest} == {3, 4, 5}
    assert all(followed is server.next_plan for _, _, followed in latest)
    server.until(
        lambda: all(
            server.master.processes().get(name, before[name]) != before[name]
            for name in ("keeper", "intake")
        )
    )
    # Those who stay have the time that they were promised when they began, and not longer.
    server.clock.now += RELOAD_SECONDS + SHUTDOWN_SECONDS
    for _, process in server.master._occupied():
        process.heard_at = server.clock.now
    server.quietly()
    assert len(server.master.processes()["worker-1"]) == 2
    server.clock.now += GRACE_SECONDS
    server.until(lambda: all(len(pids) == 1 for pids in server.master.processes().values()))
    assert server.told.words == ["ready", "reloading", "ready"]


def test_a_second_reload_ends_those_whom_the_first_left(server):
    server.launcher.scripts = dict.fromkeys(["worker-1", "worker-2", "worker-3"], LINGERING)
    server.begin()
    first = server.master.processes()
    server.master.signalled(signal.SIGHUP)
    server.master.signalled(signal.SIGHUP)  # is remembered
    server.until(lambda: server.told.words == ["ready"] + ["reloading", "ready"] * 2)
    second_and_third = server.master.processes()
    assert all(len(second_and_third[f"worker-{number}"]) == 2 for number in (1, 2, 3))
    assert not {pid for pids in first.values() for pid in pids} & {
        pid for pids in second_and_third.values() for pid in pids
    }
    places = [place for _, place, _ in server.launcher.launched if place is not None]
    assert sorted(places) == [0, 0, 1, 1, 2, 2, 3, 4, 5]


def test_a_configuration_with_a_mistake_changes_nothing(server, caplog):
    server.begin()
    before = server.master.processes()
    server.next_plan = ReloadRefused("imapvm.toml:3: there is no such key")
    server.master.signalled(signal.SIGHUP)
    server.quietly()
    assert server.master.processes() == before
    assert "no such key" in str(caplog.records[-1].__dict__)
    assert server.told.words == ["ready"]


def test_new_workers_that_do_not_start_change_nothing(server, caplog):
    server.begin()
    before = server.master.processes()
    server.launcher.scripts["worker-2"] = FAILS
    server.master.signalled(signal.SIGHUP)
    server.until(lambda: server.told.words == ["ready", "reloading", "ready"])
    server.until(lambda: server.master.processes() == before)
    assert ("process died", "worker-2", "3") in events(caplog)
    assert any("not reloaded" in event[0] for event in events(caplog))
    server.launcher.scripts.clear()
    server.master.signalled(signal.SIGHUP)  # the next one is as good as any
    server.until(lambda: len(server.told.words) == 5)
    server.until(
        lambda: (
            not set(map(tuple, before.values()))
            & set(map(tuple, server.master.processes().values()))
        )
    )


def test_a_worker_that_dies_during_a_reload_is_replaced_as_it_was(server):
    server.begin()
    server.launcher.scripts["worker-2"] = SLOW  # the reload waits for it
    server.master.signalled(signal.SIGHUP)
    server.until(lambda: len(server.launcher.launched) == 8)
    server.launcher.scripts.clear()
    old = server.pid("worker-1")
    os.kill(old, signal.SIGKILL)
    server.until(lambda: len(server.launcher.launched) == 9)
    assert server.launcher.launched[-1] == ("worker-1", 0, server.first_plan)


def test_told_to_end_during_a_reload_it_ends(server):
    server.launcher.scripts = dict.fromkeys(["worker-1", "worker-2", "worker-3"], LINGERING)
    server.begin()
    server.master.signalled(signal.SIGHUP)
    server.until(lambda: len(server.launcher.launched) == 8)
    server.master.signalled(signal.SIGTERM)
    server.until(lambda: server.master.over)
    assert server.master.code == 0


def test_role_names_are_words():
    assert Seat(Role.WORKER, 1, 4, lambda _: None).name == "worker-2"
    assert Seat(Role.INTAKE, 0, None, lambda _: None).name == "intake"
