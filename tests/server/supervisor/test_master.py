"""Master process, with child processes that only report, hang and end."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.clock import Clock

from imapvm.ops import errors as operator_errors
from imapvm.server.role import Role
from imapvm.server.settings import SHUTDOWN_SECONDS, Settings
from imapvm.server.supervisor.master import CORRUPT, GRACE_SECONDS, Master, ReloadRefused
from imapvm.server.supervisor.process import DUMP_SECONDS, HANG_SECONDS, Process
from imapvm.server.supervisor.worker_slot import (
    CRASH_LOOP_DEATHS,
    HEALTHY_SECONDS,
    RESPAWN_SECONDS_FIRST,
    RESPAWN_SECONDS_MAX,
    WorkerSlot,
)

TIMEOUT_SECONDS = 20
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
FAILS_LATER = f'{HEAD}\nos.write(report, b"r")\nsys.exit(4)'
HUNG = STUBBORN.replace(
    'os.write(report, b"r")', 'on("SIGABRT", beat)\nos.write(report, b"r")'
).replace("while True: signal.pause()", "time.sleep(1000)")


class FakeSpawner:
    """Spawner that runs scripts, and records its calls."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.scripts: dict[str, str] = {}
        """By slot name; GOOD by default."""
        self.refuses = False
        self.launched: list[tuple[str, int | None, Settings]] = []
        self.calls: list[str] = []
        self.children: list[subprocess.Popen] = []

    def spawn(self, slot: WorkerSlot, settings: Settings) -> Process:
        if self.refuses:
            raise OSError(11, "no more processes")
        self.launched.append((slot.name, slot.index, settings))
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        script = self.scripts.get(slot.name, GOOD)
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", script, str(theirs)],
            pass_fds=[theirs],
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        self.children.append(child)
        return Process(child, ours, now=self.clock())

    def reaped(self, slot: WorkerSlot) -> None:
        self.calls.append(f"reaped {slot.name}")

    def pause(self, slot: WorkerSlot) -> None:
        self.calls.append(f"pause {slot.name}")

    def resume(self, slot: WorkerSlot) -> None:
        self.calls.append(f"resume {slot.name}")

    def close(self) -> None:
        self.calls.append("close")

    def names(self) -> list[str]:
        return [name for name, _, _ in self.launched]


class FakeObserver:
    """Observer that records its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def ready(self) -> None:
        self.calls.append("ready")

    def reloading(self) -> None:
        self.calls.append("reloading")

    def stopping(self) -> None:
        self.calls.append("stopping")


def settings(workers: int = 3, *, reload_seconds: int = RELOAD_SECONDS) -> Settings:
    return Settings(filepool=Path("/pool"), workers=workers, reload_seconds=reload_seconds)


class Server:
    """Master that the test steps."""

    def __init__(self) -> None:
        self.clock = Clock(1000.0)
        self.spawner = FakeSpawner(self.clock)
        self.observer = FakeObserver()
        self.next_settings: Settings | ReloadRefused = settings()
        self.first_settings = settings()
        self.master = self.new(self.first_settings)

    def new(self, first: Settings, *, intake: bool = True) -> Master:
        self.master = Master(
            first,
            self.spawner,
            self.observer,
            self.load_settings,
            intake=intake,
            clock=self.clock,
        )
        return self.master

    def load_settings(self) -> Settings:
        if isinstance(self.next_settings, ReloadRefused):
            raise self.next_settings
        return self.next_settings

    def until(self, condition: Callable[[], bool]) -> None:
        """Step the master until a condition holds; the clock does not move."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            assert time.monotonic() < end, (self.observer.calls, self.spawner.calls)
            self.master.step(0.05)

    def begin(self) -> None:
        self.until(lambda: self.observer.calls == ["ready"])

    def steps(self) -> None:
        """Step the master a few times."""
        for _ in range(3):
            self.master.step(0.01)

    def pid(self, name: str) -> int:
        return self.master.processes()[name][0]

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.pid(name), how)

    def die(self, name: str) -> None:
        """Kill a process; return when the master has reaped it."""
        count = self.spawner.calls.count(f"reaped {name}")
        self.until(lambda: name in self.master.processes())
        self.kill(name)
        self.until(lambda: self.spawner.calls.count(f"reaped {name}") > count)


