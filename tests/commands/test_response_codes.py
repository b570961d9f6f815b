"""Response codes: each NO and BAD has one, and docs/protocol.md lists them all."""

import ast
import re
from pathlib import Path

import pytest
from tests.commands.fakes import connection, send

import imapvm.commands
from imapvm.commands.dispatch import CODES
from imapvm.commands.outcome import Refusal
from imapvm.filepool import errors
from imapvm.filepool.store import NewMessage

COMMANDS = Path(imapvm.commands.__file__).parent
PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"

RFC_5530 = {
    "UNAVAILABLE",
    "AUTHENTICATIONFAILED",
    "AUTHORIZATIONFAILED",
    "EXPIRED",
    "PRIVACYREQUIRED",
    "CONTACTADMIN",
    "NOPERM",
    "INUSE",
    "EXPUNGEISSUED",
    "CORRUPTION",
    "SERVERBUG",
    "CLIENTBUG",
    "CANNOT",
    "LIMIT",
    "OVERQUOTA",
    "ALREADYEXISTS",
    "NONEXISTENT",
}
"""Section 3."""

OUTSIDE_COMMANDS = {
    "FilepoolError",
    "FilepoolMissingError",
    "NotAFilepoolError",
    "WrongFormatError",
    "AccountExistsError",
}
"""Errors that no command of a client raises."""
BY_DISPATCH = {"CorruptDataError", "TruncatedFileError", "NoSuchAccountError"}
"""Errors with a branch of their own in `dispatch`."""


def refusals():
    """Yield place and call of each `Refusal(…)` in the sources."""
    for path in sorted(COMMANDS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Refusal":
                yield f"{path.relative_to(COMMANDS)}:{node.lineno}", node


def test_each_refusal_has_a_code():
    """BAD has CLIENTBUG if no other is given."""
    without = [
        place
        for place, call in refusals()
        if len(call.args) < 2 and not {"code", "bad"} & {word.arg for word in call.keywords}
    ]
    assert without == []
    assert len(list(refusals())) > 30


def test_each_error_of_the_filepool_has_a_code():
    coded = {kind.__name__ for kind, _ in CODES}
    found = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.FilepoolError)
    }
    missing = {
        name
        for name in found - OUTSIDE_COMMANDS - BY_DISPATCH
        if not any(issubclass(getattr(errors, name), kind) for kind, _ in CODES)
    }
    assert missing == set()
    assert coded <= found


def test_codes_of_subclasses_come_before_those_of_their_bases():
    kinds = [kind for kind, _ in CODES]
    for at, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:at]), kind


def documented() -> dict[str, str]:
    """Return code → text of the table in docs/protocol.md."""
    section = PROTOCOL.read_text().split("\n### Response codes\n")[1].split("\n#")[0]
    return dict(re.findall(r"^\| `([A-Z0-9-]+)` \| (.+?) \|", section, re.MULTILINE))


def test_document_has_each_code_of_rfc_5530():
    assert documented().keys() >= RFC_5530


def test_document_has_each_code_that_the_sources_send():
    text = "\n".join(path.read_text() for path in COMMANDS.rglob("*.py"))
    sent = {code for code in RFC_5530 if f'"{code}"' in text} | {
        code.split()[0] for _, code in CODES
    }
    server = (COMMANDS.parent / "server" / "imap").rglob("*.py")
    sent |= {code for path in server for code in RFC_5530 if f'"{code}"' in path.read_text()}
    never = {code for code, sent_in in documented().items() if sent_in == "never"}
    assert sent <= documented().keys()
    assert never & sent == set()
    assert RFC_5530 - never - sent == set()


def test_bad_has_clientbug_unless_another_code_is_given():
    assert Refusal("x", bad=True).code == "CLIENTBUG"
    assert Refusal("x", "COMPRESSIONACTIVE", bad=True).code == "COMPRESSIONACTIVE"
    assert Refusal("x").code is None


@pytest.mark.parametrize(
    ("line", "response"),
    [
        (b"a FROB\r\n", "a BAD [CLIENTBUG] "),
        (b"a FETCH 1 FLAGS\r\n", "a BAD [CLIENTBUG] cannot FETCH: no mailbox is selected"),
        (b"a LOGIN a b\r\n", "a BAD [CLIENTBUG] cannot LOGIN: already authenticated"),
        (b"a STATUS INBOX (FROB)\r\n", "a BAD [CLIENTBUG] STATUS: "),
        (b"a APPEND INBOX {0+}\r\n\r\n", "a NO [CANNOT] "),
        (b"a CREATE INBOX\r\n", "a NO [ALREADYEXISTS] "),
        (b"a CREATE a//b\r\n", "a NO [CANNOT] "),
        (b"a DELETE nowhere\r\n", "a NO [NONEXISTENT] "),
        (b"a RENAME nowhere a\r\n", "a NO [NONEXISTENT] "),
        (b"a RENAME Sent Trash\r\n", "a NO [ALREADYEXISTS] "),
        (b"a APPEND nowhere {1+}\r\na\r\n", "a NO [TRYCREATE] "),
        (b"a SETQUOTA #user/alice ()\r\n", "a NO [NOPERM] "),
        (b"* OK\r\n", "* BAD expected a tag"),
    ],
)
async def test_code_of_a_refused_command(signed_in, line, response):
    (got,) = await send(signed_in, line)
    assert got.startswith(response)


async def test_login_as_another_user(signed_in):
    """The password is verified first, so that no one else learns of the difference."""
    ctx = connection()
    ctx.services = signed_in.services
    ctx.services.authenticator = Accepting(signed_in.session.store.account)
    # bob, alice, secret; then with a password that is wrong
    (right,) = await send(ctx, b"a AUTHENTICATE PLAIN Ym9iAGFsaWNlAHNlY3JldA==\r\n")
    assert right == "a NO [AUTHORIZATIONFAILED] cannot act for another user"
    assert ctx.session.store is None


class Accepting:
    """Authenticator that accepts each password."""

    def __init__(self, account) -> None:
        self.account = account

    async def login(self, *_, **__):
        return self.account


async def test_expunges_that_are_held_back_are_reported_in_ok(signed_in):
    """RFC 5530, EXPUNGEISSUED: FETCH by number must not send EXPUNGE, and NOOP does."""
    store = signed_in.session.store
    await put(store, 3)
    await send(signed_in, b"a SELECT INBOX\r\n")
    other = connection(store=store)
    other.services = signed_in.services
    await send(other, b"a SELECT INBOX\r\nb STORE 2 +FLAGS.SILENT (\\Deleted)\r\nc EXPUNGE\r\n")
    for command, untagged in (
        (b"FETCH 1 UID", ["* 1 FETCH (UID 1)"]),
        (b"SEARCH ALL", ["* SEARCH 1 3"]),
        (b"STORE 1 +FLAGS.SILENT (\\Seen)", []),
    ):
        lines = await send(signed_in, b"d %b\r\n" % command)
        assert lines[: len(untagged)] == untagged
        assert lines[-1] == f"d OK [EXPUNGEISSUED] {command.split()[0].decode()} completed"
    lines = await send(signed_in, b"e NOOP\r\nf FETCH 1 UID\r\n")
    assert lines[0] == "* 2 EXPUNGE"
    assert lines[-1] == "f OK FETCH completed"


async def put(store, count: int) -> None:
    with store.reading() as reader:
        inbox = reader.mailbox("INBOX").id
    messages = []
    for _ in range(count):
        writer = store.new_body()
        writer.feed(b"\r\n")
        messages.append(NewMessage(writer.finish(), 0, (), 0, 0))
    await store.append(inbox, messages)
