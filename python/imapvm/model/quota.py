"""Quota: resources, units and limits (RFC 9208 section 5).

The quota root of an account has all of its mailboxes. A limit is a number of units; None is no
limit. The configuration has default limits, and an account may have limits of its own.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

STORAGE: Final = "STORAGE"
"""Bytes of all messages, each copy counted; in units of 1,024 bytes."""
MESSAGE: Final = "MESSAGE"
MAILBOX: Final = "MAILBOX"
ANNOTATION_STORAGE: Final = "ANNOTATION-STORAGE"
"""Bytes of all annotations, in units of 1,024 bytes."""

UNITS: Final = {STORAGE: 1024, MESSAGE: 1, MAILBOX: 1, ANNOTATION_STORAGE: 1024}
"""All resources, in the order of responses, with the bytes or items of one unit."""

LIMIT_MAX: Final = (1 << 63) - 1
"""Highest limit (RFC 9208 section 7, `resource-limit`)."""

Limits: TypeAlias = Mapping[str, int]
"""Resource → limit in units; a resource that is absent is not limited."""
NO_LIMITS: Final[Limits] = {}
OwnLimits: TypeAlias = Mapping[str, int | None]
"""Resource → limit of one account, None for no limit; where it is absent, the default applies."""


def effective(own: OwnLimits, default: Limits) -> dict[str, int]:
    """Return the limits of an account."""
    found: dict[str, int] = {}
    for resource in UNITS:
        limit = own[resource] if resource in own else default.get(resource)
        if limit is not None:
            found[resource] = limit
    return found


def in_units(resource: str, amount: int) -> int:
    """Return the usage for bytes or items, rounded up: it exceeds a limit if the bytes do."""
    return -(-amount // UNITS[resource])
