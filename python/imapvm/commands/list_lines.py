"""LIST responses, of commands and of NOTIFY (RFC 9051 section 7.3.1, RFC 3348, RFC 6154)."""

from collections.abc import Iterable
from typing import Final

from imapvm.filepool.store import Mailbox
from imapvm.model.names import DELIMITER

_LINE: Final = b'%%b (%%b) "%b" %%b' % DELIMITER.encode()


def attributes_of(
    mailbox: Mailbox | None,
    *,
    rev1: bool,
    subscribed: bool,
    has_children: bool | None,
    special_use: bool = True,
) -> list[str]:
    r"""Return the attributes of a name.

    Args:
        mailbox: the mailbox of the name, if it has one.
        rev1: True for a basic LIST of IMAP4rev1: a name without a mailbox is \Noselect.
        subscribed: True to return \Subscribed.
        has_children: True if there is a mailbox below the name; None to return neither attribute.
        special_use: True to return special uses.
    """
    attributes = [r"\Subscribed"] if subscribed else []
    if mailbox is None:
        attributes.append(r"\Noselect" if rev1 else r"\NonExistent")
    if has_children is not None:
        attributes.append(r"\HasChildren" if has_children else r"\HasNoChildren")
    if mailbox is not None and special_use:
        attributes.extend(mailbox.special_use)
    return attributes


def list_line(
    response: bytes, attributes: Iterable[str], name: bytes, *, old: bytes | None = None
) -> bytes:
    """Return LIST or LSUB of a name in the client's encoding; with an old name, OLDNAME."""
    line = _LINE % (response, " ".join(attributes).encode(), name)
    return line if old is None else line + b' ("OLDNAME" (%b))' % old
