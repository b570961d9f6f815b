"""SIGKILL at any instant: no acknowledged change is lost, no message is stored twice.

A server is repeatedly started, loaded and killed on one filepool. Each client has a model of its
mailboxes. An operation that was in progress when the server was killed may have been applied or
not, but not in part: the mailboxes agree with the model before it or after it.
"""

import contextlib
import imaplib
import os
import random
import re
import signal
import smtplib
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trio
from tests.demo import Demo, started
from tests.server.whole import enroll_users

CYCLES = int(os.environ.get("IMAPVM_CRASH_CYCLES", "500"))
"""Number of kills, over all servers that run at the same time."""
AT_ONCE = 2
"""Servers at the same time, each on its own filepool: a cycle mostly uses one processor."""
CLIENTS = 4
MESSAGE = "From: a@example.org\r\nTo: b@example.net\r\nX-Id: {id}\r\n\r\nBody of {id}.\r\n"
ANSWER = re.compile(rb"UID (\d+).*FLAGS \(([^)]*)\)", re.DOTALL)

State = dict[str, Counter]
"""Mailbox → number of messages by X-Id and flags."""


class Worker(threading.Thread):
    """Client of one user: random operations, each checked against the model."""

    def __init__(self, number: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.user = f"crash{number}"
        self.dice = random.Random(CLIENTS * seed + number)
        self.states: list[State] = [{name: Counter() for name in ("INBOX", "Archive")}]
        """Allowed states: one, or two while an operation is in progress."""
        self.issued = 0
        self.acknowledged = 0
        self.wrong: str | None = None

    def begin(self, demo: Demo, ending: threading.Event) -> None:
        threading.Thread.__init__(self, daemon=True)
        self.demo = demo
        self.ending = ending
        self.loading = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            self.work()
        except (OSError, imaplib.IMAP4.abort, smtplib.SMTPServerDisconnected) as error:
            if not self.ending.is_set():
                self.wrong = f"{self.user}: lost its connection: {error!r}"
        except Exception as error:
            self.wrong = f"{self.user}: {error!r}"
        finally:
            self.loading.set()

    def work(self) -> None:
        imap = imaplib.IMAP4(*self.demo.imap, timeout=30)
        try:
            with contextlib.closing(smtplib.LMTP(*self.demo.lmtp)) as lmtp:
                self.converse(imap, lmtp)
        finally:
            imap.shutdown()

    def converse(self, imap: imaplib.IMAP4, lmtp: smtplib.LMTP) -> None:
        imap.login(self.user, "secret")
        found = {name: self.look(imap, name) for name in ("Archive", "INBOX")}
        seen = {name: Counter((i, flags) for _, i, flags in rows) for name, rows in found.items()}
        if seen not in self.states:
            raise AssertionError(f"found {seen}, expected one of {self.states}")
        self.states = [seen]
        self.loading.set()
        while True:
            self.step(imap, lmtp)

    def look(self, imap: imaplib.IMAP4, mailbox: str) -> list[tuple[bytes, str, frozenset]]:
        ok(imap.select(mailbox))
        rows = ok(imap.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (X-ID)])"))
        found = []
        for row in rows:
            if isinstance(row, tuple):
                match = ANSWER.search(row[0])
                assert match, row
                flags = frozenset(match[2].split()) - {rb"\Recent"}
                found.append((match[1], row[1].split()[-1].decode(), flags))
        return found

    def step(self, imap: imaplib.IMAP4, lmtp: smtplib.LMTP) -> None:
        rows = self.look(imap, "INBOX")
        (now,) = self.states
        if Counter((i, flags) for _, i, flags in rows) != now["INBOX"]:
            raise AssertionError(f"found {rows}, expected {now['INBOX']}")
        some = self.dice.sample(rows, self.dice.randint(1, len(rows))) if rows else []
        uids = b",".join(uid for uid, _, _ in some).decode()
        picked = Counter((i, flags) for _, i, flags in some)
        after = {name: Counter(content) for name, content in now.items()}
        operation = self.dice.choice(("append", "lmtp", "store", "copy", "move", "expunge"))
        if operation not in ("append", "lmtp") and not some:
            operation = "append"
        if len(rows) > 20:
            operation = "expunge"
        self.issued += 1
        identity = f"{self.user}-{self.issued}"
        message = MESSAGE.format(id=identity)
        match operation:
            case "append":
                after["INBOX"][identity, frozenset([rb"\Seen"])] += 1
                self.expect(now, after)
                ok(imap.append("INBOX", r"(\Seen)", None, message.encode()))
            case "lmtp":
                after["INBOX"][identity, frozenset()] += 1
                self.expect(now, after)
                lmtp.sendmail("a@example.org", f"{self.user}@example.net", message)
            case "store":
                flag = self.dice.choice((rb"\Flagged", b"$Forwarded"))
                after["INBOX"] -= picked
                after["INBOX"] += Counter((i, flags | {flag}) for _, i, flags in some)
                self.expect(now, after)
                ok(imap.uid("STORE", uids, "+FLAGS.SILENT", flag.decode()))
            case "copy":
                after["Archive"] += picked
                self.expect(now, after)
                ok(imap.uid("COPY", uids, "Archive"))
            case "move":
                after["INBOX"] -= picked
                after["Archive"] += picked
                self.expect(now, after)
                ok(imap.uid("MOVE", uids, "Archive"))
            case "expunge":
                marked = {name: Counter(content) for name, content in now.items()}
                marked["INBOX"] -= picked
                marked["INBOX"] += Counter((i, f | {rb"\Deleted"}) for _, i, f in some)
                self.expect(now, marked)
                ok(imap.uid("STORE", uids, "+FLAGS.SILENT", r"\Deleted"))
                # All messages with the flag are expunged, also those of an interrupted EXPUNGE.
                after["INBOX"] = Counter(
                    {key: n for key, n in marked["INBOX"].items() if rb"\Deleted" not in key[1]}
                )
                self.expect(marked, after)
                ok(imap.expunge())
        self.states = [after]
        self.acknowledged += 1

    def expect(self, before: State, after: State) -> None:
        self.states = [before, after]


