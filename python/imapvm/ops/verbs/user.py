"""`imapvm user …`: enrolment. Works while the server runs, and while it does not."""

import argparse
import datetime
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from imapvm.model.limits import PASSWORD_MAX
from imapvm.ops.errors import FAILED, USAGE, OperatorError
from imapvm.ops.verbs.filepool_option import add_filepool_options, filepool_path

if TYPE_CHECKING:
    from imapvm.filepool.accounts import Account
    from imapvm.filepool.pool import Filepool

Work = Callable[["Filepool", argparse.Namespace], Awaitable[int]]


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verbs."""
    user = verbs.add_parser("user", help="enrol, delete, rename and list users, and their aliases")
    inner = user.add_subparsers(title="verbs", metavar="VERB", required=True)

    enroll = _verb(inner, "enroll", _enroll, "enrol a user: INBOX and the usual folders are made")
    enroll.add_argument(
        "name", type=utf8, metavar="NAME", help="login name: ada, or ada@example.org"
    )
    _add_password(enroll)

    delete = _verb(inner, "delete", _delete, "delete a user with all mail, after asking")
    delete.add_argument("name", type=utf8, metavar="NAME")
    delete.add_argument("--yes", action="store_true", help="do not ask")

    rename = _verb(inner, "rename", _rename, "give a user another login name")
    rename.add_argument("name", type=utf8, metavar="OLD")
    rename.add_argument("new", type=utf8, metavar="NEW")

    listing = _verb(inner, "list", _list, "list the users")
    listing.add_argument("--json", action="store_true", help="as a JSON array of objects")

    password = _verb(inner, "password", _password, "set a user's password")
    password.add_argument("name", type=utf8, metavar="NAME")
    _add_password(password)

    alias = inner.add_parser("alias", help="further addresses of a user")
    aliases = alias.add_subparsers(title="verbs", metavar="VERB", required=True)
    add = _verb(aliases, "add", _alias_add, "deliver mail for ADDRESS to a user")
    add.add_argument("name", type=utf8, metavar="NAME")
    add.add_argument(
        "address", type=utf8, metavar="ADDRESS", help="local@domain, or local in any domain"
    )
    remove = _verb(aliases, "remove", _alias_remove, "forget an alias")
    remove.add_argument("address", type=utf8, metavar="ADDRESS")
    shown = _verb(aliases, "list", _alias_list, "list aliases: of one user, or all")
    shown.add_argument("name", type=utf8, metavar="NAME", nargs="?")


def utf8(text: str) -> str:
    """An argument that is written to the filepool: what was typed in another charset is refused."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise argparse.ArgumentTypeError("it is not UTF-8")
    return text


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, work: Work, text: str
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    add_filepool_options(verb)
    verb.set_defaults(run=_run, work=work)
    return verb


def _add_password(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from the first line of standard input instead of asking",
    )


def _run(arguments: argparse.Namespace) -> int:
    """Open the filepool, do the work, close it."""
    path = filepool_path(arguments)
    work: Work = arguments.work

    import trio

    from imapvm.filepool.pool import open_filepool

    async def opened() -> int:
        async with open_filepool(path) as pool:
            return await work(pool, arguments)

    return trio.run(opened)


def _find(pool: "Filepool", name: str) -> "Account":
    account = pool.accounts.find(name)
    if account is None:
        raise OperatorError(f"there is no user {name}")
    return account


async def _enroll(pool: "Filepool", arguments: argparse.Namespace) -> int:
    if pool.accounts.find(arguments.name) is not None:
        raise OperatorError(f"there is a user {arguments.name} already")
    account = await pool.accounts.enroll(arguments.name, _credential(arguments))
    print(f"enrolled {account.name}")
    return 0


async def _delete(pool: "Filepool", arguments: argparse.Namespace) -> int:
    account = _find(pool, arguments.name)
    if not arguments.yes:
        with pool.account(account).reading() as reader:
            usage = reader.usage()
        _ask(
            f"Delete {account.name} with {usage.messages} messages ({usage.size} octets)"
            f" in {usage.mailboxes} mailboxes, for ever?"
        )
    await pool.accounts.delete(account.id)
    print(f"deleted {account.name}")
    return 0


async def _rename(pool: "Filepool", arguments: argparse.Namespace) -> int:
    account = _find(pool, arguments.name)
    await pool.accounts.rename(account.id, arguments.new)
    print(f"renamed {account.name} to {arguments.new}")
    return 0


async def _list(pool: "Filepool", arguments: argparse.Namespace) -> int:
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
    return 0


async def _password(pool: "Filepool", arguments: argparse.Namespace) -> int:
    account = _find(pool, arguments.name)
    await pool.accounts.set_credential(account.id, _credential(arguments))
    print(f"the password of {account.name} is set")
    return 0


async def _alias_add(pool: "Filepool", arguments: argparse.Namespace) -> int:
    account = _find(pool, arguments.name)
    await pool.accounts.add_alias(account.id, arguments.address)
    print(f"{arguments.address} is {account.name}")
    return 0


async def _alias_remove(pool: "Filepool", arguments: argparse.Namespace) -> int:
    if pool.accounts.by_address(arguments.address) is None:
        raise OperatorError(f"there is no alias {arguments.address}")
    await pool.accounts.remove_alias(arguments.address)
    print(f"{arguments.address} is no alias any more")
    return 0


async def _alias_list(pool: "Filepool", arguments: argparse.Namespace) -> int:
    only = arguments.name
    accounts = pool.accounts.all() if only is None else [_find(pool, only)]
    for account in accounts:
        for address in pool.accounts.aliases(account.id):
            print(f"{address} {account.name}")
    return 0


def _credential(arguments: argparse.Namespace) -> str:
    """The credential of the password that is asked for, or comes by standard input."""
    from imapvm.auth.passwords import hash_password

    try:
        return hash_password(_read_password(from_stdin=arguments.password_stdin))
    except ValueError as error:
        raise OperatorError(str(error)) from None


def _read_password(*, from_stdin: bool) -> bytes:
    if from_stdin:
        line = sys.stdin.buffer.readline(PASSWORD_MAX + 2)
        password = line.removesuffix(b"\n").removesuffix(b"\r")
    elif sys.stdin.isatty():
        password = getpass.getpass("Password: ").encode()
        if getpass.getpass("Once more: ").encode() != password:
            raise OperatorError("the two passwords differ")
    else:
        raise OperatorError("there is no terminal to ask at: use --password-stdin", USAGE)
    return password


def _ask(question: str) -> None:
    """Go on only after "yes" was typed."""
    if not sys.stdin.isatty():
        raise OperatorError("there is no terminal to ask at: use --yes", USAGE)
    if input(f"{question} [yes/no] ").strip().lower() != "yes":
        raise OperatorError("nothing was deleted", FAILED)