@pytest.fixture
def server(caplog) -> Iterator[Server]:
    caplog.set_level(logging.INFO, "imapvm.server.supervisor.master")
    server = Server()
    yield server
    for child in server.spawner.children:
        child.kill()
        child.wait()
    for _, process in server.master._running():
        process.reap()


def events(caplog) -> list[tuple[str, ...]]:
    """Return the log events: text, role, and signal or status."""
    return [
        tuple(
            str(getattr(record, name))
            for name in ("msg", "role", "signal", "status")
            if hasattr(record, name)
        )
        for record in caplog.records
    ]


# --- start --------------------------------------------------------------------------------------


def test_maintenance_starts_first_and_ready_is_reported_when_all_are(server):
    server.spawner.scripts["worker-2"] = SLOW
    server.until(lambda: len(server.spawner.launched) == 5)
    assert server.spawner.names()[0] == "maintenance"
    assert set(server.spawner.names()) == {
        "maintenance",
        "intake",
        "worker-1",
        "worker-2",
        "worker-3",
    }
    server.steps()
    assert server.observer.calls == []
    server.spawner.scripts.clear()
    server.kill("worker-2")  # the start fails, and the exit code shows it
    server.until(lambda: server.master.finished)
    assert server.observer.calls == []
    assert server.master.code == 1


def test_no_intake_process_without_intake(server):
    server.new(settings(1), intake=False)
    server.begin()
    assert set(server.master.processes()) == {"maintenance", "worker-1"}


@pytest.mark.parametrize("who", ["maintenance", "intake", "worker-2"])
def test_failed_start_ends_the_server_with_the_exit_code_of_the_process(server, who, caplog):
    server.spawner.scripts[who] = FAILS
    server.until(lambda: server.master.finished)
    assert server.master.code == 3
    assert server.observer.calls == []
    assert server.spawner.calls.count("close") == 1
    assert server.spawner.names().count(who) == 1
    assert caplog.text == ""  # the process that failed has logged the reason
    if who == "maintenance":
        assert server.spawner.names() == ["maintenance"]


def test_start_that_the_system_refuses_ends_the_server(server):
    server.spawner.refuses = True
    server.until(lambda: server.master.finished)
    assert server.master.code == 1


# --- deaths -------------------------------------------------------------------------------------


def test_dead_process_is_replaced_at_once_and_the_others_stay(server, caplog):
    server.begin()
    before = server.master.processes()
    server.die("worker-2")
    server.until(lambda: "worker-2" in server.master.processes())
    after = server.master.processes()
    assert after["worker-2"] != before["worker-2"]
    assert {**after, "worker-2": None} == {**before, "worker-2": None}
    assert ("process died", "worker-2", "SIGKILL") in events(caplog)
    assert server.observer.calls == ["ready"]


@pytest.mark.parametrize("who", ["maintenance", "intake"])
def test_maintenance_and_intake_are_replaced_too(server, who, caplog):
    server.begin()
    before = server.pid(who)
    server.die(who)
    server.until(lambda: server.master.processes().get(who, [before]) != [before])
    assert ("process died", who, "SIGKILL") in events(caplog)


