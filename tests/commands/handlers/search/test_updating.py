"""Results of searches with UPDATE: what is read for them, and what ends them (RFC 5267)."""

import pytest
from tests.commands.fakes import connection, send
from tests.filepool.direct import START, look, message, message_bytes, uids

from imapvm._core import STORE_ADD, KeyColumns
from imapvm.commands.message_limit import MessageLimit
from imapvm.commands.updates import MailboxSource
from imapvm.model.flags import SystemFlag
from imapvm.session import live_results
from imapvm.session.live_results import AGE_SECONDS

FLAGGED = SystemFlag.FLAGGED.value


async def selected(ctx, count: int = 3):
    """Select a mailbox of some messages; return its store and id."""
    store = ctx.session.store
    inbox = look(store).id
    await store.append(inbox, [message(number) for number in range(1, count + 1)])
    await send(ctx, b"a SELECT INBOX\r\n")
    return store, inbox


async def flag(store, inbox, *numbers: int) -> None:
    """Set a flag as another session."""
    await store.store_flags(inbox, uids(*numbers), mode=STORE_ADD, flags=FLAGGED, keywords=())


def updates(lines: list[str]) -> list[str]:
    return [line for line in lines if "ESEARCH" in line or "NOUPDATE" in line]


async def test_only_messages_that_change_are_searched_again(signed_in, monkeypatch):
    store, inbox = await selected(signed_in, 50)
    await send(signed_in, b"b UID SEARCH RETURN (UPDATE) FLAGGED\r\n")
    scans = []
    scan = MailboxSource.scan

    def noted(self, bound, uids):
        scans.append(uids)
        return scan(self, bound, uids)

    monkeypatch.setattr(MailboxSource, "scan", noted)
    await flag(store, inbox, 7)
    assert updates(await send(signed_in, b"c NOOP\r\n")) == [
        '* ESEARCH (TAG "b") UID ADDTO (0 7)',
    ]
    assert scans == [uids(7)]
    assert await send(signed_in, b"d NOOP\r\n") == ["d OK NOOP completed"]
    assert scans == [uids(7)]


async def test_sort_keys_are_read_from_memory_or_from_metadata(signed_in):
    store, inbox = await selected(signed_in, 40)
    sort = b"b UID SORT RETURN (UPDATE) (REVERSE SUBJECT REVERSE DATE) UTF-8 FLAGGED\r\n"
    await flag(store, inbox, *range(2, 41, 2))
    await send(signed_in, b"x NOOP\r\n")
    await send(signed_in, sort)
    order = await send(signed_in, b"c UID SORT (REVERSE SUBJECT REVERSE DATE) UTF-8 ALL\r\n")
    by_subject = order[0].split()[2:]
    for in_memory in (True, False):
        if not in_memory:
            store._group.key_columns = KeyColumns(0)
        changed = 5 if in_memory else 33
        await flag(store, inbox, changed)
        now = [
            uid for uid in by_subject if int(uid) % 2 == 0 or int(uid) in (5, 33)[: 2 - in_memory]
        ]
        position = now.index(str(changed)) + 1
        assert updates(await send(signed_in, b"d NOOP\r\n")) == [
            f'* ESEARCH (TAG "b") UID ADDTO ({position} {changed})',
        ]


async def test_message_bytes_are_searched_in_steps(signed_in, monkeypatch):
    """A long message does not keep other sessions waiting."""
    monkeypatch.setattr(live_results, "STEP_BYTES", 16 * 1024)
    store, inbox = await selected(signed_in, 1)
    await send(signed_in, b"b UID SEARCH RETURN (UPDATE) BODY needle\r\n")
    steps = []
    search = MailboxSource.search

    def noted(self, task, max_bytes):
        steps.append(max_bytes)
        return search(self, task, max_bytes)

    monkeypatch.setattr(MailboxSource, "search", noted)
    await store.append(inbox, [message(message_bytes(2, size=3_000_000) + b" needle")])
    assert updates(await send(signed_in, b"c NOOP\r\n")) == [
        '* ESEARCH (TAG "b") UID ADDTO (0 2)',
    ]
    assert len(steps) > 5
    assert set(steps) == {16 * 1024}


