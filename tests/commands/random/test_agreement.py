"""Many clients at random; afterwards all have the same mailbox."""

import random

import pytest
from tests.commands.fakes import NoAccounts, connection, send
from tests.commands.random.random_clients import (
    Client,
    Ledger,
    agree,
    agree_on_recent,
    at_once,
    by_turns,
)

from imapvm.commands.services import Services


class FakeLink:
    """Connection without a socket."""

    def __init__(self, store, pool) -> None:
        self._ctx = connection(store=store)
        self._ctx.services = Services(pool=pool, authenticator=NoAccounts(), clock=lambda: 0.0)

    async def send(self, data: bytes) -> list[str]:
        return await send(self._ctx, data)

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("acting", [by_turns, at_once])
async def test_clients_agree_after_random_commands(signed_in, acting, seed):
    store, pool = signed_in.session.store, signed_in.services.pool
    ledger = Ledger(b"INBOX", b"Drafts", b"Work", in_turns=acting is by_turns)

    async def connect() -> FakeLink:
        return FakeLink(store, pool)

    clients = [
        Client(f"c{n}x", connect, ledger, rev2=n in (3, 4), qresync=n in (2, 4)) for n in range(5)
    ]
    observer = Client("observer", connect, ledger, rev2=False)
    for client in clients:
        await client.start()
    await acting(clients, random.Random(seed))
    await agree(clients)
    await observer.start(read_only=True)
    await agree_on_recent(clients, observer)
