"""Command reader from Python: attributes of each class, and the modes between commands.

The grammar's known answers are in `rust/tests/wire`; here it is the binding that is checked.
"""

import pytest

from imapvm import _core
from imapvm._core import (
    Arrangement,
    CommandReader,
    DotReader,
    FetchItems,
    Limits,
    ListMatcher,
    ResponseWriter,
    SearchProgram,
    SequenceSet,
    UidSet,
    imap_string,
    mailbox_name,
)


def attributes(event):
    """The attributes of an event by name, with what only Rust can compare made comparable."""
    return {name: _plain(getattr(event, name)) for name in dir(event) if not name.startswith("_")}


def _plain(value):
    if isinstance(value, SequenceSet):
        return bytes(value)
    if isinstance(value, Arrangement | FetchItems | SearchProgram):
        return type(value)
    if isinstance(value, tuple):
        return tuple(_plain(part) for part in value)
    return value


def read(sent: bytes, reader: CommandReader | None = None):
    """Return all events; messages of APPEND are accepted."""
    reader = reader or CommandReader()
    reader.feed(sent)
    events = []
    while (event := reader.next()) is not None:
        events.append(event)
        if isinstance(event, _core.AppendText) or (
            isinstance(event, _core.AppendMessage) and not event.catenate
        ):
            reader.accept_literal()
    return events


