"""Several processes on one filepool: each one reads the changes of the others."""

import subprocess
import sys
import textwrap
import threading

import lmdb
import pytest
from tests.filepool.direct import look, message, uids

from imapvm.filepool import group
from imapvm.filepool.errors import NoSuchMailboxError, StoreUnavailableError
from imapvm.filepool.operations import sweep
from imapvm.filepool.tables.messages import changes
from imapvm.model.ids import MailboxId

OTHER = """
    import sys, trio
    from pathlib import Path
    from tests.filepool.direct import look, message, uids
    from imapvm.filepool.pool import open_filepool

    async def main():
        async with open_filepool(Path(sys.argv[1])) as pool:
            {body}

    trio.run(main)
"""


async def elsewhere(path, body: str) -> None:
    """Run statements in another process, with `pool` open there."""
    script = textwrap.dedent(OTHER).replace("{body}", textwrap.indent(body, "        ").strip())
    done = await trio_run([sys.executable, "-c", script, str(path)])
    assert done.returncode == 0, done.stderr.decode()


async def trio_run(command):
    import trio

    return await trio.run_process(command, capture_stderr=True, check=False)


async def test_account_enrolled_by_another_process_is_found_at_once(pool, path):
    pool.accounts_changed()
    pool.foreign_changes()
    await elsewhere(path, 'await pool.accounts.enroll("carol", "x")')
    assert pool.accounts_changed()
    carol = pool.account(pool.accounts.find("carol"))
    assert look(carol).id in pool.foreign_changes()
    await carol.append(look(carol).id, [message(1)])
    await elsewhere(
        path,
        'assert len(look(pool.account(pool.accounts.find("carol"))).records) == 1\n'
        'await pool.accounts.delete(pool.accounts.find("carol").id)',
    )
    assert pool.accounts.find("carol") is None
    assert pool.accounts_changed()


APPEND = (
    'store = pool.account(pool.accounts.find("alice"))\n'
    'await store.append(look(store, "{name}").id, [message({number}, keywords=("k{number}",))])'
)


@pytest.mark.slow
async def test_foreign_changes_are_reported_once_and_own_ones_are_not(pool, alice, path):
    inbox, archive, sent = (look(alice, name).id for name in ("INBOX", "Archive", "Sent"))
    pool.foreign_changes()
    await alice.append(inbox, [message(1)])
    assert pool.foreign_changes() == set()
    await elsewhere(path, APPEND.format(name="Archive", number=2))
    assert pool.foreign_changes() == {archive}
    assert pool.foreign_changes() == set()
    await alice.append(sent, [message(3)])
    await elsewhere(path, APPEND.format(name="INBOX", number=4))
    await alice.append(sent, [message(5)])
    await elsewhere(path, APPEND.format(name="INBOX", number=6))
    await alice.append(sent, [message(7)])
    assert pool.foreign_changes() == {inbox}
    assert pool.foreign_changes() == set()
    assert look(alice).uids == uids(1, 2, 3)
    assert set(look(alice).keywords.values()) == {("k4",), ("k6",)}


async def test_keyword_sets_of_another_process_are_used(pool, alice, path):
    inbox = look(alice).id
    await alice.append(inbox, [message(1, keywords=("mine",))])
    await elsewhere(path, APPEND.format(name="INBOX", number=2))
    await alice.append(inbox, [message(3, keywords=("K2",)), message(4, keywords=("new",))])
    assert look(alice).keywords == {1: ("mine",), 2: ("k2",), 3: ("new",)}
    assert look(alice).records[3].keyword_set == 2


async def test_process_past_the_end_of_the_journal_gets_every_mailbox(
    pool, alice, path, monkeypatch
):
    monkeypatch.setattr(changes, "JOURNAL_ROWS_KEPT", 3)
    monkeypatch.setattr(sweep, "JOURNAL_ROWS_KEPT", 3)
    pool.foreign_changes()
    body = APPEND.format(name="Archive", number=1) + "\n"
    await elsewhere(path, body * 6)
    report = await pool.sweep()
    assert report.journal_rows > 0
    with alice.reading() as reader:
        everything = {mailbox.id for mailbox in reader.mailboxes()}
    assert pool.foreign_changes() == everything
    assert pool.foreign_changes() == set()


@pytest.mark.slow
def test_two_processes_writing_at_the_same_time_lose_nothing(path):
    script = textwrap.dedent(OTHER).replace(
        "{body}",
        textwrap.indent(
            'store = pool.account(pool.accounts.find("alice"))\n'
            "for n in range(50): await store.append(look(store).id, [message(n)])",
            "        ",
        ).strip(),
    )
    enroll = textwrap.dedent(OTHER).replace("{body}", 'await pool.accounts.enroll("alice", "x")')
    subprocess.run([sys.executable, "-c", enroll, str(path)], check=True, timeout=60)
    writers = [subprocess.Popen([sys.executable, "-c", script, str(path)]) for _ in range(2)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    check = textwrap.dedent(OTHER).replace(
        "{body}",
        'assert len(look(pool.account(pool.accounts.find("alice"))).records) == 100; '
        "assert pool.check().findings == ()",
    )
    subprocess.run([sys.executable, "-c", check, str(path)], check=True, timeout=60)


async def test_too_many_readers_is_an_error(pool, alice, monkeypatch):
    class Full:
        def begin(self):
            raise lmdb.ReadersFullError("readers")

    with monkeypatch.context() as patch:
        patch.setattr(alice._group, "env", Full())
        with pytest.raises(StoreUnavailableError):
            look(alice)


@pytest.mark.slow
async def test_own_commits_after_a_foreign_one_are_recognised(pool, alice, path, monkeypatch):
    inbox, archive = look(alice).id, look(alice, "Archive").id
    pool.foreign_changes()
    for number in range(3):
        await elsewhere(path, APPEND.format(name="Archive", number=number))
        await alice.append(inbox, [message(10 + number)])
        await alice.append(inbox, [message(20 + number)])
    assert pool.foreign_changes() == {archive}
    monkeypatch.setattr(group, "OWN_COMMITS_MAX", 1)
    for number in range(3):
        await elsewhere(path, APPEND.format(name="Archive", number=30 + number))
        await alice.append(inbox, [message(40 + number)])
    assert pool.foreign_changes() == {archive, inbox}  # reported once too often rather than never


async def test_commit_hooks_are_called_after_commits_that_concern_other_processes(pool, alice):
    calls: list[tuple[str, bool]] = []
    here = threading.get_ident()

    def note(what: str) -> None:
        calls.append((what, threading.get_ident() == here))

    pool.set_commit_hooks(lambda: note("mail"), lambda: note("accounts"))
    await alice.append(look(alice).id, [message(1)])
    assert calls == [("mail", False)]  # in the writer's thread, even if the event loop is busy
    await pool.sweep()
    with pytest.raises(NoSuchMailboxError):
        await alice.append(MailboxId(99), [message(2)])
    assert calls == [("mail", False)]  # no visible change
    await pool.accounts.set_credential(alice.account.id, "other")
    assert calls[1:] == [("accounts", False)]
