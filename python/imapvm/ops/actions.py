"""Actions of a command line on an open filepool, and the users that they name."""

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import trio

from imapvm.filepool.accounts import Account
from imapvm.filepool.pool import Filepool, open_filepool
from imapvm.model.quota import Limits
from imapvm.ops.errors import OperatorError

Action: TypeAlias = Callable[[Filepool, argparse.Namespace], Awaitable[None]]


def run_on_filepool(
    action: Action, path: Path, arguments: argparse.Namespace, *, quota: Limits | None = None
) -> int:
    """Open a filepool and run an action; return the exit code.

    Args:
        action: the action.
        path: the filepool.
        arguments: of the command line.
        quota: limits of the configuration; None if it was not read.
    """

    async def run() -> None:
        async with open_filepool(path, quota=quota or {}) as pool:
            await action(pool, arguments)

    trio.run(run)
    return 0


def find_user(pool: Filepool, name: str) -> Account:
    """Return the account of a user.

    Raises:
        OperatorError: it does not exist.
    """
    account = pool.accounts.find(name)
    if account is None:
        raise OperatorError(f"user {name} does not exist; 'imapvm user list' lists all users")
    return account