COMMANDS = [
    (b"CAPABILITY", _core.Capability, {}),
    (b"NOOP", _core.Noop, {}),
    (b"LOGOUT", _core.Logout, {}),
    (b'ID ("name" "x" "os" NIL)', _core.Id, {"params": (("name", "x"), ("os", None))}),
    (b"ID NIL", _core.Id, {"params": ()}),
    (b"STARTTLS", _core.StartTls, {}),
    (
        b"AUTHENTICATE plain AGEAYg==",
        _core.Authenticate,
        {"mechanism": "PLAIN", "initial": b"\0a\0b"},
    ),
    (b"AUTHENTICATE X", _core.Authenticate, {"mechanism": "X", "initial": None}),
    (b'LOGIN joe "p w"', _core.Login, {"user": b"joe", "password": b"p w"}),
    (b"ENABLE imap4rev2 X", _core.Enable, {"names": ("IMAP4REV2", "X")}),
    (b'LANGUAGE de "*"', _core.Language, {"ranges": ("de", "*")}),
    (b"LANGUAGE", _core.Language, {"ranges": ()}),
    (b'CANCELUPDATE "a1" "a2"', _core.CancelUpdate, {"tags": (b"a1", b"a2")}),
    (b"NOTIFY NONE", _core.Notify, {"status": False, "groups": None}),
    (b"COMPARATOR i;octet", _core.Comparator, {"orders": ("i;octet",)}),
    (
        b"SELECT inbox",
        _core.Select,
        {"mailbox": "INBOX", "read_only": False, "condstore": False, "qresync": None},
    ),
    (
        b"EXAMINE &AOk- (CONDSTORE QRESYNC (1 18446744073 3:4 (5 6)))",
        _core.Select,
        {
            "mailbox": "é",
            "read_only": True,
            "condstore": True,
            "qresync": (1, 18446744073, b"3:4", (b"5", b"6")),
        },
    ),
    (
        b"SELECT x (QRESYNC (1 2))",
        _core.Select,
        {"mailbox": "x", "read_only": False, "condstore": False, "qresync": (1, 2, None, None)},
    ),
    (
        rb"CREATE a/ (USE (\sent))",
        _core.Create,
        {"mailbox": "a/", "special_use": (r"\Sent",)},
    ),
    (b"DELETE x", _core.Delete, {"mailbox": "x"}),
    (b"RENAME x y", _core.Rename, {"mailbox": "x", "to": "y"}),
    (
        b"SETACL x $team +lr",
        _core.SetAcl,
        {"mailbox": "x", "identifier": b"$team", "rights": b"+lr"},
    ),
    (b"DELETEACL x -ada", _core.DeleteAcl, {"mailbox": "x", "identifier": b"-ada"}),
    (b"GETACL x", _core.GetAcl, {"mailbox": "x"}),
    (b"LISTRIGHTS x ada", _core.ListRights, {"mailbox": "x", "identifier": b"ada"}),
    (b"MYRIGHTS x", _core.MyRights, {"mailbox": "x"}),
    (b"SUBSCRIBE x", _core.Subscribe, {"mailbox": "x"}),
    (b"UNSUBSCRIBE x", _core.Unsubscribe, {"mailbox": "x"}),
    (
        b'LIST "" %',
        _core.List,
        {
            "reference": "",
            "patterns": ("%",),
            "extended": False,
            "selection": frozenset(),
            "returns": frozenset(),
            "status": None,
            "metadata": None,
        },
    ),
    (
        b'LIST (subscribed RECURSIVEMATCH) "" (a b) RETURN (CHILDREN STATUS (unseen SIZE))',
        _core.List,
        {
            "reference": "",
            "patterns": ("a", "b"),
            "extended": True,
            "selection": frozenset({"SUBSCRIBED", "RECURSIVEMATCH"}),
            "returns": frozenset({"CHILDREN"}),
            "status": ("UNSEEN", "SIZE"),
            "metadata": None,
        },
    ),
    (
        b'LIST "" % RETURN (METADATA (/private/x /shared/Y))',
        _core.List,
        {
            "reference": "",
            "patterns": ("%",),
            "extended": True,
            "selection": frozenset(),
            "returns": frozenset(),
            "status": None,
            "metadata": ("/private/x", "/shared/Y"),
        },
    ),
    (
        b"GETMETADATA (DEPTH infinity MAXSIZE 5) inbox (/private/x /shared/Y)",
        _core.GetMetadata,
        {
            "mailbox": "INBOX",
            "entries": ("/private/x", "/shared/Y"),
            "max_size": 5,
            "depth": "infinity",
        },
    ),
    (
        b'GETMETADATA "" /shared/comment',
        _core.GetMetadata,
        {"mailbox": "", "entries": ("/shared/comment",), "max_size": None, "depth": "0"},
    ),
    (
        b'SETMETADATA "" (/private/x ~{2+}\r\n\0\xff /shared/y NIL)',
        _core.SetMetadata,
        {"mailbox": "", "values": (("/private/x", b"\0\xff"), ("/shared/y", None))},
    ),
    (b'LSUB "" *', _core.Lsub, {"reference": "", "pattern": "*"}),
    (b"NAMESPACE", _core.Namespace, {}),
    (
        b"STATUS x (messages UIDNEXT)",
        _core.Status,
        {"mailbox": "x", "items": ("MESSAGES", "UIDNEXT")},
    ),
    (b"CHECK", _core.Check, {}),
    (b"CLOSE", _core.Close, {}),
    (b"UNSELECT", _core.Unselect, {}),
    (b"unauthenticate", _core.Unauthenticate, {}),
    (
        b"UID REPLACE 7 Sent CATENATE (URL /Drafts/;UID=7)",
        _core.Replace,
        {"uid": True, "set": b"7", "mailbox": "Sent"},
    ),
    (b"COMPRESS deflate", _core.Compress, {}),
    (b'GETQUOTA "#user/ada"', _core.GetQuota, {"root": "#user/ada"}),
    (b"GETQUOTAROOT inbox", _core.GetQuotaRoot, {"mailbox": "INBOX"}),
    (
        b"SETQUOTA ada (storage 5 MESSAGE 0)",
        _core.SetQuota,
        {"root": "ada", "limits": (("STORAGE", 5), ("MESSAGE", 0))},
    ),
    (b"EXPUNGE", _core.Expunge, {"uids": None}),
    (b"UID EXPUNGE 4:*", _core.Expunge, {"uids": b"4:*"}),
    (
        b"SORT (SUBJECT) UTF-8 ALL",
        _core.Sort,
        {
            "uid": False,
            "returns": None,
            "window": None,
            "update": False,
            "update_items": None,
            "arrangement": Arrangement,
            "program": SearchProgram,
        },
    ),
    (
        b"UID SORT RETURN (ALL) (REVERSE DATE) X-UNKNOWN ALL",
        _core.Sort,
        {
            "uid": True,
            "returns": frozenset({"ALL"}),
            "window": None,
            "update": False,
            "update_items": None,
            "arrangement": Arrangement,
            "program": None,
        },
    ),
    (
        b"UID THREAD REFS US-ASCII ALL",
        _core.Thread,
        {"uid": True, "arrangement": Arrangement, "program": SearchProgram},
    ),
    (
        b"SEARCH ALL",
        _core.Search,
        {
            "uid": False,
            "returns": None,
            "window": None,
            "update": False,
            "update_items": None,
            "program": SearchProgram,
        },
    ),
    (
        b"UID SEARCH RETURN (min SAVE) 1:3 UNSEEN",
        _core.Search,
        {
            "uid": True,
            "returns": frozenset({"MIN", "SAVE"}),
            "window": None,
            "update": False,
            "update_items": None,
            "program": SearchProgram,
        },
    ),
    (
        b"UID SEARCH RETURN (COUNT PARTIAL -1:-100) ALL",
        _core.Search,
        {
            "uid": True,
            "returns": frozenset({"COUNT", "PARTIAL"}),
            "window": (-1, -100),
            "update": False,
            "update_items": None,
            "program": SearchProgram,
        },
    ),
    (
        b"SEARCH RETURN () CHARSET X-NONE TEXT x",
        _core.Search,
        {
            "uid": False,
            "returns": frozenset(),
            "window": None,
            "update": False,
            "update_items": None,
            "program": None,
        },
    ),
    (
        b'ESEARCH IN (personal subtree-one ("a" b) MAILBOXES &AOk-) RETURN (MIN) UNSEEN',
        _core.MultiSearch,
        {
            "sources": (
                ("PERSONAL", ()),
                ("SUBTREE-ONE", ("a", "b")),
                ("MAILBOXES", ("é",)),
            ),
            "returns": frozenset({"MIN"}),
            "window": None,
            "update": False,
            "update_items": None,
            "program": SearchProgram,
        },
    ),
    (
        b"ESEARCH CHARSET X-NONE TEXT x",
        _core.MultiSearch,
        {
            "sources": None,
            "returns": None,
            "window": None,
            "update": False,
            "update_items": None,
            "program": None,
        },
    ),
    (b"UIDBATCHES 500", _core.UidBatches, {"size": 500, "batches": None}),
    (b"uidbatches 500 4:1", _core.UidBatches, {"size": 500, "batches": (4, 1)}),
    (
        b"FETCH 1:2 FLAGS",
        _core.Fetch,
        {
            "uid": False,
            "set": b"1:2",
            "items": FetchItems,
            "changed_since": None,
            "vanished": False,
            "window": None,
        },
    ),
    (
        b"UID FETCH $ (FLAGS) (CHANGEDSINCE 7 VANISHED PARTIAL 1:30)",
        _core.Fetch,
        {
            "uid": True,
            "set": b"$",
            "items": FetchItems,
            "changed_since": 7,
            "vanished": True,
            "window": (1, 30),
        },
    ),
    (
        rb"STORE 1 (UNCHANGEDSINCE 5) -FLAGS.SILENT (\Seen \Draft Work work)",
        _core.Store,
        {
            "uid": False,
            "set": b"1",
            "mode": _core.STORE_REMOVE,
            "silent": True,
            "flags": 17,
            "keywords": ("Work",),
            "unchanged_since": 5,
        },
    ),
    (
        b"UID STORE 1 FLAGS ()",
        _core.Store,
        {
            "uid": True,
            "set": b"1",
            "mode": _core.STORE_REPLACE,
            "silent": False,
            "flags": 0,
            "keywords": (),
            "unchanged_since": None,
        },
    ),
    (b"COPY 1,2 x", _core.Copy, {"uid": False, "set": b"1,2", "mailbox": "x"}),
    (b"UID MOVE 1 x", _core.Move, {"uid": True, "set": b"1", "mailbox": "x"}),
]


