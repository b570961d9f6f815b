"""A filepool that was grown by the short way is a filepool like any other."""

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


def test_it_grows_to_what_was_asked_and_no_further(tmp_path):
    for messages in (20, 2 * AT_ONCE + 20, 2 * AT_ONCE + 20):
        bulk_load(tmp_path / "pool", NAMES, messages, password="secret", say=lambda _: None)
        assert messages_of(tmp_path / "pool") == [messages // 2, messages // 2]


@pytest.mark.parametrize(
    ("sessions", "descriptors", "workers"),
    [(1000, 20_000, 2), (50_000, 20_000, 4), (50_000, 1024, 66), (30_000, 20_000, 2)],
)
def test_workers_have_descriptors_for_all_sessions(sessions, descriptors, workers):
    assert workers_for(sessions, descriptors) == workers
