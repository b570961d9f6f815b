"""NOTIFY: limits, clients that do not read, logs that do not reach back, many sessions."""

import pytest
import trio.testing
from tests.commands.fakes import connection, exchange

from imapvm.commands.outcome import Hangup
from imapvm.commands.watchers import ROWS_AT_ONCE, MailboxOwners
from imapvm.filepool.errors import StoreUnavailableError
from imapvm.filepool.operations import sweep
from imapvm.filepool.store import NewMessage
from imapvm.model.limits import (
    FETCH_FIELD_LISTS_MAX,
    NAME_CHANGES_KEPT,
    NOTIFY_DUE_MAX,
    NOTIFY_GROUPS_MAX,
    NOTIFY_NAMES_BYTES_MAX,
    NOTIFY_NAMES_MAX,
    NOTIFY_SHARED_MAX,
)
from imapvm.model.rights import Grantee, GranteeKind, Rights, RightsChange
from imapvm.server.imap.connections import Connections
from imapvm.server.imap.notifier import Notifier

BOTH = "MessageNew MessageExpunge"


class Client:
    """Connection without a socket that rests between commands, as a real one does."""

    def __init__(self, ctx):
        self.ctx = ctx

    async def send(self, *commands):
        """Run commands; return the lines of the responses."""
        received = b""
        for command in commands:
            if self.ctx.leave_rest():
                await self.ctx.complete_update()
            received += await exchange(self.ctx, b"t " + command.encode() + b"\r\n")
            received += self.ctx.out.take()
            if self.ctx.session.interest is not None:
                self.ctx.rest()
            received += self.pushed()
        return received.decode().splitlines()

    def pushed(self):
        """Return the bytes that were sent since the last command."""
        sent = bytes(self.ctx.channel.sent)
        self.ctx.channel.sent.clear()
        return sent

    async def lines(self):
        """Return the lines that are sent until all tasks wait."""
        await trio.testing.wait_all_tasks_blocked()
        return self.pushed().decode().splitlines()


@pytest.fixture
async def alice(signed_in, nursery):
    """Return a client of alice; the notifier of the process pushes to it."""
    services = signed_in.services
    pool = services.pool
    notifier = Notifier(services, Connections())
    pool.on_changes = notifier.notify
    nursery.start_soon(notifier.push_forever)
    client = Client(signed_in)
    client.notifier = notifier
    return client


@pytest.fixture
def another(alice):
    """Return a function that signs in another client, of alice or of another user."""

    async def sign_in(name="alice"):
        pool = alice.ctx.services.pool
        account = pool.accounts.find(name) or await pool.accounts.enroll(name, "x")
        ctx = connection(store=pool.account(account))
        ctx.services = alice.ctx.services
        return Client(ctx)

    return sign_in


async def append(ctx, name, *, size=0):
    store = ctx.session.store
    with store.reading() as reader:
        mailbox = reader.mailbox(name)
    body = store.new_body()
    if body.feed(b"Subject: x\r\n\r\n" + b"x" * size):
        await body.spill()
    message = NewMessage(body.finish(), flags=0, keywords=(), date=0, zone=0)
    return await store.append(mailbox.id, [message])


def notify_of(names, events=BOTH):
    return f"NOTIFY SET (MAILBOXES ({' '.join(names)}) ({events}))"


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.at_limit("NOTIFY_GROUPS_MAX")
@pytest.mark.past_limit("NOTIFY_GROUPS_MAX")
async def test_groups(alice):
    group = f" (PERSONAL ({BOTH}))"
    assert await alice.send("NOTIFY SET" + group * NOTIFY_GROUPS_MAX) == ["t OK NOTIFY completed"]
    (line,) = await alice.send("NOTIFY SET" + group * (NOTIFY_GROUPS_MAX + 1))
    assert line == f"t NO [NOTIFICATIONOVERFLOW] more than {NOTIFY_GROUPS_MAX} event groups"


