"""Bulk load of large filepools, through the filepool's interface, with many messages per commit.

Messages are stored as usual (body, metadata, index, thread, usage), without network and without one
flush for each.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import trio

from bench.peers.hashes import LIGHT
from imapvm.auth.passwords import hash_password
from imapvm.filepool.pool import Filepool, create_filepool, open_filepool
from imapvm.filepool.store import NewMessage
from imapvm_bench.corpus.mail import Recipe, make

AT_ONCE: Final = 250
"""Messages of one operation."""
WRITERS: Final = 8
"""Concurrent operations; they share commits."""
VARIANTS: Final = 500
"""Different messages, used repeatedly: compressing each one would take hours."""

RECIPE: Final = Recipe(sizes=(1024, 2048, 4096), shapes=("plain", "alternative", "eight-bit"))
REPORT_SECONDS: Final = 10.0

PrintLine = Callable[[str], None]


def bulk_load(
    filepool: Path, names: Sequence[str], messages: int, *, password: str, print_line: PrintLine
) -> None:
    """Fill the INBOXes of some users up to a total number of messages, each to an equal share.

    Args:
        filepool: created if missing, as are the users; no other process may have it open.
        names: login names.
        messages: total, a multiple of the number of names.
        password: password of new users.
        print_line: receives lines about the progress.
    """
    if not (filepool / "FORMAT").exists():
        create_filepool(filepool)
    trio.run(_bulk_load, filepool, names, messages, password, print_line)


async def _bulk_load(
    filepool: Path, names: Sequence[str], messages: int, password: str, print_line: PrintLine
) -> None:
    async with open_filepool(filepool) as pool:
        credential = hash_password(password.encode(), parameters=LIGHT)
        variants = [_message(pool, number) for number in range(1, VARIANTS + 1)]
        share, queue = messages // len(names), iter(names)
        began = reported = time.monotonic()
        stored = 0

        async def fill_next() -> None:
            nonlocal stored, reported
            for name in queue:
                account = pool.accounts.find(name) or await pool.accounts.enroll(name, credential)
                store = pool.account(account)
                with store.reading() as reader:
                    inbox = reader.mailbox("INBOX")
                assert inbox is not None, "every account has an INBOX"
                several = itertools.cycle(variants)
                for start in range(inbox.messages, share, AT_ONCE):
                    count = min(AT_ONCE, share - start)
                    await store.append(inbox.id, tuple(itertools.islice(several, count)))
                    stored += count
                    if (now := time.monotonic()) - reported >= REPORT_SECONDS:
                        reported = now
                        print_line(f"  {stored:,} messages, {stored / (now - began):,.0f} a second")

        async with trio.open_nursery() as nursery:
            for _ in range(min(WRITERS, len(names))):
                nursery.start_soon(fill_next)
        if stored:
            print_line(f"  {stored:,} messages in {time.monotonic() - began:.0f} s")


def _message(pool: Filepool, number: int) -> NewMessage:
    mail = make(RECIPE, "growing", number)
    writer = pool.new_body(group=0)
    if writer.feed(mail.content):
        raise AssertionError("a small message was staged")
    return NewMessage(writer.finish(), 0, (), int(mail.date.timestamp()), 0)
