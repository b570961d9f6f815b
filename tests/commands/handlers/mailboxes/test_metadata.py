"""GETMETADATA and SETMETADATA: limits, long responses, and a model of all annotations."""

import tempfile
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.commands.fakes import connection, exchange, send
from tests.dialogues.responses.grammar import Reader

from imapvm.commands import annotations
from imapvm.commands.handlers.mailboxes import metadata
from imapvm.filepool.pool import create_filepool, open_filepool
from imapvm.filepool.store import Annotation
from imapvm.filepool.tables import annotations as table
from imapvm.model.limits import (
    ANNOTATION_MAX,
    ANNOTATION_NAME_MAX,
    ANNOTATIONS_PER_COMMAND_MAX,
    ANNOTATIONS_PER_MAILBOX_MAX,
)
from imapvm.model.quota import ANNOTATION_STORAGE

SESSION = b"sess-1"


async def fill(ctx, mailbox: str, count: int, value: bytes = b"") -> None:
    store = ctx.session.store
    with store.reading() as reader:
        row = reader.mailbox(mailbox)
    for start in range(0, count, ANNOTATIONS_PER_COMMAND_MAX):
        numbers = range(start, min(start + ANNOTATIONS_PER_COMMAND_MAX, count))
        made = [Annotation(b"/x/%04d" % number, value) for number in numbers]
        await store.set_annotations(row.id, made, origin=SESSION)


def entries(sent: bytes) -> dict[bytes, bytes | None]:
    """Return the entries of all METADATA responses; none may appear twice."""
    found: dict[bytes, bytes | None] = {}
    for response in Reader(sent).all():
        if response.kind == "METADATA":
            _, values = response.value
            assert found.keys().isdisjoint(values)
            found |= values
    return found


# --- limits --------------------------------------------------------------------------------------


async def test_too_many_entries_in_one_command_are_refused(signed_in):
    names = [b"/private/x/%d" % number for number in range(ANNOTATIONS_PER_COMMAND_MAX + 1)]
    for command in (
        b"GETMETADATA INBOX (%b)" % b" ".join(names),
        b"SETMETADATA INBOX (%b)" % b" ".join(name + b" NIL" for name in names),
        b'LIST "" * RETURN (METADATA (%b))' % b" ".join(names),
    ):
        assert await send(signed_in, b"a " + command + b"\r\n") == [
            f"a NO [LIMIT] more than {ANNOTATIONS_PER_COMMAND_MAX} annotations in one command"
        ]
    sent = await exchange(signed_in, b"a GETMETADATA INBOX (%b)\r\n" % b" ".join(names[1:]))
    assert len(entries(sent)) == ANNOTATIONS_PER_COMMAND_MAX


async def test_too_many_entries_of_a_mailbox_are_refused(signed_in):
    """RFC 5464 section 4.3, the last example."""
    await fill(signed_in, "INBOX", ANNOTATIONS_PER_MAILBOX_MAX)
    command = b'a SETMETADATA INBOX (/private/comment "My new comment")\r\n'
    assert (await send(signed_in, command))[0].startswith("a NO [METADATA TOOMANY] ")
    assert await send(signed_in, b'a SETMETADATA INBOX (/private/x/0000 "y")\r\n') == [
        "a OK SETMETADATA completed"
    ]


@pytest.mark.parametrize("length", [ANNOTATION_MAX + 1, 65_536, 65_537, 10_000_000])
async def test_a_value_that_is_too_large_is_refused_with_the_maximum(signed_in, length):
    """Also one that exceeds the limits of a command, whose bytes are skipped."""
    command = b"a SETMETADATA INBOX (/private/comment {%d+}\r\n%b)\r\nb NOOP\r\n"
    first, second = await send(signed_in, command % (length, b"x" * length))
    assert first.startswith(f"a NO [METADATA MAXSIZE {ANNOTATION_MAX}] ")
    assert second == "b OK NOOP completed"


async def test_a_quoted_value_longer_than_a_line_is_refused_with_the_maximum(signed_in):
    command = b'a SETMETADATA INBOX (/private/comment "%b")\r\n' % (b"x" * 70_000)
    (line,) = await send(signed_in, command)
    assert line.startswith(f"a NO [METADATA MAXSIZE {ANNOTATION_MAX}] ")


async def test_values_of_the_maximum_size_are_stored(signed_in):
    value = b"x" * ANNOTATION_MAX
    command = b"a SETMETADATA INBOX (/private/comment {%d+}\r\n%b)\r\n" % (len(value), value)
    assert await send(signed_in, command) == ["a OK SETMETADATA completed"]
    sent = await exchange(signed_in, b"a GETMETADATA INBOX /private/comment\r\n")
    assert entries(sent) == {b"/private/comment": value}


