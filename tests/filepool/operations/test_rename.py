"""RENAME (RFC 9051 section 6.3.6)."""

import pytest
from tests.filepool.direct import look, message, uids

from imapvm._core import STORE_ADD
from imapvm.filepool.errors import InvalidNameError, MailboxExistsError, NoSuchMailboxError
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


async def test_renaming_an_empty_inbox_creates_an_empty_mailbox(alice):
    await alice.rename_mailbox("INBOX", "INBOX/below")
    assert look(alice, "INBOX/below").records == {}
    assert look(alice).mailbox.highest_modseq == 1
