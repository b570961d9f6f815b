"""Authenticator: checks passwords in threads, and delays logins after failures."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar, final

from imapvm.auth.passwords import is_credential, verify
from imapvm.auth.throttle import Failures, Throttle
from imapvm.auth.verification_cache import (
    LocalVerificationCache,
    VerificationCache,
    VerifiedAccount,
    is_verified,
    remember,
)
from imapvm.model.limits import LOGIN_NAME_MAX, PASSWORD_CHECKS_WAITING_MAX
from imapvm.model.names import normal_name
from imapvm.model.stepping import suspend

LOG: Final = logging.getLogger(__name__)


class LoginAccount(VerifiedAccount, Protocol):
    """Account as the authenticator needs it (`imapvm.filepool.accounts.Account`)."""

    @property
    def name(self) -> str: ...


A_co = TypeVar("A_co", bound=LoginAccount, covariant=True)


class Accounts(Protocol[A_co]):
    """Look-up of accounts (`imapvm.filepool.accounts.Accounts`)."""

    def find(self, name: str) -> A_co | None: ...


class Runtime(Protocol):
    """Clock, waits, locks and threads (`imapvm.server.imap.login_runtime`)."""

    def now(self) -> float:
        """Return seconds that never go back, the same in all processes that share failures."""

    async def sleep(self, seconds: float) -> None: ...

    def lock(self) -> AbstractAsyncContextManager[Any]:
        """Make a lock that tasks acquire in the order in which they ask."""

    async def in_thread(self, check: Callable[[], bool]) -> bool:
        """Run a password check in a thread, as many at a time as there are cores for it."""


class TooManyLoginsError(Exception):
    """PASSWORD_CHECKS_WAITING_MAX logins wait already: try again later."""


@final
class Authenticator(Generic[A_co]):
    """Password checks of one process. Stores keyed digests only (`auth.verification_cache`)."""

    __slots__ = ("_accounts", "_cache", "_locks", "_runtime", "_throttle", "_waiting")

    def __init__(
        self,
        accounts: Accounts[A_co],
        runtime: Runtime,
        *,
        cache: VerificationCache | None = None,
        failures: Failures | None = None,
    ) -> None:
        """Start with the failures and verified passwords that are given.

        Args:
            accounts: look-up by login name.
            runtime: clock, waits, locks and threads.
            cache: shared by all processes; one for this process by default.
            failures: likewise.
        """
        self._accounts = accounts
        self._runtime = runtime
        self._throttle = Throttle(runtime.now, failures)
        self._cache: VerificationCache = LocalVerificationCache() if cache is None else cache
        self._waiting = 0
        self._locks: dict[tuple[str, str], _CountedLock] = {}

    async def login(self, name: str, password: bytes, *, peer: str) -> A_co | None:
        """Return the account with this name and password; None after any failure.

        Waits as long as earlier failures require. In each process, attempts of one peer with one
        name are checked one after another, so that many connections do not avoid the delays.

        Raises:
            TooManyLoginsError: PASSWORD_CHECKS_WAITING_MAX logins wait already.
        """
        await suspend()
        if self._waiting >= PASSWORD_CHECKS_WAITING_MAX:
            raise TooManyLoginsError
        normal = normal_name(name)
        self._waiting += 1
        try:
            async with self._one_at_a_time(peer, normal):
                delay = self._throttle.delay(peer, normal)
                if delay:
                    await self._runtime.sleep(delay)
                # Form C can be longer than the name that was sent; no table has such a key.
                short = len(normal.encode()) <= LOGIN_NAME_MAX
                account = self._accounts.find(name) if short else None
                if await self._is_right(account, password):
                    self._throttle.succeeded(peer, normal)
                    assert account is not None
                    LOG.info("login", extra={"user": account.name, "peer": peer})
                    return account
                self._throttle.failed(peer, normal)
                # Only names of accounts are logged: a user may type a password as the name.
                user = account.name if account else "(unknown)"
                LOG.info("login failed", extra={"user": user, "peer": peer})
                return None
        finally:
            self._waiting -= 1

    async def _is_right(self, account: LoginAccount | None, password: bytes) -> bool:
        if account is not None:
            if is_verified(self._cache, account, password, self._runtime.now()):
                return True
            if account.credential and not is_credential(account.credential):
                LOG.warning(
                    "cannot check credential of account: unknown format",
                    extra={"user": account.name},
                )
        credential = account.credential if account is not None else None
        right = await self._runtime.in_thread(partial(verify, credential, password))
        if right and account is not None:
            remember(self._cache, account, password, self._runtime.now())
        return right

    @asynccontextmanager
    async def _one_at_a_time(self, peer: str, name: str) -> AsyncIterator[None]:
        key = peer, name
        counted = self._locks.get(key)
        if counted is None:
            counted = self._locks[key] = _CountedLock(self._runtime.lock())
        counted.users += 1
        try:
            async with counted.lock:
                yield
        finally:
            counted.users -= 1
            if not counted.users:
                del self._locks[key]


@final
class _CountedLock:
    """Lock that is removed with its last user."""

    __slots__ = ("lock", "users")

    def __init__(self, lock: AbstractAsyncContextManager[Any]) -> None:
        self.lock = lock
        self.users = 0
