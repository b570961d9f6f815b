"""Strict parser of responses: RFC 9051 section 9, RFC 3501 section 9, and the extensions' RFCs.

`Reader(data).response()` parses one response with its literals. A deviation from the grammar raises
`GrammarError` with the place. Before ENABLED, 8-bit characters are allowed in literals only.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.dialogues.responses import bodies
from tests.dialogues.responses.live_lists import expanded
from tests.dialogues.responses.tokens import PARTIAL_RANGE, SEQUENCE_SET, UID_RANGES, Tokens

OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}")
IN_PROGRESS = re.compile(
    rb'\((?:"[^"\\\]\r\n]+"|NIL) (?:NIL NIL|(?:0|[1-9]\d*) (?:NIL|[1-9]\d*))\)'
)
BAD_URL = re.compile(rb'"[\x21\x23-\x5b\x5e-\x7e]+"')
SECTION = re.compile(rb"[1-9]\d*(\.[1-9]\d*)*")
ENTRY = re.compile(rb"/(?i:private|shared)(/[^/*%\x00-\x19\x80-\xff]+)+")
PLAIN_CODES = frozenset(
    b"ALERT PARSE READ-ONLY READ-WRITE TRYCREATE UIDNOTSTICKY UNAVAILABLE AUTHENTICATIONFAILED"
    b" AUTHORIZATIONFAILED EXPIRED PRIVACYREQUIRED CONTACTADMIN NOPERM INUSE EXPUNGEISSUED"
    b" CORRUPTION SERVERBUG CLIENTBUG CANNOT LIMIT OVERQUOTA ALREADYEXISTS NONEXISTENT NOTSAVED"
    b" HASCHILDREN CLOSED UNKNOWN-CTE NOMODSEQ USEATTR TOOBIG COMPRESSIONACTIVE"
    b" NOTIFICATIONOVERFLOW UIDREQUIRED TOOFEW TOOMANY BADCOMPARATOR".split()
)


@dataclass(frozen=True)
class Response:
    """Response: `tag` may be "*" or "+"; `value` depends on `kind`; `code` is name and value."""

    tag: str
    kind: str
    number: int | None = None
    value: Any = None
    code: tuple[str, Any] | None = None
    text: str = ""


class Reader(Tokens):
    """Parser of all bytes from a server, from the greeting on."""

    def response(self) -> Response:
        """Parse one response.

        Raises:
            GrammarError: it deviates from the grammar, or is not complete.
        """
        response = self._response()
        self.take(b"\r\n")
        if response.kind == "ENABLED":
            self.rev2 |= b"IMAP4REV2" in response.value
            self.utf8 |= self.rev2 or b"UTF8=ACCEPT" in response.value
        return response

    def all(self) -> list[Response]:
        found = []
        while self.at < len(self.data):
            found.append(self.response())
        return found

    def _response(self) -> Response:
        if self.took(b"+ "):
            return self._conditional("+", "+")
        if not self.took(b"* "):
            tag = self.taken(re.compile(rb'[^(){ %*"\\+\x00-\x1f\x7f-\xff]+'), "tag").decode()
            self.take(b" ")
            kind = self.taken(re.compile(rb"OK|NO|BAD"), "OK, NO or BAD").decode()
            self.take(b" ")
            return self._conditional(tag, kind)
        if self.peek().isdigit():
            number = self.number(bits=32)
            self.take(b" ")
            kind = self.atom().decode().upper()
            if kind in ("EXISTS", "RECENT") and not (kind == "RECENT" and self.rev2):
                return Response("*", kind, number)
            if kind == "EXPUNGE" and number:
                return Response("*", kind, number)
            if kind in ("FETCH", "UIDFETCH") and number:
                self.take(b" ")
                return Response("*", kind, number, dict(self.many(self._item, empty=False)))
            raise self.fail("EXISTS, EXPUNGE, FETCH or UIDFETCH before this")
        kind = self.atom().decode().upper()
        if kind in ("OK", "NO", "BAD", "BYE", "PREAUTH"):
            self.take(b" ")
            return self._conditional("*", kind)
        readers = {
            "CAPABILITY": self._atoms,
            "ENABLED": self._atoms,
            "FLAGS": lambda: self._after_space(lambda: self.many(self.flag)),
            "LIST": self._list,
            "LSUB": self._list,
            "STATUS": self._status,
            "METADATA": self._metadata,
            "SEARCH": self._numbers_and_modseq,
            "SORT": self._numbers_and_modseq,
            "THREAD": self._threads,
            "VANISHED": self._vanished,
            "ESEARCH": self._esearch,
            "UIDBATCHES": self._uid_batches,
            "NAMESPACE": self._namespace,
            "QUOTA": self._quota,
            "QUOTAROOT": self._quota_root,
            "ACL": self._acl,
            "LISTRIGHTS": self._list_rights,
            "MYRIGHTS": self._my_rights,
            "ID": self._id,
            "COMPARATOR": self._comparator,
            "LANGUAGE": self._language,
        }
        if kind not in readers:
            raise self.fail("a known response before this")
        return Response("*", kind, value=readers[kind]())

    def _after_space(self, read: Callable[[], Any]) -> Any:
        self.take(b" ")
        return read()

    def _language(self) -> list[bytes]:
        """Parse LANGUAGE: the new one, or a list; texts are UTF-8 then (RFC 5255 section 3.5)."""
        self.take(b" ")
        found = self.many(self.astring, empty=False)
        if len(found) == 1:
            self.utf8_texts = found != [b"i-default"]
        return found

    def _comparator(self) -> list[bytes]:
        """Parse COMPARATOR: the active one, and all that match (RFC 5255 section 4.10)."""
        self.take(b" ")
        found = [self.astring()]
        if self.took(b" "):
            found += self.many(self.astring, empty=False)
        return found

    def _conditional(self, tag: str, kind: str) -> Response:
        code = None
        if self.took(b"["):
            code = self._code()
            self.take(b"]")
            if not self.took(b" ") or self.ahead(b"\r"):
                raise self.fail("SP and text (RFC 3501)")
        rest = re.compile(
            rb"[^\r\n\x00]*" if self.utf8 or self.utf8_texts else rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*"
        )
        text = self.taken(rest, "text")
        if not text and kind != "+":
            raise self.fail("text (RFC 3501)")
        return Response(tag, kind, code=code, text=text.decode())

    def _code(self) -> tuple[str, Any]:
        name = self.atom().upper()
        value: Any = None
        if name == b"CAPABILITY":
            value = self._atoms()
        elif name in (b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN"):
            value = self._after_space(self.nz)
        elif name == b"PERMANENTFLAGS":
            value = self._after_space(lambda: self.many(lambda: self.flag(star=True)))
        elif name in (b"APPENDUID", b"COPYUID"):
            value = [self._after_space(self.nz)]
            for _ in range(1 if name == b"APPENDUID" else 2):
                value.append(self._after_space(lambda: self.taken(SEQUENCE_SET, "uid-set")))
        elif name == b"HIGHESTMODSEQ":
            value = self._after_space(lambda: self.number(nz=True, bits=63))
        elif name == b"MODIFIED":
            value = self._after_space(lambda: self.taken(SEQUENCE_SET, "sequence-set"))
        elif name == b"MAILBOXID":
            value = self._after_space(
                lambda: self.many(lambda: self.taken(OBJECT_ID, "objectid"), empty=False)
            )
        elif name == b"MESSAGELIMIT":  # RFC 9738 section 5
            value = self._after_space(self.nz)
            if self.took(b" "):
                value = (value, self.nz())
        elif name == b"INPROGRESS":  # RFC 9585 section 6
            value = self._after_space(lambda: self.taken(IN_PROGRESS, "tag and numbers"))
        elif name == b"BADURL":  # RFC 4469 section 5, as in its examples
            value = self._after_space(lambda: self.taken(BAD_URL, "a URL"))
        elif name == b"NOUPDATE":  # RFC 5267 section 5
            value = self._after_space(self.quoted)
        elif name == b"BADCHARSET":
            if self.took(b" "):
                value = self.many(self.astring, empty=False)
        elif name == b"UNDEFINED-FILTER":
            value = self._after_space(self.atom)
        elif name == b"METADATA":
            value = self._after_space(self._metadata_code)
        elif name == b"BADEVENT":  # RFC 5465 section 8
            value = self._after_space(lambda: self.many(self.atom, empty=False))
        elif name not in PLAIN_CODES:
            raise self.fail("a known response code before this")
        return name.decode(), value

    def _atoms(self) -> list[bytes]:
        found = []
        while self.took(b" "):
            found.append(self.atom().upper())
        return found

    def _threads(self) -> list[Any]:
        """Parse threads: numbers, and lists of sub-threads (RFC 5256 section 5)."""
        found: list[Any] = []
        if self.took(b" "):
            found.append(self._thread())
            while self.ahead(b"("):
                found.append(self._thread())
        return found

    def _thread(self) -> list[Any]:
        """Parse one thread without recursion: its depth is not limited."""
        self.take(b"(")
        open_threads: list[list[Any]] = [[]]
        while True:
            members = open_threads[-1]
            if self.ahead(b"("):
                self.take(b"(")
                open_threads.append([])
            elif self.ahead(b")"):
                self.take(b")")
                nested = sum(isinstance(member, list) for member in members)
                if not members or nested == 1:
                    raise self.fail("members, or at least two sub-threads, before this")
                open_threads.pop()
                if not open_threads:
                    return members
                open_threads[-1].append(members)
            else:
                if members and isinstance(members[-1], list):
                    raise self.fail("a sub-thread or the end")
                members.append(self.nz())
                if not self.ahead(b")"):
                    self.take(b" ")
                    if self.ahead(b")"):
                        raise self.fail("a member after the space")

    def _numbers_and_modseq(self) -> list[int]:
        """Parse numbers; MODSEQ may follow them (RFC 7162 section 7)."""
        found: list[int] = []
        while self.took(b" "):
            if found and self.took(b"(MODSEQ "):
                self.number(nz=True, bits=63)
                self.take(b")")
                break
            found.append(self.nz())
        return found

    def _vanished(self) -> tuple[bool, bytes]:
        """Parse VANISHED: True for EARLIER, and the UIDs."""
        self.take(b" ")
        earlier = self.took(b"(EARLIER) ")
        return earlier, self.taken(SEQUENCE_SET, "known-uids")

    def _modseq(self) -> int:
        self.take(b"(")
        value = self.number(nz=True, bits=63)
        self.take(b")")
        return value

    def _list(self) -> tuple[list[bytes], bytes | None, str, dict[bytes, Any]]:
        self.take(b" ")
        attributes = self.many(self._attribute)
        exclusive = {rb"\NONEXISTENT", rb"\NOSELECT", rb"\MARKED", rb"\UNMARKED"}
        children = {rb"\HASCHILDREN", rb"\HASNOCHILDREN", rb"\NOINFERIORS"}
        for group in (exclusive, children):
            if len([a for a in attributes if a in group]) > 1:
                raise self.fail("compatible attributes before this")
        if len(set(attributes)) < len(attributes):
            raise self.fail("distinct attributes before this")
        self.take(b" ")
        delimiter = None if self.took(b"NIL") else self.quoted()
        self.take(b" ")
        name = self.mailbox()
        extended = {}
        if self.took(b" "):
            extended = dict(self.many(self._extended, empty=False))
        return attributes, delimiter, name, extended

    def _attribute(self) -> bytes:
        self.take(b"\\")
        return b"\\" + self.atom().upper()

    def _extended(self) -> tuple[bytes, Any]:
        tag = self.astring().upper()
        self.take(b" ")
        if tag == b"CHILDINFO":
            return tag, self.many(self.quoted, empty=False)
        if tag == b"OLDNAME":
            return tag, self.many(self.mailbox, empty=False)
        raise self.fail("CHILDINFO or OLDNAME before this")

    def _metadata(self) -> tuple[str, Any]:
        """Parse `mailbox SP (entry-values / entry-list)` (RFC 5464 section 5)."""
        name = self._after_space(self.mailbox)
        self.take(b" ")
        if self.ahead(b"("):
            return name, dict(self.many(self._entry_value, empty=False))
        entries = [self._entry()]
        while self.took(b" "):
            entries.append(self._entry())
        return name, entries

    def _entry_value(self) -> tuple[bytes, bytes | None]:
        entry = self._entry()
        return entry, self._after_space(lambda: self.nstring(binary=True))

    def _entry(self) -> bytes:
        entry = self.astring()
        if ENTRY.fullmatch(entry) is None:
            raise self.fail("an entry name before this")
        return entry

    def _metadata_code(self) -> tuple[bytes, int | None]:
        kind = self.atom().upper()
        if kind in (b"LONGENTRIES", b"MAXSIZE"):
            return kind, self._after_space(lambda: self.number(bits=32))
        if kind not in (b"TOOMANY", b"NOPRIVATE"):
            raise self.fail("LONGENTRIES, MAXSIZE, TOOMANY or NOPRIVATE before this")
        return kind, None

    def _status(self) -> tuple[str, dict[str, Any]]:
        self.take(b" ")
        name = self.mailbox()
        self.take(b" ")
        return name, dict(self.many(self._status_item))

    def _status_item(self) -> tuple[str, Any]:
        item = self.atom().decode().upper()
        self.take(b" ")
        if item in ("UIDNEXT", "UIDVALIDITY"):
            return item, self.nz()
        if item in ("MESSAGES", "RECENT", "UNSEEN", "DELETED"):
            return item, self.number(bits=32)
        if item == "HIGHESTMODSEQ":
            return item, self.number(bits=63)
        if item in ("SIZE", "DELETED-STORAGE") or (
            item == "APPENDLIMIT" and not self.ahead(b"NIL")
        ):
            return item, self.number()
        if item == "APPENDLIMIT":
            return item, self.take(b"NIL")
        if item == "MAILBOXID":
            return item, self.many(lambda: self.taken(OBJECT_ID, "objectid"), empty=False)
        raise self.fail("a known STATUS item before this")

    def _quota(self) -> tuple[bytes, dict[str, tuple[int, int]]]:
        """RFC 9208 section 7: the list is not empty, and numbers have 63 bits."""
        self.take(b" ")
        root = self.astring()
        self.take(b" ")
        return root, dict(self.many(self._quota_resource, empty=False))

    def _quota_resource(self) -> tuple[str, tuple[int, int]]:
        name = self.atom().decode()
        self.take(b" ")
        usage = self.number(bits=63)
        self.take(b" ")
        return name, (usage, self.number(bits=63))

    def _quota_root(self) -> tuple[str, list[bytes]]:
        self.take(b" ")
        name = self.mailbox()
        roots = []
        while self.took(b" "):
            roots.append(self.astring())
        return name, roots

    def _esearch(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.took(b" (TAG "):
            found["TAG"] = self.string().decode()  # RFC 4466 has a string, not an astring
            if self.took(b" MAILBOX "):  # RFC 7377 section 4
                found["MAILBOX"] = self.astring()
                self.take(b" UIDVALIDITY ")
                found["UIDVALIDITY"] = self.nz()
                if not self.ahead(b") UID "):
                    raise self.fail("UID and results (RFC 7377 section 2.1)")
            self.take(b")")
        if self.ahead(b" UID"):
            self.take(b" UID")
            found["UID"] = True
        while self.took(b" "):
            name = self.atom().decode().upper()
            self.take(b" ")
            if name in ("ADDTO", "REMOVEFROM"):  # RFC 5267 section 5
                found.setdefault("UPDATES", []).append((name, self.many(self._placed, empty=False)))
                continue
            if name in found or name not in (
                "MIN",
                "MAX",
                "COUNT",
                "ALL",
                "MODSEQ",
                "PARTIAL",
                "RELEVANCY",
            ):
                raise self.fail("one of MIN, MAX, COUNT, ALL, MODSEQ, PARTIAL before this, once")
            if name == "RELEVANCY":
                found[name] = self.many(lambda: self.number(nz=True, bits=7))
            elif name == "PARTIAL":
                self.take(b"(")
                window = self.taken(PARTIAL_RANGE, "partial-range")
                self.take(b" ")
                numbers = None if self.took(b"NIL") else self.taken(SEQUENCE_SET, "sequence-set")
                self.take(b")")
                found[name] = (window, numbers)
            elif name == "ALL":
                found[name] = self.taken(SEQUENCE_SET, "sequence-set")
            elif name == "MODSEQ":
                found[name] = self.number(nz=True, bits=63)
            else:
                found[name] = self.number(nz=name != "COUNT", bits=32)
        return found

    def _placed(self) -> tuple[int, list[int]]:
        """Parse a position and a set (RFC 5267 section 5)."""
        position = self.number(bits=32)
        self.take(b" ")
        return position, expanded(self.taken(SEQUENCE_SET, "sequence-set"))

    def _uid_batches(self) -> tuple[str, bytes | None]:
        """Parse UIDBATCHES: the tag, and the ranges, each with two ends (RFC 10022 section 5)."""
        self.take(b" (TAG ")
        tag = self.string().decode()
        self.take(b")")
        return tag, self.taken(UID_RANGES, "uid-range") if self.took(b" ") else None

    def _acl(self) -> Any:
        """`acl-data` of RFC 4314 section 7."""
        mailbox = self._after_space(self.astring)
        entries = []
        while self.took(b" "):
            entries.append((self.astring(), self._after_space(self._rights)))
        return mailbox, entries

    def _list_rights(self) -> Any:
        """`listrights-data`: no right is listed twice (RFC 4314 section 3.7)."""
        mailbox, identifier = self._after_space(self.astring), self._after_space(self.astring)
        rights = [self._after_space(self._rights)]
        while self.took(b" "):
            rights.append(self._rights())
        letters = "".join(rights)
        if len(set(letters)) < len(letters):
            raise self.fail("each right once")
        return mailbox, identifier, rights

    def _my_rights(self) -> Any:
        return self._after_space(self.astring), self._after_space(self._rights)

    def _rights(self) -> str:
        """`rights`: virtual rights beside their members (RFC 4314 section 2.1.1)."""
        rights = self.astring().decode()
        if not re.fullmatch("[a-z0-9]*", rights):
            raise self.fail("lower-case letters and digits")
        return rights

    def _namespace(self) -> list[Any]:
        found = []
        for _ in range(3):
            self.take(b" ")
            if self.took(b"NIL"):
                found.append(None)
                continue
            self.take(b"(")
            spaces = []
            while not self.took(b")"):
                self.take(b"(")
                prefix = self.string()
                self.take(b" ")
                spaces.append((prefix, None if self.took(b"NIL") else self.quoted()))
                if self.took(b' "TRANSLATION" ('):  # RFC 5255 section 3.5
                    self.string()
                    self.take(b")")
                self.take(b")")
            found.append(spaces)
        return found

    def _id(self) -> Any:
        self.take(b" ")
        if self.took(b"NIL"):
            return None
        pairs: list[Any] = self.many(self.nstring)
        if len(pairs) % 2 or any(name is None for name in pairs[::2]):
            raise self.fail("pairs before this")
        return dict(zip(pairs[::2], pairs[1::2], strict=True))

    # FETCH

    def _item(self) -> tuple[str, Any]:
        for name in ("BODY[", "BINARY[", "BINARY.SIZE["):
            if self.took(name.encode()):
                return self._section(name)
        item = self.atom().decode().upper()
        self.take(b" ")
        readers: dict[str, Callable[[], Any]] = {
            "FLAGS": lambda: self.many(self.flag),
            "UID": self.nz,
            "MODSEQ": self._modseq,
            "INTERNALDATE": self.date_time,
            "RFC822.SIZE": self.number,
            "RFC822": self.nstring,
            "RFC822.HEADER": self.nstring,
            "RFC822.TEXT": self.nstring,
            "ENVELOPE": lambda: bodies.envelope(self),
            "BODY": lambda: bodies.body(self, extended=False),
            "BODYSTRUCTURE": lambda: bodies.body(self, extended=True),
            "SAVEDATE": lambda: self.took(b"NIL") or self.date_time(),
            "PREVIEW": self.nstring,
            "EMAILID": lambda: self.many(lambda: self.taken(OBJECT_ID, "objectid"), empty=False),
            "THREADID": lambda: (
                self.took(b"NIL")
                or self.many(lambda: self.taken(OBJECT_ID, "objectid"), empty=False)
            ),
        }
        if item not in readers:
            raise self.fail("a known FETCH item before this")
        return item, readers[item]()

    def _section(self, name: str) -> tuple[str, Any]:
        start = self.at
        text = False
        if SECTION.match(self.data, self.at):
            self.taken(SECTION, "section-part")
            text = self.took(b".")
        if name == "BODY[" and not self.ahead(b"]") and (text or start == self.at):
            if self.took(b"HEADER.FIELDS.NOT ") or self.took(b"HEADER.FIELDS "):
                self.many(self.astring, empty=False)
            elif not (self.took(b"HEADER") or self.took(b"TEXT") or self.took(b"MIME")):
                raise self.fail("section-msgtext")
        self.take(b"]")
        key = name + self.data[start : self.at].decode("ascii", "backslashreplace").upper()
        if name == "BINARY.SIZE[":
            self.take(b" ")
            return key, self.number()
        if self.took(b"<"):
            key += f"<{self.number()}>"
            self.take(b">")
        self.take(b" ")
        return key, self.nstring(binary=name == "BINARY[")