@pytest.mark.parametrize(("line", "kind", "expected"), COMMANDS)
def test_each_command_has_its_attributes(line, kind, expected):
    command, *_ = read(b"a1 " + line + b"\r\n")
    assert type(command) is kind
    assert attributes(command) == {"tag": b"a1", **expected}


def test_every_command_of_the_stub_has_a_case():
    tried = {kind for _, kind, _ in COMMANDS} | {_core.Append, _core.Idle}
    assert {kind for kind in vars(_core).values() if hasattr(kind, "tag")} == tried | {
        _core.Malformed
    }


def test_events_are_frozen():
    [command] = read(b"a NOOP\r\n")
    with pytest.raises(AttributeError):
        command.tag = b"b"


def test_catenate_is_events():
    sent = b"a APPEND x CATENATE (URL ;UID=5 TEXT {1+}\r\ny URL imap://host/)\r\n"
    _, head, url, *events = read(sent)
    assert (head.catenate, head.size, head.waits) == (True, 0, False)
    assert url.received == b";UID=5"
    assert (url.target.mailbox, url.target.uid_validity, url.target.uid) == (None, None, 5)
    assert [(type(event).__name__, attributes(event)) for event in events] == [
        ("AppendText", {"size": 1, "waits": False, "too_big": False}),
        ("AppendData", {"data": b"y"}),
        ("AppendUrl", {"received": b"imap://host/", "target": None}),
        ("AppendMessageEnd", {}),
        ("AppendEnd", {}),
    ]
    (command, *_) = read(b'a APPEND {1}\r\nx CATENATE (URL "/a%20b;UIDVALIDITY=3/;UID=5")\r\n')[1:]
    assert command.mailbox == "x"


