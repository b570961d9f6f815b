"""Filepool in memory, with errors on demand."""

from dataclasses import dataclass, field

import trio

from imapvm._core import MessageEncoder
from imapvm.filepool.accounts import Account
from imapvm.filepool.errors import StoreUnavailableError
from imapvm.filepool.pool import AlreadyDelivered, Delivered, DeliveryRefused
from imapvm.model.stepping import suspend


class FakeAccounts:
    def __init__(self, names):
        self.names = {
            name: Account(number, name, 0, "secret", 0) for number, name in enumerate(names, 1)
        }
        self.addresses = {}

    def find(self, name):
        return self.names.get(name.lower())

    def by_address(self, address):
        name = self.addresses.get(address.lower())
        return self.names.get(name) if name else None


class FakeMessage(bytes):
    """Complete message, with the attributes of NewBody that intake reads."""

    @property
    def size(self):
        return len(self)

    @property
    def metadata(self):
        encoder = MessageEncoder()
        encoder.feed(self)
        return encoder.finish(1, 0)[1]


class FakeBody:
    def __init__(self, pool):
        self.pool = pool
        self.data = b""
        self.discarded = False

    def feed(self, data):
        self.data += data
        return len(self.data) > self.pool.spill_above

    async def spill(self):
        await trio.lowlevel.checkpoint()
        self.pool.spilled += 1
        if self.pool.full:
            raise StoreUnavailableError("The disk is full.")

    def finish(self):
        return FakeMessage(self.data)

    async def discard(self):
        self.discarded = True
        await suspend()
        await trio.lowlevel.checkpoint()


@dataclass
class FakePool:
    """Filepool of some users. `stored` has name, mailbox and data of each delivery, in order."""

    names: tuple[str, ...] = ("ada", "bob", "cyn")
    full: bool = False
    refuses: dict = field(default_factory=dict)
    """FilepoolError by name of the account that it is raised for."""
    spill_above: int = 256 * 1024
    on_deliver: object = None

    def __post_init__(self):
        self.accounts = FakeAccounts(self.names)
        self.stored = []
        self.known = set()
        self.spilled = 0
        self.attempts = 0
        self.bodies = []
        self.batches = []
        self._batch = []

    def new_body(self, *, group):
        self.bodies.append(FakeBody(self))
        return self.bodies[-1]

    async def deliver(self, delivery):
        await suspend()
        self.attempts += 1
        self._batch.append(delivery.id)
        if self.on_deliver is not None:
            await self.on_deliver(self, delivery)
        results = {}
        for account, mailbox in delivery.recipients:
            if self.full:
                reason = StoreUnavailableError("The disk is full.")
                results[account.id] = DeliveryRefused(reason)
            elif account.name in self.refuses:
                results[account.id] = DeliveryRefused(self.refuses[account.name])
            elif (delivery.id, account.id) in self.known:
                results[account.id] = AlreadyDelivered()
            else:
                self.known.add((delivery.id, account.id))
                self.stored.append((account.name, mailbox, delivery.body))
                results[account.id] = Delivered(1, len(self.stored))
        await trio.lowlevel.checkpoint()  # the commit
        if self._batch:
            self.batches.append(self._batch)
            self._batch = []
        return results

    def bodies_of(self, name):
        return [data for user, _, data in self.stored if user == name]


def message_of(data):
    """Return the message as it was sent, without the fields that delivery added."""
    header, _, remaining = data.partition(b"; ")
    assert header.startswith(b"Return-Path: <")
    return remaining.partition(b"\r\n")[2]
