"""Mailbox names as clients write them, and as they are answered."""

from imapvm._core import mailbox_name
from imapvm.commands.context import Context
from imapvm.commands.outcome import Refusal
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import Mailbox
from imapvm.model.names import DELIMITER, canonical_name, name_error


def wanted_mailbox(reader: Reader, name: str) -> Mailbox:
    """The mailbox of a name, in whatever case INBOX and whatever form the rest is written.

    Raises:
        Refusal: there is none.
    """
    mailbox = reader.mailbox(canonical_name(name))
    if mailbox is None:
        raise Refusal("there is no such mailbox", code="NONEXISTENT")
    return mailbox


def mailbox_id(mailbox: Mailbox) -> str:
    """OBJECTID (RFC 8474 section 4): an id is never reused in its account."""
    return f"F{mailbox.id}"


def new_name(name: str) -> str:
    """The name a mailbox or subscription gets; a delimiter at the end only announces children.

    Raises:
        Refusal: no mailbox can have it.
    """
    canonical = canonical_name(name.removesuffix(DELIMITER))
    fault = name_error(canonical)
    if fault is not None:
        raise Refusal(fault, code="CANNOT")
    return canonical


def written(ctx: Context, name: str) -> bytes:
    """A mailbox name as this client reads it."""
    return mailbox_name(name, utf8=ctx.session.utf8)


def tell_normalized(
    ctx: Context, supplied: str, name: str, attributes: bytes = b"", *, old: str | None = None
) -> None:
    """Say LIST with OLDNAME where a client wrote a name in another form than it has here.

    RFC 9051 section 6.3.9.7; in IMAP4rev1 a client would not know what to do with it.

    Args:
        ctx: who is told.
        supplied: as the client wrote it.
        name: what it became.
        attributes: of the mailbox.
        old: for RENAME, the name that OLDNAME is to hold.
    """
    if ctx.session.rev2 and supplied.removesuffix(DELIMITER) != name:
        was = written(ctx, supplied if old is None else old)
        line = b'LIST (%b) "%b" %b ("OLDNAME" (%b))'
        ctx.out.untagged(line % (attributes, DELIMITER.encode(), written(ctx, name), was))
