"""Many clients at random; afterwards all have the same mailbox."""

import random
from functools import partial

import pytest
from tests.commands.fakes import NoAccounts, connection, send
from tests.commands.random_clients import Client, agree, at_once, by_turns

from imapvm.commands.services import Services


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("acting", [by_turns, at_once])
async def test_clients_agree_after_random_commands(signed_in, acting, seed):
    chance = random.Random(seed)
    store, pool = signed_in.session.store, signed_in.services.pool
    clients = []
    for index in range(4):
        ctx = connection(store=store)
        ctx.services = Services(pool=pool, authenticator=NoAccounts(), clock=lambda: 0.0)
        client = Client(f"c{index}x", partial(send, ctx), rev2=bool(index % 2))
        if client.rev2:
            await client.do(b"ENABLE IMAP4rev2")
        await client.do(b"SELECT INBOX")
        clients.append(client)
    await acting(clients, chance)
    await agree(clients)
