"""Mailboxes as a whole: CREATE, DELETE, subscriptions, UIDVALIDITY (RFC 9051 section 6.3)."""

import pytest
import trio
from tests.filepool.direct import START, look, message, uids

from imapvm.filepool.errors import (
    InvalidNameError,
    LimitError,
    MailboxExistsError,
    NoSuchMailboxError,
    SpecialUseError,
)
from imapvm.filepool.operations.mailboxes.mailboxes import CreateMailbox, SetSubscription
from imapvm.model.ids import MailboxId
from imapvm.model.limits import NAMES_PER_ACCOUNT_MAX, SPELLINGS_MAX


def names(store):
    with store.reading() as reader:
        return [mailbox.name for mailbox in reader.mailboxes()]


def subscribed(store):
    with store.reading() as reader:
        return reader.subscriptions()


async def test_new_account_has_inbox_and_the_default_mailboxes(alice):
    with alice.reading() as reader:
        uses = {mailbox.name: mailbox.special_use for mailbox in reader.mailboxes()}
    assert uses == {
        "Archive": (r"\Archive",),
        "Drafts": (r"\Drafts",),
        "INBOX": (),
        "Junk": (r"\Junk",),
        "Sent": (r"\Sent",),
        "Trash": (r"\Trash",),
    }
    assert subscribed(alice) == set(uses)


async def test_empty_mailbox_starts_at_uid_1_and_modseq_1(alice):
    mailbox = await alice.create_mailbox("Work")
    assert (mailbox.uid_next, mailbox.highest_modseq, mailbox.recent_from) == (1, 1, 1)
    assert (mailbox.messages, mailbox.unseen, mailbox.deleted, mailbox.size) == (0, 0, 0, 0)
    assert look(alice, "Work").mailbox == mailbox


async def test_missing_parents_are_created(alice):
    await alice.create_mailbox("a/b/c", subscribe=True)
    assert {"a", "a/b", "a/b/c"} <= set(names(alice))
    assert {"a", "a/b", "a/b/c"} & subscribed(alice) == {"a/b/c"}


async def test_trailing_delimiter_is_ignored(alice):
    assert (await alice.create_mailbox("later/")).name == "later"


async def test_inbox_is_compared_without_case_also_as_a_parent(alice):
    for name in ("INBOX", "inbox", "InBox"):
        with pytest.raises(MailboxExistsError):
            await alice.create_mailbox(name)
    assert (await alice.create_mailbox("iNbOx/Sub")).name == "INBOX/Sub"
    with alice.reading() as reader:
        assert reader.mailbox("inbox") == reader.mailbox("INBOX") is not None
        assert reader.mailbox("inbox/Sub") is not None
        assert reader.mailbox("inbox/sub") is None


@pytest.mark.parametrize(
    "name", ["", "a//b", "/a", "a*", "a%b", "a\nb", "x" * 256, "/".join("a" * 33)]
)
async def test_invalid_mailbox_name_is_refused(alice, name):
    with pytest.raises(InvalidNameError):
        await alice.create_mailbox(name)


async def test_name_is_stored_in_form_c(alice):
    assert (await alice.create_mailbox("Entwu\u0308rfe")).name == "Entw\u00fcrfe"
    with pytest.raises(MailboxExistsError):
        await alice.create_mailbox("Entw\u00fcrfe")


async def test_special_use_is_unique_in_an_account(alice):
    with pytest.raises(SpecialUseError):
        await alice.create_mailbox("Second", special_use=[r"\Sent"])
    await alice.delete_mailbox(look(alice, "Sent").id)
    assert (await alice.create_mailbox("Gone", special_use=[r"\sent"])).special_use == (r"\Sent",)


@pytest.mark.parametrize("use", [r"\All", r"\Flagged", r"\Inbox", r"\Noselect"])
async def test_unsupported_special_use_is_refused(alice, use):
    with pytest.raises(SpecialUseError):
        await alice.create_mailbox("Second", special_use=[use])
    assert "Second" not in names(alice)


