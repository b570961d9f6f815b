"""`imapvm user`: enroll, delete, rename and list users, set passwords, and manage aliases."""

import argparse

from imapvm.ops.arguments import Verbs, add_action, filepool_path, utf8


def add_to(verbs: Verbs) -> None:
    """Declare the verbs; `action` is a key of `imapvm.ops.users.ACTIONS`."""
    text = "enroll, delete, rename and list users; set passwords; manage aliases"
    family = verbs.add_parser(
        "user",
        help=text,
        description=f"{text.capitalize()}. The server may be running.",
    )
    inner = family.add_subparsers(title="verbs", metavar="VERB", required=True)

    enroll = _verb(
        inner, "enroll", "enroll", "enroll a user and create INBOX and the standard mailboxes"
    )
    _add_name(enroll)
    _add_password(enroll)

    delete = _verb(inner, "delete", "delete", "delete a user and all mail of the user")
    _add_name(delete)
    delete.add_argument("--yes", action="store_true", help="do not ask for confirmation")

    rename = _verb(inner, "rename", "rename", "change the login name of a user")
    rename.add_argument("name", type=utf8, metavar="OLD", help="current login name")
    rename.add_argument("new", type=utf8, metavar="NEW", help="new login name")

    listing = _verb(inner, "list", "list", "list all users with their aliases")
    listing.add_argument("--json", action="store_true", help="print a JSON array of objects")

    password = _verb(
        inner, "password", "password", "set the password of a user and end the user's sessions"
    )
    _add_name(password)
    _add_password(password)
    password.add_argument(
        "--keep-sessions", action="store_true", help="do not end the user's sessions"
    )

    text = "add, remove and list aliases: further addresses of a user"
    alias = inner.add_parser("alias", help=text, description=text.capitalize() + ".")
    aliases = alias.add_subparsers(title="verbs", metavar="VERB", required=True)
    add = _verb(aliases, "add", "alias add", "deliver mail for ADDRESS to the user NAME")
    _add_name(add)
    _add_address(add)
    remove = _verb(aliases, "remove", "alias remove", "remove an alias")
    _add_address(remove)
    shown = _verb(aliases, "list", "alias list", "list the aliases of one user or of all users")
    shown.add_argument(
        "name", type=utf8, metavar="NAME", nargs="?", help="login name (default: all users)"
    )


def _verb(verbs: Verbs, name: str, action: str, text: str) -> argparse.ArgumentParser:
    return add_action(verbs, name, action, text, _run)


def _add_name(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "name", type=utf8, metavar="NAME", help="login name, such as ada or ada@example.org"
    )


def _add_address(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "address",
        type=utf8,
        metavar="ADDRESS",
        help="local@domain, or local for every domain",
    )


def _add_password(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from the first line of standard input instead of asking",
    )


def _run(arguments: argparse.Namespace) -> int:
    path = filepool_path(arguments)

    from imapvm.ops.users import run_action

    return run_action(path, arguments)
