"""Messages made from a seed: the same for every server and every run."""

import random
import string

WORDS = """
archive boundary cabinet delivery envelope filepool gateway header index journal keeper letter
mailbox notice octet postmaster queue receipt segment transport uid volume watcher
""".split()  # noqa: SIM905 -- a list of words reads as prose


def message(number: int, *, size: int = 4096) -> bytes:
    """A plain message of about `size` octets."""
    dice = random.Random(number)
    subject = " ".join(dice.choices(WORDS, k=6))
    head = (
        f"From: Sender {number % 97} <sender{number % 97}@example.org>\r\n"
        f"To: Reader <reader@example.net>\r\n"
        f"Cc: Copies <copies{number % 13}@example.net>\r\n"
        f"Subject: {subject} {number}\r\n"
        f"Date: Mon, {1 + number % 28} Jun 2026 10:{number % 60:02d}:00 +0200\r\n"
        f"Message-ID: <{number}.{dice.getrandbits(64):x}@example.org>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    lines, length = [], len(head)
    while length < size:
        line = " ".join(dice.choices(WORDS, k=9))[:76] + "\r\n"
        lines.append(line)
        length += len(line)
    return (head + "".join(lines)).encode()


def attachment(number: int, *, size: int) -> bytes:
    """A multipart message with a base64 attachment of about `size` octets."""
    dice = random.Random(number)
    line = "".join(dice.choices(string.ascii_letters + string.digits, k=76))
    head = (
        f"From: sender@example.org\r\nTo: reader@example.net\r\nSubject: attachment {number}\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n"
        "--b1\r\nContent-Type: text/plain\r\n\r\nIt is attached.\r\n"
        "--b1\r\nContent-Type: application/octet-stream\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return (head + (line + "\r\n") * (size // 78) + "--b1--\r\n").encode()
