"""What the messages are made of: words, lines of prose, people.

The word `zebra` is in none of them, so that a search for it has to look at everything.
"""

import functools
import random
from typing import Final

WORDS: Final = """
archive boundary cabinet delivery envelope filepool gateway header index journal keeper letter
mailbox notice octet postmaster queue receipt segment transport uid volume watcher about after
again against always and answer because before between change could every first found from great
have here house large later little might never number often order other place point right should
small still thing think three through together under until water where which while without world
would write year and the of to in is it for on with as at by this that from are was be
""".split()  # noqa: SIM905 -- a list of words reads as prose

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
    """Return a thousand lines of prose of up to 76 letters, in ASCII.

    Messages choose among them: choosing is some thirty times as fast as making new ones.
    """
    rng = random.Random(f"lines {seed}")
    return tuple(" ".join(rng.choices(WORDS, k=11))[:76].rstrip() for _ in range(1000))


def prose(rng: random.Random, seed: int, octets: int) -> list[str]:
    """Return lines of about so many octets together, with their line ends."""
    pool = lines(seed)
    count = max(1, octets // 63)  # their mean length, with the line end
    return rng.choices(pool, k=count)


def subject(rng: random.Random) -> str:
    """Return three to eight words."""
    return " ".join(rng.choices(WORDS, k=rng.randint(3, 8))).capitalize()