def test_respawn_delay_doubles_in_a_crash_loop_and_the_others_stay(server, caplog):
    server.begin()
    others = {k: v for k, v in server.master.processes().items() if k != "worker-1"}
    server.spawner.scripts["worker-1"] = FAILS_LATER
    waits = []
    server.kill("worker-1")
    for deaths in range(1, CRASH_LOOP_DEATHS + 5):
        server.until(lambda deaths=deaths: server.spawner.calls.count("reaped worker-1") == deaths)
        (slot,) = (slot for slot in server.master._slots if slot.name == "worker-1")
        waits.append(slot.spawn_at - server.clock.now)
        starts = len(server.spawner.launched)
        if waits[-1]:
            server.clock.now += waits[-1] - 0.1
            for process in [process for _, process in server.master._running()]:
                process.reported_at = server.clock.now  # the others send heartbeats
            server.steps()
            assert len(server.spawner.launched) == starts
            server.clock.now += 0.1
        server.master.step(0.01)
    first = RESPAWN_SECONDS_FIRST
    assert waits[:6] == [0, first, 2 * first, 4 * first, 8 * first, 16 * first]
    assert waits[6:] == [RESPAWN_SECONDS_MAX] * len(waits[6:])
    assert events(caplog)[0] == ("process died", "worker-1", "SIGKILL")
    assert ("process died", "worker-1", "4") in events(caplog)
    loops = [event for event in events(caplog) if event[0] == "process in crash loop"]
    assert len(loops) == len(waits) - CRASH_LOOP_DEATHS + 1
    assert {k: v for k, v in server.master.processes().items() if k != "worker-1"} == others
    # Its clients are directed to the others until it is back.
    assert server.spawner.calls.count("pause worker-1") == sum(wait >= 2 for wait in waits)
    last_resume = len(server.spawner.calls) - server.spawner.calls[::-1].index("resume worker-1")
    assert last_resume > server.spawner.calls.index("pause worker-1")


@pytest.mark.parametrize("who", ["maintenance", "intake", "worker-2"])
def test_process_that_cannot_use_the_filepool_ends_the_server(server, who, caplog):
    server.begin()
    server.spawner.scripts[who] = FAILS
    server.kill(who)
    server.until(lambda: server.master.finished)
    assert server.master.code == CORRUPT == operator_errors.CORRUPT
    assert ("process died", who, "3") in events(caplog)
    assert server.spawner.names().count(who) == 2


def test_only_worker_is_not_paused(server):
    server.new(settings(1))
    server.begin()
    server.spawner.scripts["worker-1"] = FAILS_LATER
    server.kill("worker-1")
    for deaths in range(1, 5):
        server.until(lambda deaths=deaths: server.spawner.calls.count("reaped worker-1") == deaths)
        server.clock.now += RESPAWN_SECONDS_MAX - 1
        for _, process in server.master._running():
            process.reported_at = server.clock.now
    assert "pause worker-1" not in server.spawner.calls


def test_death_of_a_healthy_process_is_not_counted_with_earlier_ones(server):
    server.begin()
    server.die("worker-1")
    server.die("worker-1")
    (slot,) = (slot for slot in server.master._slots if slot.name == "worker-1")
    assert slot.spawn_at > server.clock.now
    server.clock.now = slot.spawn_at
    server.until(lambda: slot.ready)
    server.clock.now += HEALTHY_SECONDS
    for _, process in server.master._running():
        process.reported_at = server.clock.now
    server.die("worker-1")
    assert slot.spawn_at == server.clock.now


def test_spawn_that_the_system_refuses_is_retried(server, caplog):
    server.begin()
    server.spawner.refuses = True
    server.die("worker-1")
    server.until(lambda: ("cannot start process", "worker-1") in events(caplog))
    server.spawner.refuses = False
    server.clock.now += RESPAWN_SECONDS_MAX - 1
    for _, process in server.master._running():
        process.reported_at = server.clock.now
    server.until(lambda: "worker-1" in server.master.processes())


def test_death_of_a_process_is_signalled_to_maintenance(server):
    server.spawner.scripts["maintenance"] = GOOD.replace('"SIGUSR2", beat', '"SIGUSR2", end')
    server.begin()
    maintenance = server.pid("maintenance")
    server.die("worker-1")
    server.until(
        lambda: server.master.processes().get("maintenance", [maintenance]) != [maintenance]
    )


# --- hangs --------------------------------------------------------------------------------------


