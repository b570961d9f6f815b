"""Logins: right, wrong, delayed, and too many at a time."""

import contextlib
from dataclasses import dataclass, replace
from functools import partial

import argon2
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import imapvm.auth.authenticator
from imapvm.auth.authenticator import Authenticator, LoginFailedError, TooManyLoginsError
from imapvm.auth.passwords import hash_password, verify
from imapvm.auth.throttle import PAIR_FREE
from imapvm.auth.verification_cache import REMEMBER_SECONDS
from imapvm.model.limits import VERIFICATION_CACHE_MAX
from imapvm.server.imap.login_runtime import TrioRuntime

CHEAP = argon2.profiles.CHEAPEST
PEER = "192.0.2.1"


@dataclass(frozen=True)
class FakeAccount:
    id: int
    name: str
    credential: str


class FakeAccounts:
    def __init__(self) -> None:
        self.by_name: dict[str, FakeAccount] = {}

    def enroll(self, name: str, password: bytes) -> FakeAccount:
        credential = hash_password(password, parameters=CHEAP) if password else ""
        account = FakeAccount(len(self.by_name) + 1, name, credential)
        self.by_name[name.casefold()] = account
        return account

    def find(self, name: str) -> FakeAccount | None:
        return self.by_name.get(name.casefold())


@pytest.fixture
def accounts() -> FakeAccounts:
    accounts = FakeAccounts()
    accounts.enroll("Ada", b"engine")
    return accounts


@pytest.fixture
def authenticator(accounts) -> Authenticator:
    return Authenticator(accounts, TrioRuntime())


@pytest.fixture
def hashes(monkeypatch) -> list[str | None]:
    """Credentials against which a password was hashed."""
    seen: list[str | None] = []

    def counting(credential: str | None, password: bytes) -> bool:
        seen.append(credential)
        return credential is not None and verify(credential, password)

    monkeypatch.setattr(imapvm.auth.authenticator, "verify", counting)
    return seen


class Gate:
    """Runtime whose password checks wait for `open`, without threads."""

    def __init__(self, cores: int = 1) -> None:
        self.cores = cores
        self.open = trio.Event()
        self.running = 0

    def now(self) -> float:
        return trio.current_time()

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    def event(self) -> trio.Event:
        return trio.Event()

    async def in_thread(self, check) -> bool:
        self.running += 1
        await self.open.wait()
        self.running -= 1
        return check()


@pytest.fixture
def gate() -> Gate:
    return Gate()


async def refused(authenticator: Authenticator, name: str, password: bytes, *, peer: str) -> None:
    with pytest.raises(LoginFailedError):
        await authenticator.login(name, password, peer=peer)


async def attempt(authenticator: Authenticator, name: str, password: bytes, peer: str) -> None:
    """Try to log in; any result is fine."""
    with contextlib.suppress(LoginFailedError, TooManyLoginsError):
        await authenticator.login(name, password, peer=peer)


async def test_right_password_logs_in_with_the_name_in_any_case(authenticator, accounts):
    account = accounts.find("ada")
    assert await authenticator.login("Ada", b"engine", peer="192.0.2.1") is account
    assert await authenticator.login("ADA", b"engine", peer="192.0.2.1") is account


async def test_wrong_password_and_unknown_name_fail(authenticator, hashes):
    await refused(authenticator, "ada", b"wrong", peer="192.0.2.1")
    await refused(authenticator, "unknown", b"engine", peer="192.0.2.1")
    assert len(hashes) == 2  # an unknown name costs a hash too
    assert hashes[1] is None


async def test_account_without_credential_cannot_log_in(authenticator, accounts):
    accounts.enroll("locked", b"")
    await refused(authenticator, "locked", b"", peer="192.0.2.1")
    await refused(authenticator, "locked", b"x", peer="192.0.2.1")


async def test_credential_in_an_unknown_format_is_the_reason(authenticator, accounts):
    accounts.by_name["old"] = FakeAccount(9, "old", "{CRYPT}abc")
    with pytest.raises(LoginFailedError, match="unknown format"):
        await authenticator.login("old", b"abc", peer="192.0.2.1")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("ada", "wrong password"), ("grace", "unknown user"), ("locked", "account has no password")],
)
async def test_failure_has_a_reason(authenticator, accounts, name, reason):
    accounts.enroll("locked", b"")
    with pytest.raises(LoginFailedError, match=reason):
        await authenticator.login(name, b"wrong", peer="192.0.2.1")


async def test_password_that_is_changed_during_the_login_is_refused(accounts, gate):
    authenticator = Authenticator(accounts, gate)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(refused, authenticator, "ada", b"engine", peer=PEER))
        await wait_all_tasks_blocked()
        accounts.by_name["ada"] = replace(accounts.by_name["ada"], credential="new")
        gate.open.set()
    assert not authenticator._cache.entries


