"""Delivery of messages to the recipients of their envelopes."""

import email.utils
import logging
import re
from dataclasses import replace

import pytest
from tests.intake.conftest import NOW, inbox_of
from tests.intake.fakes import FakePool, message_of

from imapvm.filepool.errors import (
    FilepoolError,
    LimitError,
    NoSuchAccountError,
    NoSuchMailboxError,
    OverQuotaError,
    StoreUnavailableError,
)
from imapvm.intake.deliver import Deliverer
from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.intake.envelope import Envelope, Recipient, Sender
from imapvm.intake.replies import DELIVERED, OVER_QUOTA, STORE_ERROR, STORE_FULL, UNKNOWN_RECIPIENT
from imapvm.intake.trace import Trace, trace_fields
from imapvm.model.limits import INCOMING_MAX, MESSAGE_MAX

MESSAGE = b"Subject: x\r\n\r\nhi\r\n"
TRACE = Trace("LMTP", "id1", "relay.example", "192.0.2.1")
ID = b"0123456789abcdef"


def envelope(*recipients, sender="ada@x.example"):
    return Envelope(Sender(sender), tuple(map(Recipient, recipients)))


async def deliver(deliverer, *recipients, message=(MESSAGE,), delivery_id=ID):
    to = envelope(*recipients)
    incoming = deliverer.begin(to, TRACE, await deliverer.resolve(to))
    try:
        for portion in message:
            if incoming.feed(portion):
                await incoming.spill()
        return await incoming.finish(delivery_id)
    finally:
        await incoming.discard()


async def test_each_recipient_has_a_reply_in_the_order_given(deliverer, fake):
    replies = await deliver(deliverer, "bob", "unknown", "ada@h", "BOB+x@h")
    assert replies == (DELIVERED, UNKNOWN_RECIPIENT, DELIVERED, DELIVERED)
    assert [(user, mailbox) for user, mailbox, _ in fake.stored] == [
        ("bob", "INBOX"),
        ("ada", "INBOX"),
    ]


async def test_a_message_is_stored_byte_for_byte_in_any_portions(deliverer, fake):
    await deliver(deliverer, "bob", message=(b"a\nb\r", b"\n", b"\x00\xff"))
    assert message_of(fake.bodies_of("bob")[0]) == b"a\nb\r\n\x00\xff"


async def test_a_single_recipient_is_named_in_the_header_and_several_are_not(deliverer, fake):
    await deliver(deliverer, "bob+x@h.example")
    (data,) = fake.bodies_of("bob")
    header = data.removesuffix(MESSAGE).decode()
    date = email.utils.formatdate(NOW, localtime=True)
    assert header == (
        "Return-Path: <ada@x.example>\r\n"
        "Delivered-To: bob+x@h.example\r\n"
        "Received: from relay.example ([192.0.2.1])\r\n"
        "\tby mail.example.org with LMTP id id1\r\n"
        f"\tfor <bob+x@h.example>; {date}\r\n"
    )
    await deliver(deliverer, "ada", "bob", delivery_id=ID + b"2")
    (data,) = fake.bodies_of("ada")
    assert data.removesuffix(MESSAGE).decode() == (
        "Return-Path: <ada@x.example>\r\n"
        "Received: from relay.example ([192.0.2.1])\r\n"
        f"\tby mail.example.org with LMTP id id1; {date}\r\n"
    )
    assert fake.bodies_of("bob")[1] is data


@pytest.mark.parametrize(
    ("trace", "received"),
    [
        (Trace("BSMTP", "f"), "Received: by h with BSMTP id f; "),
        (Trace("BSMTP", "f", "a.b"), "Received: from a.b\r\n\tby h with BSMTP id f; "),
        (
            Trace("LMTP", "f", "x", "::1"),
            "Received: from x ([IPv6:::1])\r\n\tby h with LMTP id f; ",
        ),
        (
            Trace("LMTP", "f", "ev il\r\nX: y", "192.0.2.1"),
            "Received: from [192.0.2.1] ([192.0.2.1])\r\n\tby h with LMTP id f; ",
        ),
        (Trace("LMTP", "f", "(", None), "Received: by h with LMTP id f; "),
        (Trace("BSMTP", "my file\n#1;\xfc"), "Received: by h with BSMTP id my_file__1__; "),
        (Trace("UTF8LMTP", "f", "exämple.org"), "Received: from exämple.org\r\n\tby h with"),
    ],
)
def test_received_has_the_known_fields_and_no_injected_text(trace, received):
    fields = trace_fields(trace, hostname="h", sender="", recipient=None, now=NOW).decode()
    assert fields.startswith("Return-Path: <>\r\n" + received)
    assert re.fullmatch(r"(?:[A-Z][a-zA-Z-]+: [^\r\n]+\r\n(?:\t[^\r\n]+\r\n)*){2}", fields)


