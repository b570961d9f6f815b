"""Disabled capabilities: names that are accepted, and the syntax that becomes unknown."""

import pytest

from imapvm._core import CommandReader, DisabledSyntax, Malformed
from imapvm.session.capabilities import TABLE
from imapvm.session.syntax import SYNTAX, CapabilityNameError, Disabled, checked_names

EXAMPLES = {
    "$": ["FETCH $ FLAGS", "UID STORE $ FLAGS ()", "SEARCH $", "UID COPY $ a", "UID EXPUNGE $"],
    "APPEND ;PARTIAL=": ['APPEND a CATENATE (URL "/a/;UID=1/;PARTIAL=0.5")'],
    "APPEND CATENATE": ['APPEND a CATENATE (URL "/a;UIDVALIDITY=1/;UID=1")'],
    "APPEND UTF8": ["APPEND a UTF8 (~{1+}\r\na)"],
    "APPEND {": ["APPEND a {1+}\r\na {1+}\r\nb"],
    "APPEND ~{": ["APPEND a ~{1+}\r\na", "APPEND a (\\Seen) ~{1}"],
    "AUTHENTICATE =": ["AUTHENTICATE PLAIN =", "AUTHENTICATE PLAIN AGEAYg=="],
    "AUTHENTICATE LOGIN": ["AUTHENTICATE LOGIN", "authenticate login YQ=="],
    "AUTHENTICATE PLAIN": ["AUTHENTICATE PLAIN"],
    "CANCELUPDATE": ['CANCELUPDATE "a"'],
    "COMPARATOR": ["COMPARATOR"],
    "COMPRESS": ["COMPRESS DEFLATE"],
    "CREATE USE": ["CREATE a (USE (\\Sent))"],
    "DELETEACL": ["DELETEACL a b"],
    "ENABLE": ["ENABLE IMAP4rev2"],
    "ESEARCH": ["ESEARCH IN (personal) ALL"],
    "FETCH BINARY": ["FETCH 1 BINARY[1]", "UID FETCH 1 (FLAGS BINARY[1]<0.2>)"],
    "FETCH BINARY.PEEK": ["FETCH 1 BINARY.PEEK[1]"],
    "FETCH BINARY.SIZE": ["FETCH 1 BINARY.SIZE[1]"],
    "FETCH CHANGEDSINCE": ["FETCH 1 FLAGS (CHANGEDSINCE 1)"],
    "FETCH EMAILID": ["FETCH 1 EMAILID"],
    "FETCH MODSEQ": ["FETCH 1 (FLAGS modseq)"],
    "FETCH PARTIAL": ["UID FETCH 1 FLAGS (PARTIAL -1:-2)"],
    "FETCH PREVIEW": ["FETCH 1 PREVIEW", "FETCH 1 (PREVIEW (LAZY))"],
    "FETCH SAVEDATE": ["FETCH 1 SAVEDATE"],
    "FETCH THREADID": ["FETCH 1 THREADID"],
    "FETCH VANISHED": ["UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)"],
    "GETACL": ["GETACL a"],
    "GETMETADATA": ["GETMETADATA a /private/comment"],
    "GETQUOTA": ['GETQUOTA ""'],
    "GETQUOTAROOT": ["GETQUOTAROOT a"],
    "ID": ["ID NIL"],
    "IDLE": ["IDLE"],
    "LANGUAGE": ["LANGUAGE"],
    "LIST (": ['LIST (SUBSCRIBED) "" *', 'LIST "" (a b)'],
    "LIST METADATA": ['LIST "" * RETURN (METADATA (/private/comment))'],
    "LIST MYRIGHTS": ['LIST "" * RETURN (MYRIGHTS)'],
    "LIST RETURN": ['LIST "" * RETURN (CHILDREN)'],
    "LIST SPECIAL-USE": ['LIST (SPECIAL-USE) "" *', 'LIST "" * RETURN (SPECIAL-USE)'],
    "LIST STATUS": ['LIST "" * RETURN (STATUS (MESSAGES))'],
    "LISTRIGHTS": ["LISTRIGHTS a b"],
    "LITERAL+": [
        "SEARCH SUBJECT {4097+}\r\n" + 4097 * "x",
        "APPEND a {4097+}\r\n" + 4097 * "x",
        "APPEND a {1}\r\nx ~{4097+}\r\n" + 4097 * "x",
        "APPEND a CATENATE (TEXT {1}\r\nx TEXT {5000+}\r\n" + 5000 * "x" + ")",
    ],
    "LITERAL-": [
        "SEARCH SUBJECT {1+}\r\nx",
        "STATUS {0+}\r\n (MESSAGES)",
        "LOGIN {1+}\r\na {1+}\r\nb",
        "APPEND {1+}\r\na {1+}\r\nx",
        "APPEND a {1+}\r\nx",
        "APPEND a {1}\r\nx {1+}\r\nx",
        "APPEND a UTF8 (~{1+}\r\nx)",
        "APPEND a CATENATE (TEXT {1+}\r\nx)",
        "APPEND a CATENATE (TEXT {1}\r\nx URL {1+}\r\nx)",
    ],
    "MOVE": ["MOVE 1 a", "UID MOVE 1 a"],
    "MYRIGHTS": ["MYRIGHTS a"],
    "NAMESPACE": ["NAMESPACE"],
    "NOTIFY": ["NOTIFY NONE"],
    "REPLACE": ["REPLACE 1 a {1+}\r\na", "UID REPLACE 1 a {1+}\r\na"],
    "SEARCH CONTEXT": ["SEARCH RETURN (CONTEXT) ALL"],
    "SEARCH EMAILID": ["SEARCH EMAILID M1", "SORT (DATE) UTF-8 EMAILID M1"],
    "SEARCH FILTER": ["SEARCH FILTER a", "SORT (DATE) UTF-8 FILTER a"],
    "SEARCH FUZZY": ["SEARCH FUZZY BODY a"],
    "SEARCH MODSEQ": ["SEARCH MODSEQ 1", "THREAD REFS UTF-8 MODSEQ 1"],
    "SEARCH OLDER": ["SEARCH OLDER 1", "SEARCH NOT (older 1)"],
    "SEARCH PARTIAL": ["SEARCH RETURN (PARTIAL 1:2) ALL"],
    "SEARCH RELEVANCY": ["SEARCH RETURN (RELEVANCY) FUZZY BODY a"],
    "SEARCH RETURN": ["SEARCH RETURN () ALL", "UID SEARCH RETURN (MIN) ALL"],
    "SEARCH SAVE": ["SEARCH RETURN (SAVE) ALL"],
    "SEARCH SAVEDATESUPPORTED": ["SEARCH SAVEDATESUPPORTED"],
    "SEARCH SAVEDBEFORE": ["SEARCH SAVEDBEFORE 1-Jan-2020"],
    "SEARCH SAVEDON": ["SEARCH SAVEDON 1-Jan-2020"],
    "SEARCH SAVEDSINCE": ["SEARCH SAVEDSINCE 1-Jan-2020"],
    "SEARCH THREADID": ["SEARCH THREADID T1"],
    "SEARCH UIDAFTER": ["SEARCH UIDAFTER 7"],
    "SEARCH UIDBEFORE": ["UID SEARCH NOT UIDBEFORE 7"],
    "SEARCH UPDATE": ["SEARCH RETURN (UPDATE) ALL"],
    "SEARCH YOUNGER": ["SEARCH YOUNGER 1"],
    "SELECT CONDSTORE": ["SELECT a (CONDSTORE)", "EXAMINE a (CONDSTORE)"],
    "SELECT QRESYNC": ["SELECT a (QRESYNC (1 2))"],
    "SETACL": ["SETACL a b r"],
    "SETMETADATA": ['SETMETADATA a (/private/comment "b")'],
    "SETQUOTA": ['SETQUOTA "" (STORAGE 1)'],
    "SORT": ["SORT (DATE) UTF-8 ALL", "UID SORT (DATE) UTF-8 ALL"],
    "SORT CONTEXT": ["SORT RETURN (CONTEXT) (DATE) UTF-8 ALL"],
    "SORT DISPLAYFROM": ["SORT (DISPLAYFROM) UTF-8 ALL"],
    "SORT DISPLAYTO": ["SORT (REVERSE DISPLAYTO) UTF-8 ALL"],
    "SORT PARTIAL": ["SORT RETURN (PARTIAL 1:2) (DATE) UTF-8 ALL"],
    "SORT RELEVANCY": [
        "SORT (RELEVANCY) UTF-8 FUZZY BODY a",
        "SORT RETURN (RELEVANCY) (DATE) UTF-8 FUZZY BODY a",
    ],
    "SORT RETURN": ["SORT RETURN (MIN) (DATE) UTF-8 ALL"],
    "SORT SAVE": ["SORT RETURN (SAVE) (DATE) UTF-8 ALL"],
    "SORT UPDATE": ["SORT RETURN (UPDATE) (DATE) UTF-8 ALL"],
    "STATUS APPENDLIMIT": ["STATUS a (APPENDLIMIT)"],
    "STATUS DELETED-STORAGE": ["STATUS a (DELETED-STORAGE)"],
    "STATUS HIGHESTMODSEQ": ["STATUS a (HIGHESTMODSEQ)"],
    "STATUS MAILBOXID": ["STATUS a (MAILBOXID)", 'LIST "" * RETURN (STATUS (MAILBOXID))'],
    "STATUS SIZE": ["STATUS a (SIZE)", 'LIST "" * RETURN (STATUS (MESSAGES SIZE))'],
    "STORE UNCHANGEDSINCE": ["STORE 1 (UNCHANGEDSINCE 1) FLAGS ()"],
    "THREAD ORDEREDSUBJECT": ["THREAD ORDEREDSUBJECT UTF-8 ALL"],
    "THREAD REFERENCES": ["UID THREAD REFERENCES UTF-8 ALL"],
    "THREAD REFS": ["THREAD REFS UTF-8 ALL"],
    "UID EXPUNGE": ["UID EXPUNGE 1"],
    "UIDBATCHES": ["UIDBATCHES 100"],
    "UNAUTHENTICATE": ["UNAUTHENTICATE"],
    "UNSELECT": ["UNSELECT"],
}
"""Commands that use an entry of the table."""

