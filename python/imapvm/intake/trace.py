"""The fields that final delivery puts in front of a message (RFC 5321 section 4.4)."""

import re
import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache

_NAME = re.compile(r"[A-Za-z0-9\u0080-\U0010ffff](?:[\w.\-]{0,253})|\[[A-Za-z0-9.:\-]{1,64}\]")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-]{1,200}")


@dataclass(frozen=True, slots=True)
class Trace:
    """How a message came here."""

    protocol: str
    """What stands behind "with": LMTP, UTF8LMTP (RFC 6531 section 4.3) or BSMTP."""
    id: str
    """What stands behind "id": to be found in the log again."""
    greeting: str | None = None
    """The name that the peer gave itself."""
    peer: str | None = None
    """Its IP address; None for a unix socket or the spool."""


def trace_fields(
    trace: Trace, *, hostname: str, sender: str, recipient: str | None, now: float
) -> bytes:
    """Return-Path, Delivered-To and Received, each with its CRLF.

    Args:
        trace: how the message came.
        hostname: of this server.
        sender: "" gives `<>`.
        recipient: the only one. None where there are several: what they get is one message, and
            none of them is to read the others' addresses (RFC 5321 section 7.2).
        now: seconds since 1970; written in local time with its offset, as section 4.4 asks.
    """
    lines = [f"Return-Path: <{sender}>"]
    if recipient is not None:
        lines.append(f"Delivered-To: {recipient}")
    origin = _origin(trace.greeting, trace.peer)
    stamp = f"by {hostname} with {trace.protocol} id {_clean(trace.id)}"
    lines.append(f"Received: {origin}\r\n\t{stamp}" if origin else f"Received: {stamp}")
    if recipient is not None:
        lines.append(f"\tfor <{recipient}>")
    lines[-1] += "; " + _local_date(int(now))
    return "".join(line + "\r\n" for line in lines).encode()


def local_zone(now: float) -> int:
    """Minutes east of UTC here and at that time."""
    return _local_zone(int(now))


@lru_cache(maxsize=1)  # many messages come in one second
def _local_zone(now: int) -> int:
    return time.localtime(now).tm_gmtoff // 60


@lru_cache(maxsize=1)
def _local_date(now: int) -> str:
    return formatdate(now, localtime=True)


@lru_cache(maxsize=128)  # one connection sends many messages
def _origin(greeting: str | None, peer: str | None) -> str:
    """The From-domain clause; a name that is none is left out, whatever the peer said."""
    name = greeting if greeting and _NAME.fullmatch(greeting) else None
    if peer is None:
        return f"from {name}" if name else ""
    literal = f"[IPv6:{peer}]" if ":" in peer else f"[{peer}]"
    return f"from {name or literal} ({literal})"


def _clean(token: str) -> str:
    """An id as an atom (RFC 5321 section 4.4), whatever a producer named its file."""
    return token if _TOKEN.fullmatch(token) else re.sub(r"[^A-Za-z0-9._\-]", "_", token)[:200]
