"""Makes large filepools by a short way: messages go in by the filepool's own face, many a commit.

Every one is stored like any other (body, digest, index, thread, usage); what is left out is the
network, and a flush for each.
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
"""Operations under way: they share commits."""
VARIANTS: Final = 500
"""Different messages, which come again and again: packing them anew would take hours."""

RECIPE: Final = Recipe(sizes=(1024, 2048, 4096), shapes=("plain", "alternative", "eight-bit"))
SAY_SECONDS: Final = 10.0

Say = Callable[[str], None]


def bulk_load(
    filepool: Path, names: Sequence[str], messages: int, *, password: str, say: Say
) -> None:
    """Bring the INBOXes of some users to so many messages in all, each to its share.

    Args:
        filepool: is made if it is not there, and the users with it; nobody else may have it open.
        names: login names.
        messages: over all of them; a multiple of how many they are.
        password: of those who are made.
        say: is told how far it is, now and then.
    """
    if not (filepool / "FORMAT").exists():
        create_filepool(filepool)
    trio.run(_bulk_load, filepool, names, messages, password, say)


async def _bulk_load(
    filepool: Path, names: Sequence[str], messages: int, password: str, say: Say
) -> None:
    async with open_filepool(filepool) as pool:
        credential = hash_password(password.encode(), parameters=LIGHT)
        variants = [_message(pool, number) for number in range(1, VARIANTS + 1)]
        share, waiting = messages // len(names), iter(names)
        began = said = time.monotonic()
        stored = 0

        async def fill_next() -> None:
            nonlocal stored, said
            for name in waiting:
                account = pool.accounts.find(name) or await pool.accounts.enroll(name, credential)
                store = pool.account(account)
                with store.reading() as reader:
                    inbox = reader.mailbox("INBOX")
                assert inbox is not None, "every account has one"
                several = itertools.cycle(variants)
                for start in range(inbox.messages, share, AT_ONCE):
                    count = min(AT_ONCE, share - start)
                    await store.append(inbox.id, tuple(itertools.islice(several, count)))
                    stored += count
                    if (now := time.monotonic()) - said >= SAY_SECONDS:
                        said = now
                        say(f"  {stored:,} messages, {stored / (now - began):,.0f} a second")

        async with trio.open_nursery() as nursery:
            for _ in range(min(WRITERS, len(names))):
                nursery.start_soon(fill_next)
        if stored:
            say(f"  {stored:,} messages in {time.monotonic() - began:.0f} s")


def _message(pool: Filepool, number: int) -> NewMessage:
    mail = make(RECIPE, "growing", number)
    writer = pool.new_body(group=0)
    if writer.feed(mail.octets):
        raise AssertionError("a small message is not staged")
    return NewMessage(writer.finish(), 0, (), int(mail.date.timestamp()), 0)
