"""Who is told of a commit, and what happens when telling fails."""

import pytest
import trio
from tests.server.test_connections import FakeConnection

from imapvm.commands.services import Services
from imapvm.filepool.errors import StoreUnavailableError
from imapvm.server.imap.connections import Connections
from imapvm.server.imap.notifier import POLL_SECONDS, Notifier


class FakeView:
    def __init__(self, mailbox: int) -> None:
        self.mailbox = mailbox


class FakeContext:
    """A session in IDLE that counts how often it was told."""

    def __init__(self, mailbox: int, fault: BaseException | None = None) -> None:
        self.session = self
        self.view = FakeView(mailbox)
        self.store = None
        self.mailbox = mailbox
        self.channel = self.out = self
        self.waiting = 0
        self.told = 0
        self.fault = fault

    def push(self) -> None:
        if self.fault is not None:
            raise self.fault
        self.told += 1

    def take(self) -> bytes:
        return b""


class FakePool:
    """A filepool in which only news happens."""

    def __init__(self) -> None:
        self.foreign: set[int] = set()
        self.faults = 0
        self.accounts = self

    def foreign_changes(self) -> set[int]:
        if self.faults:
            self.faults -= 1
            raise StoreUnavailableError("the disk is away")
        foreign, self.foreign = self.foreign, set()
        return foreign

    def accounts_changed(self) -> bool:
        return False


@pytest.fixture
def services() -> Services:
    return Services(pool=FakePool(), authenticator=None, clock=lambda: 0.0)


@pytest.fixture
def connections() -> Connections:
    return Connections()


@pytest.fixture
def notifier(services, connections) -> Notifier:
    return Notifier(services, connections)


def idler(services: Services, mailbox: int, fault: BaseException | None = None) -> FakeContext:
    context = FakeContext(mailbox, fault)
    services.idlers.enter(context)
    return context


def test_those_are_told_who_have_the_mailbox_selected(services, notifier):
    here, there = [idler(services, 1) for _ in range(3)], idler(services, 2)
    notifier.notify({1})
    assert [context.told for context in here] == [1, 1, 1]
    assert there.told == 0
    notifier.notify({1, 2, 3})
    assert there.told == 1


@pytest.mark.parametrize(
    "fault", [ZeroDivisionError(), type("PanicException", (BaseException,), {})("oh")]
)
def test_one_who_cannot_be_told_ends_alone(services, connections, notifier, caplog, fault):
    broken = idler(services, 1, fault)
    others = [idler(services, 1) for _ in range(5)]
    connection = FakeConnection()
    connection.context = broken
    connections.enter(connection)
    notifier.notify({1})
    assert [context.told for context in others] == [1] * 5
    assert "internal error" in connection.ended[0]
    assert "internal error" in caplog.text


def test_an_interrupt_is_not_taken_for_a_mistake(services, notifier):
    idler(services, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        notifier.notify({1})


async def test_who_did_not_read_is_told_again_when_it_does(services, notifier):
    context = idler(services, 1)
    context.waiting = 100
    notifier.notify({1})
    for _ in range(3):
        await notifier.poll()
    assert context.told == 4  # it is asked each time; `Context.push` says nothing while it waits
    context.waiting = 0
    await notifier.poll()
    assert context.told == 5
    await notifier.poll()
    assert context.told == 5


async def test_news_of_other_processes_is_found_within_a_second(
    services, notifier, nursery, autojump_clock
):
    context = idler(services, 7)
    nursery.start_soon(notifier.poll_forever)
    await trio.sleep(POLL_SECONDS * 1.5)
    assert context.told == 0
    services.pool.foreign = {7}
    await trio.sleep(POLL_SECONDS)
    assert context.told == 1


async def test_a_disk_that_fails_for_a_while_ends_nobody(
    services, notifier, nursery, autojump_clock, caplog
):
    context = idler(services, 7)
    services.pool.faults = 3
    services.pool.foreign = {7}
    nursery.start_soon(notifier.poll_forever)
    await trio.sleep(POLL_SECONDS * 3.5)
    assert "the disk is away" in str(caplog.records[0].__dict__)
    assert context.told == 0
    await trio.sleep(POLL_SECONDS)
    assert context.told == 1
