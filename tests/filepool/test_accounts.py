"""Accounts: enrolling, names, addresses and deleting, in two environments."""

import pytest
from tests.filepool.direct import START, look, message, message_bytes, packed

from imapvm.filepool.errors import (
    AccountExistsError,
    InvalidNameError,
    LimitError,
    NoSuchAccountError,
)
from imapvm.filepool.operations.accounts import Account, MarkDeleted, ReserveAccount
from imapvm.filepool.operations.deliver import Delivery
from imapvm.filepool.operations.enroll import ClearAccount
from imapvm.filepool.pool import open_filepool
from imapvm.model.limits import ACCOUNT_NAME_MAX, ADDRESS_MAX, CREDENTIAL_MAX
from imapvm.model.names import normal_name


async def test_account_is_found_by_name_in_any_case(pool):
    made = await pool.accounts.enroll("J\u00fcrgen.Meier", "secret")
    assert made == Account(1, "J\u00fcrgen.Meier", 0, "secret", START)
    for name in ("j\u00fcrgen.meier", "J\u00dcRGEN.MEIER", "Ju\u0308rgen.Meier"):
        assert pool.accounts.find(name) == made
    assert pool.accounts.by_id(made.id) == made
    assert pool.accounts.all() == [made]
    for name in ("jurgen.meier", "", "x" * 10_000):
        assert pool.accounts.find(name) is None
    with pytest.raises(AccountExistsError):
        await pool.accounts.enroll("j\u00fcrgen.meier", "x")


@pytest.mark.parametrize("name", ["", "a b", "a\tb", "a\0b", "x\u2028y"])
async def test_invalid_user_name_is_refused(pool, name):
    with pytest.raises(InvalidNameError):
        await pool.accounts.enroll(name, "x")
    assert pool.accounts.all() == []


async def test_name_can_be_changed_and_the_old_one_is_free(pool):
    alice = await pool.accounts.enroll("alice", "x")
    bob = await pool.accounts.enroll("bob", "x")
    with pytest.raises(AccountExistsError):
        await pool.accounts.rename(alice.id, "BOB")
    await pool.accounts.rename(alice.id, "Alice")
    await pool.accounts.rename(alice.id, "carol")
    assert pool.accounts.find("alice") is None
    assert pool.accounts.find("carol").id == alice.id
    await pool.accounts.rename(bob.id, "alice")
    assert pool.accounts.find("alice").id == bob.id
    with pytest.raises(NoSuchAccountError):
        await pool.accounts.rename(99, "x")


async def test_credential_can_be_changed(pool):
    alice = await pool.accounts.enroll("alice", "old")
    await pool.accounts.set_credential(alice.id, "new")
    assert pool.accounts.find("alice").credential == "new"
    with pytest.raises(NoSuchAccountError):
        await pool.accounts.set_credential(99, "new")


async def test_credential_that_is_changed_begins_a_login_epoch(pool):
    accounts = pool.accounts
    alice = await accounts.enroll("alice", "old")
    bob = await accounts.enroll("bob", "old")
    assert accounts.login_epoch(alice.id) == accounts.login_epoch(alice.id, "old") == 0
    await accounts.set_credential(alice.id, "new")
    assert accounts.login_epoch(alice.id) == accounts.login_epoch(alice.id, "new") == 1
    assert accounts.login_epoch(alice.id, "old") is None
    assert accounts.login_epoch(bob.id) == 0
    await accounts.set_credential(alice.id, "kept", keep_sessions=True)
    assert accounts.login_epoch(alice.id, "kept") == 1
    await accounts.set_credential(alice.id, "kept")
    assert accounts.login_epoch(alice.id) == 2
    await accounts.delete(alice.id)
    assert accounts.login_epoch(alice.id) is None
    with accounts.env.begin() as txn, txn.cursor(accounts.tables.counters) as cursor:
        assert [key for key, _ in cursor] == [b"account"]


