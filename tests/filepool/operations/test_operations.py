"""Operations are deterministic: applied to the same state, they write the same bytes."""

import random

import pytest
from tests.filepool.direct import Direct, dump, message, message_bytes, packed, uids

from imapvm._core import STORE_ADD, STORE_REMOVE, STORE_REPLACE, UidSet
from imapvm.filepool.errors import FilepoolError, NoSuchMailboxError
from imapvm.filepool.operations.append import AppendMessages, StageBody
from imapvm.filepool.operations.copy import CopyMessages
from imapvm.filepool.operations.deliver import DeliverMessage
from imapvm.filepool.operations.enroll import AddAccount, ClearAccount
from imapvm.filepool.operations.mailboxes.acl import SetRights, SetSharedSeen
from imapvm.filepool.operations.mailboxes.annotations import Annotation, SetAnnotations
from imapvm.filepool.operations.mailboxes.mailboxes import (
    ClaimRecent,
    CreateMailbox,
    DeleteMailbox,
    SetSubscription,
)
from imapvm.filepool.operations.mailboxes.rename import RenameMailbox
from imapvm.filepool.operations.mailboxes.shared import SharedUser, StoreSharedFlags
from imapvm.filepool.operations.quota import SetLimits
from imapvm.filepool.operations.store_flags import ExpungeMessages, StoreFlags
from imapvm.filepool.operations.sweep import SweepStep
from imapvm.model.ids import AccountId
from imapvm.model.quota import MAILBOX, MESSAGE, STORAGE
from imapvm.model.rights import ANYONE, Grantee, GranteeKind, Rights, RightsChange

HISTORY = [
    CreateMailbox(1, "a/b", (), subscribe=True, now=100),
    AppendMessages(1, 1, tuple(message(n, n % 32, (f"k{n % 3}",)) for n in range(90)), 101),
    AppendMessages(1, 8, (message(message_bytes(5, size=100_000)),), 102),
    StoreFlags(1, 1, UidSet([(3, 70)]), STORE_ADD, 8, ("x", "y"), None),
    StoreFlags(1, 1, UidSet([(60, 80)]), STORE_REMOVE, 1, ("x",), 2),
    StoreFlags(1, 1, UidSet([(20, 25)]), STORE_REPLACE, 0, ("z",), None),
    CopyMessages(1, 1, UidSet([(10, 50)]), 8, move=False, now=103),
    CopyMessages(1, 1, UidSet([(40, 45)]), 2, move=True, now=104),
    ExpungeMessages(1, 1, UidSet([(1, 40)]), 105),
    ClaimRecent(1, 1, 60),
    DeliverMessage(b"d" * 16, ((1, "INBOX"), (1, "Sent")), message(7), 106),
    StageBody(0, ((1, b"x" * 4080),), 107, None),
    SetSubscription(1, "elsewhere", subscribed=True),
    SetAnnotations(
        1,
        1,
        1,
        (Annotation(b"/comment", b"x" * 9000), Annotation(b"/comment", b"a\0b", shared=True)),
        b"client",
    ),
    SetAnnotations(1, 3, 1, (Annotation(b"/specialuse", b"\\Drafts"),), b"client"),
    SetAnnotations(1, 0, 1, (Annotation(b"/comment", b"mine"),), b"client"),
    SetAnnotations(1, 1, 1, (Annotation(b"/comment", b"y" * 5000),), b"client"),
    SetRights(1, 1, Grantee(GranteeKind.USER, 7), False, RightsChange.ADD, Rights(3)),
    SetRights(1, 8, Grantee(GranteeKind.GROUP, 2), True, RightsChange.ADD, Rights(7)),
    SetRights(1, 1, ANYONE, False, RightsChange.ADD, Rights.SEEN | Rights.READ),
    SetSharedSeen(1, 2, shared=True),
    StoreSharedFlags(
        StoreFlags(1, 1, UidSet([(41, 60)]), STORE_ADD, 1, (), None), SharedUser(7, (ANYONE,))
    ),
    RenameMailbox(1, "a", "c/d", 108),
    RenameMailbox(1, "INBOX", "before", 109),
    SetLimits(1, ((STORAGE, None), (MESSAGE, 1000)), (), replace=False),
    AddAccount(AccountId(2), 110),
    DeleteMailbox(1, 8, 111),
    SweepStep(111),
    SweepStep(111 + 3600),
    ClearAccount(AccountId(2), 112),
    AppendMessages(1, 1, (message(1),), 113),
    StoreSharedFlags(
        StoreFlags(1, 1, UidSet([(1, 200)]), STORE_ADD, 1, (), None), SharedUser(7, (ANYONE,))
    ),
]