async def test_names_that_are_too_long_have_no_value(signed_in):
    name = b"/private/" + b"n" * ANNOTATION_NAME_MAX
    (line,) = await send(signed_in, b'a SETMETADATA INBOX (%b "x")\r\n' % name)
    assert line.startswith("a NO [LIMIT] ")
    for depth in (b"0", b"infinity"):
        command = b"a GETMETADATA (DEPTH %b) INBOX %b\r\n" % (depth, name * 2)
        assert entries(await exchange(signed_in, command)) == {name * 2: None}


async def test_annotations_over_the_quota_are_refused(signed_in):
    store = signed_in.session.store
    await store.set_quota({ANNOTATION_STORAGE: 1})
    command = b'a SETMETADATA INBOX (/private/comment "%b")\r\n' % (b"x" * 1024)
    (line,) = await send(signed_in, command)
    assert line.startswith("a NO ")
    assert "quota exceeded" in line


# --- long responses ------------------------------------------------------------------------------


async def test_many_entries_are_read_and_sent_in_pieces(signed_in, monkeypatch):
    monkeypatch.setattr(metadata, "ENTRIES_PER_READ", 7)
    await fill(signed_in, "INBOX", 500, b"v" * 1000)
    sent = await exchange(signed_in, b"a GETMETADATA (DEPTH infinity) INBOX /private\r\n")
    assert entries(sent) == {b"/private/x/%04d" % n: b"v" * 1000 for n in range(500)}
    assert signed_in.channel.writes > 5
    lines = sent.split(b"\r\n")
    assert max(map(len, lines)) < 3 * metadata.RESPONSE_BYTES


async def test_entries_that_are_named_twice_are_sent_once(signed_in):
    await fill(signed_in, "INBOX", 5)
    command = b"a GETMETADATA (DEPTH infinity) INBOX (/private /private/x /private/x/0001 /private)"
    assert len(entries(await exchange(signed_in, command + b"\r\n"))) == 5
    command = b"a GETMETADATA INBOX (/private/y /private/y)\r\n"
    assert entries(await exchange(signed_in, command)) == {b"/private/y": None}


async def test_a_mailbox_that_is_deleted_meanwhile(signed_in, monkeypatch):
    store = signed_in.session.store
    row = await store.create_mailbox("doomed")
    await fill(signed_in, "doomed", 100, b"v" * 5000)
    flush = type(signed_in).flush

    async def delete_and_flush(ctx):
        nonlocal row
        if row is not None:
            doomed, row = row, None
            await store.delete_mailbox(doomed.id)
        await flush(ctx)

    monkeypatch.setattr(type(signed_in), "flush", delete_and_flush)
    sent = await exchange(signed_in, b"a GETMETADATA (DEPTH 1) doomed /private/x\r\n")
    assert sent.endswith(b"a NO [NONEXISTENT] mailbox does not exist\r\n")
    assert 0 < len(entries(sent)) < 100


async def test_list_leaves_out_annotations_of_a_mailbox_that_is_deleted_meanwhile(
    signed_in, monkeypatch
):
    monkeypatch.setattr(metadata.Tree, "size", _deleted)
    lines = await send(signed_in, b'a LIST "" INBOX RETURN (METADATA (/private/comment))\r\n')
    assert lines == ['* LIST (\\HasNoChildren) "/" INBOX', "a OK LIST completed"]


def _deleted(*_):
    raise metadata.Refusal("mailbox does not exist", code="NONEXISTENT")


# --- notices -------------------------------------------------------------------------------------


async def test_many_changes_are_written_in_pieces(signed_in, monkeypatch):
    monkeypatch.setattr(annotations, "UPDATES_AT_ONCE", 7)
    await send(signed_in, b"a ENABLE METADATA\r\n")
    await fill(signed_in, "INBOX", 100)
    *lines, last = await send(signed_in, b"a NOOP\r\n")
    assert last == "a OK NOOP completed"
    names = [name for line in lines for name in line.removeprefix("* METADATA INBOX ").split()]
    assert names == [f"/private/x/{number:04}" for number in range(100)]
    assert await send(signed_in, b"a NOOP\r\n") == ["a OK NOOP completed"]


async def test_a_session_that_has_missed_changes_ends(signed_in, monkeypatch):
    monkeypatch.setattr(table, "CHANGES_KEPT", 9)
    await send(signed_in, b"a ENABLE METADATA\r\n")
    await fill(signed_in, "INBOX", 10)
    (line,) = await send(signed_in, b"a NOOP\r\n")
    assert line.startswith("* BYE more annotations have changed than are remembered")
    assert signed_in.session.over


# --- the model -----------------------------------------------------------------------------------