async def test_deleted_mailbox_is_removed_at_once_and_its_children_stay(alice, pool):
    await alice.create_mailbox("a/b")
    a = look(alice, "a")
    await alice.append(a.id, [message(1), message(2)])
    await alice.delete_mailbox(a.id)
    assert "a" not in names(alice)
    assert "a/b" in names(alice)
    with alice.reading() as reader:
        assert reader.mailbox_by_id(a.id) is None
        assert (reader.usage().messages, reader.usage().size) == (0, 0)
    for attempt in (
        alice.delete_mailbox(a.id),
        alice.append(a.id, [message(3)]),
        alice.expunge(a.id, uids(1)),
        alice.claim_recent(a.id, 2),
    ):
        with pytest.raises(NoSuchMailboxError):
            await attempt


async def test_inbox_cannot_be_deleted(alice):
    with pytest.raises(InvalidNameError):
        await alice.delete_mailbox(look(alice).id)


async def test_uidvalidity_is_never_reused_in_an_account(alice, clock):
    seen = []
    for _ in range(3):
        mailbox = await alice.create_mailbox("again")
        seen.append(mailbox.uid_validity)
        await alice.delete_mailbox(mailbox.id)
    clock.now -= 5000  # the clock was set back
    seen.append((await alice.create_mailbox("again")).uid_validity)
    clock.now += 9000
    later = (await alice.create_mailbox("later")).uid_validity
    assert seen == sorted(set(seen))
    assert max(seen) < START
    assert clock.now > later > max(seen)


async def test_mailbox_ids_are_never_reused(alice):
    first = await alice.create_mailbox("one")
    await alice.delete_mailbox(first.id)
    assert (await alice.create_mailbox("one")).id > first.id


async def test_name_without_a_mailbox_can_be_subscribed_and_stays_subscribed(alice):
    await alice.subscribe("not/there")
    mailbox = await alice.create_mailbox("short")
    await alice.subscribe("short")
    await alice.delete_mailbox(mailbox.id)
    assert {"not/there", "short"} <= subscribed(alice)
    await alice.unsubscribe("not/there")
    await alice.unsubscribe("short")
    await alice.unsubscribe("never")
    await alice.unsubscribe("im*possible")
    assert not {"not/there", "short", "never"} & subscribed(alice)
    with pytest.raises(InvalidNameError):
        await alice.subscribe("im*possible")


async def test_recent_messages_are_claimed_once(alice):
    inbox = look(alice).id
    await alice.append(inbox, [message(1), message(2)])
    assert await alice.claim_recent(inbox, 2) == 1
    assert await alice.claim_recent(inbox, 2) == 3
    await alice.append(inbox, [message(3), message(4)])
    assert await alice.claim_recent(inbox, 3) == 3
    assert look(alice).mailbox.recent_from == 4
    assert await alice.claim_recent(inbox, 1) == 4  # never moves back
    assert await alice.claim_recent(inbox, 99) == 4  # nor above UIDNEXT
    assert look(alice).mailbox.recent_from == 5


async def test_claim_that_changes_nothing_writes_nothing(alice):
    inbox = look(alice).id
    await alice.append(inbox, [message(1)])
    await alice.claim_recent(inbox, 1)
    before = alice.latest_txn_id()
    assert await alice.claim_recent(inbox, 1) == 2
    assert alice.latest_txn_id() == before


async def test_append_claims_what_was_recent_and_its_own_messages(alice):
    inbox = look(alice).id
    await alice.append(inbox, [message(1)])
    appended = await alice.append(inbox, [message(2), message(3)], claim=True)
    assert (appended.recent_from, appended.uids) == (1, uids(2, 3))
    assert look(alice).mailbox.recent_from == 4
    appended = await alice.append(inbox, [message(4)])
    assert appended.recent_from == look(alice).mailbox.recent_from == 4