def ok(answer: tuple) -> list:
    """Return the data of an OK response."""
    status, data = answer
    if status != "OK":
        raise AssertionError(f"{status} {data}")
    return data


def children(pid: int) -> list[int]:
    """Return the child processes of a server; none if it is a single process."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "cycles"), [(0, CYCLES), (3, CYCLES // 10)], ids=["alone", "3 workers"]
)
def test_killed_server_keeps_acknowledged_changes(
    tmp_path: Path, processes: int, cycles: int
) -> None:
    """Of several processes, two are killed while the others work; then all."""
    each = -(-cycles // AT_ONCE)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lanes = [
            pool.submit(kill_repeatedly, tmp_path / str(lane), lane, processes, each)
            for lane in range(AT_ONCE)
        ]
        for lane in lanes:
            lane.result()


def kill_repeatedly(directory: Path, seed: int, processes: int, cycles: int) -> None:
    """Run and kill the server of one filepool repeatedly."""
    dice = random.Random(seed)
    workers = [Worker(number, seed) for number in range(CLIENTS)]
    # With a password hash that is verified quickly: it would take most of a cycle otherwise.
    trio.run(enroll_users, directory / "filepool", [worker.user for worker in workers])
    options = [f"--user={worker.user}:secret" for worker in workers]
    options.append(f"--workers={processes}")
    for _ in range(cycles):
        ending = threading.Event()
        with started(directory, *options) as demo:
            for worker in workers:
                worker.begin(demo, ending)
            for worker in workers:
                assert worker.loading.wait(30), f"{worker.user} hangs"
            time.sleep(dice.uniform(0, 0.2))
            ending.set()
            for child in dice.sample(children(demo.process.pid), 2 if processes else 0):
                os.kill(child, signal.SIGKILL)
                time.sleep(dice.uniform(0, 0.05))
            demo.process.send_signal(signal.SIGKILL)
            for worker in workers:
                worker.join(30)
                assert not worker.is_alive(), f"{worker.user} hangs"
                assert worker.wrong is None, worker.wrong
    ending = threading.Event()
    with started(directory, *options) as demo:  # check the responses of the last cycle, too
        for worker in workers:
            worker.begin(demo, ending)
        time.sleep(1)
        ending.set()
    for worker in workers:
        worker.join(30)
        assert worker.wrong is None, worker.wrong
        assert worker.acknowledged > cycles, "the load did not run"
    filepool = directory / "filepool"
    checked = subprocess.run(
        [demo.program, "filepool", "check", "--filepool", str(filepool)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
