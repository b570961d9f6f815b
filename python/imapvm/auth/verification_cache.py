"""Whose password was right a short while ago, so that an equal one need not be hashed again.

Of a password a keyed digest is kept, with the account's credential in it: when the password is
changed, in whatever process, nothing fits any more.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, final

from imapvm.model.limits import VERIFICATION_CACHE_MAX

if TYPE_CHECKING:
    from imapvm.filepool.accounts import Account
    from imapvm.model.ids import AccountId

REMEMBER_SECONDS: Final = 10 * 60.0
"""After a password was right, equal ones are not hashed again for so long. A mail program opens
five connections at a time, and all of a server's clients return at once after a restart; one hash
costs 0.1 s of two cores and 64 MiB."""
DIGEST_BYTES: Final = 32


class VerificationCache(Protocol):
    """What was right, by account. Times are seconds of the one clock that the caller uses."""

    key: bytes

    def find(self, account: "AccountId") -> tuple[bytes, float] | None:
        """The digest of the account's password, and until when it counts."""

    def remember(self, account: "AccountId", digest: bytes, until: float) -> None:
        """Put a digest in place of an earlier one; who came first goes, where there is no room."""


@final
class LocalVerificationCache:
    """Those of one process."""

    __slots__ = ("entries", "key")

    def __init__(self) -> None:
        self.key = secrets.token_bytes(32)
        self.entries: OrderedDict[AccountId, tuple[bytes, float]] = OrderedDict()

    def find(self, account: "AccountId") -> tuple[bytes, float] | None:
        return self.entries.get(account)

    def remember(self, account: "AccountId", digest: bytes, until: float) -> None:
        self.entries[account] = digest, until
        self.entries.move_to_end(account)
        if len(self.entries) > VERIFICATION_CACHE_MAX:
            self.entries.popitem(last=False)


def was_right(
    cache: VerificationCache, account: "Account", password: bytes, clock: Callable[[], float]
) -> bool:
    """True where an equal password was right for this account and its credential lately."""
    seen = cache.find(account.id)
    if seen is None:
        return False
    digest, until = seen
    return secrets.compare_digest(digest, _digest(cache, account, password)) and clock() < until


def remember(
    cache: VerificationCache, account: "Account", password: bytes, clock: Callable[[], float]
) -> None:
    """Note that a password is right."""
    until = clock() + REMEMBER_SECONDS
    cache.remember(account.id, _digest(cache, account, password), until)


def _digest(cache: VerificationCache, account: "Account", password: bytes) -> bytes:
    text = account.credential.encode() + b"\0" + password
    return hashlib.blake2b(text, key=cache.key, digest_size=DIGEST_BYTES).digest()
