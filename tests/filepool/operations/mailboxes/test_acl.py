"""ACLs: entries, grantees, deletion and renaming (RFC 4314)."""

import inspect

import pytest
from tests.filepool.direct import START, dump, message

from imapvm._core import UidSet
from imapvm.filepool.access.shared_store import SharedStore
from imapvm.filepool.errors import (
    InvalidNameError,
    LimitError,
    NoSuchMailboxError,
    PermissionDeniedError,
    UnknownGrantError,
)
from imapvm.filepool.operations.append import AppendMessages
from imapvm.filepool.operations.mailboxes.acl import ClearGrantee, SetRights
from imapvm.filepool.pool import open_filepool
from imapvm.filepool.store import AccountStore
from imapvm.filepool.tables import acl
from imapvm.filepool.tables.schema import SEEN_BLOCK
from imapvm.filepool.tables.seen import change_seen
from imapvm.model.changes import AccountChange
from imapvm.model.limits import (
    ACL_ENTRIES_MAX,
    GROUP_NAME_MAX,
    GROUPS_PER_USER_MAX,
    SHARED_NAMES_MAX,
)
from imapvm.model.rights import (
    ANYONE,
    NO_RIGHTS,
    Grantee,
    GranteeKind,
    Rights,
    RightsChange,
)

ADD = RightsChange.ADD
LR = Rights.LOOKUP | Rights.READ


@pytest.fixture
async def bob(pool, alice):
    return await pool.accounts.enroll("bob", "secret")


def user(account):
    return Grantee(GranteeKind.USER, account.id)


def rows(store):
    found = dump(store._group.env, store._group.tables)
    return len(found["acl"]), len(found["grants"]), len(found["seen"])


def mailbox_of(store, name):
    with store.reading() as reader:
        return reader.mailbox(name)


def rights(pool, account, name):
    store, local = pool.access(account).locate(name)
    with store.reading() as reader:
        mailbox = reader.find(local, NO_RIGHTS)
        return NO_RIGHTS if mailbox is None else reader.rights(mailbox.id)


def visible(pool, account):
    return sorted(name for batch in pool.access(account).visible_names() for name in batch)


async def test_an_entry_has_positive_and_negative_rights(alice, bob):
    inbox = mailbox_of(alice, "INBOX")
    await alice.set_rights(inbox.id, user(bob), ADD, LR)
    await alice.set_rights(inbox.id, user(bob), ADD, Rights.READ, negative=True)
    with alice.reading() as reader:
        assert reader.acl(inbox.id) == [(user(bob), LR, Rights.READ)]
    after = await alice.set_rights(inbox.id, user(bob), RightsChange.REMOVE, LR)
    assert after == (user(bob), NO_RIGHTS, Rights.READ)


async def test_an_entry_without_rights_is_deleted(alice, bob):
    inbox = mailbox_of(alice, "INBOX")
    await alice.set_rights(inbox.id, user(bob), ADD, LR)
    assert rows(alice) == (1, 1, 0)
    await alice.set_rights(inbox.id, user(bob), RightsChange.REPLACE, NO_RIGHTS)
    assert rows(alice) == (0, 0, 0)


async def test_a_change_of_rights_wakes_sessions_and_keeps_the_modseq(pool, alice, bob):
    seen = []
    pool.on_changes = seen.append
    inbox = mailbox_of(alice, "INBOX")
    await alice.set_rights(inbox.id, user(bob), ADD, LR)
    assert seen == [{inbox.id, AccountChange(bob.id)}]
    await alice.set_rights(inbox.id, user(bob), ADD, LR)
    assert len(seen) == 1
    assert mailbox_of(alice, "INBOX").highest_modseq == inbox.highest_modseq


async def test_delete_removes_the_acl_and_rename_keeps_it(pool, alice, bob):
    work = await alice.create_mailbox("Work")
    await alice.set_rights(work.id, user(bob), ADD, LR)
    await alice.set_shared_seen(work.id, shared=True)
    await alice.rename_mailbox("Work", "Job")
    assert visible(pool, bob) == ["Other Users/alice/Job"]
    await alice.delete_mailbox(work.id)
    assert rows(alice) == (0, 0, 0)
    assert visible(pool, bob) == []


async def test_a_new_mailbox_inherits_the_acl_of_its_parent(alice, bob):
    work = await alice.create_mailbox("Work")
    await alice.set_rights(work.id, user(bob), ADD, LR)
    await alice.set_shared_seen(work.id, shared=True)
    deep = await alice.create_mailbox("Work/a/b")
    with alice.reading() as reader:
        assert reader.acl(deep.id) == [(user(bob), LR, NO_RIGHTS)]
        assert reader.shares_seen(deep.id)
    assert (await alice.create_mailbox("Other")).id != deep.id
    assert rows(alice)[1] == 3


