"""GETQUOTA, SETQUOTA and STATUS DELETED-STORAGE, beside the dialogues."""

import pytest
from tests.commands.fakes import connection, send
from tests.filepool.direct import received

from imapvm._core import STORE_ADD, UidSet
from imapvm.commands.handlers.mailboxes import status
from imapvm.model.limits import NAMES_PER_ACCOUNT_MAX


async def fill(store, count: int) -> int:
    with store.reading() as reader:
        inbox = reader.mailbox("INBOX").id
    await store.append(inbox, [received(store, b"x" * (10 + n)) for n in range(count)])
    return inbox


@pytest.mark.parametrize("step", [1, 40, 100, 16_384])
async def test_deleted_storage_is_the_same_in_steps_of_any_size(signed_in, monkeypatch, step):
    monkeypatch.setattr(status, "COUNTED_IN_A_STEP", step)
    store = signed_in.session.store
    inbox = await fill(store, 300)
    await store.store_flags(
        inbox, UidSet([(5, 50), (200, 299)]), mode=STORE_ADD, flags=8, keywords=()
    )
    expected = sum(10 + uid - 1 for uid in (*range(5, 51), *range(200, 300)))
    (line, _) = await send(signed_in, b"a STATUS INBOX (DELETED DELETED-STORAGE)\r\n")
    assert line == f"* STATUS INBOX (DELETED 146 DELETED-STORAGE {expected})"


async def test_deleted_storage_lets_others_run_between_its_steps(signed_in, monkeypatch):
    monkeypatch.setattr(status, "COUNTED_IN_A_STEP", 35)
    store = signed_in.session.store
    inbox = await fill(store, 350)
    await store.store_flags(inbox, UidSet([(1, 1)]), mode=STORE_ADD, flags=8, keywords=())
    steps = []
    monkeypatch.setattr(
        type(signed_in.services.turns), "is_over", lambda _: steps.append(1) or False
    )
    await send(signed_in, b"a STATUS INBOX (DELETED-STORAGE)\r\n")
    assert len(steps) >= 9


async def test_administrator_is_known_in_any_case_of_the_login_name(signed_in):
    assert not signed_in.is_administrator
    assert not connection().is_administrator
    signed_in.services.administrators = frozenset({"alice"})
    assert signed_in.is_administrator
    signed_in.services.administrators = frozenset({"bob"})
    assert not signed_in.is_administrator


async def test_name_with_other_letters_is_sent_as_a_literal(signed_in):
    pool = signed_in.services.pool
    account = await pool.accounts.enroll("zoë", "x")
    signed_in.session.store = pool.account(account)
    lines = await send(signed_in, "a GETQUOTA {10+}\r\n#user/ZOË\r\n".encode())
    assert lines[:2] == ["* QUOTA {10}", f"#user/zoë (MAILBOX 6 {NAMES_PER_ACCOUNT_MAX})"]


async def test_only_an_administrator_reads_the_quota_of_others(signed_in):
    await signed_in.services.pool.accounts.enroll("bob", "x")
    denied = await send(signed_in, b"a GETQUOTA #user/bob\r\nb GETQUOTA #user/carol\r\n")
    assert denied[0][1:] == denied[1][1:] == " NO [NONEXISTENT] quota root does not exist"
    signed_in.services.administrators = frozenset({"alice"})
    found = await send(signed_in, b"a GETQUOTA #user/bob\r\nb GETQUOTA #user/carol\r\n")
    assert found[0].startswith('* QUOTA "#user/bob" (')
    assert found[2] == "b NO [NONEXISTENT] quota root does not exist"


async def test_change_of_a_quota_is_logged(signed_in, caplog):
    caplog.set_level("INFO")
    signed_in.services.administrators = frozenset({"alice"})
    await send(signed_in, b"a SETQUOTA #user/alice (STORAGE 5)\r\n")
    (event,) = caplog.records
    assert event.message == "quota changed"
    assert (event.owner, event.limits) == ("alice", {"STORAGE": 5})