def history(path, *, cut) -> dict:
    """Apply the history, cut into transactions by a function; return all rows."""
    with Direct(path) as direct:
        at = 0
        while at < len(HISTORY):
            count = cut()
            direct.apply(*HISTORY[at : at + count])
            at += count
        assert direct.check() == []
        return dump(direct.group.env, direct.group.tables)


def test_operations_write_the_same_bytes_however_they_are_batched(tmp_path):
    dice = random.Random(1)
    alone = history(tmp_path / "1", cut=lambda: 1)
    assert all(alone[table] for table in alone)
    assert history(tmp_path / "2", cut=lambda: 1) == alone
    assert history(tmp_path / "3", cut=lambda: len(HISTORY)) == alone
    for name in "456":
        assert history(tmp_path / name, cut=lambda: dice.randint(1, 5)) == alone


def test_operations_are_values(tmp_path):
    for operation in HISTORY:
        assert hash(operation) is not None
        assert operation == operation
    assert ExpungeMessages(1, 1, uids(1), 5) == ExpungeMessages(1, 1, uids(1), 5)
    body = packed(message_bytes(1))
    assert body == packed(message_bytes(1))


def test_refused_operation_has_written_nothing(direct):
    """So a client's error does not cause a batch to be repeated."""
    group = direct.group
    full = tuple(f"k{number}" for number in range(65))
    refused = [
        CreateMailbox(1, "INBOX", (), subscribe=True, now=1),
        CreateMailbox(1, "bad*name", (), subscribe=True, now=1),
        CreateMailbox(1, "x", (r"\Sent",), subscribe=True, now=1),
        CreateMailbox(9, "x", (), subscribe=True, now=1),
        DeleteMailbox(1, 1, 1),
        DeleteMailbox(1, 99, 1),
        RenameMailbox(1, "nowhere", "x", 1),
        RenameMailbox(1, "Sent", "Trash", 1),
        RenameMailbox(1, "Sent", "Sent/x", 1),
        AppendMessages(1, 99, (message(1),), 1),
        AppendMessages(1, 1, (message(1), message(2, keywords=full)), 1),
        StoreFlags(1, 99, uids(1), STORE_ADD, 1, (), None),
        StoreFlags(1, 1, uids(1), STORE_ADD, 1, full, None),
        ExpungeMessages(1, 99, uids(1), 1),
        CopyMessages(1, 1, uids(1), 99, move=True, now=1),
        SetSubscription(1, "bad*name", subscribed=True),
        SetSubscription(9, "x", subscribed=True),
        ClaimRecent(1, 99, 1),
        AppendMessages(1, 1, (message(1), message(2)), 1),
        CopyMessages(1, 1, uids(1, 2), 2, move=False, now=1),
        CreateMailbox(1, "x", (), subscribe=True, now=1),
        RenameMailbox(1, "INBOX", "x", 1),
        RenameMailbox(1, "Sent", "x/Sent", 1),
        SetLimits(9, ((STORAGE, 1),), (), replace=False),
    ]
    direct.apply(AppendMessages(1, 1, (message(1), message(2)), 1))
    direct.apply(SetLimits(1, ((MESSAGE, 3), (MAILBOX, 6)), (), replace=False))
    before = dump(group.env, group.tables)
    with group.env.begin(write=True) as raw:
        for operation in refused:
            txn = group.write_txn(raw)
            try:
                operation.apply(txn)
            except FilepoolError:
                assert txn.written == 0, operation
            else:
                raise AssertionError(f"{operation} was carried out")
    assert dump(group.env, group.tables) == before


def test_mailbox_of_another_account_does_not_exist_in_the_same_batch(direct):
    bob = direct.enroll("bob")
    own, foreign = (
        AppendMessages(1, 1, (message(1),), 1),
        AppendMessages(bob.id, 1, (message(2),), 1),
    )
    with pytest.raises(NoSuchMailboxError):
        direct.apply(own, foreign)
    with pytest.raises(NoSuchMailboxError):
        direct.apply(foreign)
