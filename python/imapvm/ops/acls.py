"""Actions of `imapvm acl` and `imapvm group`, on an open filepool; the server may be running."""

import argparse
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from imapvm.filepool.errors import AccountExistsError, InvalidNameError, UnknownGrantError
from imapvm.filepool.pool import Filepool
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import AccountStore, Mailbox
from imapvm.model.names import canonical_name
from imapvm.model.rights import (
    NO_RIGHTS,
    Grantee,
    GranteeKind,
    Rights,
    RightsChange,
    parse_change,
    prepare_identifier,
)
from imapvm.ops.actions import find_user, run_on_filepool
from imapvm.ops.audit import record
from imapvm.ops.errors import USAGE, OperatorError


def run_action(path: Path, arguments: argparse.Namespace) -> int:
    """Open the filepool and run the action of a command line; return the exit code."""
    return run_on_filepool(ACTIONS[arguments.action], path, arguments)


def _find_mailbox(pool: Filepool, user: str, name: str) -> tuple[AccountStore, Mailbox]:
    store = pool.account(find_user(pool, user))
    with store.reading() as reader:
        mailbox = reader.mailbox(canonical_name(name))
    if mailbox is None:
        raise OperatorError(f"user {user} has no mailbox {name}")
    return store, mailbox


# --- ACLs ---------------------------------------------------------------------------------------


async def show(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Print the ACL of one mailbox, or of all mailboxes of a user that are shared."""
    if arguments.mailbox is not None:
        store, mailbox = _find_mailbox(pool, arguments.user, arguments.mailbox)
        mailboxes = [mailbox]
    else:
        store = pool.account(find_user(pool, arguments.user))
        with store.reading() as reader:
            mailboxes = reader.mailboxes()
    rows: list[dict[str, Any]] = []
    with store.reading() as reader:
        for mailbox in mailboxes:
            entries = _entries(pool, reader, mailbox)
            if entries or arguments.mailbox is not None:
                seen = "shared" if reader.shares_seen(mailbox.id) else "private"
                rows.append({"mailbox": mailbox.name, "seen": seen, "acl": entries})
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        print(rf"{row['mailbox']}  \Seen {row['seen']}")
        for entry in row["acl"]:
            print(f"    {entry['identifier']} {entry['rights']}")


def _entries(pool: Filepool, reader: Reader, mailbox: Mailbox) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for entry in reader.acl(mailbox.id):
        identifier = pool.accounts.identifier(entry.grantee)
        if identifier is None:
            continue  # of a user or group that was deleted
        for sign, rights in (("", entry.granted), ("-", entry.removed)):
            if rights:
                found.append({"identifier": sign + identifier, "rights": str(rights)})
    return found


async def set_rights(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Set, add or remove rights of an identifier."""
    try:
        change, rights = parse_change(arguments.rights)
    except ValueError as error:
        raise OperatorError(f"cannot set rights: {error}; rights are lrswipkxtea", USAGE) from None
    await _change(pool, arguments, change, rights)


async def delete(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Remove all rights of an identifier."""
    await _change(pool, arguments, RightsChange.REPLACE, NO_RIGHTS)


async def _change(
    pool: Filepool, arguments: argparse.Namespace, change: RightsChange, rights: Rights
) -> None:
    store, mailbox = _find_mailbox(pool, arguments.user, arguments.mailbox)
    try:
        grantee, negative = pool.accounts.grantee(prepare_identifier(arguments.identifier))
    except (UnknownGrantError, ValueError) as error:
        raise OperatorError(
            f"cannot set rights: {error}; 'imapvm user list' and 'imapvm group list' list all"
        ) from error
    if grantee == Grantee(GranteeKind.USER, store.account.id):
        raise OperatorError(f"cannot set rights: {store.account.name} owns the mailbox")
    entry = await store.set_rights(mailbox.id, grantee, change, rights, negative=negative)
    after = entry.removed if negative else entry.granted
    record(
        "rights changed",
        pool.path,
        user=store.account.name,
        mailbox=mailbox.name,
        identifier=arguments.identifier,
        rights=str(after),
    )
    print(f"{mailbox.name} of {store.account.name}: {arguments.identifier} {after or 'no rights'}")


async def set_seen(pool: Filepool, arguments: argparse.Namespace) -> None:
    r"""Choose one \Seen for all readers of a mailbox, or one for each."""
    store, mailbox = _find_mailbox(pool, arguments.user, arguments.mailbox)
    await store.set_shared_seen(mailbox.id, shared=arguments.seen == "shared")
    record(
        "seen changed",
        pool.path,
        user=store.account.name,
        mailbox=mailbox.name,
        seen=arguments.seen,
    )
    print(rf"{mailbox.name} of {store.account.name}: \Seen is {arguments.seen}")


async def choose_shared_account(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Show or choose the user whose mailboxes are below `Shared/`."""
    if arguments.none:
        await pool.accounts.set_shared_account(None)
        record("shared account changed", pool.path, user=None)
    elif arguments.name is not None:
        account = find_user(pool, arguments.name)
        await pool.accounts.set_shared_account(account.id)
        record("shared account changed", pool.path, user=account.name)
    shared = pool.accounts.shared_account()
    print("no shared account" if shared is None else shared.name)


# --- groups of users ------------------------------------------------------------------------------


def _find_group(pool: Filepool, name: str) -> int:
    group = pool.accounts.group_id(name)
    if group is None:
        raise OperatorError(f"group {name} does not exist; 'imapvm group list' lists all groups")
    return group


async def create_group(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Create a group without members."""
    try:
        await pool.accounts.add_user_group(arguments.name)
    except (AccountExistsError, InvalidNameError) as error:
        raise OperatorError(f"cannot create group {arguments.name}: {error}") from error
    record("group created", pool.path, group=arguments.name)
    print(f"created group {arguments.name}")


async def delete_group(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Delete a group and all rights of it."""
    await pool.accounts.remove_user_group(_find_group(pool, arguments.name))
    record("group deleted", pool.path, group=arguments.name)
    print(f"deleted group {arguments.name}")


async def add_members(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Add users to a group."""
    await _set_members(pool, arguments, member=True)


async def remove_members(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Remove users from a group."""
    await _set_members(pool, arguments, member=False)


async def _set_members(pool: Filepool, arguments: argparse.Namespace, *, member: bool) -> None:
    group = _find_group(pool, arguments.name)
    accounts = [find_user(pool, name) for name in arguments.users]
    for account in accounts:
        await pool.accounts.set_member(group, account.id, member=member)
        event = "member added" if member else "member removed"
        record(event, pool.path, group=arguments.name, user=account.name)
        print(f"{'added' if member else 'removed'} {account.name}")


async def list_groups(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Print all groups with their members."""
    names = {account.id: account.name for account in pool.accounts.all()}
    rows = [
        {
            "group": name,
            "members": [names[member] for member in pool.accounts.members(group)],
        }
        for group, name in pool.accounts.user_groups().items()
    ]
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        print(" ".join((str(row["group"]), *row["members"])))


ACTIONS: Final[dict[str, Callable[[Filepool, argparse.Namespace], Awaitable[None]]]] = {
    "acl show": show,
    "acl set": set_rights,
    "acl delete": delete,
    "acl seen": set_seen,
    "acl shared-account": choose_shared_account,
    "group create": create_group,
    "group delete": delete_group,
    "group add": add_members,
    "group remove": remove_members,
    "group list": list_groups,
}
"""Actions by the words of the command line."""
