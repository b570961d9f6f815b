"""Mailbox names: from clients, and in responses.

`existing_name` and `new_name` are the only places where a name of a client becomes the name of a
mailbox.
"""

from imapvm._core import decode_utf7, mailbox_name
from imapvm.commands.context import AccountContext, Context
from imapvm.commands.list_lines import list_line
from imapvm.commands.outcome import Refusal
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import AccountStore, Mailbox
from imapvm.model.ids import MailboxId
from imapvm.model.names import DELIMITER, RESERVED_NAMES, canonical_name, name_error, parents
from imapvm.model.rights import Rights


def existing_name(ctx: Context, reader: Reader, name: str) -> str:
    """Return the canonical form of a name: INBOX in upper case, Unicode normalization form C.

    Lenient: after ENABLE UTF8=ACCEPT, a name in modified UTF-7 if none exists as given, and one
    exists as decoded. Sent by: mail programs for Android of 2025.
    """
    return _meant(ctx, reader, name, new=False)


def _meant(ctx: Context, reader: Reader, name: str, *, new: bool) -> str:
    """Decode a name if that is what a client meant; for a `new` name also if its parent exists."""
    canonical = canonical_name(name)
    if not ctx.session.utf8 or "&" not in name:
        return canonical
    decoded = decode_utf7(name)
    if decoded is None or decoded == name or reader.is_in_use(canonical):
        return canonical
    decoded = canonical_name(decoded)
    above = parents(decoded)[-1:] if new else []
    return decoded if any(reader.is_in_use(each) for each in [decoded, *above]) else canonical


def find_mailbox(ctx: Context, reader: Reader, name: str, needed: Rights = Rights.READ) -> Mailbox:
    """Return the mailbox with a name of the client, without the prefix of its store.

    Args:
        ctx: the user.
        reader: of the store that `AccountContext.locate` returns.
        name: in that store.
        needed: rights that the command needs.

    Raises:
        Refusal: it does not exist, or the user cannot see it.
        PermissionDeniedError: the user can see it and has not the rights.
    """
    mailbox = reader.find(existing_name(ctx, reader, name), needed)
    if mailbox is None:
        raise Refusal("mailbox does not exist", code="NONEXISTENT")
    return mailbox


def can_read(store: AccountStore, mailbox: MailboxId) -> bool:
    """Return True if the user can read a mailbox, and so be sent UIDs of it."""
    with store.reading() as reader:
        return Rights.READ in reader.rights(mailbox)


def mailbox_id(mailbox: Mailbox) -> str:
    """Return the OBJECTID (RFC 8474 section 4): an id is never reused in its account."""
    if mailbox.shared_by:
        return f"F{mailbox.shared_by}_{mailbox.id}"
    return f"F{mailbox.id}"


def new_name(ctx: AccountContext, name: str) -> str:
    """Return the name for a new mailbox or subscription, without a delimiter at its end.

    Lenient: as in `existing_name`, and also if the parent of the decoded name exists, so that
    there are never two mailboxes with both forms of a name.

    Raises:
        Refusal: the name is not allowed.
    """
    store, local = ctx.locate(name.removesuffix(DELIMITER))
    with store.reading() as reader:
        canonical = store.prefix + _meant(ctx, reader, local, new=True)
    error = name_error(canonical)
    if canonical in RESERVED_NAMES:
        error = f"{canonical} is above the mailboxes of others"
    if error is not None:
        raise Refusal(error, code="CANNOT")
    return canonical


def encoded(ctx: Context, name: str) -> bytes:
    """Return a mailbox name in this client's encoding."""
    return mailbox_name(name, utf8=ctx.session.utf8)


def write_old_name(
    ctx: Context, supplied: str, name: str, *attributes: str, old: str | None = None
) -> None:
    """Write LIST with OLDNAME if the client's name was normalized (RFC 9051 section 6.3.9.7).

    Not for IMAP4rev1, which has no OLDNAME.

    Args:
        ctx: gets the response.
        supplied: the client's name.
        name: the normalized name.
        attributes: of the mailbox.
        old: the name in OLDNAME, if it is not `supplied` (RENAME).
    """
    if ctx.session.rev2 and supplied.removesuffix(DELIMITER) != name:
        old_name = encoded(ctx, supplied if old is None else old)
        ctx.out.untagged(list_line(b"LIST", attributes, encoded(ctx, name), old=old_name))