async def test_deleting_a_user_removes_what_it_was_granted_and_has_seen(pool, alice, bob):
    inbox = mailbox_of(alice, "INBOX")
    carol = await pool.accounts.enroll("carol", "secret")
    for account in (bob, carol):
        await alice.set_rights(inbox.id, user(account), ADD, LR | Rights.SEEN)

    class Mark:
        def apply(self, txn):
            for account in (bob, carol):
                change_seen(txn, inbox.id, account.id, UidSet([(1, SEEN_BLOCK * 3)]), seen=True)

    await alice._group.submit(Mark())
    assert rows(alice) == (2, 2, 8)
    await pool.accounts.delete(bob.id)
    assert rows(alice) == (1, 1, 4)
    again = await pool.accounts.enroll("bob", "secret")
    assert rights(pool, again, "Other Users/alice/INBOX") == NO_RIGHTS
    await pool.accounts.delete(carol.id)
    assert rows(alice) == (0, 0, 0)


async def test_deleting_the_owner_removes_its_acls(pool, alice, bob):
    inbox = mailbox_of(alice, "INBOX")
    await alice.set_rights(inbox.id, ANYONE, ADD, LR)
    await pool.accounts.delete(alice.account.id)
    assert visible(pool, bob) == []
    assert rows(pool.account(bob)) == (0, 0, 0)


async def test_a_renamed_user_keeps_its_rights(pool, alice, bob):
    await alice.set_rights(mailbox_of(alice, "INBOX").id, user(bob), ADD, LR)
    await pool.accounts.rename(bob.id, "robert")
    assert rights(pool, pool.accounts.find("robert"), "Other Users/alice/INBOX") == LR
    await pool.accounts.rename(alice.account.id, "Alice.B")
    assert visible(pool, pool.accounts.find("robert")) == ["Other Users/Alice.B/INBOX"]


async def test_a_group_gives_rights_to_its_members_as_long_as_they_are_in_it(pool, alice, bob):
    accounts = pool.accounts
    team = await accounts.add_user_group("Team")
    await alice.set_rights(mailbox_of(alice, "INBOX").id, Grantee(GranteeKind.GROUP, team), ADD, LR)
    assert rights(pool, bob, "Other Users/alice/INBOX") == NO_RIGHTS
    await accounts.set_member(team, bob.id, member=True)
    assert rights(pool, bob, "Other Users/alice/INBOX") == LR
    assert (accounts.members(team), accounts.user_groups()) == ([bob.id], {team: "Team"})
    await accounts.set_member(team, bob.id, member=False)
    assert rights(pool, bob, "Other Users/alice/INBOX") == NO_RIGHTS
    await accounts.set_member(team, bob.id, member=True)
    await accounts.remove_user_group(team)
    assert rights(pool, bob, "Other Users/alice/INBOX") == NO_RIGHTS
    assert rows(alice) == (0, 0, 0)
    assert await accounts.add_user_group("team") != team


async def test_deleting_a_user_ends_its_memberships(pool, alice, bob):
    team = await pool.accounts.add_user_group("team")
    await pool.accounts.set_member(team, bob.id, member=True)
    await pool.accounts.set_shared_account(bob.id)
    assert pool.accounts.shared_account() == bob
    await pool.accounts.delete(bob.id)
    assert pool.accounts.members(team) == []
    assert pool.accounts.shared_account() is None


async def test_identifiers_are_found_in_any_case(pool, alice, bob):
    team = await pool.accounts.add_user_group("Team")
    grantee = pool.accounts.grantee
    assert grantee("Anyone") == (ANYONE, False)
    assert grantee("-anyone") == (ANYONE, True)
    assert grantee("BOB") == (user(bob), False)
    assert grantee("-$TEAM") == (Grantee(GranteeKind.GROUP, team), True)
    for unknown in ("zoe", "$zoe", "-", "$" + "x" * 500):
        with pytest.raises(UnknownGrantError):
            grantee(unknown)


async def test_a_reader_cannot_change_what_belongs_to_the_owner(pool, alice, bob):
    inbox = mailbox_of(alice, "INBOX")
    await alice.set_rights(inbox.id, user(bob), ADD, ~NO_RIGHTS)
    store, _ = pool.access(bob).locate("Other Users/alice/INBOX")
    for refused in (
        store.subscribe("x"),
        store.unsubscribe("INBOX"),
        store.copy(inbox.id, UidSet(), inbox.id),
        store.move(inbox.id, UidSet(), inbox.id),
    ):
        with pytest.raises(PermissionDeniedError):
            await refused
    with pytest.raises(InvalidNameError):
        await store.delete_mailbox(inbox.id)
    with pytest.raises(InvalidNameError):
        await store.rename_mailbox("INBOX", "x")


def test_each_change_of_a_store_is_checked_or_refused_for_other_users():
    changes = {
        name
        for name, method in vars(AccountStore).items()
        if inspect.iscoroutinefunction(method) and not name.startswith("_")
    }
    assert changes - vars(SharedStore).keys() == set()


async def test_a_right_that_is_lost_before_the_commit_does_not_count(pool, alice, bob):
    inbox = mailbox_of(alice, "INBOX")
    await alice.set_rights(inbox.id, user(bob), ADD, LR | Rights.EXPUNGE)
    store, _ = pool.access(bob).locate("Other Users/alice/INBOX")
    await store.expunge(inbox.id, UidSet([(1, 1)]))
    expunge = store.expunge(inbox.id, UidSet([(1, 1)]))
    await alice.set_rights(inbox.id, user(bob), RightsChange.REPLACE, NO_RIGHTS)
    with pytest.raises(NoSuchMailboxError):
        await expunge


