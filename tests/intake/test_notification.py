"""Non-delivery notifications (RFC 3464), and the setting `delivery.unknown`."""

import email
import email.policy
import sys

import pytest
import trio
from tests.intake.spooling import emptied, message, names, watching

from imapvm.intake import notification as module
from imapvm.intake.deliver import Deliverer
from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.intake.envelope import Envelope, Recipient, Sender
from imapvm.intake.notification import (
    FailedRecipient,
    NotificationError,
    build_notification,
    header_of,
    send_notification,
)
from imapvm.intake.replies import OVER_QUOTA, UNKNOWN_RECIPIENT
from imapvm.intake.spool.file import submit_file, write_bsmtp
from imapvm.model.limits import BOUNCE_HEADER_MAX

pytestmark = pytest.mark.usefixtures("dropped_at_once")

HEADER = b"Subject: x\r\nFrom: ada\r\n"


def written(envelope, *failures, header=HEADER):
    data = build_notification(
        envelope, failures, header, hostname="mail.example.org", now=1_795_400_000.0
    )
    assert b"\n" not in data.replace(b"\r\n", b"")
    return email.message_from_bytes(data, policy=email.policy.default)


def test_a_notification_is_a_machine_readable_report():
    sender = Sender("ada@x.example", envelope_id="E1")
    bob = Recipient("bob@h.example", original="rfc822;robert@h.example")
    report = written(
        Envelope(sender, (bob,)),
        FailedRecipient(bob, UNKNOWN_RECIPIENT),
        FailedRecipient(Recipient("cyn"), OVER_QUOTA),
    )
    assert report["Subject"] == "Your message could not be delivered"
    assert report["To"] == "ada@x.example"
    assert report["From"].addresses[0].addr_spec == "MAILER-DAEMON@mail.example.org"
    assert report["Auto-Submitted"] == "auto-replied"
    assert report["Date"].datetime.timestamp() == 1_795_400_000
    assert report["Message-ID"]
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    text, status, header = report.iter_parts()
    assert text.get_content().splitlines() == [
        "This is the mail server mail.example.org.",
        "",
        "Your message could not be delivered to:",
        "",
        "    bob@h.example",
        "    There is no mailbox with this address. Please check the spelling.",
        "    Error code: 550 5.1.1 no such user here",
        "",
        "    cyn",
        "    The mailbox is full. Please try again later.",
        "    Error code: 552 5.2.2 mailbox is full",
        "",
        "This is an automatic report about the addresses above; replies are not read.",
        "The header of your message is attached.",
    ]
    assert status.get_content_type() == "message/delivery-status"
    whole, first, second = status.iter_parts()
    assert whole.items() == [
        ("Reporting-MTA", "dns; mail.example.org"),
        ("Original-Envelope-Id", "E1"),
    ]
    assert first.items() == [
        ("Original-Recipient", "rfc822;robert@h.example"),
        ("Final-Recipient", "rfc822; bob@h.example"),
        ("Action", "failed"),
        ("Status", "5.1.1"),
        ("Diagnostic-Code", "smtp; 550 5.1.1 no such user here"),
    ]
    assert second["Status"] == "5.2.2"
    assert header.get_content_type() == "text/rfc822-headers"
    assert header.get_payload() == HEADER.decode()


def test_utf8_addresses_and_headers_follow_rfc_6533():
    envelope = Envelope(Sender("adá@x.example", utf8=True), ())
    failures = [FailedRecipient(Recipient("böb@h"), UNKNOWN_RECIPIENT)]
    data = build_notification(envelope, failures, "S: ü\r\n".encode(), hostname="h", now=0).decode()
    assert "\r\nContent-Type: message/global-delivery-status\r\n" in data
    assert "\r\nFinal-Recipient: utf-8; böb@h\r\n" in data
    assert (
        "\r\nContent-Type: message/global-headers\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\nS: ü\r\n\r\n--"
    ) in data


