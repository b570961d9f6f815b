"""UID maps are shared while the UIDs do not change, and never used afterwards."""

from tests.filepool.direct import look, message, uids

from imapvm._core import STORE_ADD
from imapvm.filepool import reading
from imapvm.model.flags import SystemFlag


def numbers(store, name="INBOX"):
    with store.reading() as reader:
        return reader.uid_map(reader.mailbox(name))


async def test_uid_map_is_shared_until_uids_change(alice):
    inbox = look(alice).id
    await alice.append(inbox, [message(n) for n in range(1, 6)])
    before = numbers(alice)
    assert before.uids == uids(1, 2, 3, 4, 5)
    await alice.store_flags(inbox, uids(2), mode=STORE_ADD, flags=SystemFlag.DELETED, keywords=())
    assert numbers(alice) is before
    await alice.expunge(inbox, uids(2))
    assert numbers(alice).uids == uids(1, 3, 4, 5)
    await alice.append(inbox, [message(6)])
    assert numbers(alice).uids == uids(1, 3, 4, 5, 6)
    assert before.uids == uids(1, 2, 3, 4, 5)


async def test_least_recently_used_uid_map_is_dropped(alice, monkeypatch):
    monkeypatch.setattr(reading, "UID_MAPS_MAX", 2)
    await alice.append(look(alice).id, [message(1)])
    inbox = numbers(alice)
    archive = numbers(alice, "Archive")
    assert numbers(alice) is inbox  # used again: Archive's is now the least recently used
    await alice.create_mailbox("Third")
    numbers(alice, "Third")
    assert numbers(alice) is inbox
    assert numbers(alice, "Archive") is not archive
