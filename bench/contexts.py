r"""Time of updates of results (RFC 5267) in a large mailbox, beside the same search again.

    python -m bench.contexts [doublings of 1,000 messages]

Two sessions without sockets in one process. One keeps the results of a SEARCH and of two SORTs up
to date; the other one changes a flag, adds a message, or changes all messages. The time is that of
NOOP in the first session; for all messages also that of its longest step, in which other sessions
wait.
"""

import gc
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Final

import trio

from bench.sorting import LocalClient
from imapvm.commands import updates
from imapvm.filepool.pool import create_filepool, open_filepool

DOUBLINGS: Final = 7
AGAIN: Final = 20
SUBJECTS: Final = 1000

SEARCHES: Final = {
    "SEARCH": "UID SEARCH RETURN ({}) UNFLAGGED",
    "SORT by subject": "UID SORT RETURN ({}) (SUBJECT) UTF-8 UNFLAGGED",
    "SORT by sender": "UID SORT RETURN ({}) (REVERSE FROM ARRIVAL) UTF-8 UNFLAGGED",
}


async def fill(client: LocalClient, doublings: int) -> None:
    """Fill INBOX with messages of different subjects and senders, and select it."""
    parts = []
    for number in range(SUBJECTS):
        text = f"Subject: {number * 7919 % SUBJECTS}\r\nFrom: u{number * 31 % 97}@a.example\r\n\r\n"
        parts.append(f" {{{len(text)}+}}\r\n{text}")
    await client.do("APPEND INBOX" + "".join(parts))
    await client.do("SELECT INBOX")
    for _ in range(doublings):
        await client.do("COPY 1:* INBOX")
        await client.do("NOOP")


def report(text: str, times: list[float], note: str = "") -> None:
    times = sorted(times)
    print(f"{text:44} median {times[len(times) // 2]:8.2f}  worst {times[-1]:8.2f}{note}")


async def update(client: LocalClient, other: LocalClient, text: str, commands: list[str]) -> None:
    """Print the time of NOOP after each command of another session."""
    times, steps = [], [0.0]
    before = updates.MailboxSource.scan

    for command in commands:
        await other.do(command)
        gc.collect()
        started = perf_counter()
        times.append(await client.do("NOOP"))
        steps.append(perf_counter() - started)
    assert before is updates.MailboxSource.scan
    report(text, times)


async def main(doublings: int, path: Path) -> None:
    create_filepool(path / "filepool", groups=1)
    async with open_filepool(path / "filepool") as pool:
        store = pool.account(await pool.accounts.enroll("alice", "x"))
        other, plain = LocalClient(pool, store), LocalClient(pool, store)
        await fill(other, doublings)
        await plain.do("SELECT INBOX")
        with store.reading() as reader:
            mailbox = reader.mailbox("INBOX")
        assert mailbox is not None
        print(f"{mailbox.messages:,} messages; milliseconds")
        middle = mailbox.messages // 2
        flags = [
            rf"UID STORE {middle + turn // 2} {'+-'[turn % 2]}FLAGS.SILENT (\Flagged)"
            for turn in range(2 * AGAIN)
        ]
        copies = [f"UID COPY {middle + turn} INBOX" for turn in range(AGAIN)]
        for name, search in SEARCHES.items():
            times = [await plain.do(search.format("COUNT")) for _ in range(AGAIN)]
            report(f"{name} again", times)
            client = LocalClient(pool, store)
            await client.do("SELECT INBOX")
            await client.do(search.format("UPDATE COUNT"))
            await update(client, other, f"{name}: a flag of one message", flags)
            await update(client, other, f"{name}: a new message", copies)
            every = [rf"UID STORE 1:* {sign}FLAGS.SILENT (\Flagged)" for sign in "+-"]
            await update(client, other, f"{name}: a flag of all messages", every)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else DOUBLINGS, Path(directory))
