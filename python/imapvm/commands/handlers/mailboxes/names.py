"""Mailbox names: from clients, and in responses."""

from imapvm._core import mailbox_name
from imapvm.commands.context import Context
from imapvm.commands.outcome import Refusal
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import Mailbox
from imapvm.model.names import DELIMITER, canonical_name, name_error


def find_mailbox(reader: Reader, name: str) -> Mailbox:
    """Return the mailbox with a name, given in any case of INBOX and any Unicode form.

    Raises:
        Refusal: it does not exist.
    """
    mailbox = reader.mailbox(canonical_name(name))
    if mailbox is None:
        raise Refusal("mailbox does not exist", code="NONEXISTENT")
    return mailbox


def mailbox_id(mailbox: Mailbox) -> str:
    """Return the OBJECTID (RFC 8474 section 4): an id is never reused in its account."""
    return f"F{mailbox.id}"


def new_name(name: str) -> str:
    """Return the name for a new mailbox or subscription, without a delimiter at its end.

    Raises:
        Refusal: the name is not allowed.
    """
    canonical = canonical_name(name.removesuffix(DELIMITER))
    error = name_error(canonical)
    if error is not None:
        raise Refusal(error, code="CANNOT")
    return canonical


def encoded(ctx: Context, name: str) -> bytes:
    """Return a mailbox name in this client's encoding."""
    return mailbox_name(name, utf8=ctx.session.utf8)


def write_old_name(
    ctx: Context, supplied: str, name: str, attributes: bytes = b"", *, old: str | None = None
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
        line = b'LIST (%b) "%b" %b ("OLDNAME" (%b))'
        ctx.out.untagged(line % (attributes, DELIMITER.encode(), encoded(ctx, name), old_name))
