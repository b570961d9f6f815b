"""Detection of new files with inotify, and without."""

import os

import pytest
import trio
from inotify_simple import Event, flags
from tests.intake.spooling import emptied, message, subjects, until, watching

from imapvm.intake.spool import inotify as inotify_module
from imapvm.intake.spool.file import submit
from imapvm.intake.spool.inotify import RESCAN_SECONDS, InotifyWatcher


@pytest.fixture
def new(tmp_path):
    directory = tmp_path / "new"
    directory.mkdir()
    return directory


@pytest.fixture
def watcher(new):
    watcher = InotifyWatcher(new)
    yield watcher
    watcher.close()


def event(mask, name=""):
    return Event(1, mask, 0, name)


async def test_a_file_is_reported_when_it_is_renamed_into_the_directory_or_closed(
    watcher, new, tmp_path
):
    (tmp_path / "x").write_bytes(b"")
    (tmp_path / "x").rename(new / "x")
    (new / "y").write_bytes(b"y")
    os.mknod(new / "created")
    (new / ".hidden").write_bytes(b"")
    assert await watcher.wait() == {"x", "y"}


async def test_without_events_a_scan_is_due_after_a_while(watcher, autojump_clock):
    assert await watcher.wait() is None
    assert trio.current_time() == RESCAN_SECONDS


def test_a_name_is_reported_once_for_several_events(watcher):
    arrived = [event(flags.MOVED_TO, "x"), event(flags.CLOSE_WRITE, "x")] * 3
    assert watcher.interpret(arrived) == {"x"}
    assert watcher.interpret([]) == set()


def test_an_overflow_requires_a_scan(watcher):
    events = [event(flags.MOVED_TO, "x"), event(flags.Q_OVERFLOW)]
    assert watcher.interpret(events) is None


async def test_a_directory_that_is_created_again_is_watched_again(watcher, new, tmp_path):
    new.rmdir()
    assert await watcher.wait() is None
    assert new.is_dir()
    (new / "x").write_bytes(b"")
    with trio.fail_after(5):
        assert await watcher.wait() == {"x"}


async def test_without_inotify_the_directory_is_scanned_every_second(
    spool, deliverer, fake, monkeypatch, autojump_clock
):
    def no_instances(**_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(inotify_module, "INotify", no_instances)
    async with watching(spool, deliverer):
        await trio.sleep(5)
        submit(spool, "", ["bob"], message("x"))
        start = trio.current_time()
        await emptied(spool)
        assert trio.current_time() - start <= 1.1
    assert subjects(fake) == ["x"]


async def test_a_lost_event_delays_mail_by_half_a_minute_at_most(
    spool, deliverer, fake, monkeypatch, autojump_clock
):
    monkeypatch.setattr(InotifyWatcher, "interpret", lambda self, events: set())
    async with watching(spool, deliverer):
        await trio.sleep(1)
        submit(spool, "", ["bob"], message("x"))
        await emptied(spool, 100)
        assert trio.current_time() <= 2 * RESCAN_SECONDS
    assert subjects(fake) == ["x"]


@pytest.mark.slow
async def test_more_files_than_the_inotify_queue_holds_are_delivered(spool, deliverer, fake):
    """The kernel queues 16,384 events (fs.inotify.max_queued_events)."""
    async with watching(spool, deliverer):
        data = b"MAIL FROM:<>\r\nRCPT TO:<bob>\r\nDATA\r\nSubject: %d\r\n.\r\n"
        for number in range(20_000):  # no await: events are not read meanwhile
            (spool / "tmp" / "x").write_bytes(data % number)
            (spool / "tmp" / "x").rename(spool / "new" / str(number))
        await until(lambda: len(fake.stored) == 20_000, 120)
    assert len(set(subjects(fake))) == 20_000