@pytest.mark.at_limit("BOUNCE_HEADER_MAX")
@pytest.mark.past_limit("BOUNCE_HEADER_MAX")
def test_the_returned_header_is_limited_to_whole_lines():
    assert header_of(b"A: x\r\n\r\nbody", 100) == b"A: x\r\n"
    assert header_of(b"A: x\r\n", 100) == b"A: x\r\n"
    assert header_of(b"", 100) == b""
    line = b"A: " + b"x" * 59 + b"\r\n"
    fits = line * (BOUNCE_HEADER_MAX // len(line))
    assert len(fits) == BOUNCE_HEADER_MAX
    assert header_of(fits + b"\r\nbody", BOUNCE_HEADER_MAX) == fits
    assert header_of(b"B" + fits + b"\r\n", BOUNCE_HEADER_MAX) == b"B" + fits[: -len(line)]


@pytest.fixture
def sendmail(tmp_path):
    """Command that records its input; the file `status` has its exit status."""
    script = tmp_path / "sendmail"
    script.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "status = here / 'status'\n"
        "if status.exists():\n"
        "    print('no luck\\nmail queue is full', file=sys.stderr)\n"
        "    sys.exit(int(status.read_text()))\n"
        "with (here / 'sent').open('ab') as sent:\n"
        "    sent.write(repr(sys.argv[1:]).encode() + b'\\n' + sys.stdin.buffer.read())\n"
    )
    script.chmod(0o700)
    return script


def bouncing(fake, sendmail):
    settings = DeliverySettings(
        hostname="h", unknown="bounce", sendmail=(str(sendmail), "-i", "-f", "<>", "--")
    )
    return Deliverer(fake, settings)


async def test_the_sender_is_notified_of_unknown_recipients_and_known_ones_get_the_message(
    spool, fake, sendmail, tmp_path
):
    submit_file(spool, write_bsmtp("ada@x.example", ["bob", "dan", "eve"], message("lost")))
    async with watching(spool, bouncing(fake, sendmail)):
        await emptied(spool)
    sent = (tmp_path / "sent").read_bytes()
    command, _, data = sent.partition(b"\n")
    assert command == b"['-i', '-f', '<>', '--', 'ada@x.example']"
    assert b"\r" not in data
    report = email.message_from_bytes(data, policy=email.policy.default)
    _, status, header = report.iter_parts()
    assert [p["Final-Recipient"] for p in list(status.iter_parts())[1:]] == [
        "rfc822; dan",
        "rfc822; eve",
    ]
    assert header.get_payload() == "Subject: lost\n"
    assert len(fake.stored) == 1
    assert names(spool, "undeliverable") == []


async def test_each_notification_has_the_header_of_its_message(spool, fake, sendmail, tmp_path):
    parts = [b"".join(write_bsmtp("ada", ["dan"], message(t)))[:-6] for t in ("one", "two")]
    submit_file(spool, parts)
    async with watching(spool, bouncing(fake, sendmail)):
        await emptied(spool)
    sent = (tmp_path / "sent").read_text()
    assert sent.count("Subject: one\n") == sent.count("Subject: two\n") == 1


async def test_notify_never_suppresses_the_notification(spool, fake, sendmail, tmp_path):
    submit_file(spool, write_bsmtp("ada", ["dan"], message("x"), rcpt_parameters="NOTIFY=NEVER"))
    async with watching(spool, bouncing(fake, sendmail)):
        await emptied(spool)
    assert not (tmp_path / "sent").exists()
    assert names(spool, "undeliverable") == []


async def test_the_null_sender_is_not_notified_and_the_file_is_held(
    spool, fake, sendmail, tmp_path
):
    submit_file(spool, write_bsmtp("", ["dan"], message("x")), name="x")
    async with watching(spool, bouncing(fake, sendmail)):
        await emptied(spool)
    assert not (tmp_path / "sent").exists()
    assert "null sender" in (spool / "undeliverable" / "x.reason").read_text()


@pytest.mark.parametrize("how", ["fails", "missing"])
async def test_a_file_is_held_if_the_notification_cannot_be_sent(
    spool, fake, sendmail, tmp_path, how
):
    if how == "fails":
        (tmp_path / "status").write_text("75")
        reason = "failed with status 75: mail queue is full"
    else:
        sendmail.unlink()
        reason = f"cannot run {sendmail}: No such file or directory"
    submit_file(spool, write_bsmtp("ada", ["bob", "dan"], message("x")), name="x")
    async with watching(spool, bouncing(fake, sendmail)):
        await emptied(spool)
    written_reason = (spool / "undeliverable" / "x.reason").read_text()
    assert reason in written_reason
    assert "to <dan>: 550" in written_reason
    assert len(fake.stored) == 1


async def test_a_hanging_command_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SENDMAIL_SECONDS", 0.3)
    with trio.fail_after(20), pytest.raises(NotificationError, match="did not end in"):
        await send_notification([sys.executable, "-c", "import time; time.sleep(60)"], "x", b"")