async def test_address_belongs_to_one_account(pool):
    alice = await pool.accounts.enroll("alice", "x")
    bob = await pool.accounts.enroll("bob", "x")
    await pool.accounts.add_alias(alice.id, "Info@Example.ORG")
    await pool.accounts.add_alias(alice.id, "info@example.org")
    await pool.accounts.add_alias(alice.id, "postmaster")
    assert pool.accounts.by_address("INFO@example.org").id == alice.id
    assert pool.accounts.by_address("info@example.net") is None
    assert pool.accounts.by_address("alice") is None
    assert pool.accounts.aliases(alice.id) == ["info@example.org", "postmaster"]
    with pytest.raises(AccountExistsError):
        await pool.accounts.add_alias(bob.id, "info@example.org")
    await pool.accounts.remove_alias("info@EXAMPLE.org")
    await pool.accounts.remove_alias("unknown@example.org")
    assert pool.accounts.by_address("info@example.org") is None
    await pool.accounts.add_alias(bob.id, "info@example.org")
    assert pool.accounts.aliases(alice.id) == ["postmaster"]
    with pytest.raises(InvalidNameError):
        await pool.accounts.add_alias(bob.id, "with space@example.org")
    with pytest.raises(NoSuchAccountError):
        await pool.accounts.add_alias(99, "x")


async def test_alias_and_login_name_are_never_equal(pool):
    alice = await pool.accounts.enroll("alice", "x")
    bob = await pool.accounts.enroll("bob", "x")
    await pool.accounts.add_alias(bob.id, "info")
    for account in (alice, bob):
        with pytest.raises(AccountExistsError, match="user Alice already exists"):
            await pool.accounts.add_alias(account.id, "Alice")
    with pytest.raises(AccountExistsError, match="INFO is an alias of user bob; to remove it"):
        await pool.accounts.add_alias(alice.id, "INFO")
    with pytest.raises(AccountExistsError, match="Info is an alias of user bob"):
        await pool.accounts.enroll("Info", "x")
    for account in (alice, bob):
        with pytest.raises(AccountExistsError, match="info is an alias of user bob"):
            await pool.accounts.rename(account.id, "info")
    assert [account.name for account in pool.accounts.all()] == ["alice", "bob"]
    assert pool.accounts.aliases(alice.id) == []
    assert pool.accounts.by_address("alice") is None
    await pool.accounts.remove_alias("info")
    await pool.accounts.rename(alice.id, "info")
    await pool.accounts.add_alias(bob.id, "alice")
    assert pool.check().findings == ()


async def test_alias_of_an_account_in_deletion_is_free(pool):
    gone = await pool.accounts.enroll("gone", "x")
    await pool.accounts.add_alias(gone.id, "info")
    await pool.accounts.submit(MarkDeleted(gone.id))
    await pool.accounts.enroll("info", "x")


async def test_deleted_account_leaves_no_data(pool, alice, clock):
    bob = pool.account(await pool.accounts.enroll("bob", "x"))
    await pool.accounts.add_alias(alice.account.id, "a@example.org")
    await alice.append(look(alice).id, [message(n) for n in range(100)])
    await pool.deliver(
        Delivery(
            b"0123456789abcdef",
            ((alice.account, "INBOX"), (bob.account, "INBOX")),
            packed(message_bytes(1)),
        )
    )
    await pool.accounts.delete(alice.account.id)
    assert pool.accounts.find("alice") is None
    assert pool.accounts.by_id(alice.account.id) is None
    assert pool.accounts.by_address("a@example.org") is None
    assert pool.accounts.aliases(alice.account.id) == []
    with alice.reading() as reader:
        assert reader.mailboxes() == []
        assert reader.subscriptions() == set()
    with pytest.raises(NoSuchAccountError):
        await pool.accounts.delete(alice.account.id)
    await pool.sweep()
    clock.now += 100_000
    await pool.sweep()
    report = pool.check()
    assert (report.findings, report.bodies, report.messages) == ((), 1, 1)
    again = await pool.accounts.enroll("alice", "x")
    assert again.id > bob.account.id
    assert look(pool.account(again)).records == {}


async def test_large_account_is_deleted_in_bounded_steps(pool, alice, monkeypatch):
    from imapvm.filepool.operations import sweep

    for number in range(40):
        await alice.subscribe(f"name {number}")
    steps = []
    real = ClearAccount.apply

    def counted(self, txn):
        before = txn.written
        done = real(self, txn)
        steps.append(txn.written - before)
        return done

    monkeypatch.setattr(sweep, "STEP_ROWS", 10)
    monkeypatch.setattr(ClearAccount, "apply", counted)
    await pool.accounts.delete(alice.account.id)
    assert len(steps) > 4
    assert max(steps) < 40
    assert pool.check().findings == ()


