"""IDLE: updates that are pushed, and clients that do not read."""

import pytest
import trio
import trio.testing
from tests.commands.fakes import FakeChannel, connection

from imapvm._core import UidMap, UidSet
from imapvm.commands import context
from imapvm.commands.idlers import Idlers
from imapvm.commands.outcome import Hangup
from imapvm.model.changes import MailboxChanges
from imapvm.model.ids import MailboxId, ModSeq
from imapvm.session.view import View


class GrowingStore:
    """Store with a mailbox in which messages arrive."""

    def __init__(self) -> None:
        self.count = 0
        self.deleted = False
        self.recent_from = 1
        self.claims = []
        """Claims that are not committed yet: highest UID, and the function to call."""

    def reading(self):
        return self

    @property
    def txn_id(self) -> int:
        return 2 * self.count + self.deleted

    def latest_txn_id(self) -> int:
        return self.txn_id

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def mailbox_by_id(self, _):
        return None if self.deleted else self

    # the mailbox
    keyword_sets = 0

    @property
    def highest_modseq(self):
        return ModSeq(1 + self.count)

    def claim_recent_soon(self, _mailbox, up_to, done):
        self.claims.append((up_to, done))

    def commit(self):
        """Commit the first claim."""
        up_to, done = self.claims.pop(0)
        before, self.recent_from = self.recent_from, max(self.recent_from, up_to + 1)
        done(before)

    def changes(self, _mailbox, since):
        new = UidSet.of(range(since, self.count + 1)) if since <= self.count else UidSet()
        return MailboxChanges(self.highest_modseq, new, UidSet(), UidSet(), complete=True)


class SilentChannel(FakeChannel):
    """Client that sends DONE when the event is set."""

    def __init__(self) -> None:
        super().__init__()
        self.done = trio.Event()

    async def read(self) -> bytes:
        await self.done.wait()
        return b"DONE\r\n"


@pytest.fixture
def store():
    return GrowingStore()


@pytest.fixture
def ctx(store):
    ctx = connection(store=store)
    ctx.channel = SilentChannel()
    ctx.services.idlers.push_later = lambda idler: idler.push()
    ctx.session.view = View(MailboxId(7), numbers=UidMap(), known_modseq=ModSeq(1))
    ctx.reader.feed(b"a IDLE\r\n")
    ctx.reader.next()
    return ctx


async def test_updates_are_pushed_during_idle_only(ctx, store, nursery):
    store.count = 1
    ctx.push()
    assert ctx.channel.sent == b""
    nursery.start_soon(ctx.idle)
    await trio.testing.wait_all_tasks_blocked()
    assert ctx.channel.sent == b"* 1 EXISTS\r\n"
    store.commit()
    assert ctx.channel.sent == b"* 1 EXISTS\r\n* 1 RECENT\r\n"
    ctx.channel.sent.clear()
    store.count = 2
    for idler in ctx.services.idlers.at(MailboxId(7)):
        idler.push()
    store.commit()
    assert ctx.channel.sent == b"* 2 EXISTS\r\n* 2 RECENT\r\n"
    ctx.channel.sent.clear()
    ctx.channel.done.set()
    await trio.testing.wait_all_tasks_blocked()
    assert len(ctx.services.idlers) == 0
    store.count = 3
    ctx.push()
    assert ctx.channel.sent == b""
    assert not store.claims


async def test_one_claim_at_a_time_is_made_during_idle(ctx, store, nursery):
    """EXISTS does not wait for it, RECENT does, and the next EXISTS follows RECENT."""
    nursery.start_soon(ctx.idle)
    await trio.testing.wait_all_tasks_blocked()
    for store.count in (1, 2, 3):
        ctx.push()
    assert ctx.channel.sent == b"* 1 EXISTS\r\n"
    assert [up_to for up_to, _ in store.claims] == [1]
    store.commit()
    assert ctx.channel.sent == b"* 1 EXISTS\r\n* 1 RECENT\r\n"
    assert ctx.push() is False  # the notifier does so, since more is due
    assert [up_to for up_to, _ in store.claims] == [3]
    store.commit()
    assert ctx.channel.sent.endswith(b"RECENT\r\n* 3 EXISTS\r\n* 3 RECENT\r\n")


async def test_no_claim_is_made_for_messages_that_others_have_claimed(ctx, store, nursery):
    nursery.start_soon(ctx.idle)
    await trio.testing.wait_all_tasks_blocked()
    store.count, store.recent_from = 1, 2
    ctx.push()
    assert ctx.channel.sent == b"* 1 EXISTS\r\n* 0 RECENT\r\n"
    assert not store.claims


