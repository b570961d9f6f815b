r"""STORE by a user who is not the owner, compared with a model (RFC 4314 section 4, STORE)."""

import random

import pytest
from tests.filepool.direct import START, message

from imapvm._core import STORE_ADD, STORE_REMOVE, STORE_REPLACE, UidSet, segment_records
from imapvm.filepool.errors import PermissionDeniedError
from imapvm.filepool.operations.append import AppendMessages
from imapvm.filepool.operations.mailboxes.acl import SetRights, SetSharedSeen
from imapvm.filepool.operations.mailboxes.shared import SharedUser, StoreSharedFlags
from imapvm.filepool.operations.store_flags import StoreFlags
from imapvm.filepool.reading import Reader
from imapvm.filepool.tables.seen import seen_prefix, union_of
from imapvm.model.flags import SystemFlag
from imapvm.model.rights import ANYONE, Rights, RightsChange

SEEN, DELETED = SystemFlag.SEEN.value, SystemFlag.DELETED.value
OTHERS = sum(SystemFlag) & ~(SEEN | DELETED)
READER = 7
MESSAGES = 80
"""More than two segments."""


def changed(mode, before, named, allowed):
    """Return a set of flags after STORE, of which only some may change."""
    after = {
        STORE_ADD: before | named,
        STORE_REMOVE: before & ~named,
        STORE_REPLACE: named,
    }[mode]
    return before & ~allowed | after & allowed


def some(dice, words):
    return tuple(dice.sample(words, dice.randint(0, 2)))


def stored(direct):
    """Return UID → system flags, keywords; and the messages that the reader has seen."""
    with Reader(direct.group, 1) as reader:
        row = reader.mailbox("INBOX")
        records = [r for segment in reader.segments(row) for r in segment_records(segment)]
        text = reader.keyword_text(row, {r.keyword_set for r in records} - {0})
        keywords = {number: set(names.decode().split()) for number, names in text.items()}
        flags = {r.uid: (r.flags, keywords.get(r.keyword_set, set())) for r in records}
        rows = [
            item
            for item in reader.snapshot.items("seen", seen_prefix(1, READER), 10)
            if item[0].startswith(seen_prefix(1, READER))
        ]
        return flags, set(union_of(rows)), row


@pytest.mark.parametrize("seed", range(6))
def test_only_flags_that_the_user_may_change_are_changed(direct, seed):
    dice = random.Random(seed)
    direct.apply(
        AppendMessages(
            1,
            1,
            tuple(
                message(
                    number, dice.randrange(32), tuple(dice.sample(("a", "b"), dice.randint(0, 2)))
                )
                for number in range(MESSAGES)
            ),
            START,
        )
    )
    flags, seen, _ = stored(direct)
    for _ in range(25):
        shared = dice.random() < 0.5
        rights = Rights.parse("lr" + "".join(dice.sample("swt", dice.randint(0, 3))))
        direct.apply(
            SetSharedSeen(1, 1, shared=shared),
            SetRights(1, 1, ANYONE, False, RightsChange.REPLACE, rights),
        )
        mode = dice.choice((STORE_ADD, STORE_REMOVE, STORE_REPLACE))
        named = dice.randrange(32)
        words = some(dice, "abc")
        first = dice.randint(1, MESSAGES)
        uids = UidSet([(first, dice.randint(first, MESSAGES))])
        request = StoreFlags(1, 1, uids, mode, named, words, None)
        allowed = (
            (SEEN if Rights.SEEN in rights else 0)
            | (DELETED if Rights.DELETE_MESSAGES in rights else 0)
            | (OTHERS if Rights.WRITE in rights else 0)
        )
        may_change_words = Rights.WRITE in rights
        touched = named | (sum(SystemFlag) if mode == STORE_REPLACE else 0)
        if (touched or words) and not touched & allowed and not (words and may_change_words):
            with pytest.raises(PermissionDeniedError):
                direct.apply(StoreSharedFlags(request, SharedUser(READER, (ANYONE,))))
            continue
        before = {uid: (value, uid in seen) for uid, value in flags.items()}
        result = direct.apply(StoreSharedFlags(request, SharedUser(READER, (ANYONE,))))
        common = allowed if shared else allowed & ~SEEN
        for uid in uids:
            system, keywords = flags[uid]
            if may_change_words:
                keywords = {
                    STORE_ADD: keywords | set(words),
                    STORE_REMOVE: keywords - set(words),
                    STORE_REPLACE: set(words),
                }[mode]
            flags[uid] = (changed(mode, system, named, common), keywords)
            if not shared and allowed & SEEN:
                now = changed(mode, SEEN if uid in seen else 0, named & SEEN, SEEN)
                (seen.add if now else seen.discard)(uid)
        assert stored(direct)[:2] == (flags, seen)
        after = {uid: (value, uid in seen) for uid, value in flags.items()}
        assert set(result.changed) == {uid for uid in after if after[uid] != before[uid]}
        assert result.modseq == stored(direct)[2].highest_modseq
    assert direct.pool.check().findings == ()
