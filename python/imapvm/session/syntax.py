"""Syntax and dependencies of capabilities, for capabilities that are disabled: one row each.

A disabled capability is not offered, and its syntax is treated as unknown. So are those that need
it: a server without CONDSTORE cannot offer QRESYNC.

Without the extension, which the master process does not load.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self, final

from imapvm.session.capabilities import TABLE


@dataclass(frozen=True, slots=True)
class SyntaxRow:
    """Syntax of one capability."""

    name: str
    """As in the table of capabilities."""
    syntax: tuple[str, ...] = ()
    """Commands, keywords in them, and literals, as `imapvm._core.DisabledSyntax` takes them."""
    needs: tuple[str, ...] = ()
    """Capabilities without which this one is not offered."""
    fixed: str = ""
    """Reason why it cannot be disabled."""


IN_REV2: Final = (
    "ENABLE", "IDLE", "NAMESPACE", "UNSELECT", "UIDPLUS", "ESEARCH", "SEARCHRES", "SASL-IR",
    "LIST-EXTENDED", "LIST-STATUS", "MOVE", "BINARY", "SPECIAL-USE", "STATUS=SIZE", "LITERAL-",
)  # fmt: skip
"""Capabilities that are a part of IMAP4rev2 (RFC 9051 appendix E)."""

Row = SyntaxRow
# fmt: off
SYNTAX: Final = (
    Row("IMAP4rev1", fixed="it is the protocol of all clients before ENABLE"),
    Row("IMAP4rev2", needs=IN_REV2),
    Row("STARTTLS", fixed="tls.certificate decides"),
    Row("LOGINDISABLED", fixed="login.plaintext decides"),
    Row("AUTH=PLAIN", ("AUTHENTICATE PLAIN",)),
    Row("AUTH=LOGIN", ("AUTHENTICATE LOGIN",)),
    Row("SASL-IR", ("AUTHENTICATE =",)),
    Row("ID", ("ID",)),
    Row("ENABLE", ("ENABLE",)),
    Row("LITERAL+", ("LITERAL+",), ("LITERAL-",)),
    Row("LITERAL-", ("LITERAL-",)),
    Row("IDLE", ("IDLE",)),
    Row("NAMESPACE", ("NAMESPACE",)),
    Row("UNSELECT", ("UNSELECT",)),
    Row("CHILDREN"),
    Row("LIST-EXTENDED", ("LIST (", "LIST RETURN")),
    Row("LIST-STATUS", ("LIST STATUS",), ("LIST-EXTENDED",)),
    Row("STATUS=SIZE", ("STATUS SIZE",)),
    Row("SPECIAL-USE", ("LIST SPECIAL-USE",)),
    Row("CREATE-SPECIAL-USE", ("CREATE USE",), ("SPECIAL-USE",)),
    Row("UIDPLUS", ("UID EXPUNGE",)),
    Row("MOVE", ("MOVE",)),
    Row("MULTIAPPEND", ("APPEND {",)),
    Row("BINARY", ("FETCH BINARY", "FETCH BINARY.PEEK", "FETCH BINARY.SIZE", "APPEND ~{")),
    Row("ESEARCH", ("SEARCH RETURN",)),
    Row("SEARCHRES", ("SEARCH SAVE", "SORT SAVE", "$"), ("ESEARCH",)),
    Row("WITHIN", ("SEARCH OLDER", "SEARCH YOUNGER")),
    Row("APPENDLIMIT", ("STATUS APPENDLIMIT",)),
    Row("UTF8=ACCEPT", ("APPEND UTF8",), ("ENABLE",)),
    Row("PREVIEW", ("FETCH PREVIEW",)),
    Row("SAVEDATE", (
        "FETCH SAVEDATE", "SEARCH SAVEDBEFORE", "SEARCH SAVEDON", "SEARCH SAVEDSINCE",
        "SEARCH SAVEDATESUPPORTED",
    )),
    Row("OBJECTID", (
        "FETCH EMAILID", "FETCH THREADID", "SEARCH EMAILID", "SEARCH THREADID", "STATUS MAILBOXID",
    )),
    Row("COMPRESS=DEFLATE", ("COMPRESS",)),
    Row("CONDSTORE", (
        "SELECT CONDSTORE", "FETCH MODSEQ", "FETCH CHANGEDSINCE", "STORE UNCHANGEDSINCE",
        "SEARCH MODSEQ", "STATUS HIGHESTMODSEQ",
    )),
    Row("QRESYNC", ("SELECT QRESYNC", "FETCH VANISHED"), ("CONDSTORE", "ENABLE")),
    Row("SORT", ("SORT",)),
    Row("SORT=DISPLAY", ("SORT DISPLAYFROM", "SORT DISPLAYTO"), ("SORT",)),
    Row("ESORT", ("SORT RETURN",), ("SORT", "ESEARCH")),
    Row("THREAD=ORDEREDSUBJECT", ("THREAD ORDEREDSUBJECT",)),
    Row("THREAD=REFERENCES", ("THREAD REFERENCES",)),
    Row("THREAD=REFS", ("THREAD REFS",)),
    Row("QUOTA", ("GETQUOTA", "GETQUOTAROOT")),
    Row("QUOTA=RES-STORAGE", ("STATUS DELETED-STORAGE",), ("QUOTA",)),
    Row("QUOTA=RES-MESSAGE", (), ("QUOTA",)),
    Row("QUOTA=RES-MAILBOX", (), ("QUOTA",)),
    Row("QUOTA=RES-ANNOTATION-STORAGE", (), ("QUOTA",)),
    Row("QUOTASET", ("SETQUOTA",), ("QUOTA",)),
    Row("ACL", ("SETACL", "DELETEACL", "GETACL", "LISTRIGHTS", "MYRIGHTS")),
    Row("RIGHTS=", (), ("ACL",)),
    Row("LIST-MYRIGHTS", ("LIST MYRIGHTS",), ("ACL", "LIST-EXTENDED")),
    Row("METADATA", ("GETMETADATA", "SETMETADATA")),
    Row("METADATA-SERVER", (), ("METADATA",)),
    Row("LIST-METADATA", ("LIST METADATA",), ("METADATA", "LIST-EXTENDED")),
    Row("NOTIFY", ("NOTIFY",)),
    Row("UIDONLY", (), ("ENABLE",)),
    Row("UIDBATCHES", ("UIDBATCHES",)),
    Row("PARTIAL", ("FETCH PARTIAL", "SEARCH PARTIAL", "SORT PARTIAL"), ("ESEARCH",)),
    Row("MULTISEARCH", ("ESEARCH",), ("ESEARCH",)),
    Row("INPROGRESS"),
    Row("REPLACE", ("REPLACE",)),
    Row("CATENATE", ("APPEND CATENATE",)),
    Row("URL-PARTIAL", ("APPEND ;PARTIAL=",), ("CATENATE",)),
    Row("SEARCH=FUZZY", ("SEARCH FUZZY", "SEARCH RELEVANCY", "SORT RELEVANCY")),
    Row("MESSAGELIMIT", ("SEARCH UIDAFTER", "SEARCH UIDBEFORE")),
    Row("SAVELIMIT"),
    Row("UNAUTHENTICATE", ("UNAUTHENTICATE",)),
    Row("I18NLEVEL=1"),
    Row("I18NLEVEL=2", ("COMPARATOR",)),
    Row("LANGUAGE", ("LANGUAGE",), ("NAMESPACE",)),
    Row("FILTERS", ("SEARCH FILTER",)),
    Row("CONTEXT=SEARCH", ("SEARCH UPDATE", "SEARCH CONTEXT", "CANCELUPDATE"), ("ESEARCH",)),
    Row("CONTEXT=SORT", ("SORT UPDATE", "SORT CONTEXT"), ("ESORT", "CONTEXT=SEARCH")),
)
# fmt: on

_ROWS: Final = {row.name: row for row in SYNTAX}
_OFFERED: Final = {row.name.upper(): row.name for row in TABLE if row.when is not None}


class CapabilityNameError(ValueError):
    """A capability cannot be disabled; the message names it and the reason."""


def checked_names(names: Iterable[str]) -> frozenset[str]:
    """Return the capabilities with these names, given in any case, as they are offered.

    Raises:
        CapabilityNameError: one is unknown, not offered, or cannot be disabled.
    """
    found = set()
    for written in names:
        name = _OFFERED.get(written.upper())
        if name is None:
            raise CapabilityNameError(f"cannot disable {written}: no such capability is offered")
        if reason := _ROWS[name].fixed:
            raise CapabilityNameError(f"cannot disable {name}: {reason}")
        found.add(name)
    return frozenset(found)


@final
@dataclass(frozen=True, slots=True)
class Disabled:
    """Capabilities that a connection is not offered."""

    names: frozenset[str] = frozenset()
    """With those that need one of them."""
    syntax: tuple[str, ...] = ()
    """Entries for `DisabledSyntax`."""

    @classmethod
    @lru_cache(maxsize=64)  # as many as combinations of rules apply to clients
    def of(cls, names: frozenset[str]) -> Self:
        """Return these capabilities with those that need them, which are offered."""
        closed = set(names)
        while more := {row.name for row in SYNTAX if not closed.isdisjoint(row.needs)} - closed:
            closed |= more
        offered = closed & set(_OFFERED.values())
        entries = (entry for row in SYNTAX if row.name in offered for entry in row.syntax)
        return cls(frozenset(offered), tuple(entries))


NOTHING_DISABLED: Final = Disabled.of(frozenset())
