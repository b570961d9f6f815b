"""SEARCH FUZZY (RFC 6203): the search as a whole, relevancy, and its limits."""

import random
import re
import unicodedata

import pytest
from tests.commands.fakes import send

from imapvm.commands.handlers.search import results, search
from imapvm.model.limits import FUZZY_TEXTS_MAX

WORDS = ("alpha", "alpah", "Alphabet", "béta", "bêtá", "beta", "gamma", "gama", "ohm", "ohn")


def plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def distance(needle: str, word: str) -> int:
    """Return the least edit distance between a needle and a start of a word."""
    row = list(range(len(needle) + 1))
    least = row[-1]
    for place, letter in enumerate(word, 1):
        following = [place]
        for at, wanted in enumerate(needle):
            same = row[at] + (wanted != letter)
            following.append(min(same, row[at + 1] + 1, following[at] + 1))
        row = following
        least = min(least, row[-1])
    return least


def casemap(text: str) -> str:
    """Return a text as i;unicode-casemap compares it, for the letters of these tests."""
    return unicodedata.normalize("NFKD", text.upper())


def score(needle: str, text: str) -> int:
    """Return the relevancy; 0 for a text that does not match."""
    if casemap(needle) in casemap(text):
        return 100
    least = 100
    for wanted in plain(needle).split():
        nearest = min(distance(wanted, word) for word in plain(text).split())
        if nearest > (len(wanted) >= 4):
            return 0
        least = min(least, 40 if nearest else 70)
    return least


@pytest.fixture
async def subjects(signed_in):
    """Subjects of INBOX, of one to three words; their bodies are the same, by 60,000 bytes."""
    dice = random.Random(11)
    texts = [" ".join(dice.choices(WORDS, k=dice.randint(1, 3))) for _ in range(60)]
    for number, text in enumerate(texts):
        form = unicodedata.normalize(("NFC", "NFD")[number % 2], text)
        filling = "word " * 12_000 if number % 7 == 0 else ""
        message = (
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
            f"Subject: {form}\r\n\r\n{filling}{form}\r\n"
        ).encode()
        await send(signed_in, b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
    await send(signed_in, b"b SELECT INBOX\r\n")
    return signed_in, [unicodedata.normalize(("NFC", "NFD")[n % 2], t) for n, t in enumerate(texts)]


@pytest.mark.parametrize("key", ["SUBJECT", "BODY", "TEXT", "HEADER Subject"])
async def test_matches_and_scores_agree_with_a_model(subjects, key):
    ctx, texts = subjects
    dice = random.Random(5)
    for _ in range(25):
        needle = " ".join(dice.choices([*WORDS, "gam", "bet"], k=dice.randint(1, 2)))
        form = unicodedata.normalize("NFC", needle)
        literal = form.encode()
        command = f"t SEARCH RETURN (ALL RELEVANCY) CHARSET UTF-8 FUZZY {key} "
        line = (await send(ctx, command.encode() + b"{%d+}\r\n%b\r\n" % (len(literal), literal)))[0]
        scores = {n: found for n, text in enumerate(texts, 1) if (found := score(form, text))}
        listed = re.search(r" ALL (\S+)", line)
        relevancy = re.search(r"RELEVANCY \((.*)\)", line)
        assert relevancy is not None, line
        numbers = [
            number
            for first, last in re.findall(r"(\d+)(?::(\d+))?", listed[1] if listed else "")
            for number in range(int(first), int(last or first) + 1)
        ]
        assert dict(zip(numbers, map(int, relevancy[1].split()), strict=True)) == scores, needle


@pytest.mark.parametrize("uid", ["", "UID "])
@pytest.mark.parametrize(
    "returns", ["RELEVANCY", "ALL RELEVANCY", "RELEVANCY PARTIAL -9:-2", "SAVE RELEVANCY COUNT"]
)
async def test_long_result_is_the_same_as_a_short_one(subjects, monkeypatch, uid, returns):
    ctx, _ = subjects
    command = f"t {uid}SEARCH RETURN ({returns}) FUZZY SUBJECT beta\r\nu SEARCH $\r\n".encode()
    expected = await send(ctx, command)
    for module in (results, search):
        monkeypatch.setattr(module, "RESULT_NUMBERS", 3)
    monkeypatch.setattr(results, "SCORES_PIECE", 2)
    assert await send(ctx, command) == expected


async def test_sort_by_relevancy(subjects):
    ctx, texts = subjects
    lines = await send(ctx, b"t SORT (RELEVANCY ARRIVAL) UTF-8 FUZZY SUBJECT gamma\r\n")
    numbers = [int(word) for word in lines[0].split()[2:]]
    scores = {n: found for n, text in enumerate(texts, 1) if (found := score("gamma", text))}
    assert numbers == sorted(scores, key=lambda number: (-scores[number], number))
    assert len(set(scores.values())) > 1


@pytest.mark.at_limit("FUZZY_TEXTS_MAX")
@pytest.mark.past_limit("FUZZY_TEXTS_MAX")
async def test_texts_after_fuzzy_are_limited(subjects):
    ctx, _ = subjects
    keys = " ".join(["FUZZY SUBJECT alpha"] * (FUZZY_TEXTS_MAX - 2) + ["FUZZY (BODY a TEXT b)"])
    for command in ("SEARCH", "SORT (DATE) UTF-8", "THREAD REFS UTF-8", "ESEARCH IN (personal)"):
        allowed = await send(ctx, f"t {command} {keys} SUBJECT x\r\n".encode())
        assert allowed[-1].startswith("t OK"), allowed
        refused = await send(ctx, f"t {command} {keys} NOT FUZZY SUBJECT x\r\n".encode())
        assert refused == ["t NO [LIMIT] more than 32 texts after FUZZY"]
