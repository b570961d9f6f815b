"""MIME shapes of messages.

A shape is a function of random generator, seed and size. It returns header fields and a body.
"""

import base64
import binascii
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from imapvm_bench.corpus.words import PEOPLE, SCRIPTS, prose, subject


@dataclass(frozen=True, slots=True)
class Body:
    """Header fields and content of a MIME entity."""

    fields: tuple[str, ...]
    content: bytes

    def entity(self) -> bytes:
        """Return the entity as a part of a larger one."""
        return "\r\n".join((*self.fields, "", "")).encode() + self.content


def plain(rng: random.Random, seed: int, size: int) -> Body:
    """Return one text in ASCII."""
    text = "\r\n".join(prose(rng, seed, size)) + "\r\n"
    return Body(("Content-Type: text/plain; charset=us-ascii",), text.encode())


def eight_bit(rng: random.Random, seed: int, size: int) -> Body:
    """Return one text in UTF-8 and several scripts, as 8bit."""
    written = list(SCRIPTS.values())
    text = list(prose(rng, seed, size // 2))
    length = size // 2
    while length < size:
        line = rng.choice(written)
        text.append(line)
        length += len(line.encode()) + 2
    rng.shuffle(text)
    return Body(
        ("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"),
        ("\r\n".join(text) + "\r\n").encode(),
    )


def quoted_printable(rng: random.Random, seed: int, size: int) -> Body:
    """Return one text in ISO 8859-1, quoted-printable."""
    text = "\n".join(
        line if rng.random() < 0.7 else SCRIPTS["german"] for line in prose(rng, seed, size)
    )
    encoded = binascii.b2a_qp(text.encode("iso-8859-1", "replace"), istext=True)
    return Body(
        (
            "Content-Type: text/plain; charset=iso-8859-1",
            "Content-Transfer-Encoding: quoted-printable",
        ),
        encoded.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n",
    )


def html(rng: random.Random, seed: int, size: int) -> Body:
    """Return one HTML page."""
    paragraphs = "\r\n".join(f"<p>{line}</p>" for line in prose(rng, seed, size - 60))
    page = f"<html><body>\r\n{paragraphs}\r\n</body></html>\r\n"
    return Body(("Content-Type: text/html; charset=utf-8",), page.encode())


def alternative(rng: random.Random, seed: int, size: int) -> Body:
    """Return a text and an HTML alternative, as most mail programs send."""
    return _multipart(
        rng, "alternative", [plain(rng, seed, size // 3), html(rng, seed, size * 2 // 3)]
    )


def attachment(rng: random.Random, seed: int, size: int) -> Body:
    """Return a short text with an attached file in base64."""
    text = min(1200, size // 4)
    return _multipart(
        rng, "mixed", [alternative(rng, seed, text), _file(rng, max(64, size - text))]
    )


def nested(rng: random.Random, seed: int, size: int) -> Body:
    """Return a page with a picture, and a forwarded message with an attachment."""
    third = max(200, size // 3)
    page = _multipart(rng, "related", [alternative(rng, seed, third), _picture(rng, third // 2)])
    inner = attachment(rng, seed, third)
    fields = (
        f"From: {PEOPLE[rng.randrange(12)]} <inner@example.com>",
        "To: reader@example.net",
        f"Subject: {subject(rng)}",
        "Date: Thu, 01 Jan 2026 08:00:00 +0000",
        "MIME-Version: 1.0",
    )
    forwarded = Body(
        ("Content-Type: message/rfc822",), Body((*fields, *inner.fields), inner.content).entity()
    )
    return _multipart(rng, "mixed", [page, forwarded])


Shape = Callable[[random.Random, int, int], Body]

SHAPES: Final[dict[str, Shape]] = {
    "plain": plain,
    "eight-bit": eight_bit,
    "quoted-printable": quoted_printable,
    "html": html,
    "alternative": alternative,
    "attachment": attachment,
    "nested": nested,
}
"""Shapes by name, for scenario files and `fill --shapes`."""


def _multipart(rng: random.Random, kind: str, parts: list[Body]) -> Body:
    boundary = f"=_{rng.getrandbits(80):020x}"
    between = f"--{boundary}\r\n".encode()
    inside = b"".join(between + part.entity() + b"\r\n" for part in parts)
    return Body(
        (f'Content-Type: multipart/{kind}; boundary="{boundary}"',),
        inside + f"--{boundary}--\r\n".encode(),
    )


def _file(rng: random.Random, size: int) -> Body:
    name = f"{rng.choice(('report', 'minutes', 'Größen', 'archive'))}-{rng.randrange(1000)}.pdf"
    shown = f'filename="{name}"' if name.isascii() else f"filename*=utf-8''{_percent(name)}"
    return Body(
        (
            "Content-Type: application/pdf",
            "Content-Transfer-Encoding: base64",
            f"Content-Disposition: attachment; {shown}",
        ),
        _base64(rng, size),
    )


def _picture(rng: random.Random, size: int) -> Body:
    return Body(
        (
            "Content-Type: image/png",
            "Content-Transfer-Encoding: base64",
            f"Content-ID: <picture{rng.randrange(10**6)}@example.org>",
            "Content-Disposition: inline",
        ),
        _base64(rng, size),
    )


def _base64(rng: random.Random, size: int) -> bytes:
    """Return about `size` bytes of base64 of random data, in lines of 76 characters."""
    return base64.encodebytes(rng.randbytes(max(1, size * 57 // 78))).replace(b"\n", b"\r\n")


def _percent(name: str) -> str:
    return "".join(c if c.isascii() else "".join(f"%{o:02X}" for o in c.encode()) for c in name)
