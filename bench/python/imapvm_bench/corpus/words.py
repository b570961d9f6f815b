"""Words, lines of text and names for messages.

None contains `zebra`, so a search for it reads everything.
"""

import functools
import random
from typing import Final

WORDS: Final = """
archive boundary cabinet delivery envelope filepool gateway header index journal ledger letter
mailbox notice topic postmaster queue receipt segment transport uid volume watcher about after
again against always and answer because before between change could every first found from great
have here house large later little might never number often order other place point right should
small still thing think three through together under until water where which while without world
would write year and the of to in is it for on with as at by this that from are was be
""".split()  # noqa: SIM905 -- shorter than a list of strings

SCRIPTS: Final = {
    "german": "Grüße aus der Straße über den Fluß, schöne Äpfel und größere Öfen",
    "french": "À bientôt, où que tu sois: l'été dernier, une pièce de théâtre à côté",
    "polish": "Zażółć gęślą jaźń, proszę o potwierdzenie odbioru przesyłki dziś",
    "greek": "Καλημέρα κόσμε, σας στέλνω το έγγραφο που ζητήσατε χθες το βράδυ",
    "russian": "Добрый день, отправляю документ, который мы обсуждали вчера вечером",
    "hebrew": "שלום רב, מצורף המסמך שביקשת אתמול בערב",
    "japanese": "昨日お話しした書類を送ります。よろしくお願いします。",
    "hindi": "नमस्ते, कल जिस दस्तावेज़ की बात हुई थी वह भेज रहा हूँ",
}

PEOPLE: Final = (
    "Ada Byron", "Grace Murray", "Alan Mathison", "Edsger Wybe", "Barbara Jane", "Donald Ervin",
    "Niklaus Emil", "Frances Spence", "Kathleen Rita", "John Mauchly", "Jean Jennings",
    "Tony Hoare", "Zoë Müller", "Łukasz Żak", "Иван Петров", "山田 太郎",
)  # fmt: skip


@functools.cache
def lines(seed: int) -> tuple[str, ...]:
    """Return 1,000 lines of text of up to 76 characters in ASCII.

    Messages choose among them, which is about thirty times as fast as making new lines.
    """
    rng = random.Random(f"lines {seed}")
    return tuple(" ".join(rng.choices(WORDS, k=11))[:76].rstrip() for _ in range(1000))


def prose(rng: random.Random, seed: int, size: int) -> list[str]:
    """Return lines of about `size` bytes in total, counting their line ends."""
    pool = lines(seed)
    count = max(1, size // 63)  # mean length with CRLF
    return rng.choices(pool, k=count)


def subject(rng: random.Random) -> str:
    """Return three to eight words."""
    return " ".join(rng.choices(WORDS, k=rng.randint(3, 8))).capitalize()