# --- limits -------------------------------------------------------------------------------------


def entry(number):
    return SetRights(1, 1, Grantee(GranteeKind.USER, number), False, ADD, LR)


@pytest.mark.at_limit("ACL_ENTRIES_MAX")
@pytest.mark.past_limit("ACL_ENTRIES_MAX")
def test_an_acl_has_a_bounded_number_of_entries(direct):
    direct.apply(*(entry(number) for number in range(10, 10 + ACL_ENTRIES_MAX)))
    direct.apply(entry(10))
    with pytest.raises(LimitError):
        direct.apply(entry(9))


@pytest.mark.at_limit("GROUPS_PER_USER_MAX")
@pytest.mark.past_limit("GROUPS_PER_USER_MAX")
@pytest.mark.at_limit("GROUP_NAME_MAX")
@pytest.mark.past_limit("GROUP_NAME_MAX")
async def test_groups_of_users_are_bounded(pool, bob):
    accounts = pool.accounts
    with pytest.raises(InvalidNameError):
        await accounts.add_user_group("é" * (GROUP_NAME_MAX // 2) + "x")
    for number in range(GROUPS_PER_USER_MAX + 1):
        last = await accounts.add_user_group(f"{number:0{GROUP_NAME_MAX}}")
        if number < GROUPS_PER_USER_MAX:
            await accounts.set_member(last, bob.id, member=True)
    with pytest.raises(LimitError):
        await accounts.set_member(last, bob.id, member=True)
    assert len(accounts.grantees(bob.id)) == GROUPS_PER_USER_MAX + 2


@pytest.mark.at_limit("SHARED_NAMES_MAX")
@pytest.mark.past_limit("SHARED_NAMES_MAX")
async def test_list_shows_a_bounded_number_of_shared_mailboxes(pool, alice, bob, monkeypatch):
    assert SHARED_NAMES_MAX == 10_000
    monkeypatch.setattr("imapvm.filepool.access.access.SHARED_NAMES_MAX", 5)
    monkeypatch.setattr("imapvm.filepool.access.access.GRANTS_READ", 2)
    for number in range(6):
        made = await alice.create_mailbox(f"m{number}")
        await alice.set_rights(made.id, ANYONE, ADD, LR)
        assert len(visible(pool, bob)) == min(number + 1, 5)
    assert rights(pool, bob, "Other Users/alice/m5") == LR


async def test_ten_thousand_grants_are_removed_in_steps(direct, monkeypatch):
    monkeypatch.setattr("imapvm.filepool.operations.mailboxes.acl.STEP_ROWS", 2)
    bob = Grantee(GranteeKind.USER, 9)
    direct.apply(*(SetRights(1, mailbox, bob, False, ADD, LR) for mailbox in range(1, 6)))
    step, steps = ClearGrantee(bob), 0
    while step is not None:
        step, steps = direct.apply(step), steps + 1
    assert steps == 3
    found = dump(direct.group.env, direct.group.tables)
    assert (found["acl"], found["grants"]) == ([], [])


# --- on disk ------------------------------------------------------------------------------------


async def test_a_filepool_of_version_0_1_0_gets_the_tables(path):
    async with open_filepool(path) as pool:
        await pool.accounts.enroll("alice", "secret")
        for env, tables, added in (
            (pool.groups[0].env, pool.groups[0].tables, ("acl", "grants", "seen")),
            (pool.accounts.env, pool.accounts.tables, ("groups", "members")),
        ):
            with env.begin(write=True) as txn:
                for table in added:
                    txn.drop(getattr(tables, table), delete=True)
    async with open_filepool(path) as pool:
        store = pool.account(pool.accounts.find("alice"))
        await store.set_rights(mailbox_of(store, "INBOX").id, ANYONE, ADD, LR)
        await pool.accounts.add_user_group("team")
        assert pool.check().findings == ()


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("acl", acl.ACL_KEY.pack(77, 1, 1), acl.ACL_ROW.pack(1, 0)),
        ("acl", acl.ACL_KEY.pack(1, 7, 1), acl.ACL_ROW.pack(1, 0)),
        ("acl", acl.ACL_KEY.pack(1, 1, 2), acl.ACL_ROW.pack(1, 0)),
        ("grants", acl.GRANT_KEY.pack(1, 2, 1, 1), b""),
        ("grants", b"x", b""),
        ("seen", bytes(8) + b"\1" * 12, b""),
    ],
)
def test_check_finds_and_repairs_what_does_not_agree(direct, table, key, value):
    direct.apply(AppendMessages(1, 1, (message(b"x\r\n", 0, ()),), START))
    with direct.group.env.begin(write=True) as txn:
        txn.put(key, value, db=getattr(direct.group.tables, table))
    found = direct.pool.check(repair=True).findings
    assert len(found) >= 1
    assert found[0].repaired