def test_the_added_fields_fit_the_reserved_size():
    trace = Trace("UTF8LMTP", "x" * 5000, "é" * 254, "ffff:" * 7 + "ffff")
    longest = "é" * 256
    fields = trace_fields(trace, hostname="h" * 255, sender=longest, recipient=longest, now=NOW)
    assert len(fields) < MESSAGE_MAX - INCOMING_MAX


async def test_an_empty_message_is_delivered(deliverer, fake):
    assert await deliver(deliverer, "bob", message=()) == (DELIVERED,)
    assert message_of(fake.bodies_of("bob")[0]) == b""


async def test_a_message_without_known_recipients_is_not_stored(deliverer, fake):
    assert await deliver(deliverer, "x", "y", message=(b"a" * 1_000_000,)) == (
        UNKNOWN_RECIPIENT,
        UNKNOWN_RECIPIENT,
    )
    assert fake.bodies[0].data == b""
    assert fake.attempts == 0


async def test_each_recipient_has_a_log_event(pool, settings, caplog):
    caplog.set_level(logging.INFO, "imapvm.intake.deliver")
    message = b"Message-ID: <m1@x>\r\n\r\nhi\r\n"
    settings = replace(settings, detail_mailboxes=True)
    for _ in range(2):
        await deliver(Deliverer(pool, settings), "ada+Archive", "bob", "dan", message=(message,))
    size = len(inbox_of(pool, "bob")[0])
    common = {"id": "id1", "sender": "ada@x.example", "message_id": "<m1@x>", "size": size}
    to_ada = {"user": "ada", "mailbox": "Archive"}
    to_bob = {"user": "bob", "mailbox": "INBOX"}
    to_dan = {"recipient": "dan", "reason": "550 5.1.1 no such user here"}
    assert [
        (r.message, {k: vars(r)[k] for k in (*common, *want)})
        for r, want in zip(
            caplog.records,
            [to_ada | {"uid": 1}, to_bob | {"uid": 1}, to_dan, to_ada, to_bob, to_dan],
            strict=True,
        )
    ] == [
        ("delivered", common | to_ada | {"uid": 1}),
        ("delivered", common | to_bob | {"uid": 1}),
        ("delivery refused", common | to_dan),
        ("delivered before", common | to_ada),
        ("delivered before", common | to_bob),
        ("delivery refused", common | to_dan),
    ]


async def test_a_refused_delivery_has_a_log_event_with_the_reason(deliverer, fake, caplog):
    fake.refuses["bob"] = LimitError("the mailbox is full")
    await deliver(deliverer, "bob")
    (event,) = caplog.records
    assert event.message == "delivery refused"
    assert (event.user, event.mailbox, event.id) == ("bob", "INBOX", "id1")
    assert event.reason == "the mailbox is full"
    assert event.size > len(MESSAGE)
    assert not hasattr(event, "message_id")


async def test_accounts_that_have_the_message_already_do_not_get_it_again(deliverer, fake):
    ada = fake.accounts.names["ada"].id
    to = envelope("ada", "bob")
    for already in ({ada}, {ada, fake.accounts.names["bob"].id}):
        incoming = deliverer.begin(to, TRACE, await deliverer.resolve(to))
        incoming.feed(MESSAGE)
        assert await incoming.finish(ID, already) == (DELIVERED, DELIVERED)
        assert incoming.accounts == {
            account.id for account in map(fake.accounts.find, ("ada", "bob"))
        }
    assert [user for user, _, _ in fake.stored] == ["bob"]
    assert fake.attempts == 1


async def test_a_repeated_delivery_stores_nothing_and_returns_the_same_replies(deliverer, fake):
    for _ in range(3):
        assert await deliver(deliverer, "bob", "ada") == (DELIVERED, DELIVERED)
    assert len(fake.stored) == 2


