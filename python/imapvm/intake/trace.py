"""Header fields that final delivery adds to a message (RFC 5321 section 4.4)."""

import re
import time
from email.utils import formatdate
from functools import lru_cache

from imapvm.model.values import frozen

_NAME = re.compile(r"[A-Za-z0-9\u0080-\U0010ffff](?:[\w.\-]{0,253})|\[[A-Za-z0-9.:\-]{1,64}\]")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-]{1,200}")


@frozen
class Trace:
    """Origin of a message, for its Received field and for log events."""

    protocol: str
    """The "with" clause: LMTP, UTF8LMTP (RFC 6531 section 4.3) or BSMTP."""
    id: str
    """The "id" clause; log events have the same id."""
    greeting: str | None = None
    """Name of the peer, from EHLO or LHLO."""
    peer: str | None = None
    """IP address of the peer; None for a unix socket or the spool."""
    session: str | None = None
    """Session of LMTP, for log events only."""


def trace_fields(
    trace: Trace, *, hostname: str, sender: str, recipient: str | None, now: float
) -> bytes:
    """Return Return-Path, Delivered-To and Received, each with CRLF.

    Args:
        trace: origin of the message.
        hostname: name of this server.
        sender: "" is written as `<>`.
        recipient: the only recipient. None if there are several: they share one stored message,
            which must not disclose their addresses to each other (RFC 5321 section 7.2).
        now: seconds since 1970; written in local time with its offset (RFC 5321 section 4.4).
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
    """Return the local offset from UTC at that time, in minutes; east is positive."""
    return _local_zone(int(now))


@lru_cache(maxsize=1)  # many messages arrive in one second
def _local_zone(now: int) -> int:
    return time.localtime(now).tm_gmtoff // 60


@lru_cache(maxsize=1)
def _local_date(now: int) -> str:
    return formatdate(now, localtime=True)


@lru_cache(maxsize=128)  # one connection sends many messages
def _origin(greeting: str | None, peer: str | None) -> str:
    """Return the From-domain clause, without the name of the peer if that is malformed."""
    name = greeting if greeting and _NAME.fullmatch(greeting) else None
    if peer is None:
        return f"from {name}" if name else ""
    literal = f"[IPv6:{peer}]" if ":" in peer else f"[{peer}]"
    return f"from {name or literal} ({literal})"


def _clean(token: str) -> str:
    """Return an id as an atom (RFC 5321 section 4.4); file names may contain any character."""
    return token if _TOKEN.fullmatch(token) else re.sub(r"[^A-Za-z0-9._\-]", "_", token)[:200]
