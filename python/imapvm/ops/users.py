"""Actions of `imapvm user`, on an open filepool; another process may have it open as well."""

import argparse
import datetime
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from imapvm.auth.passwords import hash_password
from imapvm.filepool.errors import AccountExistsError
from imapvm.filepool.pool import Filepool
from imapvm.model.limits import PASSWORD_MAX
from imapvm.ops.actions import find_user, run_on_filepool
from imapvm.ops.audit import record
from imapvm.ops.errors import FAILED, USAGE, OperatorError


def run_action(path: Path, arguments: argparse.Namespace) -> int:
    """Open the filepool and run the action of a command line; return the exit code."""
    return run_on_filepool(ACTIONS[arguments.action], path, arguments)


async def enroll(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Enroll a user with the password that is read."""
    name = arguments.name
    if pool.accounts.find(name) is not None:
        raise OperatorError(
            f"cannot enroll {name}: user exists; to set the password: imapvm user password {name}"
        )
    if (owner := pool.accounts.by_address(name)) is not None:
        # Before the password is asked for; the operation checks it again.
        raise OperatorError(
            f"cannot enroll {name}: it is an alias of user {owner.name};"
            f" to remove it: imapvm user alias remove {name}"
        )
    account = await pool.accounts.enroll(name, _read_credential(arguments))
    record("user enrolled", pool.path, user=account.name)
    print(f"enrolled {account.name}")


async def delete(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Delete a user and all mail of the user, after confirmation."""
    account = find_user(pool, arguments.name)
    if not arguments.yes:
        with pool.account(account).reading() as reader:
            usage = reader.usage()
        if not _confirm(
            f"Delete user {account.name} and all mail ({usage.messages} messages,"
            f" {usage.size} bytes, {usage.mailboxes} mailboxes)?"
        ):
            raise OperatorError(f"user {account.name} was not deleted", FAILED)
    await pool.accounts.delete(account.id)
    record("user deleted", pool.path, user=account.name)
    print(f"deleted {account.name}")


async def rename(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Change the login name of a user."""
    account = find_user(pool, arguments.name)
    try:
        await pool.accounts.rename(account.id, arguments.new)
    except AccountExistsError as error:
        raise OperatorError(f"cannot rename {account.name}: {error}") from error
    record("user renamed", pool.path, user=account.name, to=arguments.new)
    print(f"renamed {account.name} to {arguments.new}")


async def list_users(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Print all users: as JSON, or one line each with login name and aliases."""
    accounts = pool.accounts.all()
    if arguments.json:
        rows = [
            {
                "id": account.id,
                "name": account.name,
                "group": account.group,
                "created": datetime.datetime.fromtimestamp(account.created, datetime.UTC).strftime(
                    "%Y-%m-%dT%H:%M:%SZ"
                ),
                "aliases": pool.accounts.aliases(account.id),
            }
            for account in accounts
        ]
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        for account in accounts:
            print(" ".join((account.name, *pool.accounts.aliases(account.id))))


async def set_password(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Set the password of a user to the one that is read."""
    account = find_user(pool, arguments.name)
    await pool.accounts.set_credential(
        account.id, _read_credential(arguments), keep_sessions=arguments.keep_sessions
    )
    record("password changed", pool.path, user=account.name)
    print(f"set the password of {account.name}")


async def add_alias(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Add an alias to a user."""
    account = find_user(pool, arguments.name)
    owner = pool.accounts.by_address(arguments.address)
    if owner is not None and owner.id == account.id:
        print(f"{arguments.address} is an alias of {account.name} already")
        return
    try:
        await pool.accounts.add_alias(account.id, arguments.address)
    except AccountExistsError as error:
        raise OperatorError(f"cannot add alias {arguments.address}: {error}") from error
    record("alias added", pool.path, user=account.name, alias=arguments.address)
    print(f"added alias {arguments.address} for {account.name}")


async def remove_alias(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Remove an alias."""
    account = pool.accounts.by_address(arguments.address)
    if account is None:
        raise OperatorError(
            f"alias {arguments.address} does not exist; 'imapvm user alias list' lists all aliases"
        )
    await pool.accounts.remove_alias(arguments.address)
    record("alias removed", pool.path, user=account.name, alias=arguments.address)
    print(f"removed alias {arguments.address}")


async def list_aliases(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Print the aliases of one user or of all users, one line each: address, login name."""
    name = arguments.name
    accounts = pool.accounts.all() if name is None else [find_user(pool, name)]
    for account in accounts:
        for address in pool.accounts.aliases(account.id):
            print(f"{address} {account.name}")


ACTIONS: Final[dict[str, Callable[[Filepool, argparse.Namespace], Awaitable[None]]]] = {
    "enroll": enroll,
    "delete": delete,
    "rename": rename,
    "list": list_users,
    "password": set_password,
    "alias add": add_alias,
    "alias remove": remove_alias,
    "alias list": list_aliases,
}
"""Actions by the words of the command line after `imapvm user`."""


def _read_credential(arguments: argparse.Namespace) -> str:
    """Read a password and return its hash.

    Raises:
        OperatorError: there is no password to read, or it is not acceptable.
    """
    try:
        return hash_password(_read_password(from_stdin=arguments.password_stdin))
    except ValueError as error:
        raise OperatorError(str(error)) from None


def _read_password(*, from_stdin: bool) -> bytes:
    if from_stdin:
        line = sys.stdin.buffer.readline(PASSWORD_MAX + 2)
        return line.removesuffix(b"\n").removesuffix(b"\r")
    if not sys.stdin.isatty():
        raise OperatorError(
            "cannot ask for a password: standard input is not a terminal; use --password-stdin",
            USAGE,
        )
    password = getpass.getpass("Password: ").encode()
    if getpass.getpass("Repeat password: ").encode() != password:
        raise OperatorError("cannot set the password: the two passwords differ")
    return password


def _confirm(question: str) -> bool:
    """Ask a question; return whether the answer is "yes"."""
    if not sys.stdin.isatty():
        raise OperatorError(
            "cannot ask for confirmation: standard input is not a terminal; use --yes", USAGE
        )
    return input(f"{question} [yes/no] ").strip().lower() == "yes"