async def test_a_large_message_is_staged_and_discarded(settings):
    pool = FakePool(spill_above=1000)
    deliverer = Deliverer(pool, settings)
    await deliver(deliverer, "bob", message=[b"x" * 600] * 4)
    assert pool.spilled == 3
    assert pool.bodies[0].discarded
    pool.full = True
    with pytest.raises(StoreUnavailableError):
        await deliver(deliverer, "bob", message=[b"x" * 600] * 4, delivery_id=ID * 2)
    assert pool.bodies[1].discarded


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (StoreUnavailableError(""), STORE_FULL),
        (LimitError(""), OVER_QUOTA),
        (NoSuchAccountError(""), UNKNOWN_RECIPIENT),
        (NoSuchMailboxError(""), STORE_ERROR),
        (FilepoolError(""), STORE_ERROR),
    ],
)
async def test_an_error_for_one_recipient_has_its_reply(deliverer, fake, error, reply):
    fake.refuses["bob"] = error
    assert await deliver(deliverer, "ada", "bob") == (DELIVERED, reply)
    assert [str(OVER_QUOTA), str(STORE_FULL)] == [
        "552 5.2.2 mailbox is full",
        "452 4.3.1 mail store is full, try again later",
    ]


@pytest.mark.parametrize(
    ("over_quota", "never", "reply"),
    [
        ("defer", False, "452 4.2.2 mailbox is full, try again later"),
        ("refuse", False, "552 5.2.2 mailbox is full"),
        ("defer", True, "552 5.2.3 message is larger than the quota of the mailbox"),
        ("refuse", True, "552 5.2.3 message is larger than the quota of the mailbox"),
    ],
)
async def test_reply_for_a_recipient_over_quota_is_configured(fake, over_quota, never, reply):
    fake.refuses["bob"] = OverQuotaError("STORAGE", 10, never=never)
    deliverer = Deliverer(fake, DeliverySettings(hostname="h", over_quota=over_quota))
    stored, refused = await deliver(deliverer, "ada", "bob")
    assert (stored, str(refused)) == (DELIVERED, reply)


async def test_in_a_real_filepool_a_recipient_over_quota_does_not_get_the_message(pool, settings):
    await pool.account(pool.accounts.find("bob")).set_quota({"MESSAGE": 0})
    stored, refused = await deliver(Deliverer(pool, settings), "ada", "bob")
    assert (stored, refused.status) == (DELIVERED, "5.2.3")
    assert inbox_of(pool, "bob") == []
    await pool.account(pool.accounts.find("bob")).set_quota({"MESSAGE": 1})
    assert await deliver(Deliverer(pool, settings), "ada", "bob") == (DELIVERED, DELIVERED)
    again = await deliver(Deliverer(pool, settings), "bob", delivery_id=ID * 2)
    assert [reply.status for reply in again] == ["4.2.2"]
    assert len(inbox_of(pool, "ada")) == len(inbox_of(pool, "bob")) == 1


async def test_in_a_real_filepool_the_message_is_in_both_inboxes_once(pool, settings):
    deliverer = Deliverer(pool, settings)
    large = b"Subject: large\r\n\r\n" + b"0123456789abcde\r\n" * 60_000
    for _ in range(2):
        replies = await deliver(
            deliverer, "ada", "bob", "x", message=[large[:70_000], large[70_000:]]
        )
        assert replies == (DELIVERED, DELIVERED, UNKNOWN_RECIPIENT)
    for name in ("ada", "bob"):
        (data,) = inbox_of(pool, name)
        assert data.endswith(large)
        assert data.startswith(b"Return-Path: <ada@x.example>\r\nReceived: from relay.example")


async def test_a_message_with_a_detail_is_delivered_to_the_mailbox_of_that_name(pool):
    settings = DeliverySettings(hostname="h", detail_mailboxes=True)
    assert await deliver(Deliverer(pool, settings), "ada+archive@h") == (DELIVERED,)
    assert len(inbox_of(pool, "ada", "Archive")) == 1
    assert inbox_of(pool, "ada") == []


async def test_a_message_of_the_largest_size_can_be_stored(pool, settings):
    left = INCOMING_MAX
    pieces = []
    while left:
        pieces.append(b"x" * min(left, 4_000_000))
        left -= len(pieces[-1])
    assert await deliver(Deliverer(pool, settings), "ada", message=pieces) == (DELIVERED,)
