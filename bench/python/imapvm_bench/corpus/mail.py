"""Messages of a seed: header, MIME shape, flags, date, threads."""

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

from imapvm_bench.corpus.shapes import SHAPES
from imapvm_bench.corpus.words import PEOPLE, SCRIPTS, subject

FIRST: Final = datetime(2024, 1, 1, 8, 0, tzinfo=UTC)
"""Date of message 1 of every mailbox; the next follow about every 40 minutes."""

SIZES: Final = (1500, 2500, 3500, 4000, 4000, 6000, 9000, 16_000, 40_000, 160_000)
"""Sizes as in real mailboxes: half below 4 KB, a tenth above 100 KB."""

HEADER: Final = 620
"""Approximate bytes of a header; the body gets the rest of the size."""

REFERENCES_MAX: Final = 12
"""Message ids in References; mail programs also cut long threads."""

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """Parameters of the messages of a mailbox. The same recipe makes the same bytes."""

    seed: int = 1
    sizes: tuple[int, ...] = SIZES
    """Approximate sizes in bytes, with equal probability."""
    shapes: tuple[str, ...] = tuple(SHAPES)
    """Names in `SHAPES`, with equal probability."""
    replies: float = 0.45
    """Share of messages that reply to an earlier one (In-Reply-To, References)."""
    seen: float = 0.7
    """Share of messages with \\Seen. Some of these are also answered, flagged or forwarded."""


@dataclass(frozen=True, slots=True)
class Mail:
    """Message with flags and date."""

    content: bytes
    flags: tuple[str, ...]
    date: datetime

    @property
    def internal_date(self) -> str:
        """Return the date for APPEND (RFC 9051 section 9, `date-time`)."""
        return f"{self.date.day:2d}-{_MONTHS[self.date.month - 1]}-{self.date:%Y %H:%M:%S} +0000"


def make(recipe: Recipe, mailbox: str, number: int) -> Mail:
    """Return message `number` of a mailbox.

    Args:
        recipe: parameters of the messages.
        mailbox: any text that identifies the mailbox, such as "user1/INBOX".
        number: number of the message, from 1.
    """
    rng = _rng(recipe, mailbox, number)
    sender, reader = rng.choices(PEOPLE, k=2)
    date = FIRST + timedelta(minutes=41 * number, seconds=rng.randrange(60))
    ancestors = _ancestors(recipe, mailbox, number)
    title = _subject(recipe, mailbox, ancestors[0] if ancestors else number)
    size = max(64, rng.choice(recipe.sizes) - HEADER)
    body = SHAPES[rng.choice(recipe.shapes)](rng, recipe.seed, size)
    name = f"{rng.getrandbits(48):012x}"
    fields = [
        f"Return-Path: <{_local(sender)}@example.org>",
        f"Received: from relay{rng.randrange(9)}.example.org ([192.0.2.{rng.randrange(1, 255)}])",
        f"\tby mx.example.net with ESMTPS id {name}",
        f"\tfor <reader@example.net>; {_date(date)}",
        f"From: {_phrase(sender)} <{_local(sender)}@example.org>",
        f"To: {_phrase(reader)} <reader@example.net>",
    ]
    if rng.random() < 0.25:
        fields.append(f"Cc: Copies <copies{rng.randrange(13)}@example.net>, other@example.com")
    fields += [
        f"Subject: {_encoded(f'Re: {title}' if ancestors else title)}",
        f"Date: {_date(date)}",
        f"Message-ID: {_message_id(recipe, mailbox, number)}",
    ]
    if ancestors:
        ids = [_message_id(recipe, mailbox, n) for n in ancestors[-REFERENCES_MAX:]]
        fields += [f"In-Reply-To: {ids[-1]}", "References: " + "\r\n ".join(ids)]
    if rng.random() < 0.15:
        fields += [f"List-Id: List {rng.randrange(5)} <list.example.org>", "Precedence: list"]
    fields += ["MIME-Version: 1.0", *body.fields]
    return Mail("\r\n".join((*fields, "", "")).encode() + body.content, _flags(rng, recipe), date)


def messages(recipe: Recipe, mailbox: str, count: int) -> Iterator[Mail]:
    """Return messages 1 to `count` of a mailbox."""
    return (make(recipe, mailbox, number) for number in range(1, count + 1))


def _rng(recipe: Recipe, mailbox: str, number: int, what: str = "message") -> random.Random:
    # A string seed is hashed with SHA-512, independent of PYTHONHASHSEED.
    return random.Random(f"{what} {recipe.seed} {number} {mailbox}")


def _chance(recipe: Recipe, mailbox: str, number: int, what: str) -> int:
    """Return 64 pseudo-random bits for a message, ten times as fast as `_rng`."""
    text = f"{what} {recipe.seed} {number} {mailbox}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def _parent(recipe: Recipe, mailbox: str, number: int) -> int | None:
    chance = _chance(recipe, mailbox, number, "parent")
    if number == 1 or (chance >> 32) / 2**32 >= recipe.replies:
        return None
    return max(1, number - 1 - chance % 20)


def _ancestors(recipe: Recipe, mailbox: str, number: int) -> list[int]:
    """Return the numbers of the messages that precede this one in its thread, the oldest first."""
    found: list[int] = []
    parent = _parent(recipe, mailbox, number)
    while parent is not None:
        found.append(parent)
        parent = _parent(recipe, mailbox, parent)
    return found[::-1]


def _subject(recipe: Recipe, mailbox: str, number: int) -> str:
    rng = _rng(recipe, mailbox, number, "subject")
    if rng.random() < 0.12:
        return rng.choice(list(SCRIPTS.values()))
    return f"{subject(rng)} {number}"


def _message_id(recipe: Recipe, mailbox: str, number: int) -> str:
    return f"<{number}.{_chance(recipe, mailbox, number, 'id'):016x}@bench.example>"


def _flags(rng: random.Random, recipe: Recipe) -> tuple[str, ...]:
    if rng.random() >= recipe.seen:
        return ()
    chances = (("\\Answered", 0.2), ("\\Flagged", 0.07), ("$Forwarded", 0.03))
    return ("\\Seen", *(flag for flag, chance in chances if rng.random() < chance))


def _date(date: datetime) -> str:
    day, month = _DAYS[date.weekday()], _MONTHS[date.month - 1]
    return f"{day}, {date.day:02d} {month} {date:%Y %H:%M:%S} +0000"


def _local(person: str) -> str:
    return person.partition(" ")[0].lower() if person.isascii() else f"p{PEOPLE.index(person)}"


def _phrase(person: str) -> str:
    return person if person.isascii() else _encoded(person)


def _encoded(text: str) -> str:
    """Return a header text in encoded words of at most 75 characters (RFC 2047)."""
    if text.isascii():
        return text
    words: list[str] = []
    taken = b""
    for letter in text:
        encoded = letter.encode()
        if len(taken) + len(encoded) > 42:
            words.append(taken.decode())
            taken = b""
        taken += encoded
    words.append(taken.decode())
    encoded_words = (base64.b64encode(word.encode()).decode() for word in words)
    return "\r\n ".join(f"=?utf-8?B?{word}?=" for word in encoded_words)
