"""Messages for interop tests, and the contents of the server."""

import imaplib
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage

from tests.demo import Demo
from tests.interop.conftest import PASSWORD, USER


def message(subject: str, text: str = "Some text.\n", *, attachment: bytes | None = None) -> bytes:
    made = EmailMessage()
    made["From"] = "Sender <sender@example.org>"
    made["To"] = "reader@example.net"
    made["Subject"] = subject
    made["Message-ID"] = f"<{subject.encode().hex()}@example.org>"
    made["Date"] = "Mon, 23 Nov 2026 10:00:00 +0100"
    made.set_content(text)
    if attachment is not None:
        made.add_attachment(
            attachment, maintype="application", subtype="octet-stream", filename="data.bin"
        )
    return made.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@contextmanager
def logged_in(demo: Demo):
    with imaplib.IMAP4(*demo.imap, timeout=30) as imap:
        imap.login(USER, PASSWORD)
        yield imap


def put(demo: Demo, mailbox: str, *messages: bytes, flags: str = "") -> None:
    with logged_in(demo) as imap:
        for data in messages:
            assert imap.append(mailbox, flags, None, data)[0] == "OK"


def held(demo: Demo, mailbox: str) -> dict[str, set[bytes]]:
    """Return subject → flags for all messages of a mailbox."""
    found = {}
    with logged_in(demo) as imap:
        status, answer = imap.select(f'"{mailbox}"', readonly=True)
        assert status == "OK", answer
        if answer == [b"0"]:
            return found  # "*" in an empty mailbox is BAD (RFC 9051 section 9)
        _, rows = imap.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        for row in rows:
            if isinstance(row, tuple):
                subject = message_from_bytes(row[1])["Subject"]
                flags = set(imaplib.ParseFlags(row[0])) - {rb"\Recent"}
                assert subject not in found, f"{subject!r} is there twice"
                found[subject] = flags
    return found


def status(demo: Demo, mailbox: str) -> bytes:
    """Return the response of STATUS for a mailbox."""
    with logged_in(demo) as imap:
        answer, [row] = imap.status(f'"{mailbox}"', "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY)")
        assert answer == "OK", row
        return row


def mailboxes(demo: Demo) -> set[str]:
    with logged_in(demo) as imap:
        _, rows = imap.list()
        return {row.decode().rpartition('"/" ')[2].strip('"') for row in rows}
