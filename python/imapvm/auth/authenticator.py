"""Authenticator: checks passwords in threads, and delays logins after failures.

Steps of a login:

    compare with the verification cache --right--> logged in, without a wait
      | not there, or wrong
    wait for the logins of this peer with this name     (auth.login_queues)
      |
    sleep as long as earlier failures require           (auth.throttle)
      |
    compare with the cache again: an equal login may have been verified meanwhile
      |
    wait for a core: the peers take turns               (model.fair_limiter)
      |
    hash

A login whose client closes the connection during a wait is dropped.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Generic, NoReturn, Protocol, TypeVar, final

from imapvm.auth.login_queues import LoginQueues, QueueKey
from imapvm.auth.passwords import is_credential, verify
from imapvm.auth.throttle import Failures, Throttle
from imapvm.auth.verification_cache import (
    LocalVerificationCache,
    VerificationCache,
    VerifiedAccount,
    compare,
    remember,
    remember_peer,
)
from imapvm.model.fair_limiter import Event, FairLimiter, QueueFullError
from imapvm.model.limits import (
    FAILURES_BEFORE_CACHE_IS_DELAYED_MAX,
    LOGIN_NAME_MAX,
    PASSWORD_CHECKS_PER_PEER_MAX,
    PASSWORD_CHECKS_WAITING_MAX,
)
from imapvm.model.names import normal_name
from imapvm.model.peers import network_of
from imapvm.model.stepping import suspend


class LoginAccount(VerifiedAccount, Protocol):
    """Account as the authenticator needs it (`imapvm.filepool.accounts.Account`)."""

    @property
    def name(self) -> str: ...


A_co = TypeVar("A_co", bound=LoginAccount, covariant=True)


class AccountLookup(Protocol[A_co]):
    """Look-up of accounts (`imapvm.filepool.accounts.Accounts`)."""

    def find(self, name: str) -> A_co | None: ...


class Runtime(Protocol):
    """Clock, waits and threads (`imapvm.server.imap.login_runtime`)."""

    cores: int
    """Concurrent password checks of this process."""

    def now(self) -> float:
        """Return seconds that never go back, the same in all processes that share failures."""

    async def sleep(self, seconds: float) -> None: ...

    def event(self) -> Event:
        """Make an event."""

    async def in_thread(self, check: Callable[[], bool]) -> bool:
        """Run a password check in a thread."""


class TooManyLoginsError(Exception):
    """Too many logins wait already, of this peer with this name or of all: try again later."""


class LoginFailedError(Exception):
    """Name or password is wrong. The text is the reason, for the log only."""


@final
class Authenticator(Generic[A_co]):
    """Password checks of one process. Stores keyed digests only (`auth.verification_cache`)."""

    __slots__ = ("_accounts", "_cache", "_hashing", "_queues", "_runtime", "_throttle")

    def __init__(
        self,
        accounts: AccountLookup[A_co],
        runtime: Runtime,
        *,
        cache: VerificationCache | None = None,
        failures: Failures | None = None,
    ) -> None:
        """Start with the failures and verified passwords that are given.

        Args:
            accounts: look-up by login name.
            runtime: clock, waits and threads.
            cache: shared by all processes; one for this process by default.
            failures: likewise.
        """
        self._accounts = accounts
        self._runtime = runtime
        self._throttle = Throttle(runtime.now, failures)
        self._cache: VerificationCache = LocalVerificationCache() if cache is None else cache
        self._queues = LoginQueues(runtime.event)
        self._hashing = FairLimiter(
            runtime.cores,
            per_peer=PASSWORD_CHECKS_PER_PEER_MAX,
            make_event=runtime.event,
            waiting_max=PASSWORD_CHECKS_WAITING_MAX,
        )

    async def login(
        self,
        name: str,
        password: bytes,
        *,
        peer: str,
        while_connected: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> A_co:
        """Return the account with this name and password.

        Waits as long as earlier failures require, except for a password that this peer has sent
        and that was verified lately.

        Args:
            name: as the client sent it.
            password: as the client sent it.
            peer: the client's address.
            while_connected: makes a context that cancels its body, and raises, if the client closes
                the connection. Waits are inside of it; hashing is not.

        Raises:
            LoginFailedError: wrong name or password.
            TooManyLoginsError: too many logins wait already.
        """
        await suspend()
        key = network_of(peer), normal_name(name)
        account, compared = self._look_up(key, name, password)
        if account is not None and compared:
            if not self._throttle.delay(*key):
                self._accept(account, key)
            return account
        try:
            return await self._login_in_turn(key, name, password, while_connected)
        except LoginFailedError:
            raise
        except BaseException as error:
            # Or a client that hangs up before its delay could use the cache to guess.
            if compared is False:
                self._throttle.failed(*key)
            if isinstance(error, QueueFullError):
                raise TooManyLoginsError from error
            raise

    def _look_up(
        self, key: QueueKey, name: str, password: bytes
    ) -> tuple[A_co | None, bool | None]:
        """Return the account, and the result of comparing the password without a delay.

        While a delay is due, only a password that this peer has sent before is compared, and not
        after very many failures.
        """
        account = self._find(key, name)
        if account is None:
            return None, None
        peer = None
        if self._throttle.delay(*key):
            if self._throttle.failures(*key) >= FAILURES_BEFORE_CACHE_IS_DELAYED_MAX:
                return account, None
            peer = key[0]
        return account, self._compare(account, password, peer)

    async def _login_in_turn(
        self,
        key: QueueKey,
        name: str,
        password: bytes,
        while_connected: Callable[[], AbstractContextManager[None]],
    ) -> A_co:
        with while_connected():
            turn = await self._queues.enter(key, delayed=self._throttle.delay(*key) > 0)
        try:
            delay = self._throttle.delay(*key)
            if delay:
                with while_connected():
                    await self._runtime.sleep(delay)
            account = self._find(key, name)
            if account is None or not self._compare(account, password, None):
                with while_connected():
                    await self._hashing.acquire(key[0])
                try:
                    right = await self._hash(account, password)
                finally:
                    self._hashing.release(key[0])
                if account is None or not right:
                    self._fail(key, account)
                if not self._is_current(account, key, name):
                    self._fail(key, account, "account was changed during the login")
                remember(self._cache, account, password, self._runtime.now())
            self._accept(account, key)
            return account
        finally:
            self._queues.leave(key, turn)

    def _find(self, key: QueueKey, name: str) -> A_co | None:
        # Form C can be longer than the name that was sent; no table has such a key.
        return self._accounts.find(name) if len(key[1].encode()) <= LOGIN_NAME_MAX else None

    def _is_current(self, account: LoginAccount, key: QueueKey, name: str) -> bool:
        """Return True if the account was neither deleted nor changed since it was looked up."""
        now = self._find(key, name)
        return now is not None and (now.id, now.credential) == (account.id, account.credential)

    def _compare(self, account: LoginAccount, password: bytes, peer: str | None) -> bool | None:
        return compare(self._cache, account, password, self._runtime.now(), peer=peer)

    async def _hash(self, account: LoginAccount | None, password: bytes) -> bool:
        credential = account.credential if account is not None else None
        return await self._runtime.in_thread(partial(verify, credential, password))

    def _accept(self, account: LoginAccount, key: QueueKey) -> None:
        """Remember that this peer sent the right password, and forget its failures before."""
        remember_peer(self._cache, account, key[0])
        self._throttle.succeeded(*key)

    def _fail(
        self, key: QueueKey, account: LoginAccount | None, reason: str | None = None
    ) -> NoReturn:
        self._throttle.failed(*key)
        if self._throttle.delay(*key):
            self._queues.shorten(key)
        raise LoginFailedError(reason or _reason(account))


def _reason(account: LoginAccount | None) -> str:
    if account is None:
        return "unknown user"
    if not account.credential:
        return "account has no password"
    if not is_credential(account.credential):
        return "credential of account has an unknown format"
    return "wrong password"