async def test_no_claim_is_made_for_rev2_and_read_only_sessions(store, nursery):
    clients = []
    for enabled, read_only in (({"IMAP4REV2"}, False), (set(), True)):
        ctx = connection(store=store)
        ctx.channel = SilentChannel()
        ctx.session.enabled = enabled
        ctx.session.view = View(
            MailboxId(7), numbers=UidMap(), known_modseq=ModSeq(1), read_only=read_only
        )
        ctx.reader.feed(b"a IDLE\r\n")
        ctx.reader.next()
        nursery.start_soon(ctx.idle)
        clients.append(ctx)
    await trio.testing.wait_all_tasks_blocked()
    store.count = 1
    for ctx in clients:
        ctx.push()
    assert [bytes(ctx.channel.sent) for ctx in clients] == [
        b"* 1 EXISTS\r\n",
        b"* 1 EXISTS\r\n* 1 RECENT\r\n",
    ]
    assert not store.claims


async def test_claim_committed_after_idle_writes_nothing(ctx, store, nursery):
    """The command's own responses end with RECENT."""
    nursery.start_soon(ctx.idle)
    await trio.testing.wait_all_tasks_blocked()
    store.count = 1
    ctx.push()
    ctx.channel.sent.clear()
    ctx.channel.done.set()
    await trio.testing.wait_all_tasks_blocked()
    store.commit()
    assert ctx.channel.sent == b""
    assert ctx.session.view.recent == UidSet.of([1])


async def test_a_client_that_does_not_read_gets_no_more_updates_until_it_does(ctx, store, nursery):
    store.recent_from = 3  # all are claimed by others
    nursery.start_soon(ctx.idle)
    await trio.testing.wait_all_tasks_blocked()
    ctx.channel.full = True
    store.count = 1
    ctx.push()
    waiting = ctx.channel.waiting
    assert waiting > 0
    store.count = 2
    ctx.push()
    ctx.still_here()
    assert ctx.channel.waiting == waiting
    ctx.channel.full, ctx.channel.waiting = False, 0
    ctx.push()
    assert ctx.channel.sent.startswith(b"* 2 EXISTS\r\n")


async def test_updates_that_one_push_does_not_send_are_pushed_later(ctx, store, nursery):
    class Updates:
        """Three batches of updates."""

        left = 3

    def write(session, out, **_):
        Updates.left -= 1
        out.condition("OK", str(Updates.left))
        return Updates.left > 0

    later = []
    ctx.services.idlers.push_later = later.append
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "write_updates", write)
        nursery.start_soon(ctx.idle)
        await trio.testing.wait_all_tasks_blocked()
        assert Updates.left == 2
        assert later == [ctx]
        assert ctx.push()
        ctx.channel.full = True
        Updates.left = 2
        assert not ctx.push()  # the client does not read
        waiting = ctx.channel.waiting
        assert not ctx.push()
        assert ctx.channel.waiting == waiting


async def test_still_here_is_sent_during_idle_only(ctx, nursery):
    ctx.still_here()
    assert ctx.channel.sent == b""
    nursery.start_soon(ctx.idle)
    await trio.testing.wait_all_tasks_blocked()
    ctx.still_here()
    assert ctx.channel.sent.startswith(b"* OK ")


async def test_a_deleted_mailbox_ends_idle(ctx, store):
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def idling():
            with pytest.raises(Hangup):
                await ctx.idle()

        await trio.testing.wait_all_tasks_blocked()
        store.deleted = True
        ctx.push()
    assert len(ctx.services.idlers) == 0


def test_idlers_are_found_by_mailbox_and_counted():
    idlers = Idlers()
    first, second, unselected = connection(), connection(), connection()
    first.session.view = View(MailboxId(1), numbers=UidMap(), known_modseq=ModSeq(1))
    second.session.view = View(MailboxId(2), numbers=UidMap(), known_modseq=ModSeq(1))
    for ctx in (first, second, unselected):
        idlers.enter(ctx)
    assert idlers.at(MailboxId(1)) == (first,)
    assert idlers.at(MailboxId(3)) == ()
    assert set(idlers) == {first, second, unselected}
    for ctx in (first, second, unselected, unselected):
        idlers.leave(ctx)
    assert len(idlers) == 0
    assert list(idlers) == []
