"""Comparators: collations of RFC 4790 that a client can choose for SEARCH, SORT and THREAD.

i;unicode-casemap is the default (RFC 5255 section 4.4). All offer the operations equality, order
and substring, which SEARCH and SORT need.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from imapvm._core import ASCII_CASEMAP, COMPARE_BYTES, UNICODE_CASEMAP
from imapvm.model.limits import COMPARATOR_NAME_MAX

_ORDER: Final = re.compile(r"[+-]?(?:\*|[A-Za-z]\*?)(?:[A-Za-z0-9;=.-]\*?)*")
"""collation-order (RFC 4790 section 3.3)."""


@dataclass(frozen=True, slots=True)
class Collation:
    """Collation, and the direction of its order."""

    name: str
    """collation-id."""
    number: int
    """As `SearchProgram.bind` takes it."""
    descending: bool = False
    """True if the order of texts is inverted (RFC 4790 section 3.3)."""

    @property
    def selected(self) -> str:
        """collation-selected."""
        return f"-{self.name}" if self.descending else self.name


COMPARATORS: Final = (
    Collation("i;unicode-casemap", UNICODE_CASEMAP),
    Collation("i;ascii-casemap", ASCII_CASEMAP),
    Collation("i;octet", COMPARE_BYTES),
)
"""All comparators, the most useful first."""
DEFAULT: Final = COMPARATORS[0]


class InvalidOrderError(ValueError):
    """An argument is no collation-order; the message names it."""


def matching(orders: Iterable[str]) -> tuple[Collation, ...]:
    """Return the comparators that match any of the arguments of COMPARATOR.

    The first is the one to use: the most useful of those that match the first argument that matches
    any. The others follow in the order of `COMPARATORS`.

    Raises:
        InvalidOrderError: an argument is no collation-order.
    """
    orders = list(orders)
    for order in orders:
        if len(order) > COMPARATOR_NAME_MAX or not _ORDER.fullmatch(order):
            raise InvalidOrderError(order)
    chosen = next((found[0] for order in orders if (found := _matched(order))), None)
    if chosen is None:
        return ()
    names = {one.name for order in orders for one in _matched(order)} - {chosen.name}
    return chosen, *(one for one in COMPARATORS if one.name in names)


def _matched(order: str) -> list[Collation]:
    """Return the comparators that match one argument, with its direction."""
    pattern, descending = order.lstrip("+-").lower(), order.startswith("-")
    if pattern == "default":
        pattern = DEFAULT.name
    found = (one for one in COMPARATORS if fnmatchcase(one.name, pattern))
    return [replace(one, descending=descending) for one in found]
