"""Filling of mailboxes with messages of a seed, by APPEND, by LMTP, or through the spool.

APPEND adds what a mailbox lacks to a number of messages, so filling again does nothing. LMTP and
spool always deliver that number to INBOX.
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
from imapvm_bench.server.imap_client import Client, quoted
from imapvm_bench.server.lines import Refused
from imapvm_bench.server.lmtp_client import Lmtp
from imapvm_bench.server.spool import MESSAGES_A_FILE, check_spool, drop
from imapvm_bench.server.target import Address, Target
from imapvm_bench.server.users import User

AT_ONCE: Final = 50
"""APPENDs sent before the first answer is read, with LITERAL+."""
BATCH_BYTES: Final = 1024 * 1024
"""Bytes of such a batch, to limit the memory of the server."""
STOP_SECONDS: Final = 10.0
"""Time for the outstanding answers after Ctrl-C."""
CACHE_BYTES_MAX: Final = 256 * 1024 * 1024
"""Bytes of messages cached for the next user, where all get the same."""


@dataclass(frozen=True, slots=True)
class FillSpec:
    """Mailboxes to fill."""

    target: Target
    messages: int
    """In each mailbox."""
    mailboxes: tuple[str, ...] = ("INBOX",)
    """Of each user, created if missing. LMTP and spool deliver to INBOX only."""
    recipe: Recipe = field(default_factory=Recipe)
    same: bool = False
    """All users get the same messages, which are then made once."""
    lmtp: Address | None = None
    """Deliver there instead of APPEND."""
    spool: Path | None = None
    """Write files there instead of APPEND."""
    connections: int = 4

    @property
    def by_append(self) -> bool:
        return self.lmtp is None and self.spool is None


@dataclass(slots=True)
class FillProgress:
    """Progress, counted by several threads under `lock`."""

    wanted: int
    messages: int = 0
    size: int = 0
    existing: int = 0
    """Messages that existed before."""
    seconds: float = 0.0
    interrupted: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, messages: int, size: int) -> None:
        """Count acknowledged messages."""
        with self.lock:
            self.messages += messages
            self.size += size


class _FillRun:
    """State of a running fill. Several threads call it, each for different mailboxes."""

    def __init__(self, spec: FillSpec) -> None:
        self.spec = spec
        boxes = spec.mailboxes if spec.by_append else ("INBOX",)
        self.work = [(user, box) for user in spec.target.users for box in boxes]
        self.progress = FillProgress(wanted=len(self.work) * spec.messages)
        self.stop = threading.Event()
        self._queue = iter(self.work)
        self._queue_lock = threading.Lock()
        self._cache: dict[tuple[str, int], Mail] = {}
        self._cache_bytes = 0

    def run(self) -> None:
        """Fill mailboxes of the queue until it is empty or `stop` is set."""
        while not self.stop.is_set():
            with self._queue_lock:
                taken = next(self._queue, None)
            if taken is None:
                return
            user, box = taken
            if self.spec.spool is not None:
                self._drop(self.spec.spool, user)
            elif self.spec.lmtp is not None:
                self._deliver(self.spec.lmtp, user)
            else:
                self._append(user, box)

    def _drop(self, spool: Path, user: User) -> None:
        for batch in _batches(self._mails(user, "INBOX"), MESSAGES_A_FILE):
            if self.stop.is_set():
                return
            drop(spool, user.name, [mail.content for mail in batch])
            self.progress.add(len(batch), sum(len(mail.content) for mail in batch))

    def _deliver(self, address: Address, user: User) -> None:
        with Lmtp(address) as lmtp:
            for mail in self._mails(user, "INBOX"):
                if self.stop.is_set():
                    return
                lmtp.deliver(user.name, mail.content)
                self.progress.add(1, len(mail.content))

    def _append(self, user: User, box: str) -> None:
        with Client(self.spec.target) as client:
            client.login(user)
            there = _messages_in(client, box)
            with self.progress.lock:
                self.progress.existing += min(there, self.spec.messages)
            for batch in _batches(self._mails(user, box, there + 1), AT_ONCE):
                if self.stop.is_set():
                    return
                client.append(box, [(mail.content, _before_literal(mail)) for mail in batch])
                self.progress.add(len(batch), sum(len(mail.content) for mail in batch))

    def _mails(self, user: User, box: str, first: int = 1) -> Iterator[Mail]:
        recipe = self.spec.recipe
        for number in range(first, self.spec.messages + 1):
            if not self.spec.same:
                yield make(recipe, f"{user.name}/{box}", number)
                continue
            mail = self._cache.get((box, number)) or make(recipe, box, number)
            if self._cache_bytes < CACHE_BYTES_MAX:
                self._cache[box, number] = mail
                self._cache_bytes += len(mail.content)
            yield mail


def fill(
    spec: FillSpec,
    *,
    on_progress: Callable[[FillProgress], None] = lambda _: None,
    every_seconds: float = 0.2,
) -> FillProgress:
    """Fill mailboxes over several connections.

    Ctrl-C ends it; acknowledged messages stay and are counted.

    Args:
        spec: the mailboxes.
        on_progress: called every `every_seconds`, on the calling thread.
        every_seconds: interval of `on_progress`.

    Raises:
        BenchError: the first error. The other connections stop, too.
    """
    if spec.spool is not None:
        check_spool(spec.spool)
    run = _FillRun(spec)
    errors: list[Exception] = []

    def fill_some() -> None:
        try:
            run.run()
        except (BenchError, OSError) as error:
            errors.append(error)
            run.stop.set()

    threads = [
        threading.Thread(target=fill_some, daemon=True)
        for _ in range(min(spec.connections, len(run.work)))
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(every_seconds)
                run.progress.seconds = time.monotonic() - began
                on_progress(run.progress)
    except KeyboardInterrupt:
        run.progress.interrupted = True
        run.stop.set()
        for thread in threads:
            thread.join(STOP_SECONDS)
    run.progress.seconds = time.monotonic() - began
    if errors and not run.progress.interrupted:
        error = errors[0]
        raise error if isinstance(error, BenchError) else BenchError(str(error)) from error
    return run.progress


def _batches(mails: Iterable[Mail], count: int) -> Iterator[list[Mail]]:
    """Yield batches of at most `count` messages and about BATCH_BYTES."""
    batch: list[Mail] = []
    size = 0
    for mail in mails:
        batch.append(mail)
        size += len(mail.content)
        if len(batch) == count or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _before_literal(mail: Mail) -> str:
    return f' ({" ".join(mail.flags)}) "{mail.internal_date}"'


def _messages_in(client: Client, box: str) -> int:
    """Return the number of messages of a mailbox; create it if missing."""
    status = b"STATUS " + quoted(box) + b" (MESSAGES)"
    try:
        lines = client.command(status)
    except Refused:
        client.command(b"CREATE " + quoted(box))
        lines = client.command(status)
    found = re.search(rb"MESSAGES (\d+)", b" ".join(lines), re.IGNORECASE)
    return int(found[1]) if found else 0
