"""The log of changed names and subscriptions of an account, for NOTIFY (RFC 5465 section 5.4)."""

import lmdb
import pytest

from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.operations.mailboxes.mailboxes import CreateMailbox
from imapvm.filepool.pool import open_filepool
from imapvm.filepool.tables.name_changes import NO_ORIGIN, NameChangeKind, decoded
from imapvm.filepool.tables.schema import PAIR_KEY
from imapvm.model.changes import AccountChange
from imapvm.model.limits import NAME_CHANGES_KEPT

ORIGIN = b"sess-1"
CREATED, DELETED, RENAMED, SUBSCRIPTION = NameChangeKind


def log(store, since=0):
    """Return kind, name and old name of the changes after a number."""
    with store.reading() as reader:
        return [
            (kind, name, old) for _, kind, _, _, name, old in reader.name_changes(since, 100)[1]
        ]


def extent(store):
    with store.reading() as reader:
        return reader.name_changes(0, 0)[0]


async def test_a_new_account_has_no_changes(alice):
    assert extent(alice) == (0, 0)
    assert log(alice) == []


async def test_each_change_is_logged_with_its_session(alice, pool):
    seen = []
    pool.on_changes = seen.append
    mailbox = await alice.create_mailbox("a/b", origin=ORIGIN)
    assert log(alice) == [(CREATED, "a", ""), (CREATED, "a/b", "")]
    assert AccountChange(alice.account.id) in seen[0]
    await alice.rename_mailbox("a/b", "c/d", origin=ORIGIN)
    assert log(alice, 2) == [(CREATED, "c", ""), (RENAMED, "c/d", "a/b")]
    await alice.subscribe("x", origin=ORIGIN)
    await alice.subscribe("x", origin=ORIGIN)  # no change
    await alice.unsubscribe("x", origin=ORIGIN)
    await alice.unsubscribe("y", origin=ORIGIN)
    assert log(alice, 4) == [(SUBSCRIPTION, "x", "")] * 2
    await alice.delete_mailbox(mailbox.id, origin=ORIGIN)
    assert log(alice, 6) == [(DELETED, "c/d", "")]
    with alice.reading() as reader:
        _, changes = reader.name_changes(0, 100)
    assert {change.origin for change in changes} == {ORIGIN}
    assert [change.number for change in changes] == list(range(1, 8))
    assert changes[-1].mailbox == mailbox.id
    assert pool.check().findings == ()


async def test_of_a_tree_only_the_top_is_logged(alice):
    for name in ("top/a/b", "top/c"):
        await alice.create_mailbox(name)
    before = extent(alice).last
    await alice.rename_mailbox("top", "new")
    assert log(alice, before) == [(RENAMED, "new", "top")]
    await alice.rename_mailbox("INBOX", "old")
    assert log(alice, before + 1) == [(RENAMED, "old", "INBOX")]


@pytest.mark.slow
@pytest.mark.at_limit("NAME_CHANGES_KEPT")
@pytest.mark.past_limit("NAME_CHANGES_KEPT")
async def test_the_last_changes_are_kept(alice):
    group = alice._group
    for number in range(NAME_CHANGES_KEPT + 3):
        await alice.unsubscribe("x") if number % 2 else await alice.subscribe("x")
    assert extent(alice) == (3, NAME_CHANGES_KEPT + 3)
    with group.env.begin() as txn:
        assert txn.stat(group.tables.name_changes)["entries"] == NAME_CHANGES_KEPT


async def test_logs_of_accounts_are_apart(alice, pool):
    bob = pool.account(await pool.accounts.enroll("bob", "x"))
    await alice.subscribe("x")
    await bob.subscribe("y")
    await bob.subscribe("z")
    assert extent(alice) == (0, 1)
    assert extent(bob) == (0, 2)
    assert log(bob, 1) == [(SUBSCRIPTION, "z", "")]
    await pool.accounts.delete(bob.account.id)
    await pool.sweep()
    assert extent(bob) == (0, 0)
    assert pool.check().findings == ()


async def test_filepool_of_version_0_1_0_gets_the_table_when_it_is_opened(path):
    with (
        lmdb.open(str(path / "group-000"), max_dbs=64, map_size=1 << 30) as env,
        env.begin(write=True) as txn,
    ):
        txn.drop(env.open_db(b"name_changes", txn=txn))
    async with open_filepool(path) as pool:
        store = pool.account(await pool.accounts.enroll("alice", "x"))
        assert log(store) == []
        await store.subscribe("y")
        assert log(store) == [(SUBSCRIPTION, "y", "")]


@pytest.mark.parametrize(
    "stored", [b"", bytes(17), b"\1" + bytes(15) + b"\1\0\xff", b"\x09" + bytes(16)]
)
def test_row_that_cannot_be_read(stored):
    with pytest.raises(CorruptDataError):
        decoded(PAIR_KEY.pack(1, 1), stored)


def test_operations_need_no_session():
    assert CreateMailbox(1, "x", (), False, 0).origin == NO_ORIGIN
