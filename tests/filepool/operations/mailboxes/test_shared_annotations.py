"""Annotations of readers on mailboxes of others: counting, limits, and removal (RFC 5464)."""

import pytest
from tests.filepool.direct import dump

from imapvm.filepool.errors import (
    NoSuchMailboxError,
    PermissionDeniedError,
    SpecialUseError,
    TooManyAnnotationsError,
)
from imapvm.filepool.operations.mailboxes import annotations
from imapvm.filepool.operations.mailboxes.acl import ClearGrantee
from imapvm.filepool.operations.mailboxes.annotations import SetAnnotations, clear_user
from imapvm.filepool.store import SHARED, SPECIAL_USE, Annotation, Scope
from imapvm.model.limits import ANNOTATING_USERS_MAX
from imapvm.model.rights import ANYONE, Grantee, GranteeKind, Rights, RightsChange

SESSION = b"sess-1"
MINE = Annotation(b"/comment", b"mine")
OURS = Annotation(b"/comment", b"ours", shared=True)


@pytest.fixture
async def bob(pool, alice):
    return await pool.accounts.enroll("bob", "secret")


@pytest.fixture
def inbox(alice):
    with alice.reading() as reader:
        return reader.mailbox("INBOX")


def shared(pool, user):
    return pool.access(user).locate("Other Users/alice/INBOX")[0]


def table(store, name):
    return dump(store._group.env, store._group.tables)[name]


async def allow(alice, inbox, letters):
    await alice.set_rights(inbox.id, ANYONE, RightsChange.REPLACE, Rights.parse(letters))


@pytest.mark.parametrize("letters", ["lr", "ls", "lw", "li", "lp"])
async def test_lookup_and_one_right_to_messages_are_needed(pool, alice, bob, inbox, letters):
    await allow(alice, inbox, letters)
    store = shared(pool, bob)
    await store.set_annotations(inbox.id, [MINE, OURS], origin=SESSION)
    with store.reading() as reader:
        assert reader.annotated(inbox.id).id == inbox.id
        assert reader.annotation(Scope(inbox.id, bob.id), b"/comment") == b"mine"
    with alice.reading() as reader:
        assert reader.annotation(Scope(inbox.id, SHARED), b"/comment") == b"ours"
        assert reader.annotation_usage().entries == 1


@pytest.mark.parametrize(
    ("letters", "error"), [("lkxtea", PermissionDeniedError), ("rswip", NoSuchMailboxError)]
)
async def test_annotations_are_refused_without_these_rights(
    pool, alice, bob, inbox, letters, error
):
    await allow(alice, inbox, letters)
    store = shared(pool, bob)
    with pytest.raises(error):
        await store.set_annotations(inbox.id, [MINE], origin=SESSION)
    with store.reading() as reader:
        if error is PermissionDeniedError:
            with pytest.raises(error):
                reader.annotated(inbox.id)
        else:
            assert reader.annotated(inbox.id) is None


async def test_a_mailbox_of_another_user_gets_no_special_use(pool, alice, bob, inbox):
    await allow(alice, inbox, "lr")
    with pytest.raises(SpecialUseError):
        await shared(pool, bob).set_annotations(
            inbox.id, [Annotation(SPECIAL_USE, b"\\Sent")], origin=SESSION
        )
    await shared(pool, bob).set_annotations(
        inbox.id, [Annotation(SPECIAL_USE, None), MINE], origin=SESSION
    )


@pytest.mark.parametrize("step", [2, 2000])
async def test_annotations_of_a_deleted_user_are_removed(
    pool, alice, bob, inbox, monkeypatch, step
):
    await allow(alice, inbox, "lr")
    carol = await pool.accounts.enroll("carol", "secret")
    for user in (bob, carol):
        many = [Annotation(b"/x/%d" % number, b"y") for number in range(20)]
        await shared(pool, user).set_annotations(inbox.id, many, origin=SESSION)
    await alice.set_annotations(inbox.id, [OURS], origin=SESSION)
    monkeypatch.setattr("imapvm.filepool.operations.mailboxes.acl.STEP_ROWS", step)
    await pool.accounts.delete(bob.id)
    with alice.reading() as reader:
        assert reader.annotation(Scope(inbox.id, carol.id), b"/x/1") == b"y"
        assert reader.annotation(Scope(inbox.id, bob.id), b"/x/1") is None
    assert pool.check().findings == ()
    await pool.accounts.delete(carol.id)
    assert len(table(alice, "annotations")) == 2  # the shared entry, and the totals of its scope


async def test_annotations_of_readers_end_with_the_mailbox_and_its_owner(pool, alice, bob, inbox):
    plan = await alice.create_mailbox("Plan")
    for mailbox in (plan, inbox):
        await allow(alice, mailbox, "lr")
        store = shared(pool, bob)
        await store.set_annotations(mailbox.id, [MINE, OURS], origin=SESSION)
    await alice.delete_mailbox(plan.id)
    await pool.sweep()
    assert pool.check().findings == ()
    await pool.accounts.delete(alice.account.id)
    await pool.sweep()
    assert pool.check().findings == ()
    assert table(alice, "annotations") == []


@pytest.mark.at_limit("ANNOTATING_USERS_MAX")
@pytest.mark.past_limit("ANNOTATING_USERS_MAX")
def test_a_bounded_number_of_users_annotates_a_mailbox(direct, monkeypatch):
    assert ANNOTATING_USERS_MAX == 1000
    monkeypatch.setattr(annotations, "ANNOTATING_USERS_MAX", 3)
    for user in (1, 7, 8, 9):
        direct.apply(SetAnnotations(1, 1, user, (MINE, OURS), SESSION))
    with pytest.raises(TooManyAnnotationsError):
        direct.apply(SetAnnotations(1, 1, 10, (MINE,), SESSION))
    direct.apply(SetAnnotations(1, 1, 9, (Annotation(b"/more", b"x"),), SESSION))
    direct.apply(SetAnnotations(1, 1, 8, (Annotation(b"/comment", None),), SESSION))
    direct.apply(SetAnnotations(1, 1, 10, (MINE,), SESSION))
    for user in (7, 8, 9, 10):
        direct.apply(ClearGrantee(Grantee(GranteeKind.USER, user)))
    assert direct.check() == []


def test_check_finds_annotations_of_users_who_do_not_exist(direct):
    direct.apply(SetAnnotations(1, 1, 77, (MINE,), SESSION))
    assert any("user 77" in finding for finding in direct.check())
    direct.pool.check(repair=True)
    assert direct.check() == []


def test_a_user_is_removed_from_one_mailbox_after_another(direct, monkeypatch):
    for mailbox in range(1, 7):
        direct.apply(SetAnnotations(1, mailbox, 7, (MINE,), SESSION))
    monkeypatch.setattr(annotations, "MAILBOXES_PER_STEP", 3)

    class Clear:
        def __init__(self, after):
            self.after = after

        def apply(self, txn):
            return clear_user(txn, 7, self.after, 100)

    after, steps = 0, 0
    while after is not None:
        after, _ = direct.apply(Clear(after))
        steps += 1
    assert steps == 3
    assert direct.check() == []