async def test_claim_without_a_task_gets_the_result_or_none(alice):
    inbox = look(alice).id
    await alice.append(inbox, [message(1)])
    results, ended = [], trio.Event()

    def done(recent_from):
        results.append(recent_from)
        if len(results) == 3:
            ended.set()

    for mailbox in (inbox, inbox, MailboxId(99)):  # the last one does not exist
        alice.claim_recent_soon(mailbox, 1, done)
    assert results == []
    await ended.wait()
    assert results == [1, 2, None]
    assert look(alice).mailbox.recent_from == 2


async def test_mailbox_of_another_account_does_not_exist(alice, pool):
    bob = pool.account(await pool.accounts.enroll("bob", "x"))
    inbox = look(bob).id
    await bob.append(inbox, [message(1)])
    with alice.reading() as reader:
        assert reader.mailbox_by_id(inbox) is None
    for attempt in (
        alice.append(inbox, [message(1)]),
        alice.expunge(inbox, uids(1)),
        alice.copy(look(alice).id, uids(1), inbox),
        alice.copy(inbox, uids(1), look(alice).id),
        alice.delete_mailbox(inbox),
    ):
        with pytest.raises(NoSuchMailboxError):
            await attempt
    assert len(look(bob).records) == 1


def fill(direct, count):
    """Subscribe names until the account has `count`."""
    with direct.reading() as reader:
        have = len(reader.mailboxes())
    account = direct.account.id
    direct.apply(
        *(SetSubscription(account, f"name {n}", subscribed=True) for n in range(count - have))
    )


@pytest.mark.at_limit("NAMES_PER_ACCOUNT_MAX")
def test_names_of_an_account_at_the_limit_are_accepted(direct):
    fill(direct, NAMES_PER_ACCOUNT_MAX - 2)
    create = CreateMailbox(direct.account.id, "last/one", (), subscribe=True, now=START)
    assert direct.apply(create).name == "last/one"
    assert direct.check() == []


@pytest.mark.past_limit("NAMES_PER_ACCOUNT_MAX")
def test_names_of_an_account_past_the_limit_are_refused(direct):
    fill(direct, NAMES_PER_ACCOUNT_MAX - 1)
    for operation in (
        CreateMailbox(direct.account.id, "last/one", (), subscribe=True, now=START),
        SetSubscription(direct.account.id, "x", subscribed=True),
    ):
        if isinstance(operation, SetSubscription):
            fill(direct, NAMES_PER_ACCOUNT_MAX)
        with pytest.raises(LimitError, match=str(NAMES_PER_ACCOUNT_MAX)):
            direct.apply(operation)
    direct.apply(SetSubscription(direct.account.id, "name 1", subscribed=False))
    assert direct.check() == []


def in_any_case(store, name):
    with store.reading() as reader:
        mailbox = reader.mailbox_in_any_case(name)
        return None if mailbox is None else mailbox.name


async def test_name_is_found_in_any_case(alice):
    for name in ("Lists/Über Größe", "INBOX/News", "both", "BOTH"):
        await alice.create_mailbox(name)
    await alice.subscribe("gone")
    assert in_any_case(alice, "lists/über größe") == "Lists/Über Größe"
    assert in_any_case(alice, "LISTS/u\u0308ber größe") == "Lists/Über Größe"
    assert in_any_case(alice, "lists") == in_any_case(alice, "LISTS") == "Lists"
    assert in_any_case(alice, "inbox/news") == "INBOX/News"
    assert in_any_case(alice, "Both") == "both"
    for name in ("", "list", "lists/", "lists/über größe/x", "gone", "é" * 500):
        assert in_any_case(alice, name) is None


@pytest.mark.at_limit("SPELLINGS_MAX")
@pytest.mark.past_limit("SPELLINGS_MAX")
async def test_search_in_any_case_follows_few_spellings(alice):
    for name in ("abc1", "abC1", "aBc1", "Abc2"):
        await alice.create_mailbox(name)
    assert SPELLINGS_MAX == 4
    assert in_any_case(alice, "abc2") == "Abc2"
    await alice.create_mailbox("aBC1")
    assert in_any_case(alice, "abc2") is None
