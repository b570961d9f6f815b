"""Special uses of mailboxes (RFC 6154): which a mailbox can have."""

from collections.abc import Sequence
from typing import Final

from imapvm.filepool.errors import SpecialUseError
from imapvm.filepool.tables.schema import SPECIAL_USE_BITS, special_uses
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId

VIRTUAL_USES: Final = (r"\All", r"\Flagged")
"""Special uses of mailboxes that show messages of other mailboxes; not supported."""
USE_CHARS: Final = 40
"""Characters of an unknown special use in an error; a client may send thousands."""


def special_use_bits(uses: Sequence[str]) -> int:
    """Return the bits of special uses.

    Raises:
        SpecialUseError: one is unknown, or not supported.
    """
    bits = 0
    for use in uses:
        known = next((name for name in SPECIAL_USE_BITS if name.lower() == use.lower()), None)
        if known is None or known in VIRTUAL_USES:
            raise SpecialUseError(f"a mailbox cannot have the special use {use[:USE_CHARS]}")
        bits |= SPECIAL_USE_BITS[known]
    return bits


def check_uses(txn: GroupTxn, account: AccountId, uses: Sequence[str]) -> int:
    """Return the bits of the special uses of a new mailbox.

    Raises:
        SpecialUseError: one is unknown, not supported, or used by another mailbox.
    """
    bits = special_use_bits(uses)
    if bits:
        for row in txn.mailboxes(account):
            taken = special_uses(row.uses & bits)
            if taken:
                raise SpecialUseError(f"another mailbox has the special use {taken[0]}")
    return bits
