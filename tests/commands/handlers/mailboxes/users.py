"""Users of one filepool."""

from tests.commands.fakes import connection


async def signed_in(pool, name):
    account = pool.accounts.find(name) or await pool.accounts.enroll(name, "x")
    ctx = connection(store=pool.account(account))
    ctx.services.pool = pool
    return ctx
