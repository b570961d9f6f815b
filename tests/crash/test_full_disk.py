"""A full disk: new mail is refused temporarily, nothing is lost, and the server recovers.

The disk is full for the server alone: `prlimit` forbids its files to grow, and allows it again
later.
"""

import contextlib
import imaplib
import os
import resource
import smtplib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.demo import Demo, started

from imapvm.filepool.engine.preallocate import STEP_BYTES

pytestmark = pytest.mark.slow

LARGE = b"Subject: large\r\n\r\n" + os.urandom(2 * STEP_BYTES).hex().encode() + b"\r\n"
"""Larger than the free space in the filepool, even compressed to half its size."""


@contextlib.contextmanager
def full_disk(demo: Demo) -> Iterator[None]:
    """Forbid the server's files to grow beyond the size of the group's data file."""
    group = demo.filepool / "group-000" / "data.mdb"
    before = resource.prlimit(demo.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(demo.process.pid, resource.RLIMIT_FSIZE, (group.stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(demo.process.pid, resource.RLIMIT_FSIZE, before)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with started(tmp_path / "demo", "--user=reader:secret") as running:
        yield running


def count(demo: Demo) -> int:
    with imaplib.IMAP4(*demo.imap, timeout=30) as imap:
        imap.login("reader", "secret")
        return int(imap.select()[1][0])


def test_append_is_refused_temporarily_and_recovers(demo: Demo) -> None:
    with imaplib.IMAP4(*demo.imap, timeout=30) as imap:
        imap.login("reader", "secret")
        assert imap.append("INBOX", None, None, b"Subject: small\r\n\r\nText\r\n")[0] == "OK"
        with full_disk(demo):
            status, answer = imap.append("INBOX", None, None, LARGE)
            assert status == "NO"
            assert b"[UNAVAILABLE]" in answer[0]
            assert imap.select() == ("OK", [b"1"])
            assert imap.fetch("1", "(BODY[])")[0] == "OK"  # reading still works
            assert imap.unselect()[0] == "OK"
        assert imap.append("INBOX", None, None, LARGE)[0] == "OK"
        assert imap.select() == ("OK", [b"2"])
        assert imap.fetch("2", "(BODY.PEEK[])")[1][0][1] == LARGE


def test_lmtp_replies_452_and_accepts_later(demo: Demo) -> None:
    with smtplib.LMTP(*demo.lmtp) as lmtp:
        with full_disk(demo):
            with pytest.raises(smtplib.SMTPDataError) as refused:
                lmtp.sendmail("a@example.org", "reader@example.net", LARGE)
            assert refused.value.smtp_code == 452
        lmtp.sendmail("a@example.org", "reader@example.net", LARGE)
    assert count(demo) == 1


def spool_files(demo: Demo) -> list[Path]:
    """Return the files with mail; the count of attempts is not one."""
    files = [path for path in demo.spool.rglob("*") if path.is_file()]
    return [path for path in files if path.name != "attempts" and path.parent.name != "delivered"]


def test_spool_file_waits_until_the_disk_has_room(demo: Demo) -> None:
    with full_disk(demo):
        subprocess.run(
            [Path(demo.program).with_name("imapvm-smtpexit"), "--spool", demo.spool, "reader"],
            input=LARGE,
            check=True,
        )
        time.sleep(2)
        assert count(demo) == 0
        kept = spool_files(demo)
        assert len(kept) == 1
        assert kept[0].parent.name not in {"failed", "undeliverable"}
    until = time.monotonic() + 60
    while count(demo) == 0:
        assert time.monotonic() < until, "the spool file was not taken within a minute"
        time.sleep(0.5)
    assert count(demo) == 1
    assert not spool_files(demo)
