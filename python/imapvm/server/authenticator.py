"""Who somebody is: passwords checked in threads, failures slowed down."""

import hashlib
import logging
import os
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol, final

import trio

from imapvm.auth.passwords import is_credential, verify
from imapvm.auth.throttle import Throttle
from imapvm.commands.outcome import Refusal
from imapvm.filepool.accounts import normal_name
from imapvm.model.limits import (
    LOGIN_NAME_MAX,
    PASSWORD_CHECKS_WAITING_MAX,
    REMEMBERED_SIGN_INS_MAX,
)

if TYPE_CHECKING:
    from imapvm.filepool.accounts import Account
    from imapvm.model.ids import AccountId

LOG: Final = logging.getLogger(__name__)

REMEMBER_SECONDS: Final = 10 * 60.0
"""After a password was right, equal ones are not hashed again for so long. A mail program opens
five connections at a time, and all of a server's clients return at once after a restart; one hash
costs 0.1 s of two cores and 64 MiB."""


class Accounts(Protocol):
    """What is needed of `imapvm.filepool.accounts.Accounts`."""

    def find(self, name: str) -> "Account | None": ...


@final
class Authenticator:
    """One a process. Of passwords it keeps keyed digests alone, and those in memory."""

    __slots__ = (
        "_accounts",
        "_busy",
        "_clock",
        "_cores",
        "_key",
        "_right",
        "_throttle",
        "_waiting",
    )

    def __init__(
        self, accounts: Accounts, *, clock: Callable[[], float] = trio.current_time
    ) -> None:
        """Know nobody yet.

        Args:
            accounts: where names are looked up.
            clock: seconds that never go back, as Trio counts them.
        """
        self._accounts = accounts
        self._clock = clock
        self._throttle = Throttle(clock)
        self._cores = trio.CapacityLimiter(os.cpu_count() or 1)
        self._waiting = 0
        self._busy: dict[tuple[str, str], trio.Lock] = {}
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[AccountId, tuple[bytes, float]] = OrderedDict()

    async def login(self, name: str, password: bytes, *, peer: str) -> "Account | None":
        """Return whose name and password these are; None after any failure, whatever it was.

        Waits as long as earlier failures ask for. One peer's tries with one name are looked at one
        after the other, so that many connections are no way around the delays.

        Raises:
            Refusal: PASSWORD_CHECKS_WAITING_MAX sign-ins wait already; try again later.
        """
        if self._waiting >= PASSWORD_CHECKS_WAITING_MAX:
            raise Refusal("too many are signing in; try again in a moment", "UNAVAILABLE")
        known = normal_name(name)
        self._waiting += 1
        try:
            async with self._one_at_a_time(peer, known):
                delay = self._throttle.delay(peer, known)
                if delay:
                    await trio.sleep(delay)
                # Form C can be longer than what was sent; no table has such a key.
                short = len(known.encode()) <= LOGIN_NAME_MAX
                account = self._accounts.find(name) if short else None
                if await self._is_right(account, password):
                    self._throttle.succeeded(peer, known)
                    assert account is not None
                    LOG.info("login", extra={"user": account.name, "peer": peer})
                    return account
                self._throttle.failed(peer, known)
                # Names only: a password typed into the wrong field is no business of the log's,
                # so a name that nobody has is not shown.
                LOG.info(
                    "login failed",
                    extra={"user": account.name if account else "(nobody)", "peer": peer},
                )
                return None
        finally:
            self._waiting -= 1

    async def _is_right(self, account: "Account | None", password: bytes) -> bool:
        digest = self._digest(account, password) if account is not None else b""
        if account is not None:
            seen, until = self._right.get(account.id, (b"", 0.0))
            if secrets.compare_digest(seen, digest) and self._clock() < until:
                return True
            if account.credential and not is_credential(account.credential):
                LOG.warning(
                    "the credential of an account cannot be checked", extra={"user": account.name}
                )
        credential = account.credential if account is not None else None
        right = await trio.to_thread.run_sync(
            verify, credential, password, limiter=self._cores, abandon_on_cancel=True
        )
        if right and account is not None:
            self._right[account.id] = digest, self._clock() + REMEMBER_SECONDS
            self._right.move_to_end(account.id)
            if len(self._right) > REMEMBERED_SIGN_INS_MAX:
                self._right.popitem(last=False)
        return right

    def _digest(self, account: "Account", password: bytes) -> bytes:
        # The credential is in it: when the password is changed nothing fits any more.
        text = account.credential.encode() + b"\0" + password
        return hashlib.blake2b(text, key=self._key, digest_size=32).digest()

    @asynccontextmanager
    async def _one_at_a_time(self, peer: str, name: str) -> AsyncIterator[None]:
        lock = self._busy.setdefault((peer, name), trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():
                self._busy.pop((peer, name), None)
