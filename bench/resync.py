r"""Time of resynchronisation in a large mailbox, and of STORE, in one process without a socket.

    python -m bench.resync [doublings of 1,000 messages]

Since the client's state, 50 messages of the mailbox got \Seen and 50 others were expunged, each by
a command of its own.
"""

import gc
import sys
import tempfile
from pathlib import Path
from typing import Final

import trio

from bench.sorting import LocalClient
from imapvm.filepool.pool import Filepool, create_filepool, open_filepool
from imapvm.filepool.store import AccountStore

DOUBLINGS: Final = 10
CHANGES: Final = 50
STORED: Final = 10_000
AGAIN: Final = 5
LIMITS_MS: Final = {"SELECT": 20.0, "STORE": 100.0}


async def fill(client: LocalClient, doublings: int) -> None:
    """Fill INBOX, and select it."""
    await client.do("APPEND INBOX" + " {4+}\r\nA: b" * 1000)
    await client.do("SELECT INBOX")
    for _ in range(doublings):
        await client.do("COPY 1:* INBOX")
        await client.do("NOOP")


async def change(client: LocalClient, count: int) -> None:
    r"""Set \Seen on 50 messages, and expunge 50 others, evenly spread."""
    step = count // (2 * CHANGES + 1)
    for number in range(CHANGES):
        flagged, expunged = 1 + 2 * number * step, (2 * number + 1) * step
        await client.do(rf"UID STORE {flagged} +FLAGS.SILENT (\Seen)")
        await client.do(rf"UID STORE {expunged} +FLAGS.SILENT (\Deleted)")
        await client.do(f"UID EXPUNGE {expunged}")


async def resynchronise(pool: Filepool, store: AccountStore, validity: int, modseq: int) -> None:
    """Print the times of SELECT (QRESYNC), with the UIDs of the mailbox not in memory, then again.

    The first time includes reading all UIDs from the data file, which is in the page cache.
    """
    times: list[float] = []
    for _ in range(1 + AGAIN):
        if not times:
            for group in pool.groups:
                group.uid_maps.clear()
        client = LocalClient(pool, store)
        await client.do("ENABLE QRESYNC")
        gc.collect()
        times.append(await client.do(f"SELECT INBOX (QRESYNC ({validity} {modseq}))"))
    report("SELECT", "SELECT (QRESYNC) after 100 changes", times)


async def store_many(client: LocalClient) -> None:
    """Print the times of STORE of 10,000 messages."""
    for silent in (".SILENT", ""):
        times = [
            await client.do(rf"STORE 1:{STORED} {'+-'[turn % 2]}FLAGS{silent} (\Flagged)")
            for turn in range(1 + AGAIN)
        ]
        report("STORE", f"STORE 1:{STORED} FLAGS{silent}", times)


def report(kind: str, text: str, times: list[float]) -> None:
    again = sorted(times[1:])[AGAIN // 2]
    print(f"{text:36} first {times[0]:6.1f}  again {again:6.1f}  bound {LIMITS_MS[kind]:.0f}")


async def main(doublings: int, path: Path) -> None:
    create_filepool(path / "filepool", groups=1)
    async with open_filepool(path / "filepool") as pool:
        store = pool.account(await pool.accounts.enroll("alice", "x"))
        client = LocalClient(pool, store)
        await fill(client, doublings)
        with store.reading() as reader:
            mailbox = reader.mailbox("INBOX")
        assert mailbox is not None
        await change(client, mailbox.messages)
        print(f"{mailbox.messages:,} messages; milliseconds")
        await resynchronise(pool, store, mailbox.uid_validity, mailbox.highest_modseq)
        await store_many(client)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else DOUBLINGS, Path(directory))