async def test_expunged_during_the_search_of_its_bytes(signed_in, monkeypatch):
    store, inbox = await selected(signed_in, 1)
    await send(signed_in, b"b UID SEARCH RETURN (UPDATE) BODY needle\r\n")
    search = MailboxSource.search
    expunged = []

    def gone(self, task, max_bytes):
        done = search(self, task, max_bytes)
        if not expunged:
            expunged.append(True)
            return False
        return done

    monkeypatch.setattr(MailboxSource, "search", gone)
    await store.append(inbox, [message(message_bytes(2) + b" needle", SystemFlag.DELETED.value)])
    yield_control = type(signed_in).yield_control

    async def expunging(self):
        await store.expunge(inbox, uids(2))
        await yield_control(self)

    monkeypatch.setattr(type(signed_in), "yield_control", expunging)
    assert not updates(await send(signed_in, b"c NOOP\r\n"))
    assert await send(signed_in, b"d UID SEARCH ALL\r\n") == ["* SEARCH 1", "d OK SEARCH completed"]


async def test_ages_are_compared_with_the_clock_when_a_command_ends(signed_in):
    """RFC 5032 section 2: the server may delay updates."""
    now = START + 100.0
    signed_in.services.clock = lambda: now
    await selected(signed_in, 2)
    lines = await send(
        signed_in,
        b"b UID SEARCH RETURN (UPDATE) OLDER 120\r\n"
        b"c UID SORT RETURN (UPDATE) (SUBJECT) UTF-8 YOUNGER 120\r\n",
    )
    assert updates(lines) == ['* ESEARCH (TAG "b") UID', '* ESEARCH (TAG "c") UID ALL 1:2']
    now += AGE_SECONDS - 1
    assert not updates(await send(signed_in, b"d NOOP\r\n"))
    now += 1
    assert updates(await send(signed_in, b"e NOOP\r\n")) == [
        '* ESEARCH (TAG "b") UID ADDTO (0 1:2)',
        '* ESEARCH (TAG "c") UID REMOVEFROM (1 1:2)',
    ]
    now += 10 * AGE_SECONDS
    assert not updates(await send(signed_in, b"f NOOP\r\n"))


async def test_a_search_that_is_limited_is_not_kept_up_to_date(signed_in):
    await selected(signed_in, 3)
    signed_in.services.message_limit = MessageLimit(messages=2, saved=0)
    lines = await send(signed_in, b"b UID SEARCH RETURN (UPDATE) ALL\r\n")
    assert any(line.startswith('* NO [NOUPDATE "b"] ') for line in lines)
    assert signed_in.session.view.live is None


@pytest.mark.parametrize("command", [b"UNSELECT", b"CLOSE", b"SELECT INBOX", b"SELECT none"])
async def test_results_end_with_the_selected_mailbox(signed_in, command):
    store, inbox = await selected(signed_in)
    await send(signed_in, b"b UID SEARCH RETURN (UPDATE) FLAGGED\r\n")
    await send(signed_in, b"c " + command + b"\r\n")
    await flag(store, inbox, 1)
    assert not updates(await send(signed_in, b"d NOOP\r\n"))


async def test_results_of_one_session_are_not_those_of_another(signed_in):
    store, inbox = await selected(signed_in)
    other = connection(store=store)
    other.services = signed_in.services
    await send(other, b"a SELECT INBOX\r\n")
    await send(signed_in, b"b UID SEARCH RETURN (UPDATE) FLAGGED\r\n")
    await flag(store, inbox, 1)
    assert not updates(await send(other, b"c NOOP\r\n"))
    assert await send(other, b'd CANCELUPDATE "b"\r\n') == ["d OK CANCELUPDATE completed"]
    assert updates(await send(signed_in, b"e NOOP\r\n"))
