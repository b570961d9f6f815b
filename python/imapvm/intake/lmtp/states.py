"""States of an LMTP dialogue, and the table of transitions.

    START --LHLO--> READY --MAIL--> SENDER --RCPT--> FIRST_ASKED
                      ^               ^                |   |
                      |               '---- refuse ----'   | accept
                      |                                    v
                      |            NEXT_ASKED <--RCPT-- RECIPIENTS
                      |                |                  ^  |  |
                      |                '- accept, refuse -'  |  |
                      |                                DATA  |  |  BDAT
                      |                             .--------'  '------.
                      |                             |                  v
                      |                             |     .-BDAT--> CHUNK
                      |                             |     |            | chunk end
                      |                             |     '---------- CHUNKS
                      |                             v                  | BDAT LAST
                      |                           DATA                 v
                      |                             | dot          LAST_CHUNK
                      |                             |                  | chunk end
                      |<-- answer -- MESSAGE_ASKED <+------------------'
                      '<-- message refused before its end: no MESSAGE_ASKED

Not drawn: LHLO and RSET lead from each state that reads commands to READY (RSET before LHLO changes
nothing), QUIT and errors that end the connection lead from each state to CLOSED.

BDAT is followed by its data in every state, so that a refused chunk is read as well:

* before LHLO and before MAIL: SKIP_BEFORE_LHLO and SKIP_BEFORE_MAIL, then 503 and the state before;
* without an accepted recipient: CHUNK and LAST_CHUNK as usual, with 503 for each chunk but the
  last, which has no reply (RFC 2033 section 4.3).
"""

from enum import IntEnum, auto
from typing import Final, Literal, TypeAlias


class LmtpState(IntEnum):
    """State of the dialogue. IntEnum, since Enum computes its hash in Python."""

    START = auto()
    """Before LHLO."""
    READY = auto()
    """After LHLO, no transaction."""
    SENDER = auto()
    """After MAIL, no recipient accepted."""
    FIRST_ASKED = auto()
    """`RecipientRequest` waits for its answer, no recipient accepted before."""
    RECIPIENTS = auto()
    """At least one recipient accepted."""
    NEXT_ASKED = auto()
    """`RecipientRequest` waits for its answer, recipients accepted before."""
    DATA = auto()
    """Reading a message up to the dot."""
    CHUNK = auto()
    """Reading the data of one BDAT."""
    LAST_CHUNK = auto()
    """Reading the data of BDAT LAST."""
    CHUNKS = auto()
    """Between the BDAT commands of one message."""
    MESSAGE_ASKED = auto()
    """`MessageEnd` waits for its answer."""
    SKIP_BEFORE_LHLO = auto()
    """Skipping the data of a BDAT out of sequence."""
    SKIP_BEFORE_MAIL = auto()
    """As SKIP_BEFORE_LHLO, after LHLO."""
    CLOSED = auto()
    """After QUIT, or an error that ends the connection."""


LmtpInput: TypeAlias = Literal[
    "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "BDAT LAST", "RSET",
    "accept", "refuse",  # the recipient of a RecipientRequest
    "chunk end", "message end",
    "refused end",  # of a message that was refused already
    "answer",  # the replies for the message
    "close",
]  # fmt: skip
"""Input that changes the state."""

_NEW: Final[dict[LmtpInput, LmtpState]] = {"LHLO": LmtpState.READY, "RSET": LmtpState.READY}
_CLOSE: Final[dict[LmtpInput, LmtpState]] = {"close": LmtpState.CLOSED}

TRANSITIONS: Final[dict[LmtpState, dict[LmtpInput, LmtpState]]] = {
    LmtpState.START: {
        "LHLO": LmtpState.READY,
        "RSET": LmtpState.START,
        "BDAT": LmtpState.SKIP_BEFORE_LHLO,
        "BDAT LAST": LmtpState.SKIP_BEFORE_LHLO,
        **_CLOSE,
    },
    LmtpState.READY: {
        "MAIL": LmtpState.SENDER,
        "BDAT": LmtpState.SKIP_BEFORE_MAIL,
        "BDAT LAST": LmtpState.SKIP_BEFORE_MAIL,
        **_NEW,
        **_CLOSE,
    },
    LmtpState.SENDER: {
        "RCPT": LmtpState.FIRST_ASKED,
        "BDAT": LmtpState.CHUNK,
        "BDAT LAST": LmtpState.LAST_CHUNK,
        **_NEW,
        **_CLOSE,
    },
    LmtpState.FIRST_ASKED: {
        "accept": LmtpState.RECIPIENTS,
        "refuse": LmtpState.SENDER,
        **_CLOSE,
    },
    LmtpState.RECIPIENTS: {
        "RCPT": LmtpState.NEXT_ASKED,
        "DATA": LmtpState.DATA,
        "BDAT": LmtpState.CHUNK,
        "BDAT LAST": LmtpState.LAST_CHUNK,
        **_NEW,
        **_CLOSE,
    },
    LmtpState.NEXT_ASKED: {
        "accept": LmtpState.RECIPIENTS,
        "refuse": LmtpState.RECIPIENTS,
        **_CLOSE,
    },
    LmtpState.DATA: {
        "message end": LmtpState.MESSAGE_ASKED,
        "refused end": LmtpState.READY,
        **_CLOSE,
    },
    LmtpState.CHUNK: {"chunk end": LmtpState.CHUNKS, **_CLOSE},
    LmtpState.CHUNKS: {
        "BDAT": LmtpState.CHUNK,
        "BDAT LAST": LmtpState.LAST_CHUNK,
        **_NEW,
        **_CLOSE,
    },
    LmtpState.LAST_CHUNK: {
        "message end": LmtpState.MESSAGE_ASKED,
        "refused end": LmtpState.READY,
        **_CLOSE,
    },
    LmtpState.MESSAGE_ASKED: {"answer": LmtpState.READY, **_CLOSE},
    LmtpState.SKIP_BEFORE_LHLO: {"chunk end": LmtpState.START, **_CLOSE},
    LmtpState.SKIP_BEFORE_MAIL: {"chunk end": LmtpState.READY, **_CLOSE},
    LmtpState.CLOSED: {},
}
"""Next state by state and input. An input that is missing in a row is a bug (KeyError)."""