OFFERED = {row.name for row in TABLE if row.when is not None}
ENTRIES = [(row.name, entry) for row in SYNTAX if row.name in OFFERED for entry in row.syntax]


def error(command: str, *disabled: str) -> Malformed | None:
    """Return the error of a command, or None."""
    reader = CommandReader()
    reader.disable(DisabledSyntax(disabled))
    reader.feed(f"a {command}\r\n".encode())
    while (event := reader.next()) is not None:
        if isinstance(event, Malformed):
            return event
        if type(event).__name__ in {"AppendMessage", "AppendText"}:
            if event.waits and not command.endswith(("+", "x", ")")):
                return None
            if not getattr(event, "catenate", False):
                reader.accept_literal()
    return None


def test_each_offered_capability_has_a_row_and_each_row_a_capability():
    names = [row.name for row in SYNTAX]
    assert len(set(names)) == len(names)
    assert set(names) >= OFFERED
    assert set(names) <= {row.name for row in TABLE}
    for row in SYNTAX:
        assert set(row.needs) <= set(names)
        assert not (row.fixed and row.syntax)


@pytest.mark.parametrize(("name", "entry"), ENTRIES)
def test_syntax_is_bad_if_the_capability_is_disabled(name, entry):
    syntax = [e for row in SYNTAX if row.name == name for e in row.syntax]
    for command in EXAMPLES[entry]:
        assert error(command) is None, command
        for disabled in ([entry], syntax):
            found = error(command, *disabled)
            assert found is not None, command
            assert (found.tag, found.is_no, found.fatal) == (b"a", False, False)
            assert found.message.startswith("expected ")


