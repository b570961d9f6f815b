"""Updates after commands, and their cost without changes."""

from tests.commands.fakes import send
from tests.filepool.direct import START, look, message, uids

from imapvm._core import STORE_ADD
from imapvm.model.flags import SystemFlag


async def select_two(ctx):
    await ctx.session.store.append(look(ctx.session.store).id, [message(1), message(2)])
    lines = await send(ctx, b"a SELECT INBOX\r\n")
    assert "* 2 EXISTS" in lines


async def expunge_first(ctx):
    """Expunge the first message as another session."""
    store = ctx.session.store
    inbox = look(store).id
    deleted = SystemFlag.DELETED.value
    await store.store_flags(inbox, uids(1), mode=STORE_ADD, flags=deleted, keywords=())
    await store.expunge(inbox, uids(1))


async def test_held_updates_are_written_without_further_changes(signed_in):
    await select_two(signed_in)
    await send(signed_in, b"b NOOP\r\n")
    await expunge_first(signed_in)
    assert "* 1 EXPUNGE" not in await send(signed_in, b"c FETCH 2 UID\r\n")
    lines = await send(signed_in, b"d NOOP\r\n")
    assert lines == ["* 1 EXPUNGE", "* 1 RECENT", "d OK NOOP completed"]
    assert await send(signed_in, b"e NOOP\r\n") == ["e OK NOOP completed"]


async def test_an_unchanged_mailbox_is_not_read_again(signed_in, monkeypatch):
    await select_two(signed_in)
    await send(signed_in, b"b NOOP\r\n")
    store, reads = signed_in.session.store, []
    before = type(store).reading

    def reading(self):
        reads.append(self)
        return before(self)

    monkeypatch.setattr(type(store), "reading", reading)
    for _ in range(3):
        assert await send(signed_in, b"c NOOP\r\n") == ["c OK NOOP completed"]
    assert not reads
    await expunge_first(signed_in)
    reads.clear()
    assert "* 1 EXPUNGE" in await send(signed_in, b"d NOOP\r\n")
    assert len(reads) == 1


async def test_a_read_has_the_id_of_the_latest_commit(signed_in):
    store = signed_in.session.store
    for number in range(5):
        await store.append(look(store).id, [message(number, date=START + number)])
        with store.reading() as reader:
            assert reader.txn_id == store.latest_txn_id()
