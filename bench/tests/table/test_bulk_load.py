"""A bulk loaded filepool passes the check."""

import pytest
import trio
from bench.table.bulk_load import AT_ONCE, bulk_load
from bench.table.scale import workers_for

from imapvm.filepool.pool import open_filepool

NAMES = ["one", "two"]


def messages_of(path) -> list[int]:
    async def read() -> list[int]:
        async with open_filepool(path) as pool:
            assert not pool.check().findings
            counts = []
            for name in NAMES:
                with pool.account(pool.accounts.find(name)).reading() as reader:
                    counts.append(reader.mailbox("INBOX").messages)
            return counts

    return trio.run(read)


def test_messages_are_added_up_to_the_requested_number(tmp_path):
    for messages in (20, 2 * AT_ONCE + 20, 2 * AT_ONCE + 20):
        bulk_load(tmp_path / "pool", NAMES, messages, password="secret", print_line=lambda _: None)
        assert messages_of(tmp_path / "pool") == [messages // 2, messages // 2]


@pytest.mark.parametrize(
    ("sessions", "descriptors", "workers"),
    [(1000, 20_000, 2), (50_000, 20_000, 4), (50_000, 1024, 66), (30_000, 20_000, 2)],
)
def test_workers_have_descriptors_for_all_sessions(sessions, descriptors, workers):
    assert workers_for(sessions, descriptors) == workers