MAILBOXES = ["INBOX", "Drafts", "a", "a/b", ""]
PATHS = ["/comment", "/x", "/x/y", "/x/y/z", "/X/w", "/vendor/v/k"]
NAMES = [scope + path for scope in ("/private", "/shared", "/PRIVATE") for path in PATHS]
VALUES = st.none() | st.binary(max_size=9) | st.integers(0, 9000).map(lambda size: b"v" * size)
SETS = st.tuples(
    st.just("set"),
    st.sampled_from(MAILBOXES),
    st.lists(st.tuples(st.sampled_from(NAMES), VALUES), min_size=1, max_size=4),
)
GETS = st.tuples(
    st.just("get"),
    st.sampled_from(MAILBOXES),
    st.lists(st.sampled_from([*NAMES, "/shared", "/private"]), min_size=1, max_size=3),
    st.sampled_from(["0", "1", "infinity"]),
    st.none() | st.integers(0, 5000),
)
OTHERS = st.sampled_from(
    [
        ("create", "a/b"),
        ("delete", "a"),
        ("delete", "a/b"),
        ("rename", "a", "c"),
        ("rename", "INBOX", "old"),
        ("rename", "c", "a"),
    ]
)


class Model:
    """All annotations: by mailbox, then by name in lower case."""

    def __init__(self) -> None:
        self.mailboxes: dict[str, dict[str, bytes]] = {"INBOX": {}, "Drafts": {}, "": {}}

    def create(self, name: str) -> None:
        self.mailboxes.setdefault("a", {})
        self.mailboxes[name] = {}

    def delete(self, name: str) -> None:
        del self.mailboxes[name]

    def rename(self, old: str, new: str) -> None:
        if old == "INBOX":
            self.mailboxes[new] = dict(self.mailboxes[old])
            return
        for name in [name for name in self.mailboxes if f"{name}/".startswith(f"{old}/")]:
            self.mailboxes[new + name[len(old) :]] = self.mailboxes.pop(name)

    def set(self, mailbox: str, values: list[tuple[str, bytes | None]]) -> bool:
        shared = any(name.lower().startswith("/shared") for name, _ in values)
        if mailbox not in self.mailboxes or (not mailbox and shared):
            return False
        for name, value in values:
            if value is None:
                self.mailboxes[mailbox].pop(name.lower(), None)
            else:
                self.mailboxes[mailbox][name.lower()] = value
        return True

    def get(self, mailbox: str, names: list[str], depth: str, max_size: int | None):
        """Return entries in lower case with their values, and the size of the longest left out."""
        stored = dict(self.mailboxes[mailbox])
        if mailbox == "Drafts":
            stored["/private/specialuse"] = rb"\Drafts"
        found: dict[str, bytes | None] = {}
        longest = 0
        for name in map(str.lower, names):
            levels = {"0": 0, "1": 1, "infinity": 99}[depth]
            matching = [
                entry
                for entry in stored
                if entry == name
                or (entry.startswith(name + "/") and entry[len(name) :].count("/") <= levels)
            ]
            if not matching and name.count("/") > 1:
                found[name] = None
            for entry in matching:
                if max_size is not None and len(stored[entry]) > max_size:
                    longest = max(longest, len(stored[entry]))
                else:
                    found[entry] = stored[entry]
        return found, longest


def literal(value: bytes | None) -> bytes:
    return b"NIL" if value is None else b"~{%d+}\r\n%b" % (len(value), value)


def written(step) -> bytes:
    """Return a step of the model as a command."""
    match step:
        case ("set", mailbox, values):
            pairs = b" ".join(name.encode() + b" " + literal(value) for name, value in values)
            return b'a SETMETADATA "%b" (%b)\r\n' % (mailbox.encode(), pairs)
        case ("get", mailbox, names, depth, max_size):
            size = "" if max_size is None else f" MAXSIZE {max_size}"
            options = f"(DEPTH {depth}{size})"
            return f'a GETMETADATA {options} "{mailbox}" ({" ".join(names)})\r\n'.encode()
        case (verb, *names):
            return f"a {verb.upper()} {' '.join(names)}\r\n".encode()
    raise AssertionError(step)


async def play(steps, folder: Path) -> None:
    create_filepool(folder / "filepool")
    async with open_filepool(folder / "filepool") as pool:
        account = await pool.accounts.enroll("alice", "x")
        ctx = connection(store=pool.account(account))
        ctx.services.pool = pool
        model = Model()
        for step in steps:
            sent = await exchange(ctx, written(step))
            done = Reader(sent).all()[-1]
            match step:
                case ("set", mailbox, values):
                    assert (done.kind == "OK") == model.set(mailbox, values)
                case ("get", mailbox, *asked):
                    if mailbox not in model.mailboxes:
                        assert done.code == ("NONEXISTENT", None)
                        continue
                    expected, longest = model.get(mailbox, *asked)
                    found = {name.decode().lower(): value for name, value in entries(sent).items()}
                    assert found == expected
                    code = ("METADATA", (b"LONGENTRIES", longest)) if longest else None
                    assert done.code == code
                case (verb, *names):
                    if done.kind == "OK":
                        getattr(model, verb)(*names)
        assert pool.check().findings == ()


@settings(max_examples=max(settings().max_examples // 10, 10))
@given(steps=st.lists(SETS | GETS | OTHERS, max_size=30))
def test_annotations_are_those_of_the_model(steps):
    with tempfile.TemporaryDirectory() as folder:
        trio.run(play, steps, Path(folder))
