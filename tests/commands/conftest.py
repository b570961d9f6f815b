from collections.abc import AsyncIterator

import pytest
from tests.commands.fakes import connection

from imapvm.commands.context import Context
from imapvm.filepool.pool import create_filepool, open_filepool


@pytest.fixture
async def signed_in(tmp_path) -> AsyncIterator[Context]:
    """Yield a connection of alice, with her own filepool."""
    create_filepool(tmp_path / "filepool")
    async with open_filepool(tmp_path / "filepool") as pool:
        account = await pool.accounts.enroll("alice", "x")
        ctx = connection(store=pool.account(account))
        ctx.services.pool = pool
        yield ctx
