"""Notifier: pushes after a commit, and errors in them."""

from collections.abc import Callable

import pytest
import trio
import trio.testing
from tests.clock import Clock
from tests.server.imap.test_connections import FakeConnection
from tests.server.whole import enroll_users

from imapvm.commands.services import Services
from imapvm.commands.turns import Turns
from imapvm.filepool.errors import StoreUnavailableError
from imapvm.filepool.pool import open_filepool
from imapvm.model.changes import AccountChange
from imapvm.model.ids import AccountId
from imapvm.server.imap.connections import Connections
from imapvm.server.imap.notifier import POLL_SECONDS, PROMPT_SECONDS, Notifier
from imapvm.session.session import Session

PEER = "192.0.2.1"


class FakeView:
    def __init__(self, mailbox: int) -> None:
        self.mailbox = mailbox


class FakeContext:
    """Session in IDLE that counts its pushes."""

    def __init__(self, mailbox: int, error: BaseException | None = None) -> None:
        self.session = self
        self.view = FakeView(mailbox)
        self.store = None
        self.mailbox = mailbox
        self.annotated: AccountChange | None = None
        self.channel = self.out = self
        self.waiting = 0
        self.pushed = 0
        self.batches = 1
        """Pushes that it takes to send all updates."""
        self.on_push = lambda: None
        self.error = error

    def push(self) -> bool:
        if self.error is not None:
            raise self.error
        self.on_push()
        self.pushed += 1
        self.batches -= 1
        return self.batches > 0

    def take(self) -> bytes:
        return b""

    def log_fields(self) -> dict[str, str]:
        return {}


class FakePool:
    """Filepool with changes of other processes and nothing else."""

    def __init__(self) -> None:
        self.foreign: set[int] = set()
        self.errors = 0
        self.accounts = self

    def foreign_changes(self) -> set[int]:
        if self.errors:
            self.errors -= 1
            raise StoreUnavailableError("the disk is away")
        foreign, self.foreign = self.foreign, set()
        return foreign

    def accounts_changed(self) -> bool:
        return False


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def services(clock) -> Services:
    return Services(pool=FakePool(), authenticator=None, clock=lambda: 0.0, turns=Turns(clock))


@pytest.fixture
def connections() -> Connections:
    return Connections()


@pytest.fixture
def notifier(services, connections, clock) -> Notifier:
    return Notifier(services, connections, clock=clock)


def idler(services: Services, mailbox: int, error: BaseException | None = None) -> FakeContext:
    context = FakeContext(mailbox, error)
    services.idlers.enter(context)
    return context


def test_clients_with_the_mailbox_selected_are_notified(services, notifier):
    here, there = [idler(services, 1) for _ in range(3)], idler(services, 2)
    notifier.notify({1})
    assert [context.pushed for context in here] == [1, 1, 1]
    assert there.pushed == 0
    notifier.notify({1, 2, 3})
    assert there.pushed == 1


def test_clients_that_watch_annotations_of_the_account_are_notified(services, notifier):
    account, other = AccountChange(AccountId(1)), AccountChange(AccountId(2))
    watching, unselected, silent = FakeContext(1), FakeContext(1), FakeContext(1)
    unselected.mailbox = None
    watching.annotated = unselected.annotated = account
    for context in (watching, unselected, silent):
        services.idlers.enter(context)
    notifier.notify({account, other})
    assert (watching.pushed, unselected.pushed, silent.pushed) == (1, 1, 0)
    notifier.notify({account, 1})  # once, though two changes concern it
    assert (watching.pushed, unselected.pushed, silent.pushed) == (2, 2, 1)
    for context in (watching, unselected, silent):
        services.idlers.leave(context)
    assert not services.idlers.at(account)
    assert len(services.idlers) == 0


async def test_many_pushes_are_made_in_turns(services, notifier, clock, nursery):
    """Each takes half a millisecond: two promptly, then six in a turn of three milliseconds."""
    made = []

    def push() -> None:
        made.append(services.turns.number)
        clock.now += 0.0005

    contexts = [idler(services, 1) for _ in range(38)]
    for context in contexts:
        context.on_push = push
    nursery.start_soon(notifier.push_forever)
    await trio.testing.wait_all_tasks_blocked()
    notifier.notify({1})
    assert made == [0, 0]
    await trio.testing.wait_all_tasks_blocked()
    assert [context.pushed for context in contexts] == [1] * 38
    assert made == [0] * 2 + [turn for turn in range(1, 7) for _ in range(6)]