def test_append_is_events():
    sent = (
        rb'a APPEND x (\Flagged foo) "01-Feb-1994 21:52:25 -0800" {3}' + b"\r\nabc"
        b" UTF8 (~{2+}\r\n\0b) {1+}\r\n\0\r\n"
    )
    append, *events = [(type(event).__name__, attributes(event)) for event in read(sent)]
    assert append == ("Append", {"tag": b"a", "mailbox": "x"})
    head = {
        "flags": 4,
        "keywords": ("foo",),
        "date": (760168345, -480),
        "size": 3,
        "waits": True,
        "binary": False,
        "utf8": False,
        "catenate": False,
        "too_big": False,
    }
    bare = {**head, "flags": 0, "keywords": (), "date": None, "waits": False}
    assert events == [
        ("AppendMessage", head),
        ("AppendData", {"data": b"abc"}),
        ("AppendMessageEnd", {}),
        ("AppendMessage", {**bare, "size": 2, "binary": True, "utf8": True}),
        ("AppendData", {"data": b"\0b"}),
        ("AppendMessageEnd", {}),
        ("AppendMessage", {**bare, "size": 1}),
        ("AppendData", {"data": b"\0"}),
        ("AppendMessageEnd", {}),
        ("AppendEnd", {}),
    ]


def test_message_must_be_accepted_or_refused_first():
    reader = CommandReader(Limits(append=2))
    reader.feed(b"a APPEND x {3+}\r\nabc\r\nb NOOP\r\n")
    assert isinstance(reader.next(), _core.Append)
    head = reader.next()
    assert isinstance(head, _core.AppendMessage)
    assert head.too_big
    with pytest.raises(RuntimeError, match="accept or refuse"):
        reader.next()
    with pytest.raises(RuntimeError, match="too big"):
        reader.accept_literal()
    reader.refuse_literal()
    reader.refuse_literal()
    assert isinstance(reader.next(), _core.Noop)
    with pytest.raises(RuntimeError, match="pending"):
        reader.accept_literal()


def test_malformed_names_the_syntax_and_the_column():
    [malformed] = read(b"a FETCH 1 BOGUS\r\n")
    assert attributes(malformed) == {
        "tag": b"a",
        "message": "expected a FETCH item at column 11",
        "name": "FETCH",
        "code": None,
        "is_no": False,
        "fatal": False,
    }
    [malformed] = read(b"a LOGIN {9}\r\n", CommandReader(Limits(literal=8)))
    assert (malformed.code, malformed.is_no, malformed.fatal) == ("TOOBIG", True, False)
    [malformed] = read(b"GET / HTTP/1.1\r\n")
    assert (malformed.tag, malformed.fatal) == (None, True)


def test_literals_idle_and_sasl():
    reader = CommandReader()
    [wanted] = read(b"a LOGIN {3}\r\n", reader)
    assert (attributes(wanted), reader.partial) == ({"size": 3}, True)
    [login] = read(b"joe x\r\n", reader)
    assert (login.user, reader.partial) == (b"joe", False)

    idle, done = read(b"b IDLE\r\nDONE\r\n", reader)
    assert (type(idle), type(done)) == (_core.Idle, _core.IdleDone)
    [idle] = read(b"c IDLE\r\n", reader)
    reader.refuse_idle()
    [noop] = read(b"DONE\r\nd NOOP\r\n", reader)
    assert noop.tag == b"d"

    for sent, data in [(b"AAEC\r\n", b"\0\1\2"), (b"\r\n", b""), (b"*\r\n", None)]:
        reader.expect_sasl()
        [response] = read(sent, reader)
        assert (type(response), response.data) == (_core.SaslResponse, data)


def test_limits_and_utf8_change_between_commands():
    narrow = Limits(line=9)
    reader = CommandReader(narrow)
    assert reader.limits is narrow
    wide = Limits()
    reader.limits = wide
    assert reader.limits is wide
    assert not reader.utf8
    reader.utf8 = True
    [delete] = read('a DELETE "é & &-"\r\n'.encode(), reader)
    assert delete.mailbox == "é & &-"
    reader.feed(b"x STARTTLS\r\ny NOOP\r\n")
    assert isinstance(reader.next(), _core.StartTls)
    assert (reader.buffered, reader.clear(), reader.buffered) == (8, 8, 0)
    assert reader.next() is None


