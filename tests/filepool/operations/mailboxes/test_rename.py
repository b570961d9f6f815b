"""RENAME (RFC 9051 section 6.3.6)."""

import pytest
import trio
from tests.filepool.direct import look, message, uids

from imapvm._core import STORE_ADD, UidSet
from imapvm.filepool import store
from imapvm.filepool.errors import (
    InvalidNameError,
    LimitError,
    MailboxExistsError,
    NoSuchMailboxError,
)
from imapvm.filepool.operations.mailboxes import mailboxes, rename
from imapvm.model.flags import SystemFlag


def names(store):
    with store.reading() as reader:
        return {mailbox.name: mailbox.id for mailbox in reader.mailboxes()}


async def test_renamed_mailbox_keeps_everything_but_its_name(alice):
    sent = look(alice, "Sent")
    await alice.append(sent.id, [message(1)])
    before = look(alice, "Sent").mailbox
    await alice.rename_mailbox("Sent", "Gesendet")
    after = look(alice, "Gesendet").mailbox
    assert (after.id, after.uid_validity, after.highest_modseq, after.special_use) == (
        before.id,
        before.uid_validity,
        before.highest_modseq,
        before.special_use,
    )
    assert "Sent" not in names(alice)
    with alice.reading() as reader:  # RFC 9051 section 6.3.7: a server must not unsubscribe
        assert "Sent" in reader.subscriptions()
        assert "Gesendet" not in reader.subscriptions()


async def test_children_are_renamed_and_parents_created(alice):
    for name in ("a/b/c", "ab", "a/z"):
        await alice.create_mailbox(name)
    before = names(alice)
    await alice.rename_mailbox("a", "x/y")
    after = names(alice)
    assert {after["x/y"], after["x/y/b"], after["x/y/b/c"], after["x/y/z"]} == {
        before["a"],
        before["a/b"],
        before["a/b/c"],
        before["a/z"],
    }
    assert "x" in after
    assert "ab" in after
    assert not {"a", "a/b", "a/b/c", "a/z"} & set(after)


async def test_name_that_is_only_a_parent_can_be_renamed(alice):
    child = await alice.create_mailbox("a/b")
    await alice.delete_mailbox(names(alice)["a"])
    await alice.rename_mailbox("a", "z")
    assert names(alice)["z/b"] == child.id
    assert "z" not in names(alice)


async def test_new_name_may_be_an_old_name_of_a_child(alice):
    for name in ("a/b/b/z", "a/b/z"):
        await alice.create_mailbox(name)
    before = names(alice)
    await alice.delete_mailbox(before["a"])
    await alice.rename_mailbox("a/b", "a")
    after = names(alice)
    assert after["a"] == before["a/b"]
    assert after["a/b"] == before["a/b/b"]
    assert after["a/b/z"] == before["a/b/b/z"]
    assert after["a/z"] == before["a/b/z"]
    assert "a/b/b" not in after


# --- many mailboxes -------------------------------------------------------------------------------


@pytest.fixture
def in_parts(monkeypatch):
    """Rename three mailboxes at once; return the parts that were applied."""
    for module in (store, rename):
        monkeypatch.setattr(module, "RENAMED_AT_ONCE", 3)
    applied = []
    apply = rename.RenamePart.apply

    def note(self, txn):
        apply(self, txn)
        applied.append([before for before, _, _ in self.moves])

    monkeypatch.setattr(rename.RenamePart, "apply", note)
    return applied


async def create_all(alice, *names: str) -> None:
    for name in names:
        await alice.create_mailbox(name)


