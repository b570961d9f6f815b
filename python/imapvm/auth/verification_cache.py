"""Cache of passwords verified a short while ago, so that equal ones are not hashed again.

Stores a keyed digest of the password and the account's credential: when the password is changed,
in any process, the entry no longer matches.

Each verified password has two entries: one for its account, and one for its account and the peer
that sent it. The second lets the owner log in at once while the throttle delays others at the same
address. A peer that has never sent the right password gets no such answer before its delay, so it
cannot use the cache to guess without delays.
"""

import hashlib
import secrets
from collections import OrderedDict
from typing import Final, Protocol, TypeAlias, final

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


EntryKey: TypeAlias = tuple[AccountId, str | None]
"""Account and peer; None for any peer."""


class VerificationCache(Protocol):
    """Digests of passwords. Times are seconds of one clock, chosen by the caller."""

    key: bytes

    def find(self, entry: EntryKey) -> tuple[bytes, float] | None:
        """Return the digest of a password, and the time at which it expires."""

    def remember(self, entry: EntryKey, digest: bytes, until: float) -> None:
        """Replace a digest; if the cache is full, the oldest entry is dropped."""


@final
class LocalVerificationCache:
    """Cache of one process."""

    __slots__ = ("entries", "key")

    def __init__(self) -> None:
        self.key = secrets.token_bytes(32)
        self.entries: OrderedDict[EntryKey, tuple[bytes, float]] = OrderedDict()

    def find(self, entry: EntryKey) -> tuple[bytes, float] | None:
        return self.entries.get(entry)

    def remember(self, entry: EntryKey, digest: bytes, until: float) -> None:
        self.entries[entry] = digest, until
        self.entries.move_to_end(entry)
        if len(self.entries) > VERIFICATION_CACHE_MAX:
            self.entries.popitem(last=False)


def compare(
    cache: VerificationCache,
    account: VerifiedAccount,
    password: bytes,
    now: float,
    *,
    peer: str | None,
) -> bool | None:
    """Compare a password with one that was verified lately for this account and credential.

    Args:
        cache: digests of passwords.
        account: with the credential as it is now.
        password: as the client sent it.
        now: seconds of the cache's clock.
        peer: compare only with a password that this peer sent; None for any peer.

    Returns:
        None without a password to compare with.
    """
    seen = cache.find((account.id, peer))
    if seen is None or now >= seen[1]:
        return None
    return secrets.compare_digest(seen[0], _digest(cache, account, password))


def remember(
    cache: VerificationCache, account: VerifiedAccount, password: bytes, now: float
) -> None:
    """Store that a password is right."""
    digest = _digest(cache, account, password)
    cache.remember((account.id, None), digest, now + REMEMBER_SECONDS)


def remember_peer(cache: VerificationCache, account: VerifiedAccount, peer: str) -> None:
    """Store that a peer sent the password that is stored for this account."""
    seen = cache.find((account.id, None))
    if seen is not None and cache.find((account.id, peer)) != seen:
        cache.remember((account.id, peer), *seen)


def _digest(cache: VerificationCache, account: VerifiedAccount, password: bytes) -> bytes:
    text = account.credential.encode() + b"\0" + password
    return hashlib.blake2b(text, key=cache.key, digest_size=DIGEST_BYTES).digest()