def test_sequence_sets():
    for text in [b"1", b"1:*,7", b"*", b"$", b"5:2"]:
        parsed = SequenceSet.parse(text)
        assert parsed is not None
        assert (bytes(parsed), parsed.is_saved) == (text, text == b"$")
    for text in [b"", b"0", b"1,", b"a", b"1 ", b"4294967296", b"1,$"]:
        assert SequenceSet.parse(text) is None


@pytest.mark.parametrize(
    ("items", "needs_metadata", "reads_body", "sets_seen", "needs_modseq"),
    [
        (b"FLAGS", False, False, False, False),
        (b"(FLAGS MODSEQ)", False, False, False, True),
        (b"ENVELOPE", True, False, False, False),
        (b"BODY[]", False, True, True, False),
        (b"BODY.PEEK[]", False, True, False, False),
        (b"RFC822.HEADER", True, True, False, False),
        (b"BINARY[1]", True, True, True, False),
    ],
)
def test_needs_of_fetch_items(items, needs_metadata, reads_body, sets_seen, needs_modseq):
    [fetch] = read(b"a FETCH 1 " + items + b"\r\n")
    for asked in (fetch.items, fetch.items.with_uid()):
        assert asked.needs_metadata is needs_metadata
        assert asked.reads_body is reads_body
        assert asked.sets_seen is sets_seen
        assert asked.needs_modseq is needs_modseq
    assert fetch.items.with_modseq().needs_modseq
    assert FetchItems.flags(uid=True, modseq=True).needs_modseq
    assert not FetchItems.flags(uid=False, modseq=False).needs_modseq
    assert FetchItems.uid_and_modseq().needs_modseq


def test_names_and_strings():
    assert mailbox_name("Entwürfe", utf8=False) == b"Entw&APw-rfe"
    assert mailbox_name("Entwürfe", utf8=True) == '"Entwürfe"'.encode()
    assert mailbox_name("a b", utf8=False) == b'"a b"'
    assert imap_string(b'a"b') == b'"a\\"b"'
    assert imap_string(memoryview(b"a\r\n")) == b"{3}\r\na\r\n"
    assert imap_string("é".encode(), utf8=True) == '"é"'.encode()


def test_list_patterns():
    matcher = ListMatcher(["%", "Archive/*"])
    names = ["INBOX", "a/b", "Archive", "Archive/a/b"]
    assert [matcher.matches(name) for name in names] == [True, False, True, True]
    assert ListMatcher(["inbox"]).matches("INBOX")
    assert not ListMatcher(["a%"], ".").matches("a.b")
    assert ListMatcher(["a%"], "").matches("a.b")
    assert not ListMatcher([]).matches("")
    with pytest.raises(ValueError, match="delimiter"):
        ListMatcher(["a"], "ab")


def test_responses():
    out = ResponseWriter()
    out.untagged(b"CAPABILITY IMAP4rev2")
    out.exists(3)
    out.recent(0)
    out.expunged([5, 2])
    out.vanished(UidSet([(1, 3), (9, 9)]), earlier=True)
    out.condition("OK", "hello", code="ALERT")
    out.continuation()
    out.raw(memoryview(b"* raw\r\n"))
    out.tagged(b"a1", "NO", "süß", code="CANNOT")
    expected = (
        b"* CAPABILITY IMAP4rev2\r\n* 3 EXISTS\r\n* 0 RECENT\r\n* 5 EXPUNGE\r\n* 2 EXPUNGE\r\n"
        b"* VANISHED (EARLIER) 1:3,9\r\n* OK [ALERT] hello\r\n+ \r\n* raw\r\n"
        b"a1 NO [CANNOT] s??\r\n"
    )
    assert len(out) == len(expected)
    assert out.take() == expected
    assert (len(out), out.take()) == (0, b"")


def test_a_writable_buffer_is_refused():
    with pytest.raises(BufferError):
        ResponseWriter().raw(bytearray(b"x"))


def test_dots():
    dots = DotReader()
    assert dots.feed(b"a\r\n..b\r\n.") == b"a\r\n.b\r\n"
    assert not dots.done
    assert dots.feed(b"\r\nQUIT") == b""
    assert (dots.done, dots.tail) == (True, b"QUIT")
