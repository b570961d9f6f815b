"""Actions of `imapvm quota`, on an open filepool; the server may have it open as well."""

import argparse
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from imapvm.filepool.accounts import Account
from imapvm.filepool.pool import Filepool
from imapvm.filepool.store import Quota
from imapvm.model.quota import MAILBOX, MESSAGE, UNITS, Limits
from imapvm.ops.actions import find_user, run_on_filepool
from imapvm.ops.arguments import QUOTA_OPTIONS
from imapvm.ops.audit import record
from imapvm.ops.errors import USAGE, OperatorError


def run_action(path: Path, default: Limits | None, arguments: argparse.Namespace) -> int:
    """Open the filepool and run the action of a command line; return the exit code.

    Args:
        path: the filepool.
        default: limits of the configuration; None if it was not read.
        arguments: of the command line.
    """
    return run_on_filepool(ACTIONS[arguments.action], path, arguments, quota=default)


def _accounts(pool: Filepool, name: str | None) -> list[Account]:
    """Return one account, or all by name."""
    if name is None:
        return sorted(pool.accounts.all(), key=lambda account: account.name)
    return [find_user(pool, name)]


def _quota(pool: Filepool, account: Account) -> Quota:
    with pool.account(account).reading() as reader:
        return reader.quota()


async def show(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Print usage and limits: as JSON, or one line for each user."""
    accounts = _accounts(pool, arguments.name)
    if arguments.json:
        rows = [
            {"name": account.name, "resources": _json(_quota(pool, account))}
            for account in accounts
        ]
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for account in accounts:
        print(f"{account.name}: {_text(_quota(pool, account))}")


def _json(quota: Quota) -> dict[str, dict[str, int | bool | None]]:
    return {
        resource: {
            "used": quota.used[resource],
            "limit": quota.limits.get(resource),
            "unit_bytes": None if resource in {MESSAGE, MAILBOX} else UNITS[resource],
            "is_default": resource not in quota.own,
        }
        for resource in UNITS
    }


def _text(quota: Quota) -> str:
    """Return all resources: `STORAGE 104 of 10240 KiB, MESSAGE 3, …`."""
    parts = []
    for resource in UNITS:
        limit = quota.limits.get(resource)
        text = f"{resource} {quota.used[resource]}"
        if limit is not None:
            text += f" of {limit}"
        if resource not in {MESSAGE, MAILBOX}:
            text += " KiB"
        if limit is not None and resource not in quota.own:
            text += " (default)"
        elif limit is None and resource in quota.own:
            text += " (no limit)"
        parts.append(text)
    return ", ".join(parts)


async def set_limits(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Set the limits that the command line names; the others stay."""
    named = {
        resource: getattr(arguments, word.replace("-", "_"))
        for word, resource in QUOTA_OPTIONS.items()
        if hasattr(arguments, word.replace("-", "_"))
    }
    if not named:
        options = ", ".join(f"--{word}" for word in QUOTA_OPTIONS)
        raise OperatorError(f"cannot set quota of {arguments.name}: use {options}", USAGE)
    (account,) = _accounts(pool, arguments.name)
    await pool.account(account).set_quota(named)
    limits = {resource: "none" if limit is None else limit for resource, limit in named.items()}
    record("quota changed", pool.path, user=account.name, **_fields(limits))
    print(f"{account.name}: {_text(_quota(pool, account))}")


async def unset(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Return to the default for some resources, or for all."""
    (account,) = _accounts(pool, arguments.name)
    resources = [QUOTA_OPTIONS[word] for word in arguments.resources] or list(UNITS)
    await pool.account(account).set_quota({}, unset=resources)
    defaults = dict.fromkeys(resources, "default")
    record("quota changed", pool.path, user=account.name, **_fields(defaults))
    print(f"{account.name}: {_text(_quota(pool, account))}")


def _fields(limits: Mapping[str, int | str]) -> dict[str, object]:
    """Return limits as fields of an audit line: `storage=10240`."""
    words = {resource: word.replace("-", "_") for word, resource in QUOTA_OPTIONS.items()}
    return {words[resource]: limit for resource, limit in limits.items()}


async def recalculate(pool: Filepool, arguments: argparse.Namespace) -> None:
    """Count the usage again; print what was corrected, and audit it."""
    rows = []
    for account in _accounts(pool, arguments.name):
        recounted = await pool.account(account).recount_usage()
        before, after = recounted.before, recounted.after
        if recounted.corrected:
            record("usage corrected", pool.path, user=account.name, **after)
        rows.append(
            {"name": account.name, "corrected": recounted.corrected, "before": before, **after}
        )
        if not arguments.json:
            counts = f"{after['messages']} messages, {after['size']} bytes"
            counts += f", {after['mailboxes']} mailboxes"
            was = f"; was {before['messages']}, {before['size']}, {before['mailboxes']}"
            print(f"{account.name}: {counts}{was if recounted.corrected else ''}")
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))


ACTIONS: Final[dict[str, Callable[[Filepool, argparse.Namespace], Awaitable[None]]]] = {
    "show": show,
    "set": set_limits,
    "unset": unset,
    "recalculate": recalculate,
}
"""Actions by the words of the command line after `imapvm quota`."""