def test_process_without_heartbeats_is_killed_and_replaced(server, caplog):
    server.spawner.scripts["worker-1"] = HUNG
    server.begin()
    before = server.master.processes()
    server.spawner.scripts.clear()
    server.clock.now += HANG_SECONDS - 1
    for name in set(before) - {"worker-1"}:
        server.kill(name, signal.SIGUSR2)  # causes a heartbeat
    others = [process for slot, process in server.master._running() if slot.name != "worker-1"]
    server.until(lambda: all(process.reported_at == server.clock.now for process in others))
    assert server.master.processes() == before
    server.clock.now += 1
    server.until(lambda: ("process hangs", "worker-1") in events(caplog))
    assert server.master.processes() == before  # time to write tracebacks
    server.clock.now += DUMP_SECONDS
    server.until(
        lambda: server.master.processes().get("worker-1", before["worker-1"]) != before["worker-1"]
    )
    assert ("process died", "worker-1", "SIGKILL") in events(caplog)
    after = server.master.processes()
    assert {**after, "worker-1": None} == {**before, "worker-1": None}


def test_stopped_process_counts_as_hung(server, caplog):
    server.begin()
    before = server.pid("intake")
    server.kill("intake", signal.SIGSTOP)
    server.clock.now += HANG_SECONDS
    for slot, process in server.master._running():
        if slot.name != "intake":
            process.reported_at = server.clock.now
    server.until(lambda: ("process hangs", "intake") in events(caplog))
    server.clock.now += DUMP_SECONDS
    server.until(lambda: server.master.processes().get("intake", [before]) != [before])


# --- stopping -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_and_sigint_stop_all_processes_and_close_listeners(server, how):
    server.begin()
    server.master.handle_signal(how)
    assert server.observer.calls == ["ready", "stopping"]
    assert server.spawner.calls[-1] == "close"
    server.until(lambda: server.master.finished)
    assert server.master.code == 0
    assert [child.poll() for child in server.spawner.children] == [0] * 5


def test_process_that_does_not_stop_is_killed_after_the_grace_period(server, caplog):
    server.spawner.scripts["worker-1"] = STUBBORN
    server.begin()
    server.master.handle_signal(signal.SIGTERM)
    server.until(lambda: list(server.master.processes()) == ["worker-1"])
    server.clock.now += SHUTDOWN_SECONDS
    server.steps()
    assert not server.master.finished
    server.clock.now += GRACE_SECONDS
    server.until(lambda: server.master.finished)
    assert ("process ended", "worker-1", "SIGKILL") in events(caplog)
    assert server.master.code == 0


def test_second_signal_kills_all_processes(server):
    server.spawner.scripts["intake"] = STUBBORN
    server.begin()
    server.master.handle_signal(signal.SIGINT)
    server.master.handle_signal(signal.SIGINT)
    server.until(lambda: server.master.finished)
    assert server.observer.calls == ["ready", "stopping"]


def test_sigterm_during_the_start_stops_the_server(server):
    server.spawner.scripts["worker-1"] = SLOW
    server.until(lambda: "worker-1" in server.spawner.names())
    server.master.handle_signal(signal.SIGTERM)
    server.until(lambda: server.master.finished)
    assert server.master.code == 0


# --- reload -------------------------------------------------------------------------------------


def test_reload_replaces_all_processes_and_old_workers_drain(server):
    server.spawner.scripts = dict.fromkeys(["worker-1", "worker-2", "worker-3"], LINGERING)
    server.begin()
    before = server.master.processes()
    server.next_settings = settings(reload_seconds=1)
    server.master.handle_signal(signal.SIGHUP)
    server.until(lambda: server.observer.calls == ["ready", "reloading", "ready"])
    for name in ("worker-1", "worker-2", "worker-3"):
        new, old = server.master.processes()[name]
        assert [old] == before[name]
        assert new != old
    latest = server.spawner.launched[-3:]
    assert {place for _, place, _ in latest} == {3, 4, 5}
    assert all(followed is server.next_settings for _, _, followed in latest)
    server.until(
        lambda: all(
            server.master.processes().get(name, before[name]) != before[name]
            for name in ("maintenance", "intake")
        )
    )
    # Old workers have the reload time of the old settings.
    server.clock.now += RELOAD_SECONDS + SHUTDOWN_SECONDS
    for _, process in server.master._running():
        process.reported_at = server.clock.now
    server.steps()
    assert len(server.master.processes()["worker-1"]) == 2
    server.clock.now += GRACE_SECONDS
    server.until(lambda: all(len(pids) == 1 for pids in server.master.processes().values()))
    assert server.observer.calls == ["ready", "reloading", "ready"]


