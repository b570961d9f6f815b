"""States of a transport, and of its reader.

    PLAIN --start_tls()--> HANDSHAKE --agreed--> TLS
     | ^                       |                 | ^
     | | stop_compression()    |                 | | stop_compression()
     v | start_compression()   |                 v | start_compression()
    DEFLATE                    |              TLS_DEFLATE
      |                        |                  |
      +-- error, corrupt input, or the client does not read --> FAILED
      |                        |                  |               |
      +------------------------+-- close() -------+---------------+--> CLOSED

    state         write_nowait()               read(), serve()      reason
    PLAIN         sent, the rest queued        bytes                None
    HANDSHAKE     dropped                      (start_tls)          None
    TLS           queued, then sent            bytes                None
    DEFLATE       deflated, queued, then sent  received, inflated   None
    TLS_DEFLATE   deflated, queued, then sent  received, inflated   None
    FAILED        dropped                      raise Broken…        the error's text
    CLOSED        dropped                      raise Closed…        `_CLOSED`

No TLS starts in DEFLATE. After `stop_compression`, input is read as in DEFLATE up to the end of the
client's stream.

The reader, at most one task:

    (none) --read(), start_tls()--> waits  ---event----------------> resumed
    (none) --serve(take)----------> serves ---event--> `take` runs in the reactor's callback:
              ^                                          returned True, all read --> serves
              |                                          returned False ----------> resumed, stopped
              +-- reader is None while `take` runs       raised ------------------> resumed, raises
                                                         end, error, more to read -> resumed

With compression `take` runs in the task.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class TransportState(Enum):
    """State of a connection; see the module's docstring."""

    PLAIN = auto()
    HANDSHAKE = auto()
    TLS = auto()
    DEFLATE = auto()
    TLS_DEFLATE = auto()
    FAILED = auto()
    CLOSED = auto()


_ENDS: Final = frozenset({TransportState.FAILED, TransportState.CLOSED})
TRANSITIONS: Final[Mapping[TransportState, frozenset[TransportState]]] = {
    TransportState.PLAIN: _ENDS | {TransportState.HANDSHAKE, TransportState.DEFLATE},
    TransportState.HANDSHAKE: _ENDS | {TransportState.TLS},
    TransportState.TLS: _ENDS | {TransportState.TLS_DEFLATE},
    TransportState.DEFLATE: _ENDS | {TransportState.PLAIN},
    TransportState.TLS_DEFLATE: _ENDS | {TransportState.TLS},
    TransportState.FAILED: frozenset({TransportState.CLOSED}),
    TransportState.CLOSED: frozenset(),
}

TLS_STATES: Final = frozenset({TransportState.TLS, TransportState.TLS_DEFLATE})
QUEUE_STATES: Final = TLS_STATES | {TransportState.DEFLATE}
"""States in which all output is sent through the queue."""
