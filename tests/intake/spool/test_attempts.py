"""Attempts for spool files are counted over the death of the process."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
import trio
from tests.intake.fakes import FakePool
from tests.intake.spooling import emptied, message, names, subjects, until, watching

from imapvm.intake.deliver import Deliverer
from imapvm.intake.spool import attempts
from imapvm.intake.spool.attempts import NO_ATTEMPTS, AttemptCount, AttemptLog
from imapvm.intake.spool.file import submit
from imapvm.model.limits import SPOOL_DEATHS_MAX, SPOOL_TRIES_MAX

pytestmark = pytest.mark.usefixtures("dropped_at_once")


async def die_with(spool, *files, times=1):
    """Leave the log of a process that died while it delivered some files."""
    for _ in range(times):
        log = AttemptLog(spool)
        for name in files:
            await log.begin(name)
        log.close()


def reopened(spool):
    log = AttemptLog(spool)
    log.close()
    return log


async def test_an_attempt_without_an_end_is_a_death(spool):
    await die_with(spool, "x", "y\n\udcff")
    log = AttemptLog(spool)
    assert log.count("x") == log.count("y\n\udcff") == AttemptCount(0, 1)
    await log.begin("x")
    log.end("x", failures=2)
    log.forget("y\n\udcff")
    log.close()
    assert reopened(spool).count("x") == AttemptCount(2, 1)
    assert reopened(spool).names() == ["x"]


async def test_a_log_may_be_cut_anywhere(spool):
    await die_with(spool, "x", times=2)
    content = (spool / "attempts").read_bytes()
    for end in range(len(content)):
        (spool / "attempts").write_bytes(content[:end] + b"\0\0\n5\n[1]\n")
        assert reopened(spool).count("x").deaths <= 2


async def test_the_log_is_rewritten_when_it_has_grown(spool, monkeypatch):
    monkeypatch.setattr(attempts, "REWRITE_BYTES", 1000)
    log = AttemptLog(spool)
    await log.begin("stays")
    for _ in range(1000):
        await log.begin("x")
        log.forget("x")
    log.close()
    assert (spool / "attempts").stat().st_size < 2000
    assert reopened(spool).names() == ["stays"]


async def test_a_full_disk_does_not_stop_attempts(spool, monkeypatch, caplog):
    log = AttemptLog(spool)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    await log.begin("x")
    log.close()
    assert "cannot record attempt" in caplog.text


async def test_delivered_files_leave_no_counts_and_a_stop_is_no_death(spool, settings):
    async def stop(_pool, delivery):
        if b"slow" in delivery.body:
            await trio.sleep_forever()

    fake = FakePool(on_deliver=stop)
    submit(spool, "", ["bob"], message("slow"), name="slow")
    submit(spool, "", ["bob"], message("a"))
    async with watching(spool, Deliverer(fake, settings)):
        await until(lambda: subjects(fake) == ["a"] and names(spool, "cur") == ["slow"])
    log = reopened(spool)
    assert log.names() == []
    assert log.count("slow") == NO_ATTEMPTS


@pytest.mark.at_limit("SPOOL_DEATHS_MAX")
@pytest.mark.past_limit("SPOOL_DEATHS_MAX")
@pytest.mark.parametrize("deaths", [SPOOL_DEATHS_MAX - 1, SPOOL_DEATHS_MAX])
async def test_a_file_whose_readers_died_is_set_aside(
    spool, deliverer, fake, autojump_clock, deaths
):
    submit(spool, "", ["bob"], message("x"), name="x")
    (spool / "new" / "x").rename(spool / "cur" / "x")
    await die_with(spool, "x", times=deaths)
    submit(spool, "", ["bob"], message("other"))
    async with watching(spool, deliverer):
        await emptied(spool)
    if deaths < SPOOL_DEATHS_MAX:
        assert subjects(fake) == ["other", "x"]  # other mail has a head start
    else:
        assert subjects(fake) == ["other"]
        assert names(spool, "failed") == ["x", "x.reason"]
        reason = (spool / "failed" / "x.reason").read_text()
        assert reason == f"the process died {deaths} times while it delivered this file\n"
        (spool / "failed" / "x").rename(spool / "new" / "x")  # corrected
        async with watching(spool, deliverer):
            await emptied(spool)
        assert subjects(fake) == ["other", "x"]
    assert reopened(spool).names() == []


async def test_failed_attempts_are_counted_over_a_restart(spool, settings, autojump_clock):
    async def fail(_pool, _delivery):
        raise ZeroDivisionError

    fake = FakePool(on_deliver=fail)
    submit(spool, "", ["bob"], message("x"), name="x")
    for attempts_so_far in range(1, SPOOL_TRIES_MAX):
        async with watching(spool, Deliverer(fake, settings)):
            await until(lambda so_far=attempts_so_far: fake.attempts == so_far)
        assert reopened(spool).count("x").failures == attempts_so_far
    async with watching(spool, Deliverer(fake, settings)):
        await emptied(spool)
    assert names(spool, "failed") == ["x", "x.reason"]
    assert fake.attempts == SPOOL_TRIES_MAX


async def test_one_suspected_file_at_a_time_is_in_flight(spool, settings, autojump_clock):
    in_flight = most = 0

    async def count(_pool, delivery):
        nonlocal in_flight, most
        if b"suspect" in delivery.body:
            in_flight += 1
            most = max(most, in_flight)
            await trio.sleep(5)
            in_flight -= 1

    fake = FakePool(on_deliver=count)
    suspects = [str(number) for number in range(5)]
    for name in suspects:
        submit(spool, "", ["bob"], message("suspect"), name=name)
        (spool / "new" / name).rename(spool / "cur" / name)
    await die_with(spool, *suspects)
    submit(spool, "", ["bob"], message("other"))
    async with watching(spool, Deliverer(fake, settings)):
        await emptied(spool)
    assert subjects(fake) == ["other"] + ["suspect"] * 5
    assert most == 1


SERVER = textwrap.dedent("""
    import os, signal, sys, pathlib
    import trio
    from tests.intake.fakes import FakePool
    from imapvm.intake.deliver import Deliverer
    from imapvm.intake.delivery_settings import DeliverySettings
    from imapvm.intake.spool.watcher import watch_spool

    spool = pathlib.Path(sys.argv[1])

    async def deliver(_pool, delivery):
        if b"poison" in delivery.body:
            os.kill(os.getpid(), signal.SIGKILL)
        print("delivered", flush=True)

    async def main():
        async with trio.open_nursery() as nursery:
            pool = FakePool(on_deliver=deliver)
            deliverer = Deliverer(pool, DeliverySettings(hostname="h"))
            await nursery.start(watch_spool, spool, deliverer)
            while os.listdir(spool / "new") or os.listdir(spool / "cur"):
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()

    trio.run(main)
""")


@pytest.mark.slow
def test_a_file_that_kills_its_reader_is_set_aside_and_other_mail_is_delivered(spool):
    submit(spool, "", ["bob"], message("poison"), name="poison")
    for number in range(20):
        submit(spool, "", ["bob"], message("good"), name=f"good{number}")
    statuses, output = [], ""
    while names(spool, "new") or names(spool, "cur"):
        done = subprocess.run(
            [sys.executable, "-c", SERVER, str(spool)],
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        statuses.append(done.returncode)
        output += done.stdout
        assert len(statuses) <= SPOOL_DEATHS_MAX + 1
    assert statuses == [-signal.SIGKILL] * SPOOL_DEATHS_MAX + [0]
    assert names(spool, "failed") == ["poison", "poison.reason"]
    assert output.count("delivered") >= 20
