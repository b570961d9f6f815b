"""SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 section 3).

Rights are checked by the store of the mailbox. The owner has all rights, always; no entry changes
them.
"""

import re
from typing import Final

from imapvm._core import DeleteAcl, GetAcl, ListRights, MyRights, SetAcl, imap_string
from imapvm.commands.context import AccountContext, Context
from imapvm.commands.handlers.mailboxes.names import encoded, find_mailbox
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.filepool.accounts import Account
from imapvm.filepool.store import Mailbox
from imapvm.model.rights import (
    ALL_RIGHTS,
    LETTERS,
    NO_RIGHTS,
    VIRTUAL,
    Grantee,
    GranteeKind,
    Rights,
    RightsChange,
    parse_change,
    prepare_identifier,
)

ATOM: Final = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
"""`1*ASTRING-CHAR` (RFC 9051 section 9)."""
ENTRIES_PER_STEP: Final = 64
"""Entries of an ACL whose identifiers are looked up at a time, in about half a millisecond."""
GRANTABLE: Final = " ".join((*LETTERS, *VIRTUAL))
"""Rights that can be granted, each by itself (RFC 4314 section 2.1.1)."""


async def set_acl(ctx: AccountContext, command: SetAcl) -> Done:
    """Change the rights of an identifier."""
    identifier = _identifier(command.identifier)
    try:
        change, rights = parse_change(command.rights.decode("utf-8", "replace"))
    except ValueError as error:
        raise Refusal(str(error), bad=True) from None
    await _change(ctx, command.mailbox, identifier, change, rights)
    return DONE


async def delete_acl(ctx: AccountContext, command: DeleteAcl) -> Done:
    """Remove an identifier; OK also if it had no rights."""
    identifier = _identifier(command.identifier)
    await _change(ctx, command.mailbox, identifier, RightsChange.REPLACE, NO_RIGHTS)
    return DONE


async def get_acl(ctx: AccountContext, command: GetAcl) -> Done:
    """Write the ACL, the owner first, positive rights of an identifier before negative ones."""
    store, name = ctx.locate(command.mailbox)
    with store.reading() as reader:
        mailbox = find_mailbox(ctx, reader, name, Rights.ADMINISTER)
        entries = reader.acl(mailbox.id)
    accounts = ctx.services.pool.accounts
    words = [_pair(store.account.name, ALL_RIGHTS)]
    for number, entry in enumerate(entries, 1):
        if number % ENTRIES_PER_STEP == 0:
            await ctx.yield_control()
        identifier = accounts.identifier(entry.grantee)
        if identifier is None:
            continue  # of a user or group that was deleted
        if entry.granted:
            words.append(_pair(identifier, entry.granted))
        if entry.removed:
            words.append(_pair(f"-{identifier}", entry.removed))
    ctx.out.untagged(b"ACL %b %b" % (encoded(ctx, mailbox.name), b" ".join(words)))
    return DONE


def list_rights(ctx: AccountContext, command: ListRights) -> Done:
    """Write the rights that an identifier always has, and those that it can be granted."""
    identifier = _identifier(command.identifier)
    store, name = ctx.locate(command.mailbox)
    with store.reading() as reader:
        mailbox = find_mailbox(ctx, reader, name, Rights.ADMINISTER)
    grantee, negative = ctx.services.pool.accounts.grantee(identifier)
    of_owner = _is_owner(grantee, store.account) and not negative
    rights = str(ALL_RIGHTS) if of_owner else f'"" {GRANTABLE}'
    ctx.out.untagged(
        b"LISTRIGHTS %b %b %b"
        % (encoded(ctx, mailbox.name), _astring(command.identifier), rights.encode())
    )
    return DONE


def my_rights(ctx: AccountContext, command: MyRights) -> Done:
    """Write the rights of the user."""
    store, name = ctx.locate(command.mailbox)
    with store.reading() as reader:
        mailbox = find_mailbox(ctx, reader, name, NO_RIGHTS)
        write_my_rights(ctx, mailbox, reader.rights(mailbox.id))
    return DONE


def write_my_rights(ctx: Context, mailbox: Mailbox, rights: Rights) -> None:
    """Write MYRIGHTS of a mailbox; for LIST as well (RFC 8440 section 3)."""
    ctx.out.untagged(b"MYRIGHTS %b %b" % (encoded(ctx, mailbox.name), _rights(rights)))


async def _change(
    ctx: AccountContext, name: str, identifier: str, change: RightsChange, rights: Rights
) -> None:
    """Change the ACL of a mailbox.

    Raises:
        Refusal: NO, if the identifier is of the owner, whose rights cannot be changed.
        UnknownGrantError: there is no such user or group.
    """
    store, name = ctx.locate(name)
    with store.reading() as reader:  # an unknown identifier is reported to administrators only
        mailbox = find_mailbox(ctx, reader, name, Rights.ADMINISTER)
    grantee, negative = ctx.services.pool.accounts.grantee(identifier)
    if _is_owner(grantee, store.account):
        after = change.apply(NO_RIGHTS if negative else ALL_RIGHTS, rights)
        if after != (NO_RIGHTS if negative else ALL_RIGHTS):
            raise Refusal("the owner of a mailbox has all rights", code="CANNOT")
        return
    await store.set_rights(mailbox.id, grantee, change, rights, negative=negative)


def _is_owner(grantee: Grantee, owner: Account) -> bool:
    return grantee == Grantee(GranteeKind.USER, owner.id)


def _identifier(received: bytes) -> str:
    """Return an identifier, prepared (RFC 4314 section 3).

    Raises:
        Refusal: BAD, if it cannot be prepared.
    """
    try:
        return prepare_identifier(received.decode())
    except ValueError as error:
        reason = "identifier is not UTF-8" if isinstance(error, UnicodeError) else str(error)
        raise Refusal(reason, bad=True) from None


def _pair(identifier: str, rights: Rights) -> bytes:
    return b"%b %b" % (_astring(identifier.encode()), _rights(rights))


def _astring(text: bytes) -> bytes:
    """Return an atom where the identifier is one: some clients do not remove quotes."""
    return text if ATOM.fullmatch(text) else imap_string(text)


def _rights(rights: Rights) -> bytes:
    return str(rights).encode() or b'""'