@pytest.mark.at_limit("NOTIFY_NAMES_MAX")
@pytest.mark.past_limit("NOTIFY_NAMES_MAX")
async def test_names(alice):
    names = [f"m{number}" for number in range(NOTIFY_NAMES_MAX + 1)]
    assert await alice.send(notify_of(names[1:])) == ["t OK NOTIFY completed"]
    (line,) = await alice.send(notify_of(names))
    assert line.startswith(f"t NO [NOTIFICATIONOVERFLOW] more than {NOTIFY_NAMES_MAX} mailboxes")


@pytest.mark.at_limit("NOTIFY_NAMES_BYTES_MAX")
@pytest.mark.past_limit("NOTIFY_NAMES_BYTES_MAX")
async def test_bytes_of_names(alice):
    names = [f"{number:0254}" for number in range(NOTIFY_NAMES_BYTES_MAX // 255)]
    rest = NOTIFY_NAMES_BYTES_MAX - 255 * len(names) - 1
    assert await alice.send(notify_of([*names, "m" * (rest - 1)])) == ["t OK NOTIFY completed"]
    (line,) = await alice.send(notify_of([*names, "m" * rest]))
    assert line.startswith(f"t NO [NOTIFICATIONOVERFLOW] more than {NOTIFY_NAMES_BYTES_MAX} bytes")


async def test_header_field_lists(alice):
    def command(count):
        items = " ".join(f"BODY.PEEK[HEADER.FIELDS (x{n})]" for n in range(count))
        return f"NOTIFY SET (SELECTED (MessageNew ({items}) MessageExpunge))"

    assert await alice.send(command(FETCH_FIELD_LISTS_MAX)) == ["t OK NOTIFY completed"]
    (line,) = await alice.send(command(FETCH_FIELD_LISTS_MAX + 1))
    assert line.startswith("t NO [NOTIFICATIONOVERFLOW]")


async def test_bytes_of_items(alice):
    def command(size):
        items = f"(BODY.PEEK[HEADER.FIELDS (x)]<{'1' * 9}.{'1' * 9}> UID"
        items += " " * (size - len(items) - 1) + ")"
        return f"NOTIFY SET (SELECTED (MessageNew {items} MessageExpunge))"

    assert await alice.send(command(2048)) == ["t OK NOTIFY completed"]
    (line,) = await alice.send(command(2049))
    assert line == "t NO [LIMIT] NOTIFY: more than 2048 bytes of FETCH items in NOTIFY or UPDATE"


# --- clients that do not read ---------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.at_limit("NOTIFY_DUE_MAX")
@pytest.mark.past_limit("NOTIFY_DUE_MAX")
async def test_changes_of_a_client_that_does_not_read_are_bounded(alice, another):
    other = await another()
    for number in range(NOTIFY_DUE_MAX + 1):
        await other.send(f"CREATE m{number:04}")
    await alice.send(f"NOTIFY SET (PERSONAL ({BOTH}))")
    channel = alice.ctx.channel
    channel.waiting = 1
    for number in range(NOTIFY_DUE_MAX):
        await append(other.ctx, f"m{number:04}")
    await append(other.ctx, "m0000")
    watch = alice.ctx.session.watch
    assert len(watch.due) == NOTIFY_DUE_MAX
    assert not watch.overflowed
    await append(other.ctx, f"m{NOTIFY_DUE_MAX}")
    assert not watch.due
    channel.waiting = 0
    alice.ctx.push()
    assert await alice.lines() == ["* OK [NOTIFICATIONOVERFLOW] too many changes; NOTIFY is off"]
    await append(other.ctx, "m0000")
    assert await alice.lines() == []
    assert not alice.ctx.services.watchers
    assert await alice.send("NOOP") == ["t OK NOOP completed"]


async def test_many_changes_of_one_mailbox_are_one_response(alice, another):
    other = await another()
    await alice.send(f"NOTIFY SET (PERSONAL ({BOTH} FlagChange))")
    alice.ctx.channel.waiting = 1
    for _ in range(100):
        await append(other.ctx, "Sent")
    alice.ctx.channel.waiting = 0
    alice.ctx.push()
    (line,) = await alice.lines()
    assert line.endswith("UIDNEXT 101 MESSAGES 100)")


@pytest.mark.slow
@pytest.mark.at_limit("NAME_CHANGES_KEPT")
@pytest.mark.past_limit("NAME_CHANGES_KEPT")
async def test_log_of_names_that_does_not_reach_back(alice, another):
    other = await another()
    for changes, overflow in ((NAME_CHANGES_KEPT, False), (NAME_CHANGES_KEPT + 1, True)):
        await alice.send("NOTIFY SET (SUBSCRIBED (SubscriptionChange))")
        alice.ctx.channel.waiting = 1
        for number in range(changes):
            await other.send(f"{'UNSUBSCRIBE' if number % 2 else 'SUBSCRIBE'} x{changes}")
        alice.ctx.channel.waiting = 0
        while alice.ctx.push():
            pass
        lines = await alice.lines()
        assert ("NOTIFICATIONOVERFLOW" in lines[-1]) == overflow
        assert overflow or set(lines) == {rf'* LIST (\NonExistent \HasNoChildren) "/" x{changes}'}


@pytest.mark.slow
@pytest.mark.at_limit("NOTIFY_SHARED_MAX")
@pytest.mark.past_limit("NOTIFY_SHARED_MAX")
async def test_mailboxes_of_other_users(alice, another):
    bob = await another("bob")
    me = Grantee(GranteeKind.USER, alice.ctx.session.store.account.id)
    store = bob.ctx.session.store
    for number in range(NOTIFY_SHARED_MAX + 1):
        mailbox = await store.create_mailbox(f"m{number}")
        if number < NOTIFY_SHARED_MAX:
            await store.set_rights(mailbox.id, me, RightsChange.ADD, Rights.LOOKUP | Rights.READ)
    command = f'NOTIFY SET (SUBTREE "Other Users" ({BOTH} MailboxName))'
    assert await alice.send(command) == ["t OK NOTIFY completed"]
    assert len(alice.ctx.session.watch.known) == NOTIFY_SHARED_MAX
    while alice.ctx.push():
        pass
    assert await alice.lines() == []
    await store.set_rights(mailbox.id, me, RightsChange.ADD, Rights.LOOKUP | Rights.READ)
    while alice.ctx.push():
        pass
    assert await alice.lines() == ["* OK [NOTIFICATIONOVERFLOW] too many changes; NOTIFY is off"]
    (line,) = await alice.send(command)
    assert (
        line
        == f"t NO [NOTIFICATIONOVERFLOW] more than {NOTIFY_SHARED_MAX} mailboxes of other users"
    )
    assert alice.ctx.session.watch is None


# --- FETCH of new messages ------------------------------------------------------------------------


@pytest.fixture
async def watching(alice):
    await alice.send(
        "EXAMINE INBOX", "NOTIFY SET (SELECTED (MessageNew (BODY.PEEK[TEXT]) MessageExpunge))"
    )
    return alice


@pytest.fixture
def read(watching):
    """Return a function with which the client reads what was sent; nothing is sent before."""
    channel = watching.ctx.channel
    write = channel.write_nowait

    def write_and_wait(data):
        write(data)
        channel.waiting = len(data)

    def read():
        channel.waiting = 0
        return watching.pushed()

    channel.write_nowait = write_and_wait
    return read


async def test_large_message_is_written_in_parts(watching, read, another):
    other = await another()
    await append(other.ctx, "INBOX", size=1_000_000)
    parts = [read()]
    assert parts[0].startswith(b"* 1 EXISTS\r\n")
    while watching.ctx.is_responding:
        watching.ctx.still_here()  # would be in the middle of a literal
        assert watching.pushed() == b""
        watching.ctx.push()
        parts.append(read())
    assert max(map(len, parts)) < 200_000
    received = b"".join(parts)
    assert received.endswith(b"BODY[TEXT] {1000000}\r\n" + b"x" * 1_000_000 + b")\r\n")


async def test_command_waits_for_the_end_of_a_response(watching, read, another):
    other = await another()
    await append(other.ctx, "INBOX", size=1_000_000)
    received = read()
    assert watching.ctx.is_responding
    lines = await watching.send("NOOP")
    assert received.count(b"x") + lines[0].count("x") == 1_000_000
    assert lines[-1] == "t OK NOOP completed"


async def test_mailbox_that_is_deleted_meanwhile(watching, read, another):
    """The response is completed before BYE."""
    other = await another()
    await other.send("CREATE gone")
    await watching.send("EXAMINE gone")
    read()
    await append(other.ctx, "gone", size=1_000_000)
    await other.send("DELETE gone")
    received = read()
    while watching.ctx.is_responding:
        watching.ctx.channel.waiting = 0
        try:
            watching.ctx.push()
        except Hangup:
            break
        received += read()
    received += watching.ctx.out.take()
    assert received.endswith(b"x)\r\n")
    assert received.count(b"x") == 1_000_000


async def test_nothing_is_pushed_during_a_command(alice, another):
    other = await another()
    await alice.send("SELECT INBOX", f"NOTIFY SET (SELECTED ({BOTH})) (PERSONAL ({BOTH}))")
    alice.ctx.leave_rest()
    await append(other.ctx, "INBOX")
    await append(other.ctx, "Sent")
    assert await alice.lines() == []
    alice.ctx.rest()
    assert [line.split()[:3] for line in (await alice.lines())[:2]] == [
        ["*", "STATUS", "Sent"],
        ["*", "1", "EXISTS"],
    ]


# --- many sessions and processes ------------------------------------------------------------------


async def test_sessions_of_other_accounts_are_not_woken(alice, another):
    bob, carol = await another("bob"), await another("carol")
    for client in (alice, bob):
        await client.send(f"NOTIFY SET (PERSONAL ({BOTH} MailboxName))")
    await append(carol.ctx, "INBOX")
    await carol.send("CREATE x")
    assert await alice.lines() + (await bob.lines()) == []
    await append(bob.ctx, "INBOX")
    assert await alice.lines() == []
    (line,) = await bob.lines()
    assert line.startswith("* STATUS INBOX")


@pytest.mark.parametrize("root", ["Other Users", "Other Users/bob", "Other Users/BOB/", "Shared"])
async def test_subtree_of_the_mailboxes_of_another_user(alice, another, root):
    """The name of a user is not a mailbox, and has mailboxes below it."""
    bob = await another("bob")
    await bob.send("CREATE Work", "SETACL Work alice lr")
    answer = await alice.send(f'NOTIFY SET STATUS (SUBTREE "{root}" ({BOTH}))')
    await append(bob.ctx, "Work")
    lines = [line.partition(" (")[0] for line in answer[:-1] + await alice.lines()]
    assert lines == ['* STATUS "Other Users/bob/Work"'] * (0 if root == "Shared" else 2)


async def test_mailbox_that_is_created_later_is_watched_and_a_deleted_one_is_not(alice, another):
    other = await another()
    await alice.send(f"NOTIFY SET (PERSONAL ({BOTH}))")
    owners = alice.ctx.services.watchers._owners[0]
    assert len(owners) == 6
    await other.send("CREATE later")
    assert await alice.lines() == []
    await append(other.ctx, "later")
    assert len(await alice.lines()) == 1
    assert len(owners) == 7
    await other.send("DELETE later")
    assert len(owners) == 6
    await alice.send("NOTIFY NONE")
    assert len(owners) == 0
    assert not alice.ctx.services.watchers


@pytest.mark.slow
async def test_more_rows_of_the_journal_than_are_read_at_once(alice, another):
    """The rest is read in turns."""
    other = await another()
    await alice.send(f"NOTIFY SET (MAILBOXES Sent ({BOTH}))")
    pool = alice.ctx.services.pool
    pool.on_changes = None
    for _ in range(ROWS_AT_ONCE):
        await append(other.ctx, "INBOX")
    await append(other.ctx, "Sent")
    watchers = alice.ctx.services.watchers
    assert watchers.read_journal(pool.groups) == ({alice.ctx}, True)
    assert len(alice.ctx.session.watch.due) == 1
    assert watchers.read_journal(pool.groups) == ({alice.ctx}, False)
    assert len(alice.ctx.session.watch.due) == 2
    assert watchers.read_journal(pool.groups) == (set(), False)


async def test_journal_that_does_not_reach_back(alice, another, monkeypatch):
    other = await another()
    await alice.send(f"NOTIFY SET (PERSONAL ({BOTH}))")
    pool = alice.ctx.services.pool
    pool.on_changes = None
    await append(other.ctx, "Sent")
    monkeypatch.setattr(sweep, "JOURNAL_ROWS_KEPT", 0)
    await pool.sweep()
    pool.on_changes = alice.notifier.notify
    await append(other.ctx, "Trash")
    assert await alice.lines() == ["* OK [NOTIFICATIONOVERFLOW] too many changes; NOTIFY is off"]


async def test_filepool_that_cannot_be_read_for_a_while(alice, another, monkeypatch, caplog):
    other = await another()
    await alice.send(f"NOTIFY SET (PERSONAL ({BOTH}))")
    group = alice.ctx.services.pool.groups[0]

    def fail(*_):
        raise StoreUnavailableError("cannot read the filepool")

    monkeypatch.setattr(group, "journal_after", fail)
    await append(other.ctx, "Sent")
    assert "cannot read changes" in caplog.text
    assert await alice.lines() == []
    monkeypatch.undo()
    await alice.notifier.poll()
    assert len(await alice.lines()) == 1


async def test_changes_before_notify_are_not_reported(alice, another):
    first, other = await another(), await another()
    await first.send(f"NOTIFY SET (PERSONAL ({BOTH} MailboxName))")
    pool = alice.ctx.services.pool
    pool.on_changes = None
    await append(other.ctx, "Sent")
    await other.send("CREATE x")
    await alice.send(f"NOTIFY SET (PERSONAL ({BOTH} MailboxName))")
    assert await alice.lines() == []
    alice.notifier.notify(set())
    assert await alice.lines() == []
    assert len(await first.lines()) == 2


async def test_signing_out_ends_notifications(alice, another):
    other = await another()
    await alice.send(f"NOTIFY SET (PERSONAL ({BOTH}))", "UNAUTHENTICATE")
    assert not alice.ctx.services.watchers
    await append(other.ctx, "INBOX")
    assert await alice.lines() == []


async def test_deleted_selected_mailbox_ends_the_session(alice, another):
    other = await another()
    await other.send("CREATE gone")
    await alice.send("SELECT gone", f"NOTIFY SET (SELECTED ({BOTH}))")
    alice.ctx.channel.waiting = 1
    await other.send("DELETE gone")
    alice.ctx.channel.waiting = 0
    with pytest.raises(Hangup):
        alice.ctx.push()


@pytest.mark.slow
async def test_rename_of_many_mailboxes_is_one_event(alice, another):
    """More than RENAMED_AT_ONCE, so that it is done in several transactions."""
    other = await another()
    for number in range(600):
        await other.send(f"CREATE top/{number:03}")
    await alice.send("NOTIFY SET (PERSONAL (MailboxName))")
    await other.send("RENAME top new")
    assert await alice.lines() == [r'* LIST (\HasChildren) "/" new ("OLDNAME" (top))']
    await other.send("RENAME new new2/below")
    assert await alice.lines() == [
        r'* LIST (\HasChildren) "/" new2',
        r'* LIST (\HasChildren) "/" new2/below ("OLDNAME" (new))',
    ]
    await other.send("RENAME new2/below new2/below/deeper")
    assert await alice.lines() == []


def test_owners_of_mailboxes():
    owners = MailboxOwners()
    ids = [5, 1, 3, 1024, 1023, 1 << 40]
    for number, mailbox in enumerate(ids):
        owners.add(mailbox, number)
    owners.add(3, 2)
    assert [owners.get(mailbox) for mailbox in ids] == list(range(6))
    assert [owners.get(mailbox) for mailbox in (0, 2, 4, 1025, 1 << 41)] == [None] * 5
    assert len(owners) == 6
    for mailbox in (*ids, 2, 77_777):
        owners.remove(mailbox)
    assert not owners
    assert not owners._buckets
