"""Non-delivery notifications: RFC 3464, and RFC 6533 for UTF-8 addresses."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

import trio

from imapvm.intake.envelope import Envelope, Recipient
from imapvm.intake.replies import OVER_QUOTA, UNKNOWN_RECIPIENT, Reply

SENDMAIL_SECONDS: Final = 60

_EXPLANATIONS: Final = {
    UNKNOWN_RECIPIENT: "There is no mailbox with this address. Please check the spelling.",
    OVER_QUOTA: "The mailbox is full. Please try again later.",
}
_OTHER_EXPLANATION: Final = "The mail server did not accept the message."


class NotificationError(Exception):
    """The notification was not sent. The text is the reason."""


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """Recipient of a message that was not delivered, and the reason."""

    recipient: Recipient
    reply: Reply


def build_notification(
    envelope: Envelope,
    failures: Sequence[FailedRecipient],
    header: bytes,
    *,
    hostname: str,
    now: float,
) -> bytes:
    """Return a delivery status notification, lines ending with CRLF.

    Args:
        envelope: envelope of the message; its sender is not null.
        failures: recipients that the message was not delivered to.
        header: header of the message, bounded, lines ending with CRLF.
        hostname: name of this server.
        now: seconds since 1970.
    """
    boundary = f"=_{os.urandom(12).hex()}"
    to = envelope.sender.address
    utf8 = not (header.isascii() and all(f.recipient.address.isascii() for f in failures))
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{hostname}>",
        f"To: {to}",
        "Subject: Your message could not be delivered",
        f"Date: {formatdate(now, localtime=True)}",
        f"Message-ID: <{os.urandom(12).hex()}@{hostname}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
        "",
        f"--{boundary}",
        *_part_head("text/plain; charset=utf-8", utf8=utf8),
        *_text(failures, hostname),
        "",
        f"--{boundary}",
        *_part_head("message/" + ("global-" * utf8) + "delivery-status", utf8=utf8),
        f"Reporting-MTA: dns; {hostname}",
    ]
    if envelope.sender.envelope_id is not None:
        lines.append(f"Original-Envelope-Id: {envelope.sender.envelope_id}")
    for failure in failures:
        lines += ["", *_status_fields(failure)]
    lines += [
        "",
        f"--{boundary}",
        *_part_head("message/global-headers" if utf8 else "text/rfc822-headers", utf8=utf8),
    ]
    end = f"\r\n--{boundary}--\r\n"
    return "".join(line + "\r\n" for line in lines).encode() + header + end.encode()


async def send_notification(command: Sequence[str], sender: str, message: bytes) -> None:
    """Send a notification with the sendmail command.

    Args:
        command: reads the message from standard input, lines ending with LF; its last argument is
            the recipient.
        sender: sender of the undelivered message, recipient of the notification.
        message: from `build_notification`.

    Raises:
        NotificationError: the command is missing, failed, or did not end in SENDMAIL_SECONDS.
    """
    try:
        with trio.fail_after(SENDMAIL_SECONDS):
            done = await trio.run_process(
                [*command, sender],
                stdin=message.replace(b"\r\n", b"\n"),
                stdout=subprocess.DEVNULL,
                capture_stderr=True,
                check=False,
            )
    except trio.TooSlowError:
        raise NotificationError(f"{command[0]} did not end in {SENDMAIL_SECONDS} seconds") from None
    except OSError as error:
        raise NotificationError(f"cannot run {command[0]}: {error.strerror}") from None
    if done.returncode:
        last_line = (done.stderr or b"").decode("utf-8", "replace").strip().splitlines()[-1:]
        status = f"{command[0]} failed with status {done.returncode}"
        raise NotificationError(": ".join([status, *last_line]))


def header_of(message: bytes, limit: int) -> bytes:
    """Return the header at the start of a message: whole lines, at most `limit` bytes."""
    end = message.find(b"\r\n\r\n")
    header = message[: end + 2] if 0 <= end <= limit - 2 else message[:limit]
    return header[: header.rfind(b"\n") + 1]


def _part_head(kind: str, *, utf8: bool) -> list[str]:
    encoding = ["Content-Transfer-Encoding: 8bit"] if utf8 else []
    return [f"Content-Type: {kind}", *encoding, ""]


def _text(failures: Sequence[FailedRecipient], hostname: str) -> list[str]:
    """Return the part for the human reader."""
    lines = [f"This is the mail server {hostname}.", "", "Your message could not be delivered to:"]
    for failure in failures:
        lines += [
            "",
            f"    {failure.recipient.address}",
            f"    {_EXPLANATIONS.get(failure.reply, _OTHER_EXPLANATION)}",
            f"    Error code: {failure.reply}",
        ]
    return [
        *lines,
        "",
        "This is an automatic report about the addresses above; replies are not read.",
        "The header of your message is attached.",
    ]


def _status_fields(failure: FailedRecipient) -> list[str]:
    """Return the per-recipient fields of RFC 3464 section 2.3."""
    recipient, reply = failure.recipient, failure.reply
    kind = "rfc822" if recipient.address.isascii() else "utf-8"
    original = [f"Original-Recipient: {recipient.original}"] if recipient.original else []
    return [
        *original,
        f"Final-Recipient: {kind}; {recipient.address}",
        "Action: failed",
        f"Status: {reply.status}",
        f"Diagnostic-Code: smtp; {reply}",
    ]