def test_second_reload_ends_workers_left_from_the_first(server):
    server.spawner.scripts = dict.fromkeys(["worker-1", "worker-2", "worker-3"], LINGERING)
    server.begin()
    first = server.master.processes()
    server.master.handle_signal(signal.SIGHUP)
    server.master.handle_signal(signal.SIGHUP)  # is pending
    server.until(lambda: server.observer.calls == ["ready"] + ["reloading", "ready"] * 2)
    second_and_third = server.master.processes()
    assert all(len(second_and_third[f"worker-{number}"]) == 2 for number in (1, 2, 3))
    assert not {pid for pids in first.values() for pid in pids} & {
        pid for pids in second_and_third.values() for pid in pids
    }
    places = [place for _, place, _ in server.spawner.launched if place is not None]
    assert sorted(places) == [0, 0, 1, 1, 2, 2, 3, 4, 5]


def test_invalid_configuration_changes_nothing(server, caplog):
    server.begin()
    before = server.master.processes()
    server.next_settings = ReloadRefused("imapvm.toml:3: unknown key")
    server.master.handle_signal(signal.SIGHUP)
    server.steps()
    assert server.master.processes() == before
    assert "unknown key" in str(caplog.records[-1].__dict__)
    assert server.observer.calls == ["ready"]


def test_new_workers_that_do_not_start_change_nothing(server, caplog):
    server.begin()
    before = server.master.processes()
    server.spawner.scripts["worker-2"] = FAILS
    server.master.handle_signal(signal.SIGHUP)
    server.until(lambda: server.observer.calls == ["ready", "reloading", "ready"])
    server.until(lambda: server.master.processes() == before)
    assert ("process died", "worker-2", "3") in events(caplog)
    assert any("reload failed" in event[0] for event in events(caplog))
    server.spawner.scripts.clear()
    server.master.handle_signal(signal.SIGHUP)  # the next reload works
    server.until(lambda: len(server.observer.calls) == 5)
    server.until(
        lambda: (
            not set(map(tuple, before.values()))
            & set(map(tuple, server.master.processes().values()))
        )
    )


def test_worker_that_dies_during_a_reload_is_respawned_with_old_settings(server):
    server.begin()
    server.spawner.scripts["worker-2"] = SLOW  # the reload waits for this worker
    server.master.handle_signal(signal.SIGHUP)
    server.until(lambda: len(server.spawner.launched) == 8)
    server.spawner.scripts.clear()
    old = server.pid("worker-1")
    os.kill(old, signal.SIGKILL)
    server.until(lambda: len(server.spawner.launched) == 9)
    assert server.spawner.launched[-1] == ("worker-1", 0, server.first_settings)


def test_sigterm_during_a_reload_stops_the_server(server):
    server.spawner.scripts = dict.fromkeys(["worker-1", "worker-2", "worker-3"], LINGERING)
    server.begin()
    server.master.handle_signal(signal.SIGHUP)
    server.until(lambda: len(server.spawner.launched) == 8)
    server.master.handle_signal(signal.SIGTERM)
    server.until(lambda: server.master.finished)
    assert server.master.code == 0


def test_slot_names_for_the_log():
    assert WorkerSlot(Role.WORKER, 1, 4, lambda _: None).name == "worker-2"
    assert WorkerSlot(Role.INTAKE, 0, None, lambda _: None).name == "intake"
