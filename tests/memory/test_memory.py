"""Memory of the server stays bounded while large messages and mailboxes pass through it.

Measured as anonymous resident memory (`RssAnon`), which only the server uses. Pages of the filepool
belong to the kernel's page cache (docs/decisions/0001-anonymous-resident-memory.md).
"""

import imaplib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.demo import Demo, started
from tests.sampling import anonymous_bytes, sampling

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
ALLOWED = 16 * MIB


class Growth:
    """Growth of a process: its highest memory above its memory at the start."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.before = self.highest = anonymous_bytes(pid)

    def sample(self) -> None:
        self.highest = max(self.highest, anonymous_bytes(self._pid))

    @property
    def size(self) -> int:
        return self.highest - self.before


@contextmanager
def growth(demo: Demo) -> Iterator[Growth]:
    """Measure the server every two milliseconds while the block runs."""
    watched = Growth(demo.process.pid)
    with sampling(watched.sample, 0.002):
        yield watched


@pytest.fixture
def client(tmp_path: Path) -> Iterator[tuple[Demo, imaplib.IMAP4]]:
    with (
        started(tmp_path / "demo", "--user=reader:secret") as demo,
        imaplib.IMAP4(*demo.imap, timeout=120) as imap,
    ):
        imap.login("reader", "secret")
        # Load everything that is loaded once before measuring.
        small = b"Subject: small\r\n\r\n" + b"Some text.\r\n" * 300
        ok(imap.append("INBOX", None, None, small))
        ok(imap.select())
        ok(imap.fetch("1", "(BODY.PEEK[] ENVELOPE)"))
        ok(imap.store("1", "+FLAGS", r"\Deleted"))
        ok(imap.expunge())
        yield demo, imap


def ok(answer: tuple) -> list:
    assert answer[0] == "OK", answer
    return answer[1]


def test_message_of_fifty_megabytes_does_not_stay_in_memory(client) -> None:
    demo, imap = client
    head = b"Subject: big\r\nContent-Type: text/plain\r\n\r\n"
    message = head + (b"0123456789" * 7 + b"\r\n") * (50 * MIB // 72)
    with growth(demo) as taken:
        ok(imap.append("INBOX", None, None, message))
    assert taken.size < ALLOWED, f"APPEND took {taken.size / MIB:.1f} MiB"
    ok(imap.select())
    with growth(demo) as taken:
        answer = ok(imap.fetch("1", "(BODY.PEEK[])"))
    assert answer[0][1] == message
    assert taken.size < ALLOWED, f"FETCH took {taken.size / MIB:.1f} MiB"


def test_catenate_of_large_parts_does_not_hold_them_in_memory(client) -> None:
    demo, imap = client
    part = b"Subject: part\r\n\r\n" + (b"0123456789" * 7 + b"\r\n") * (25 * MIB // 72)
    ok(imap.create("Parts"))
    ok(imap.append("Parts", None, None, part))
    with growth(demo) as taken:
        imap.send(b"c APPEND Parts CATENATE (URL /Parts/;UID=1 URL /Parts/;UID=1)\r\n")
        answer = imap.readline()
    assert answer.startswith(b"c OK"), answer
    assert taken.size < ALLOWED, f"CATENATE took {taken.size / MIB:.1f} MiB"
    (status,) = ok(imap.status("Parts", "(SIZE)"))
    assert b"SIZE %d" % (3 * len(part)) in status


def test_fetch_of_ten_thousand_bodies_does_not_stay_in_memory(client) -> None:
    demo, imap = client
    message = b"Subject: one of many\r\n\r\n" + b"A line of some text to read.\r\n" * 130
    append_many(imap, [message] * 10_000)
    ok(imap.select())
    with growth(demo) as taken:
        imap.send(b"all FETCH 1:* (BODY.PEEK[])\r\n")
        received, tail = 0, b""
        while not tail.endswith(b"\r\n") or b"\r\nall OK" not in tail:
            data = imap.sock.recv(MIB)
            assert data, "connection closed"
            received += len(data)
            tail = (tail + data)[-200:]
    assert received > 10_000 * len(message)
    assert taken.size < ALLOWED, f"FETCH 1:* took {taken.size / MIB:.1f} MiB"


def test_mailbox_of_a_million_messages_is_selected_at_once(client) -> None:
    demo, imap = client
    append_many(imap, [b"Subject: one in a million\r\n\r\nText.\r\n"] * 2000)
    ok(imap.select())
    ok(imap.create("Million"))
    for _ in range(15):  # 32,000 in INBOX, by copying
        ok(imap.copy("1:2000", "INBOX"))
    ok(imap.select())
    for _ in range(32):
        ok(imap.copy("1:32000", "Million"))
    times = []
    with growth(demo) as taken:
        for _ in range(5):
            start = time.perf_counter()
            count = ok(imap.select("Million"))
            times.append(time.perf_counter() - start)
            ok(imap.unselect())
    assert int(count[0]) >= 1_000_000
    assert taken.size < ALLOWED, f"SELECT took {taken.size / MIB:.1f} MiB"
    assert min(times) < 0.05, f"SELECT took {[f'{t * 1000:.0f} ms' for t in times]}"


def append_many(imap: imaplib.IMAP4, messages: list[bytes]) -> None:
    """Append with pipelining: a round trip each would take longer than the test."""
    for start in range(0, len(messages), 100):
        batch = messages[start : start + 100]
        imap.send(
            b"".join(
                b"m%d APPEND INBOX {%d+}\r\n%s\r\n" % (start + n, len(message), message)
                for n, message in enumerate(batch)
            )
        )
        for n in range(len(batch)):
            while not (line := imap.readline()).startswith(b"m"):
                assert line.startswith(b"*"), line
            assert line.startswith(b"m%d OK" % (start + n)), line