async def test_client_with_many_updates_is_pushed_to_after_the_others(services, notifier, clock):
    order = []

    def push_of(number: int) -> Callable[[], None]:
        def push() -> None:
            order.append(number)
            clock.now += PROMPT_SECONDS

        return push

    contexts = [idler(services, number) for number in range(3)]
    for number, context in enumerate(contexts):
        context.on_push = push_of(number)
        notifier.push_later(context)
    contexts[0].batches = 3
    for _ in range(5):
        notifier.notify(set())
    assert order == [0, 1, 2, 0, 0]


async def test_client_is_queued_once_however_many_commits_concern_it(services, notifier, clock):
    first, second = idler(services, 1), idler(services, 2)
    first.on_push = second.on_push = lambda: setattr(clock, "now", clock.now + PROMPT_SECONDS)
    first.batches = 1000
    for _ in range(10):
        notifier.notify({2, 1})
    notifier.notify({1})
    assert second.pushed <= 10
    assert len(notifier._due) <= 2


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), type("PanicException", (BaseException,), {})("oh")]
)
def test_internal_error_in_a_push_ends_that_connection_only(
    services, connections, notifier, caplog, error
):
    broken = idler(services, 1, error)
    others = [idler(services, 1) for _ in range(5)]
    connection = FakeConnection()
    connection.context = broken
    connections.enter(connection)
    notifier.notify({1})
    assert [context.pushed for context in others] == [1] * 5
    assert "internal error" in connection.ended[0]
    assert "internal error" in caplog.text


def test_interrupt_in_a_push_is_raised(services, notifier):
    idler(services, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        notifier.notify({1})


async def test_client_that_did_not_read_is_notified_again_when_it_does(services, notifier):
    context = idler(services, 1)
    context.waiting = 100
    notifier.notify({1})
    for _ in range(3):
        await notifier.poll()
    assert context.pushed == 4  # called each time; `Context.push` writes nothing while output waits
    context.waiting = 0
    await notifier.poll()
    assert context.pushed == 5
    await notifier.poll()
    assert context.pushed == 5


async def test_changes_of_other_processes_are_found_within_a_second(
    services, notifier, nursery, autojump_clock
):
    context = idler(services, 7)
    nursery.start_soon(notifier.poll_forever)
    await trio.sleep(POLL_SECONDS * 1.5)
    assert context.pushed == 0
    services.pool.foreign = {7}
    await trio.sleep(POLL_SECONDS)
    assert context.pushed == 1


async def test_disk_that_fails_for_a_while_ends_no_connection(
    services, notifier, nursery, autojump_clock, caplog
):
    context = idler(services, 7)
    services.pool.errors = 3
    services.pool.foreign = {7}
    nursery.start_soon(notifier.poll_forever)
    await trio.sleep(POLL_SECONDS * 3.5)
    assert "the disk is away" in str(caplog.records[0].__dict__)
    assert context.pushed == 0
    await trio.sleep(POLL_SECONDS)
    assert context.pushed == 1


@pytest.mark.parametrize("keep_sessions", [False, True])
async def test_changed_password_ends_the_sessions_of_its_user(tmp_path, connections, keep_sessions):
    await enroll_users(tmp_path / "filepool", ("ada", "grace"))
    async with open_filepool(tmp_path / "filepool") as pool:
        notifier = Notifier(Services(pool=pool, authenticator=None, clock=lambda: 0.0), connections)
        ada, grace, unauthenticated = (FakeConnection() for _ in range(3))
        for name, connection in (("ada", ada), ("grace", grace), (None, unauthenticated)):
            connection.context.session = Session(peer=PEER, tls=True, plain_allowed=False)
            account = None if name is None else pool.accounts.find(name)
            if account is not None:
                connection.context.session.store = pool.account(account)
            connections.enter(connection)
        account = pool.accounts.find("ada")
        await pool.accounts.set_credential(account.id, "new", keep_sessions=keep_sessions)
        await notifier.poll()
        assert ada.ended == ([] if keep_sessions else ["password was changed; log in again"])
        assert grace.ended == unauthenticated.ended == []
