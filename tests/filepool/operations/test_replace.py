"""REPLACE: a message in place of another one, in one transaction (RFC 8508)."""

import pytest
from tests.filepool.direct import START, message, records, uids

from imapvm._core import UidSet
from imapvm.filepool.errors import MessageGoneError, NoSuchMailboxError
from imapvm.filepool.operations.append import AppendMessages
from imapvm.filepool.operations.replace import ReplaceMessage

INBOX, ARCHIVE = 1, 2


def append(direct, count: int) -> None:
    direct.apply(AppendMessages(1, INBOX, tuple(map(message, range(count))), START))


def replace(uid: int, to: int = INBOX) -> ReplaceMessage:
    return ReplaceMessage(1, INBOX, uid, to, message(77), START)


def present(direct, mailbox: int = INBOX) -> UidSet:
    with direct.reading() as reader:
        return reader.uid_map(reader.mailbox_by_id(mailbox)).uids


def test_old_message_is_expunged_and_the_new_one_appended(direct):
    append(direct, 3)
    result = direct.apply(replace(2))
    assert result.uids == uids(4)
    assert present(direct) == uids(1, 3, 4)
    with direct.reading() as reader:
        row = reader.mailbox_by_id(INBOX)
        changes = reader.changes(row, result.modseq - 2)
        assert (row.messages, row.unseen) == (3, 3)
    assert changes.expunged == uids(2)
    assert changes.appended == uids(4)


def test_other_mailbox(direct):
    append(direct, 2)
    assert direct.apply(replace(1, ARCHIVE)).uids == uids(1)
    assert (present(direct), present(direct, ARCHIVE)) == (uids(2), uids(1))


def test_text_of_the_old_message_is_swept(direct):
    append(direct, 1)
    with direct.reading() as reader:
        (old,) = records(reader, reader.mailbox_by_id(INBOX))
    direct.apply(replace(1))
    with direct.group.env.begin() as txn:
        key = old.body.to_bytes(8)
        assert txn.get(key, None, direct.group.tables.references) is None


def test_nothing_changes_if_the_message_or_the_target_is_gone(direct):
    append(direct, 2)
    direct.apply(replace(1))
    with pytest.raises(MessageGoneError):
        direct.apply(replace(1))
    with pytest.raises(NoSuchMailboxError):
        direct.apply(replace(2, 99))
    assert present(direct) == uids(2, 3)
