"""Messages of a seed: reproducible, well-formed, with the requested shapes and sizes."""

import email
import email.policy
import hashlib
import os
import re
import subprocess
import sys

import pytest

from imapvm_bench.corpus.mail import REFERENCES_MAX, Recipe, make, messages
from imapvm_bench.corpus.shapes import SHAPES

DIGEST = """
import hashlib
from imapvm_bench.corpus.mail import Recipe, messages
made = [m.content + repr((m.flags, m.date)).encode() for m in messages(Recipe(), "u/I", 60)]
print(hashlib.sha256(b"".join(made)).hexdigest())
"""


def parsed(mail):
    return email.message_from_bytes(mail.content, policy=email.policy.default)


def test_a_seed_makes_the_same_bytes_in_every_process():
    """Hashes of Python differ between processes; messages do not depend on them."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(digests) == 1


def test_a_message_does_not_depend_on_those_made_before():
    recipe = Recipe()
    assert make(recipe, "u/I", 40) == list(messages(recipe, "u/I", 40))[39]


def test_another_seed_mailbox_or_number_makes_other_messages():
    made = {
        hashlib.sha256(make(Recipe(seed=seed), box, number).content).digest()
        for seed in (1, 2)
        for box in ("a/INBOX", "b/INBOX")
        for number in (1, 2)
    }
    assert len(made) == 8


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_parsed_without_a_defect(shape):
    recipe = Recipe(shapes=(shape,), sizes=(300, 4000, 30_000))
    for mail in messages(recipe, "u/I", 12):
        message = parsed(mail)
        assert [part.defects for part in message.walk() if part.defects] == []
        assert b"\n" not in mail.content.replace(b"\r\n", b"")
        assert b"\r" not in mail.content.replace(b"\r\n", b"")
        assert mail.content.endswith(b"\r\n")
        assert max(map(len, mail.content.split(b"\r\n"))) <= 998
        assert message["subject"]
        assert message["date"].datetime == mail.date


def test_shapes_have_the_mime_types_of_their_names():
    def types(shape):
        message = parsed(make(Recipe(shapes=(shape,), sizes=(8000,)), "u/I", 1))
        return [part.get_content_type() for part in message.walk()]

    assert types("plain") == ["text/plain"]
    assert types("html") == ["text/html"]
    assert types("alternative") == ["multipart/alternative", "text/plain", "text/html"]
    assert types("attachment")[-1] == "application/pdf"
    assert {"multipart/related", "message/rfc822", "image/png"} <= set(types("nested"))
    eight = make(Recipe(shapes=("eight-bit",), sizes=(4000,)), "u/I", 1)
    assert not eight.content.isascii()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [4096, 65_536])
def test_sizes_are_approximate(shape, size):
    recipe = Recipe(shapes=(shape,), sizes=(size,), replies=0)
    mean = sum(len(mail.content) for mail in messages(recipe, "u/I", 20)) / 20
    assert mean == pytest.approx(size, rel=0.35)


def test_references_and_subjects_match_earlier_messages():
    mails = [parsed(mail) for mail in messages(Recipe(sizes=(500,)), "u/I", 200)]
    place = {mail["message-id"]: number for number, mail in enumerate(mails)}
    assert len(place) == 200
    answers = [(n, mail) for n, mail in enumerate(mails) if mail["in-reply-to"]]
    assert 60 < len(answers) < 120
    for number, mail in answers:
        ids = re.findall(r"<[^>]+>", mail["references"])
        assert ids[-1] == mail["in-reply-to"]
        assert len(ids) <= REFERENCES_MAX
        assert all(place[one] < number for one in ids)
        parent = mails[place[ids[-1]]]
        assert mail["subject"].removeprefix("Re: ") == parent["subject"].removeprefix("Re: ")


def test_flags_and_dates_follow_the_recipe():
    none = list(messages(Recipe(seen=0, sizes=(500,)), "u/I", 50))
    assert {mail.flags for mail in none} == {()}
    everything = list(messages(Recipe(seen=1, sizes=(500,)), "u/I", 50))
    assert all(mail.flags[0] == "\\Seen" for mail in everything)
    dates = [mail.date for mail in everything]
    assert dates == sorted(dates)
    assert everything[0].internal_date == f" 1-Jan-2024 08:41:{dates[0].second:02d} +0000"


def test_no_message_contains_zebra():
    """A search for it reads everything and finds nothing. Base64 is not text."""
    for mail in messages(Recipe(), "u/I", 100):
        message = parsed(mail)
        texts = [
            part.get_content() for part in message.walk() if part.get_content_maintype() == "text"
        ]
        assert texts
        assert "zebra" not in " ".join([message["subject"], *texts]).lower()
