"""Telling a sender that mail was not delivered: RFC 3464, and RFC 6533 for addresses in UTF-8."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

import trio

from imapvm.intake.envelope import Envelope, Recipient
from imapvm.intake.replies import Reply

SENDMAIL_SECONDS: Final = 60


class NotificationError(Exception):
    """The sendmail command did not take a notification; one sentence says why."""


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """A recipient who did not get a message, and why."""

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
    """Write a delivery status notification, lines ending with CRLF.

    Args:
        envelope: of the message; its sender is not null.
        failures: whom it did not reach.
        header: of the message, bounded, lines ending with CRLF.
        hostname: of this server.
        now: seconds since 1970.
    """
    boundary = f"=_{os.urandom(12).hex()}"
    to = envelope.sender.address
    utf8 = not all(u.recipient.address.isascii() for u in failures) or not header.isascii()
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{hostname}>",
        f"To: {to}",
        "Subject: Undelivered mail returned to sender",
        f"Date: {formatdate(now, localtime=True)}",
        f"Message-ID: <{os.urandom(12).hex()}@{hostname}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
        "",
        f"--{boundary}",
        *_part_head("text/plain; charset=utf-8", utf8=utf8),
        f"This is the mail system at {hostname}.",
        "",
        "Your message could not be delivered to:",
        "",
        *(f"  {undelivered.recipient.address}: {undelivered.reply}" for undelivered in failures),
        "",
        "The header of your message is attached.",
        "",
        f"--{boundary}",
        *_part_head("message/" + ("global-" * utf8) + "delivery-status", utf8=utf8),
        f"Reporting-MTA: dns; {hostname}",
    ]
    if envelope.sender.envelope_id is not None:
        lines.append(f"Original-Envelope-Id: {envelope.sender.envelope_id}")
    for undelivered in failures:
        lines += ["", *_status_fields(undelivered)]
    lines += [
        "",
        f"--{boundary}",
        *_part_head("message/global-headers" if utf8 else "text/rfc822-headers", utf8=utf8),
    ]
    end = f"\r\n--{boundary}--\r\n"
    return "".join(line + "\r\n" for line in lines).encode() + header + end.encode()


async def send_notification(command: Sequence[str], sender: str, message: bytes) -> None:
    """Hand a notification to the mail system.

    Args:
        command: gets the message on standard input, lines ending with LF, and `sender` as its last
            argument.
        sender: whom it goes to.
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
        raise NotificationError(f"{command[0]} did not end in {SENDMAIL_SECONDS} s") from None
    except OSError as error:
        raise NotificationError(f"{command[0]} cannot be run: {error.strerror}") from None
    if done.returncode:
        said = (done.stderr or b"").decode("utf-8", "replace").strip().splitlines()[-1:]
        raise NotificationError(
            " ".join([f"{command[0]} ended with status {done.returncode}", *said])
        )


def header_of(message: bytes, limit: int) -> bytes:
    """The header at the beginning of a message: whole lines, at most `limit` octets."""
    end = message.find(b"\r\n\r\n")
    header = message[: end + 2] if 0 <= end <= limit - 2 else message[:limit]
    return header[: header.rfind(b"\n") + 1]


def _part_head(kind: str, *, utf8: bool) -> list[str]:
    encoding = ["Content-Transfer-Encoding: 8bit"] if utf8 else []
    return [f"Content-Type: {kind}", *encoding, ""]


def _status_fields(undelivered: FailedRecipient) -> list[str]:
    """The per-recipient fields of RFC 3464 section 2.3."""
    recipient, reply = undelivered.recipient, undelivered.reply
    kind = "rfc822" if recipient.address.isascii() else "utf-8"
    original = [f"Original-Recipient: {recipient.original}"] if recipient.original else []
    return [
        *original,
        f"Final-Recipient: {kind}; {recipient.address}",
        "Action: failed",
        f"Status: {reply.status}",
        f"Diagnostic-Code: smtp; {reply}",
    ]