def test_syntax_of_an_enabled_capability_is_accepted_beside_a_disabled_one():
    assert error("EXPUNGE", "UID EXPUNGE") is None
    assert error("SEARCH RETURN (COUNT) ALL", "SORT RETURN", "LIST RETURN", "SEARCH SAVE") is None
    assert error("SORT (SIZE) UTF-8 SINCE 1-Jan-2020", "STATUS SIZE", "SEARCH OLDER") is None
    assert error("APPEND a UTF8 (~{1+}\r\na)", "APPEND ~{") is None
    assert error("SEARCH SUBJECT MODSEQ", "SEARCH MODSEQ") is None
    assert error('LIST "" RETURN', "LIST RETURN") is None
    assert error("LOGIN PLAIN LOGIN", "AUTHENTICATE PLAIN", "AUTHENTICATE LOGIN") is None


def test_a_refused_literal_of_a_disabled_command_is_not_executed():
    reader = CommandReader()
    reader.disable(DisabledSyntax(["APPEND ~{", "APPEND {"]))
    reader.feed(b"a APPEND x ~{6+}\r\nb NOOP\r\nc NOOP\r\n")
    bad, command = reader.next(), reader.next()
    assert isinstance(bad, Malformed)
    assert bad.tag == b"a"
    assert type(command).__name__ == "Noop"
    assert command.tag == b"c"


def test_disabled_syntax_has_to_start_with_a_command():
    for entry in ("", "FETC MODSEQ", "MODSEQ", "%", "fetch MODSEQ"):
        with pytest.raises(ValueError, match="no command"):
            DisabledSyntax([entry])


def test_names_are_checked_and_may_have_any_case():
    assert checked_names(["sort", "MOVE", "Sort=Display"]) == {"SORT", "MOVE", "SORT=DISPLAY"}
    for name, message in {
        "SORTED": "cannot disable SORTED: no such capability is offered",
        "URLAUTH": "cannot disable URLAUTH: no such capability is offered",
        "": "cannot disable : no such capability is offered",
        "imap4REV1": "cannot disable IMAP4rev1: ",
        "STARTTLS": "cannot disable STARTTLS: tls.certificate decides",
    }.items():
        with pytest.raises(CapabilityNameError) as caught:
            checked_names(["MOVE", name])
        assert str(caught.value).startswith(message)


def test_capabilities_that_need_a_disabled_one_are_disabled():
    assert Disabled.of(frozenset()).names == set()
    assert Disabled.of(frozenset({"COMPRESS=DEFLATE"})).names == {"COMPRESS=DEFLATE"}
    assert Disabled.of(frozenset({"SORT"})).names >= {"SORT", "SORT=DISPLAY", "ESORT"}
    assert "IMAP4rev2" in Disabled.of(frozenset({"MOVE"})).names
    assert "IMAP4rev2" not in Disabled.of(frozenset({"SORT", "OBJECTID", "MULTIAPPEND"})).names
    without_enable = Disabled.of(frozenset({"ENABLE"})).names
    assert without_enable >= {"ENABLE", "IMAP4rev2", "UTF8=ACCEPT"}
    assert Disabled.of(frozenset({"ESEARCH"})).names >= {"ESEARCH", "SEARCHRES", "ESORT"}