async def test_many_children_are_renamed_in_parts_and_the_mailbox_last(alice, in_parts):
    await create_all(alice, *(f"a/{letter}/x" for letter in "bcdef"))
    await alice.subscribe("a/c/x")
    before = names(alice)
    await alice.rename_mailbox("a", "new/z")
    after = names(alice)
    assert in_parts == [
        ["a/f/x", "a/f", "a/e/x"],
        ["a/e", "a/d/x", "a/d"],
        ["a/c/x", "a/c"],
    ]
    renamed = {name: number for name, number in before.items() if name.startswith("a")}
    assert {name: after["new/z" + name[1:]] for name in renamed} == renamed
    assert "new" in after
    assert not renamed.keys() & after.keys()
    with alice.reading() as reader:
        assert "a/c/x" in reader.subscriptions()
        assert "new/z/c/x" not in reader.subscriptions()


async def test_as_many_as_are_renamed_at_once_need_no_parts(alice, in_parts):
    await create_all(alice, "a/b", "a/c")
    await alice.rename_mailbox("a", "z")
    assert in_parts == []
    await alice.create_mailbox("z/d")
    await alice.rename_mailbox("z", "a")
    assert in_parts == [["z/d"]]


async def test_others_commit_between_two_parts(alice, in_parts):
    await create_all(alice, *(f"a/{number}" for number in range(20)))
    inbox = look(alice).id
    seen = []

    async def append() -> None:
        while not in_parts:
            await trio.lowlevel.checkpoint()
        for number in range(3):
            await alice.append(inbox, [message(number)])
            seen.append(len(in_parts))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(append)
        await alice.rename_mailbox("a", "z")
    assert seen[0] < len(in_parts)


async def test_parts_may_be_renamed_to_old_names_of_others(alice, in_parts):
    """RENAME "a/b" to "a", where the mailboxes below are named "b" as well."""
    await create_all(alice, "a/b/b/b/b/z", "a/b/b/a", "a/b/a", "a/b/z/b")
    before = names(alice)
    await alice.delete_mailbox(before["a"])
    await alice.rename_mailbox("a/b", "a")
    after = names(alice)
    assert len(in_parts) == 3
    assert {"a" + name[3:]: number for name, number in before.items() if name.startswith("a/")} == {
        name: number for name, number in after.items() if name.startswith("a")
    }


async def test_the_same_rename_completes_one_that_was_interrupted(alice, in_parts, monkeypatch):
    await create_all(alice, *(f"a/{number}" for number in range(8)))
    before = names(alice)
    with monkeypatch.context() as patch:
        patch.setattr(rename.RenameMailbox, "apply", failing)
        with pytest.raises(LimitError):
            await alice.rename_mailbox("a", "z")
    assert names(alice)["a"] == before["a"]
    assert len(in_parts) == 2
    await alice.rename_mailbox("a", "z")
    after = names(alice)
    assert {after[f"z/{number}"] for number in range(8)} == {
        before[f"a/{number}"] for number in range(8)
    }
    assert after["z"] == before["a"]


def failing(_self, _txn):
    raise LimitError("no room")


async def test_mailboxes_that_others_change_meanwhile_keep_their_names(alice, in_parts):
    await create_all(alice, *(f"a/{number}" for number in range(9)))
    before = names(alice)

    async def change() -> None:
        while not in_parts:
            await trio.lowlevel.checkpoint()
        await alice.rename_mailbox("a/1", "mine")
        await alice.delete_mailbox(before["a/2"])
        await alice.create_mailbox("a/new")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(change)
        await alice.rename_mailbox("a", "z")
    after = names(alice)
    assert after["z/0"] == before["a/0"]
    assert after["z"] == before["a"]
    assert before["a/1"] in {after.get("mine"), after.get("z/1")}
    assert before["a/2"] not in after.values()


@pytest.mark.parametrize(
    ("new", "error"),
    [
        ("a/below", InvalidNameError),
        ("Sent", MailboxExistsError),
        ("bad*", InvalidNameError),
        ("x" * 252, InvalidNameError),
        ("taken", MailboxExistsError),
    ],
)
async def test_refused_rename_of_many_changes_nothing(alice, in_parts, new, error):
    await create_all(alice, *(f"a/{number}" for number in range(100, 120)), "taken/105")
    await alice.delete_mailbox(names(alice)["taken"])
    before = names(alice)
    with pytest.raises(error):
        await alice.rename_mailbox("a", new)
    assert names(alice) == before
    assert in_parts == []


