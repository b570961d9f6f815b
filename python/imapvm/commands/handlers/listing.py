"""LIST, basic and extended, and LSUB (RFC 9051 section 6.3.9, RFC 3501 section 6.3.9)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from imapvm._core import List, ListMatcher, Lsub
from imapvm.commands.context import AccountContext, Context
from imapvm.commands.handlers.names import encoded
from imapvm.commands.handlers.status import check_items, write_status
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import Mailbox
from imapvm.model.names import DELIMITER, INBOX, parents

CRITERIA: Final = ("SUBSCRIBED", "SPECIAL-USE")
"""Selection options that are criteria of a name, as CHILDINFO lists them."""
KNOWN_SELECTION: Final = frozenset({*CRITERIA, "REMOTE", "RECURSIVEMATCH"})
"""REMOTE adds remote mailboxes; there are none (RFC 9051 section 6.3.9.1)."""
KNOWN_RETURNS: Final = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE"})


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """All names of an account in one read transaction."""

    mailboxes: Mapping[str, Mailbox]
    subscribed: frozenset[str]
    with_children: frozenset[str]
    """Names above a mailbox; not all of them are mailboxes themselves."""

    @classmethod
    def read(cls, reader: Reader) -> "Hierarchy":
        """Read all names once: looking up each name would take three searches a name."""
        mailboxes = {mailbox.name: mailbox for mailbox in reader.mailboxes()}
        above = frozenset(parent for name in mailboxes for parent in parents(name))
        return cls(mailboxes, frozenset(reader.subscriptions()), above)

    def attributes(self, name: str, *, rev1: bool, subscribed: bool) -> list[str]:
        r"""Return the attributes of a name (RFC 9051 section 7.3.1, RFC 3348, RFC 6154).

        Args:
            name: in its stored form.
            rev1: True for a basic LIST of IMAP4rev1: a name without a mailbox is \Noselect.
            subscribed: True if \Subscribed was requested.
        """
        attributes = []
        if subscribed and name in self.subscribed:
            attributes.append(r"\Subscribed")
        mailbox = self.mailboxes.get(name)
        if mailbox is None:
            attributes.append(r"\Noselect" if rev1 else r"\NonExistent")
        attributes.append(r"\HasChildren" if name in self.with_children else r"\HasNoChildren")
        if mailbox is not None:
            attributes.extend(mailbox.special_use)
        return attributes


def list_(ctx: AccountContext, command: List) -> Done:
    """List names; with RETURN (STATUS …) also the status of each mailbox."""
    _check_options(command)
    if not command.extended and command.patterns == ("",):
        # The delimiter, and an empty root: no reference is rooted (section 6.3.9).
        ctx.out.untagged(rb'LIST (\Noselect) "%b" ""' % DELIMITER.encode())
        return DONE
    matcher = ListMatcher([command.reference + pattern for pattern in command.patterns if pattern])
    criteria: list[str] = [option for option in CRITERIA if option in command.selection]
    rev1 = not command.extended and not ctx.session.rev2
    subscribed = "SUBSCRIBED" in command.selection | command.returns
    with ctx.store.reading() as reader:
        names = Hierarchy.read(reader)
        for name, info in _matching(names, matcher, command, criteria):
            attributes = names.attributes(name, rev1=rev1, subscribed=subscribed)
            _write_line(ctx, b"LIST", attributes, name, info.child_criteria)
            mailbox = names.mailboxes.get(name)
            if command.status is not None and mailbox is not None and info.meets_criteria:
                write_status(ctx, reader, mailbox, command.status)
    return DONE


def _check_options(command: List) -> None:
    unknown = (command.selection - KNOWN_SELECTION) | (command.returns - KNOWN_RETURNS)
    if unknown:
        raise Refusal(f"unknown LIST option {' '.join(sorted(unknown))}", bad=True)
    if "RECURSIVEMATCH" in command.selection and not command.selection & set(CRITERIA):
        raise Refusal("cannot LIST RECURSIVEMATCH without another selection option", bad=True)
    if command.status is not None:
        check_items(command.status)


@dataclass(frozen=True, slots=True)
class _Info:
    meets_criteria: bool
    child_criteria: list[str]
    """For CHILDINFO (RFC 9051 section 6.3.9.6), which is omitted if empty."""


def _matching(
    names: Hierarchy, matcher: ListMatcher, command: List, criteria: list[str]
) -> Iterable[tuple[str, _Info]]:
    """Yield the names to list, in order (RFC 9051 section 6.3.9.3, rule 2 and table 3)."""
    meets = _criterion(names, criteria)
    recursive = "RECURSIVEMATCH" in command.selection
    meeting = {name for name in {*names.mailboxes, *names.subscribed} if meets(name)}
    matching = {name for name in meeting if matcher.matches(name)}
    above = {parent for name in meeting for parent in parents(name)}
    above_hidden = {parent for name in meeting - matching for parent in parents(name)}
    listed = set(matching)
    if recursive or not criteria:
        # Rule 2 B: names above a match that is not listed itself.
        listed |= {name for name in above_hidden - meeting if matcher.matches(name)}
    for name in sorted(listed, key=_order):
        child_criteria = criteria if recursive and name in above else []
        yield name, _Info(name in matching, child_criteria)


def _criterion(names: Hierarchy, criteria: list[str]) -> Callable[[str], bool]:
    def meets(name: str) -> bool:
        mailbox = names.mailboxes.get(name)
        if "SUBSCRIBED" in criteria and name not in names.subscribed:
            return False
        if "SPECIAL-USE" in criteria and (mailbox is None or not mailbox.special_use):
            return False
        return bool(criteria) or mailbox is not None

    return meets


def _order(name: str) -> tuple[bool, str]:
    """Sort INBOX first, then by name."""
    return name != INBOX, name


def lsub(ctx: AccountContext, command: Lsub) -> Done:
    r"""List subscribed names.

    A name that is not subscribed is listed, as \Noselect, if a name below it is subscribed and "%"
    in the pattern ends before that (RFC 3501 section 6.3.9).
    """
    if not command.pattern:
        ctx.out.untagged(rb'LSUB (\Noselect) "%b" ""' % DELIMITER.encode())
        return DONE
    matcher = ListMatcher([command.reference + command.pattern])
    with ctx.store.reading() as reader:
        subscribed = reader.subscriptions()
    matching = {name for name in subscribed if matcher.matches(name)}
    above = {parent for name in subscribed - matching for parent in parents(name)}
    hidden = {name for name in above - subscribed if matcher.matches(name)}
    for name in sorted(matching | hidden, key=_order):
        _write_line(ctx, b"LSUB", [r"\Noselect"] if name in hidden else [], name, [])
    return DONE


def write_list(ctx: Context, reader: Reader, mailbox: Mailbox) -> None:
    """Write LIST of one mailbox, for SELECT in IMAP4rev2 (RFC 9051 section 6.3.2)."""
    names = Hierarchy.read(reader)
    attributes = names.attributes(mailbox.name, rev1=False, subscribed=True)
    _write_line(ctx, b"LIST", attributes, mailbox.name, [])


def _write_line(
    ctx: Context, response: bytes, attributes: list[str], name: str, child_criteria: list[str]
) -> None:
    line = b'%b (%b) "%b" %b' % (
        response,
        " ".join(attributes).encode(),
        DELIMITER.encode(),
        encoded(ctx, name),
    )
    if child_criteria:
        quoted = " ".join(f'"{option}"' for option in child_criteria)
        line += b' ("CHILDINFO" (%b))' % quoted.encode()
    ctx.out.untagged(line)
