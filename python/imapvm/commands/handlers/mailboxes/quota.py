"""GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208).

Each account has one quota root, `#user/NAME`, for all of its mailboxes. Others' roots do not exist
for a user; an administrator reads and changes all of them.
"""

import logging
from typing import Final

from imapvm._core import GetQuota, GetQuotaRoot, SetQuota, imap_string
from imapvm.commands.context import AccountContext
from imapvm.commands.handlers.mailboxes.names import encoded, new_name
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.filepool.store import AccountStore
from imapvm.model.limits import NAMES_PER_ACCOUNT_MAX
from imapvm.model.names import normal_name
from imapvm.model.quota import MAILBOX, UNITS

LOG: Final = logging.getLogger(__name__)

ROOT: Final = "#user/"
"""Start of the name of a quota root; the login name follows."""


def get_quota(ctx: AccountContext, command: GetQuota) -> Done:
    """Write QUOTA of a root (RFC 9208 section 4.1.1)."""
    _write_quota(ctx, _find(ctx, command.root))
    return DONE


def get_quota_root(ctx: AccountContext, command: GetQuotaRoot) -> Done:
    """Write QUOTAROOT and QUOTA of a mailbox, which need not exist (RFC 9208 section 4.1.2).

    A mailbox of another user has no quota root here: its usage is the owner's.
    """
    own = new_name(ctx, command.mailbox)
    name = encoded(ctx, own)
    if not ctx.locate(own)[0].is_own:
        ctx.out.untagged(b"QUOTAROOT " + name)
        return DONE
    ctx.out.untagged(b"QUOTAROOT %b %b" % (name, _root(ctx, ctx.store)))
    _write_quota(ctx, ctx.store)
    return DONE


async def set_quota(ctx: AccountContext, command: SetQuota) -> Done:
    """Set the limits of a root; resources that are not named have none then (section 4.1.3)."""
    if not ctx.is_administrator:
        raise Refusal("only an administrator can set a quota", code="NOPERM")
    limits: dict[str, int | None] = {}
    for resource, limit in command.limits:
        if resource not in UNITS or not _is_offered(ctx, resource):
            raise Refusal("unknown quota resource", code="CANNOT")
        if resource in limits:
            raise Refusal(f"quota resource {resource} is named twice", bad=True)
        limits[resource] = limit
    store = _find(ctx, command.root)
    unnamed = {resource: None for resource in UNITS if _is_offered(ctx, resource)}
    await store.set_quota({**unnamed, **limits})
    LOG.info(
        "quota changed",
        extra={**ctx.session.log_fields(), "owner": store.account.name, "limits": limits},
    )
    _write_quota(ctx, store)
    return DONE


def _find(ctx: AccountContext, root: str) -> AccountStore:
    """Return the account of a quota root.

    Raises:
        Refusal: it does not exist, or it belongs to another user and this one is no administrator.
    """
    name = root.removeprefix(ROOT)
    if name != root:
        if normal_name(name) == normal_name(ctx.store.account.name):
            return ctx.store
        pool = ctx.services.pool
        account = pool.accounts.find(name) if ctx.is_administrator else None
        if account is not None:
            return pool.account(account)
    raise Refusal("quota root does not exist", code="NONEXISTENT")


def _is_offered(ctx: AccountContext, resource: str) -> bool:
    return ctx.session.offers(f"QUOTA=RES-{resource}")


def _root(ctx: AccountContext, store: AccountStore) -> bytes:
    return imap_string((ROOT + store.account.name).encode(), utf8=ctx.session.utf8)


def _write_quota(ctx: AccountContext, store: AccountStore) -> None:
    """Write QUOTA with all resources that are limited.

    Without another limit, that of names of an account is shown as one of MAILBOX (section 3.2,
    "inherent limits").
    """
    with store.reading() as reader:
        quota = reader.quota()
    limits = dict(quota.limits)
    limits[MAILBOX] = min(limits.get(MAILBOX, NAMES_PER_ACCOUNT_MAX), NAMES_PER_ACCOUNT_MAX)
    resources = " ".join(
        f"{resource} {quota.used[resource]} {limits[resource]}"
        for resource in UNITS
        if resource in limits and _is_offered(ctx, resource)
    )
    ctx.out.untagged(b"QUOTA %b (%b)" % (_root(ctx, store), resources.encode()))