async def test_rename_that_subscriptions_leave_no_room_for_changes_nothing(
    alice, in_parts, monkeypatch
):
    for number in range(10):
        await alice.create_mailbox(f"a/{number}", subscribe=True)
    before = names(alice)
    monkeypatch.setattr(mailboxes, "NAMES_PER_ACCOUNT_MAX", len(before) + 9)
    with pytest.raises(LimitError):
        await alice.rename_mailbox("a", "z")
    assert names(alice) == before


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("nowhere", "x", NoSuchMailboxError),
        ("Sent", "Trash", MailboxExistsError),
        ("Sent", "inbox", MailboxExistsError),
        ("Sent", "Sent", MailboxExistsError),
        ("Sent", "Sent/below", InvalidNameError),
        ("Sent", "bad*", InvalidNameError),
        ("deep", "x" * 250, InvalidNameError),
        ("one", "two", MailboxExistsError),
    ],
)
async def test_refused_rename_changes_nothing(alice, old, new, error):
    for name in ("deep/child-with-a-name", "one/child", "two/child"):
        await alice.create_mailbox(name)
    await alice.delete_mailbox(names(alice)["two"])
    before = names(alice)
    with pytest.raises(error):
        await alice.rename_mailbox(old, new)
    assert names(alice) == before


async def test_renaming_inbox_moves_its_messages_and_keeps_inbox_and_its_children(alice):
    inbox = look(alice)
    await alice.create_mailbox("INBOX/child")
    await alice.append(inbox.id, [message(n, keywords=("$Label",)) for n in range(1, 81)])
    await alice.store_flags(
        inbox.id, uids(7), mode=STORE_ADD, flags=SystemFlag.DELETED.value, keywords=("Odd",)
    )
    before = look(alice)
    await alice.rename_mailbox("inbox", "old/mail")
    after, moved = look(alice), look(alice, "old/mail")
    assert after.id == before.id
    assert after.mailbox.uid_validity == before.mailbox.uid_validity
    assert after.records == {}
    assert (after.mailbox.messages, after.mailbox.unseen, after.mailbox.deleted) == (0, 0, 0)
    assert after.mailbox.uid_next == 81
    assert after.changes.expunged == before.uids
    assert moved.records == before.records
    assert moved.keywords == before.keywords
    assert moved.uids == moved.changes.appended == before.uids
    assert (moved.mailbox.messages, moved.mailbox.unseen, moved.mailbox.deleted) == (80, 80, 1)
    assert moved.mailbox.uid_validity not in (0, before.mailbox.uid_validity)
    assert {"INBOX", "INBOX/child", "old", "old/mail"} <= set(names(alice))
    assert (await alice.append(inbox.id, [message(99)])).uids == uids(81)


async def test_many_messages_of_inbox_are_logged_as_several_changes(alice, monkeypatch):
    monkeypatch.setattr(rename, "LOGGED_AT_ONCE", 3)
    before = (await alice.append(look(alice).id, [message(n) for n in range(7)])).modseq
    await alice.rename_mailbox("INBOX", "old")
    inbox, old = look(alice), look(alice, "old")
    assert inbox.mailbox.highest_modseq == old.mailbox.highest_modseq == before + 3
    with alice.reading() as reader:
        last = reader.changes(inbox.mailbox, before + 2)
    assert last.expunged == uids(7)
    assert inbox.changes.expunged == old.changes.appended == UidSet([(1, 7)])


async def test_renaming_an_empty_inbox_creates_an_empty_mailbox(alice):
    await alice.rename_mailbox("INBOX", "INBOX/below")
    assert look(alice, "INBOX/below").records == {}
    assert look(alice).mailbox.highest_modseq == 1
