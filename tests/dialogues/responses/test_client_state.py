"""Client state: contradictory responses are refused."""

import pytest
from tests.dialogues.responses.client_state import ClientState
from tests.dialogues.responses.grammar import Reader
from tests.dialogues.responses.tokens import GrammarError

OPENED = b"* FLAGS (\\Seen Work)\r\n* 3 EXISTS\r\na OK [READ-WRITE] x\r\n"

LISTED = b'* ESEARCH (TAG "a") ALL 1:2\r\n'

GOOD = [
    b'* ESEARCH (TAG "a")\r\n* ESEARCH (TAG "a") ADDTO (0 3,1)\r\n',
    LISTED + b'* 4 EXISTS\r\n* ESEARCH (TAG "a") ADDTO (3 3 4 4) REMOVEFROM (2 2:3)\r\n',
    LISTED + b'* ESEARCH (TAG "a") REMOVEFROM (0 1)\r\n* 1 EXPUNGE\r\n'
    b'* ESEARCH (TAG "a") REMOVEFROM (1 1)\r\n',
    b'* ESEARCH (TAG "a") COUNT 2\r\n* ESEARCH (TAG "a") REMOVEFROM (7 1)\r\n',
    b"* 2 EXPUNGE\r\n* 2 FETCH (UID 9)\r\n* 3 EXISTS\r\n* 3 FETCH (UID 10 FLAGS (work))\r\n",
    b"* 2 FETCH (UID 5)\r\n* 1 EXPUNGE\r\n* 1 FETCH (UID 5)\r\n",
    b"* 1 EXISTS\r\nb OK [READ-ONLY] x\r\n* 1 FETCH (UID 2)\r\n",
    b"* FLAGS (\\Seen Work Later)\r\n* 1 FETCH (FLAGS (Later \\Answered))\r\n",
]

BAD = [
    LISTED + b'* ESEARCH (TAG "a") ADDTO (0 4)\r\n',
    LISTED + b'* ESEARCH (TAG "a") ADDTO (4 3)\r\n',
    LISTED + b'* ESEARCH (TAG "a") ADDTO (1 2)\r\n',
    LISTED + b'* ESEARCH (TAG "a") REMOVEFROM (0 3)\r\n',
    LISTED + b'* ESEARCH (TAG "a") REMOVEFROM (2 1)\r\n',
    LISTED + b'* ESEARCH (TAG "b") ADDTO (0 3)\r\n',
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


def apply(received: bytes) -> None:
    state = ClientState()
    for response in Reader(OPENED + received).all():
        state.apply(response)


@pytest.mark.parametrize("received", GOOD)
def test_consistent_responses_are_accepted(received):
    apply(received)


@pytest.mark.parametrize("received", BAD)
def test_contradictory_responses_are_refused(received):
    with pytest.raises(GrammarError):
        apply(received)
