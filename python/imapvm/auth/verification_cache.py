"""Cache of passwords verified a short while ago, so that equal ones are not hashed again.

Stores a keyed digest of the password and the account's credential: when the password is changed,
in any process, the entry no longer matches.
"""

import hashlib
import secrets
from collections import OrderedDict
from typing import Final, Protocol, final

from imapvm.model.ids import AccountId
from imapvm.model.limits import VERIFICATION_CACHE_MAX

REMEMBER_SECONDS: Final = 10 * 60.0
"""Lifetime of an entry. A mail program opens five connections at a time, and all clients of a
server reconnect at once after a restart; one hash costs 0.1 s of two cores and 64 MiB."""
DIGEST_BYTES: Final = 32


class VerifiedAccount(Protocol):
    """Account as the cache needs it."""

    @property
    def id(self) -> AccountId: ...

    @property
    def credential(self) -> str: ...


class VerificationCache(Protocol):
    """Digests by account. Times are seconds of one clock, chosen by the caller."""

    key: bytes

    def find(self, account: AccountId) -> tuple[bytes, float] | None:
        """Return the digest of the account's password, and the time at which it expires."""

    def remember(self, account: AccountId, digest: bytes, until: float) -> None:
        """Replace the account's digest; if the cache is full, the oldest entry is dropped."""


@final
class LocalVerificationCache:
    """Cache of one process."""

    __slots__ = ("entries", "key")

    def __init__(self) -> None:
        self.key = secrets.token_bytes(32)
        self.entries: OrderedDict[AccountId, tuple[bytes, float]] = OrderedDict()

    def find(self, account: AccountId) -> tuple[bytes, float] | None:
        return self.entries.get(account)

    def remember(self, account: AccountId, digest: bytes, until: float) -> None:
        self.entries[account] = digest, until
        self.entries.move_to_end(account)
        if len(self.entries) > VERIFICATION_CACHE_MAX:
            self.entries.popitem(last=False)


def is_verified(
    cache: VerificationCache, account: VerifiedAccount, password: bytes, now: float
) -> bool:
    """Return True if an equal password was verified lately for this account and credential."""
    seen = cache.find(account.id)
    if seen is None:
        return False
    digest, until = seen
    return secrets.compare_digest(digest, _digest(cache, account, password)) and now < until


def remember(
    cache: VerificationCache, account: VerifiedAccount, password: bytes, now: float
) -> None:
    """Store that a password is right."""
    cache.remember(account.id, _digest(cache, account, password), now + REMEMBER_SECONDS)


def _digest(cache: VerificationCache, account: VerifiedAccount, password: bytes) -> bytes:
    text = account.credential.encode() + b"\0" + password
    return hashlib.blake2b(text, key=cache.key, digest_size=DIGEST_BYTES).digest()
