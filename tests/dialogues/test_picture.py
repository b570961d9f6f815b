"""The client's picture finds what a client could not follow."""

import pytest
from tests.dialogues.grammar import Reader
from tests.dialogues.picture import Picture
from tests.dialogues.tokens import Deviation

OPENED = b"* FLAGS (\\Seen Work)\r\n* 3 EXISTS\r\na OK [READ-WRITE] x\r\n"

GOOD = [
    b"* 2 EXPUNGE\r\n* 2 FETCH (UID 9)\r\n* 3 EXISTS\r\n* 3 FETCH (UID 10 FLAGS (work))\r\n",
    b"* 2 FETCH (UID 5)\r\n* 1 EXPUNGE\r\n* 1 FETCH (UID 5)\r\n",
    b"* 1 EXISTS\r\nb OK [READ-ONLY] x\r\n* 1 FETCH (UID 2)\r\n",
    b"* FLAGS (\\Seen Work Later)\r\n* 1 FETCH (FLAGS (Later \\Answered))\r\n",
]

BAD = [
    b"* 4 FETCH (UID 5)\r\n",
    b"* 4 EXPUNGE\r\n",
    b"* 3 EXPUNGE\r\n* 3 FETCH (UID 5)\r\n",
    b"* 4 RECENT\r\n",
    b"* 2 EXISTS\r\nb OK x\r\n",
    b"* 1 FETCH (UID 5)\r\n* 1 FETCH (UID 6)\r\n",
    b"* 1 FETCH (UID 5)\r\n* 2 FETCH (UID 5)\r\n",
    b"* 3 FETCH (UID 5)\r\n* 2 FETCH (UID 6)\r\n",
    b"* 1 FETCH (FLAGS (Later))\r\n",
]


def hear(said: bytes) -> None:
    picture = Picture()
    for response in Reader(OPENED + said).all():
        picture.hear(response)


@pytest.mark.parametrize("said", GOOD)
def test_what_can_be_followed(said):
    hear(said)


@pytest.mark.parametrize("said", BAD)
def test_what_cannot(said):
    with pytest.raises(Deviation):
        hear(said)