async def test_account_that_is_deleted_during_the_login_is_refused(accounts, gate):
    authenticator = Authenticator(accounts, gate)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(refused, authenticator, "ada", b"engine", peer=PEER))
        await wait_all_tasks_blocked()
        del accounts.by_name["ada"]
        gate.open.set()


async def test_verified_password_is_not_hashed_again_for_a_while(
    authenticator, hashes, autojump_clock
):
    for _ in range(5):
        assert await authenticator.login("ada", b"engine", peer="192.0.2.1")
    assert len(hashes) == 1
    await trio.sleep(REMEMBER_SECONDS)
    assert await authenticator.login("ada", b"engine", peer="192.0.2.1")
    assert len(hashes) == 2


async def test_wrong_password_is_hashed_although_the_right_one_is_cached(authenticator, hashes):
    assert await authenticator.login("ada", b"engine", peer="192.0.2.1")
    await refused(authenticator, "ada", b"engin", peer="192.0.2.1")
    assert len(hashes) == 2


async def test_changed_password_invalidates_the_cache(authenticator, accounts):
    assert await authenticator.login("ada", b"engine", peer="192.0.2.1")
    accounts.enroll("Ada", b"difference")
    await refused(authenticator, "ada", b"engine", peer="192.0.2.1")
    assert await authenticator.login("ada", b"difference", peer="192.0.2.1")


async def test_name_that_is_too_long_in_form_c_is_not_looked_up(authenticator, accounts):
    accounts.find = lambda name: pytest.fail("no table has such a key")
    musical = "\U0001d160" * 63  # 252 bytes, three times as many in form C
    await refused(authenticator, musical, b"x", peer="192.0.2.1")


async def test_failures_delay_their_peer_and_no_other(authenticator, autojump_clock):
    for _ in range(PAIR_FREE):
        await refused(authenticator, "ada", b"wrong", peer="192.0.2.1")
    took = []
    for _ in range(3):
        await refused(authenticator, "ada", b"wrong", peer="192.0.2.1")
        began = trio.current_time()
        await refused(authenticator, "ada", b"wrong", peer="192.0.2.1")
        took.append(round(trio.current_time() - began))
    assert took == [1, 4, 15]
    began = trio.current_time()
    assert await authenticator.login("ada", b"engine", peer="192.0.2.2")
    assert trio.current_time() - began < 1


async def test_concurrent_logins_do_not_avoid_the_delays(authenticator, autojump_clock):
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(PAIR_FREE + 3):
            nursery.start_soon(partial(refused, authenticator, "ada", b"wrong", peer=PEER))
    assert trio.current_time() - began >= 0 + 1 + 2
    assert not authenticator._queues


async def test_five_concurrent_logins_of_one_client_cost_one_hash(authenticator, hashes):
    async def sign_in() -> None:
        assert await authenticator.login("ada", b"engine", peer="192.0.2.1")

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(sign_in)
    assert len(hashes) == 1


@pytest.mark.at_limit("VERIFICATION_CACHE_MAX")
@pytest.mark.past_limit("VERIFICATION_CACHE_MAX")
async def test_cache_holds_entries_up_to_the_limit_and_one_more_replaces_the_oldest(
    authenticator, hashes
):
    entries = authenticator._cache.entries
    for number in range(VERIFICATION_CACHE_MAX - 2):
        entries[-number, None] = (b"", 0.0)
    await authenticator.login("ada", b"engine", peer="192.0.2.1")
    assert len(entries) == VERIFICATION_CACHE_MAX
    assert (0, None) in entries
    authenticator._accounts.enroll("Grace", b"cobol")
    await authenticator.login("grace", b"cobol", peer="192.0.2.1")
    assert len(entries) == VERIFICATION_CACHE_MAX
    assert (0, None) not in entries
    assert await authenticator.login("ada", b"engine", peer="192.0.2.1")
    assert len(hashes) == 2


async def test_no_password_is_stored_or_logged(authenticator, caplog):
    caplog.set_level("DEBUG")
    await authenticator.login("ada", b"engine", peer="192.0.2.1")
    await refused(authenticator, "hunter2", b"difference", peer="192.0.2.1")
    assert all(b"engine" not in digest for digest, _ in authenticator._cache.entries.values())
    for secret in ("engine", "difference", "hunter2"):
        assert secret not in caplog.text


@pytest.mark.parametrize(("processes", "at_a_time"), [(1, 8), (3, 3), (8, 1), (100, 1)])
def test_several_processes_divide_the_cores(monkeypatch, processes, at_a_time):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert TrioRuntime(processes=processes).cores == at_a_time