async def test_opening_the_filepool_completes_interrupted_changes(path, clock):
    async with open_filepool(path, clock=clock) as pool:
        half = await pool.accounts.submit(ReserveAccount("half", "x", 1, START))
        assert pool.accounts.find("half") is None
        gone = await pool.accounts.enroll("gone", "x")
        await pool.accounts.submit(MarkDeleted(gone.id))
        assert pool.accounts.find("gone") is None
        assert pool.check().findings == ()
    async with open_filepool(path, clock=clock) as pool:
        assert [account.name for account in pool.accounts.all()] == ["half"]
        assert look(pool.account(half)).records == {}
        with pool.account(gone).reading() as reader:
            assert reader.mailboxes() == []
        assert pool.check().findings == ()
        assert await pool.accounts.complete_interrupted() == 0


async def test_unfinished_account_that_is_not_listed_is_found(pool, alice):
    gone = await pool.accounts.enroll("gone", "x")
    await pool.accounts.submit(MarkDeleted(gone.id))
    with pool.accounts.env.begin(write=True) as txn:
        txn.drop(pool.accounts.tables.unfinished, delete=False)
    assert [finding.sentence for finding in pool.check().findings] == [
        f"account {gone.id} is neither enrolled nor listed as unfinished"
    ]
    pool.check(repair=True)
    assert await pool.accounts.complete_interrupted() == 1


async def test_sweep_completes_interrupted_changes(pool):
    half = await pool.accounts.submit(ReserveAccount("half", "x", 1, START))
    await pool.sweep()
    assert pool.accounts.find("half") == half


async def test_new_accounts_are_assigned_to_groups_in_turn(tmp_path, clock):
    from imapvm.filepool.pool import create_filepool

    create_filepool(tmp_path / "two", groups=2)
    async with open_filepool(tmp_path / "two", clock=clock) as pool:
        made = [await pool.accounts.enroll(name, "x") for name in "abcd"]
        assert [account.group for account in made] == [0, 1, 0, 1]
        for account in made:
            store = pool.account(account)
            await store.append(look(store).id, [message(1)])
        await pool.accounts.delete(made[1].id)
        assert pool.check().findings == ()


async def test_changes_of_accounts_are_reported_once(pool):
    pool.accounts_changed()
    assert not pool.accounts_changed()
    await pool.accounts.enroll("alice", "x")
    assert pool.accounts_changed()
    assert not pool.accounts_changed()


def test_names_are_compared_without_case_in_form_c():
    assert normal_name("\u00c5ngstr\u00f6m") == normal_name("a\u030angstro\u0308m")
    assert normal_name("straße") != normal_name("strasse")


@pytest.mark.at_limit("ACCOUNT_NAME_MAX", "ADDRESS_MAX", "CREDENTIAL_MAX")
async def test_names_addresses_and_credentials_at_the_limit_are_accepted(pool):
    name, credential = "\u00fc" * (ACCOUNT_NAME_MAX // 2) + "x", "c" * CREDENTIAL_MAX
    assert len(name.encode()) == ACCOUNT_NAME_MAX
    account = await pool.accounts.enroll(name, credential)
    assert pool.accounts.find(name.upper()).credential == credential
    address = "a" * (ADDRESS_MAX - 12) + "@example.org"
    await pool.accounts.add_alias(account.id, address)
    assert pool.accounts.by_address(address) == account


@pytest.mark.past_limit("ACCOUNT_NAME_MAX", "ADDRESS_MAX", "CREDENTIAL_MAX")
async def test_names_addresses_and_credentials_past_the_limit_are_refused(pool):
    with pytest.raises(InvalidNameError):
        await pool.accounts.enroll("x" * (ACCOUNT_NAME_MAX + 1), "c")
    with pytest.raises(LimitError):
        await pool.accounts.enroll("x", "c" * (CREDENTIAL_MAX + 1))
    account = await pool.accounts.enroll("x", "c")
    with pytest.raises(InvalidNameError):
        await pool.accounts.rename(account.id, "x" * (ACCOUNT_NAME_MAX + 1))
    with pytest.raises(LimitError):
        await pool.accounts.set_credential(account.id, "c" * (CREDENTIAL_MAX + 1))
    with pytest.raises(InvalidNameError):
        await pool.accounts.add_alias(account.id, "a" * (ADDRESS_MAX + 1))
    assert pool.accounts.by_address("a" * (ADDRESS_MAX + 1)) is None
