"""Who somebody is: passwords checked in threads, failures slowed down."""

import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol, final

import trio

from imapvm.auth.passwords import is_credential, verify
from imapvm.auth.throttle import Failures, Throttle
from imapvm.auth.verification_cache import (
    LocalVerificationCache,
    VerificationCache,
    remember,
    was_right,
)
from imapvm.commands.outcome import Refusal
from imapvm.model.limits import LOGIN_NAME_MAX, PASSWORD_CHECKS_WAITING_MAX
from imapvm.model.names import normal_name

if TYPE_CHECKING:
    from imapvm.filepool.accounts import Account

LOG: Final = logging.getLogger(__name__)


class Accounts(Protocol):
    """What is needed of `imapvm.filepool.accounts.Accounts`."""

    def find(self, name: str) -> "Account | None": ...


@final
class Authenticator:
    """Password checks of one process; keeps keyed digests only (`auth.verification_cache`)."""

    __slots__ = (
        "_accounts",
        "_busy",
        "_cache",
        "_clock",
        "_cores",
        "_throttle",
        "_waiting",
    )

    def __init__(
        self,
        accounts: Accounts,
        *,
        clock: Callable[[], float] = trio.current_time,
        cache: VerificationCache | None = None,
        failures: Failures | None = None,
        processes: int = 1,
    ) -> None:
        """Know nobody yet, but for what other processes know.

        Args:
            accounts: where names are looked up.
            clock: seconds that never go back; the same for all who share what follows.
            cache: of all processes; of this one alone by default.
            failures: likewise.
            processes: that divide the cores among them: as many hashes at a time as there are
                cores are made by all together (each takes 64 MiB meanwhile).
        """
        self._accounts = accounts
        self._clock = clock
        self._throttle = Throttle(clock, failures)
        self._cache: VerificationCache = LocalVerificationCache() if cache is None else cache
        self._cores = trio.CapacityLimiter(-(-(os.cpu_count() or 1) // processes))
        self._waiting = 0
        self._busy: dict[tuple[str, str], trio.Lock] = {}

    async def login(self, name: str, password: bytes, *, peer: str) -> "Account | None":
        """Return whose name and password these are; None after any failure, whatever it was.

        Waits as long as earlier failures ask for. One peer's tries with one name are looked at one
        after the other in each process, so that many connections are no way around the delays.

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
        if account is not None:
            if was_right(self._cache, account, password, self._clock):
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
            remember(self._cache, account, password, self._clock)
        return right

    @asynccontextmanager
    async def _one_at_a_time(self, peer: str, name: str) -> AsyncIterator[None]:
        lock = self._busy.setdefault((peer, name), trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():
                self._busy.pop((peer, name), None)
