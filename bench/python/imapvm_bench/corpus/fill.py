"""Makes mailboxes: which messages go where is decided by a seed, how they get there by a way.

By APPEND a mailbox is brought to a number of messages: what is there already is counted, so that
doing it again does nothing. By LMTP and through the spool the messages are delivered to INBOX,
whatever is there.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from imapvm_bench.corpus.mail import Mail, Recipe, make
from imapvm_bench.errors import BenchError
from imapvm_bench.server.imap_client import Client, Refused, quoted
from imapvm_bench.server.lmtp_client import Lmtp
from imapvm_bench.server.spool import MESSAGES_A_FILE, check_spool, drop
from imapvm_bench.server.target import Target
from imapvm_bench.server.users import User

AT_ONCE: Final = 50
"""APPENDs that are sent before the first answer is read, where the server takes LITERAL+."""
BATCH_BYTES: Final = 1024 * 1024
"""And so many octets of them: the server's memory is not what is to be filled."""
STOP_SECONDS: Final = 10.0
"""After Ctrl-C, for what has been sent to be answered."""
CACHE_BYTES_MAX: Final = 256 * 1024 * 1024
"""Of messages that are kept for the next user, where all get the same; others are made again."""


@dataclass(frozen=True, slots=True)
class FillSpec:
    """What is to be made."""

    target: Target
    messages: int
    """In each mailbox."""
    mailboxes: tuple[str, ...] = ("INBOX",)
    """Of each user; those that are missing are made. LMTP and spool know INBOX only."""
    recipe: Recipe = field(default_factory=Recipe)
    same: bool = False
    """Every user gets the same messages. They are then made once."""
    by_lmtp: bool = False
    spool: Path | None = None
    connections: int = 4

    @property
    def by_append(self) -> bool:
        return not self.by_lmtp and self.spool is None


@dataclass(slots=True)
class FillProgress:
    """How far it is. Counted by several threads, under `lock`."""

    wanted: int
    messages: int = 0
    octets: int = 0
    there: int = 0
    """Messages that were there before."""
    seconds: float = 0.0
    interrupted: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, messages: int, octets: int) -> None:
        """Count what has been acknowledged."""
        with self.lock:
            self.messages += messages
            self.octets += octets


class _FillRun:
    """A filling under way. Several threads call it, each for mailboxes of its own."""

    def __init__(self, filling: FillSpec) -> None:
        self.filling = filling
        boxes = filling.mailboxes if filling.by_append else ("INBOX",)
        self.work = [(user, box) for user in filling.target.users for box in boxes]
        self.progress = FillProgress(wanted=len(self.work) * filling.messages)
        self.stop = threading.Event()
        self._waiting = iter(self.work)
        self._taking = threading.Lock()
        self._kept: dict[tuple[str, int], Mail] = {}
        self._kept_octets = 0

    def fill_what_waits(self) -> None:
        """Take mailboxes until there are none, or until `stop` is set."""
        while not self.stop.is_set():
            with self._taking:
                taken = next(self._waiting, None)
            if taken is None:
                return
            user, box = taken
            if self.filling.spool is not None:
                self._drop(self.filling.spool, user)
            elif self.filling.by_lmtp:
                self._deliver(user)
            else:
                self._append(user, box)

    def _drop(self, spool: Path, user: User) -> None:
        for batch in _batches(self._mails(user, "INBOX"), MESSAGES_A_FILE):
            if self.stop.is_set():
                return
            drop(spool, user.name, [mail.octets for mail in batch])
            self.progress.add(len(batch), sum(len(mail.octets) for mail in batch))

    def _deliver(self, user: User) -> None:
        assert self.filling.target.lmtp is not None, "the verb has asked for it"
        with Lmtp(self.filling.target.lmtp) as lmtp:
            for mail in self._mails(user, "INBOX"):
                if self.stop.is_set():
                    return
                lmtp.deliver(user.name, mail.octets)
                self.progress.add(1, len(mail.octets))

    def _append(self, user: User, box: str) -> None:
        with Client(self.filling.target) as client:
            client.login(user)
            there = _messages_in(client, box)
            with self.progress.lock:
                self.progress.there += min(there, self.filling.messages)
            for batch in _batches(self._mails(user, box, there + 1), AT_ONCE):
                if self.stop.is_set():
                    return
                client.append(box, [(mail.octets, _before_literal(mail)) for mail in batch])
                self.progress.add(len(batch), sum(len(mail.octets) for mail in batch))

    def _mails(self, user: User, box: str, first: int = 1) -> Iterator[Mail]:
        recipe = self.filling.recipe
        for number in range(first, self.filling.messages + 1):
            if not self.filling.same:
                yield make(recipe, f"{user.name}/{box}", number)
                continue
            mail = self._kept.get((box, number)) or make(recipe, box, number)
            if self._kept_octets < CACHE_BYTES_MAX:
                self._kept[box, number] = mail
                self._kept_octets += len(mail.octets)
            yield mail


def fill(
    filling: FillSpec,
    *,
    on_progress: Callable[[FillProgress], None] = lambda _: None,
    every_seconds: float = 0.2,
) -> FillProgress:
    """Make the mailboxes, over several connections.

    Ctrl-C ends it; what was acknowledged stays there and is counted.

    Args:
        filling: what is to be made.
        on_progress: called every `every_seconds`, on the calling thread.
        every_seconds: how often.

    Raises:
        BenchError: the first thing that went wrong. The other connections stop, too.
    """
    if filling.spool is not None:
        check_spool(filling.spool)
    work = _FillRun(filling)
    errors: list[Exception] = []

    def fill_some() -> None:
        try:
            work.fill_what_waits()
        except (BenchError, OSError) as error:
            errors.append(error)
            work.stop.set()

    threads = [
        threading.Thread(target=fill_some, daemon=True)
        for _ in range(min(filling.connections, len(work.work)))
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(every_seconds)
                work.progress.seconds = time.monotonic() - began
                on_progress(work.progress)
    except KeyboardInterrupt:
        work.progress.interrupted = True
        work.stop.set()
        for thread in threads:
            thread.join(STOP_SECONDS)
    work.progress.seconds = time.monotonic() - began
    if errors and not work.progress.interrupted:
        error = errors[0]
        raise error if isinstance(error, BenchError) else BenchError(str(error)) from error
    return work.progress


def _batches(mails: Iterable[Mail], count: int) -> Iterator[list[Mail]]:
    """Put messages together: at most `count`, and about BATCH_BYTES."""
    batch: list[Mail] = []
    octets = 0
    for mail in mails:
        batch.append(mail)
        octets += len(mail.octets)
        if len(batch) == count or octets >= BATCH_BYTES:
            yield batch
            batch, octets = [], 0
    if batch:
        yield batch


def _before_literal(mail: Mail) -> str:
    return f' ({" ".join(mail.flags)}) "{mail.internal_date}"'


def _messages_in(client: Client, box: str) -> int:
    """Return how many messages a mailbox has; it is made if it is not there."""
    status = b"STATUS " + quoted(box) + b" (MESSAGES)"
    try:
        said = client.command(status)
    except Refused:
        client.command(b"CREATE " + quoted(box))
        said = client.command(status)
    found = re.search(rb"MESSAGES (\d+)", b" ".join(said), re.IGNORECASE)
    return int(found[1]) if found else 0
