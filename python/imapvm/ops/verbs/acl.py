"""`imapvm acl`: show and change rights on mailboxes; `imapvm group`: groups of users."""

import argparse

from imapvm.ops.arguments import Verbs, add_action, filepool_path, utf8


def add_to(verbs: Verbs) -> None:
    """Declare the verbs; `action` is a key of `imapvm.ops.acls.ACTIONS`."""
    _add_acl(verbs)
    _add_group(verbs)


def _add_acl(verbs: Verbs) -> None:
    text = "show and change the rights of users on mailboxes of others"
    family = verbs.add_parser(
        "acl", help=text, description=f"{text.capitalize()}. The server may be running."
    )
    inner = family.add_subparsers(title="verbs", metavar="VERB", required=True)

    show = _verb(inner, "show", "acl show", "show the rights on mailboxes of a user")
    _add_user(show)
    show.add_argument(
        "mailbox", type=utf8, metavar="MAILBOX", nargs="?", help="default: all that are shared"
    )
    _add_json(show)

    change = _verb(inner, "set", "acl set", "set, add or remove rights of an identifier")
    _add_mailbox(change)
    _add_identifier(change)
    change.add_argument(
        "rights",
        type=utf8,
        metavar="RIGHTS",
        help="letters of lrswipkxtea; +RIGHTS adds to those it has (write -- in front of -RIGHTS)",
    )

    delete = _verb(inner, "delete", "acl delete", "remove all rights of an identifier")
    _add_mailbox(delete)
    _add_identifier(delete)

    seen = _verb(inner, "seen", "acl seen", r"share \Seen among all readers, or keep one for each")
    _add_mailbox(seen)
    seen.add_argument("seen", choices=("shared", "private"), help="default of a mailbox: private")

    shared = _verb(
        inner,
        "shared-account",
        "acl shared-account",
        "show or choose the user whose mailboxes all others see below Shared/",
    )
    chosen = shared.add_mutually_exclusive_group()
    chosen.add_argument("name", type=utf8, metavar="NAME", nargs="?", help="login name")
    chosen.add_argument("--none", action="store_true", help="have no such user")


def _add_group(verbs: Verbs) -> None:
    text = "create, change, list and delete groups of users"
    family = verbs.add_parser(
        "group",
        help=text,
        description=f"{text.capitalize()}. $NAME is the identifier of a group in an ACL.",
    )
    inner = family.add_subparsers(title="verbs", metavar="VERB", required=True)
    create = _verb(inner, "create", "group create", "create a group without members")
    _add_group_name(create)
    delete = _verb(inner, "delete", "group delete", "delete a group and all rights of it")
    _add_group_name(delete)
    for word, text in (("add", "add users to a group"), ("remove", "remove users from a group")):
        verb = _verb(inner, word, f"group {word}", text)
        _add_group_name(verb)
        verb.add_argument("users", type=utf8, metavar="USER", nargs="+", help="login name")
    listing = _verb(inner, "list", "group list", "list all groups with their members")
    _add_json(listing)


def _verb(verbs: Verbs, name: str, action: str, text: str) -> argparse.ArgumentParser:
    return add_action(verbs, name, action, text, _run)


def _add_user(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("user", type=utf8, metavar="USER", help="login name of the owner")


def _add_mailbox(verb: argparse.ArgumentParser) -> None:
    _add_user(verb)
    verb.add_argument("mailbox", type=utf8, metavar="MAILBOX", help="name, such as INBOX")


def _add_identifier(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "identifier",
        type=utf8,
        metavar="IDENTIFIER",
        help="login name, $GROUP or anyone; with - in front (after --): rights to take away",
    )


def _add_group_name(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", type=utf8, metavar="GROUP", help="name of the group, without $")


def _add_json(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="print a JSON array of objects")


def _run(arguments: argparse.Namespace) -> int:
    path = filepool_path(arguments)

    from imapvm.ops.acls import run_action

    return run_action(path, arguments)
