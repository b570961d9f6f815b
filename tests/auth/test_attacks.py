"""Logins of others while one address attacks: its neighbours, its own users, the remembered."""

import contextlib
from collections.abc import Iterator

import pytest
import trio
from tests.auth.test_authenticator import PEER, Gate, accounts, attempt, gate, refused
from trio.testing import wait_all_tasks_blocked

import imapvm.auth.authenticator
from imapvm.auth.authenticator import Authenticator, TooManyLoginsError
from imapvm.auth.passwords import verify
from imapvm.auth.throttle import LONGEST_SECONDS, PAIR_FREE
from imapvm.auth.verification_cache import REMEMBER_SECONDS
from imapvm.model.limits import (
    DELAYED_LOGINS_MAX,
    FAILURES_BEFORE_CACHE_IS_DELAYED_MAX,
    LOGINS_PER_PEER_AND_NAME_MAX,
    PASSWORD_CHECKS_PER_PEER_MAX,
    PASSWORD_CHECKS_WAITING_MAX,
)

__all__ = ["accounts", "gate"]

OTHER = "198.51.100.1"


@pytest.fixture
def opened(gate) -> Gate:
    """Runtime whose password checks take no time."""
    gate.open.set()
    return gate


@pytest.fixture
def authenticator(accounts, opened) -> Authenticator:
    return Authenticator(accounts, opened)


@pytest.fixture(autouse=True)
def no_hash_for_unknown_users(monkeypatch) -> None:
    """Unknown users cost the longest hash, which these tests do not measure."""

    def quick(credential: str | None, password: bytes) -> bool:
        return credential is not None and verify(credential, password)

    monkeypatch.setattr(imapvm.auth.authenticator, "verify", quick)


async def fail(authenticator: Authenticator, times: int, *, peer: str = PEER) -> None:
    for _ in range(times):
        await refused(authenticator, "ada", b"wrong", peer=peer)


# --- waits of the throttle ----------------------------------------------------------------------


async def test_logins_that_are_delayed_hold_no_core(authenticator, gate, autojump_clock):
    await fail(authenticator, PAIR_FREE + 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(attempt, authenticator, "ada", b"wrong", PEER)
        await wait_all_tasks_blocked()
        assert authenticator._hashing.borrowed == authenticator._hashing.waiting == 0
        began = trio.current_time()
        assert await authenticator.login("ada", b"engine", peer=OTHER)
        assert trio.current_time() == began
        nursery.cancel_scope.cancel()


@pytest.mark.at_limit("LOGINS_PER_PEER_AND_NAME_MAX")
@pytest.mark.past_limit("LOGINS_PER_PEER_AND_NAME_MAX")
async def test_logins_of_a_peer_with_one_name_wait_up_to_the_limit(accounts, gate):
    authenticator = Authenticator(accounts, gate)
    results: list[object] = []

    async def login() -> None:
        results.append(await authenticator.login("ada", b"engine", peer=PEER))

    async with trio.open_nursery() as nursery:
        for _ in range(LOGINS_PER_PEER_AND_NAME_MAX):
            nursery.start_soon(login)
        await wait_all_tasks_blocked()
        assert gate.running == 1
        with pytest.raises(TooManyLoginsError):
            await authenticator.login("ada", b"engine", peer=PEER)
        gate.open.set()
    assert results == [accounts.find("ada")] * LOGINS_PER_PEER_AND_NAME_MAX


@pytest.mark.at_limit("DELAYED_LOGINS_MAX")
@pytest.mark.past_limit("DELAYED_LOGINS_MAX")
async def test_queue_that_is_delayed_is_short(authenticator, autojump_clock):
    await fail(authenticator, PAIR_FREE + 1)
    async with trio.open_nursery() as nursery:
        for _ in range(DELAYED_LOGINS_MAX - 1):
            nursery.start_soon(attempt, authenticator, "ada", b"wrong", PEER)
        await wait_all_tasks_blocked()
        began = trio.current_time()
        nursery.start_soon(attempt, authenticator, "ada", b"wrong", PEER)
        await wait_all_tasks_blocked()
        with pytest.raises(TooManyLoginsError):
            await authenticator.login("ada", b"engine", peer=PEER)
        assert trio.current_time() == began
    assert not authenticator._queues


async def test_right_password_that_is_not_remembered_waits_for_few_delays(
    authenticator, autojump_clock
):
    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(attempt, authenticator, "ada", b"wrong", PEER)
        await wait_all_tasks_blocked()
        began = trio.current_time()
        while True:
            try:
                assert await authenticator.login("ada", b"engine", peer=PEER)
            except TooManyLoginsError:
                await trio.sleep(1)
            else:
                break
        assert trio.current_time() - began < (DELAYED_LOGINS_MAX + 1) * LONGEST_SECONDS


# --- remembered passwords -----------------------------------------------------------------------


async def test_remembered_password_is_not_delayed_at_the_address_that_fails(
    authenticator, autojump_clock
):
    assert await authenticator.login("ada", b"engine", peer=PEER)
    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(attempt, authenticator, "ada", b"wrong", PEER)
        await trio.sleep(20)
        began = trio.current_time()
        for _ in range(3):
            assert await authenticator.login("ada", b"engine", peer=PEER)
        assert trio.current_time() == began


async def test_remembered_password_is_not_delayed_by_names_that_the_address_fails_with(
    authenticator, autojump_clock
):
    assert await authenticator.login("ada", b"engine", peer=PEER)
    for number in range(30):
        await refused(authenticator, f"unknown{number}", b"x", peer=PEER)
    began = trio.current_time()
    assert await authenticator.login("ada", b"engine", peer=PEER)
    assert trio.current_time() == began


async def test_login_from_a_second_address_is_remembered_there_as_well(
    authenticator, autojump_clock
):
    assert await authenticator.login("ada", b"engine", peer=PEER)
    assert await authenticator.login("ada", b"engine", peer=OTHER)
    await fail(authenticator, PAIR_FREE + 5, peer=OTHER)
    began = trio.current_time()
    assert await authenticator.login("ada", b"engine", peer=OTHER)
    assert trio.current_time() == began


async def test_address_without_a_right_password_cannot_use_the_cache_to_guess(
    authenticator, autojump_clock
):
    assert await authenticator.login("ada", b"engine", peer=PEER)
    await fail(authenticator, PAIR_FREE + 5, peer=OTHER)
    began = trio.current_time()
    assert await authenticator.login("ada", b"engine", peer=OTHER)
    assert trio.current_time() - began == LONGEST_SECONDS


async def test_remembered_login_does_not_clear_the_failures_of_others_at_its_address(
    authenticator, autojump_clock
):
    assert await authenticator.login("ada", b"engine", peer=PEER)
    await fail(authenticator, PAIR_FREE + 5)
    assert await authenticator.login("ada", b"engine", peer=PEER)
    began = trio.current_time()
    await fail(authenticator, 1)
    assert trio.current_time() - began == LONGEST_SECONDS


async def test_login_does_not_prolong_the_life_of_a_remembered_password(
    authenticator, autojump_clock
):
    assert await authenticator.login("ada", b"engine", peer=PEER)
    await trio.sleep(REMEMBER_SECONDS - 1)
    assert await authenticator.login("ada", b"engine", peer=OTHER)
    await fail(authenticator, PAIR_FREE + 1)
    await trio.sleep(1)
    began = trio.current_time()
    assert await authenticator.login("ada", b"engine", peer=PEER)
    assert trio.current_time() - began == 1


@pytest.mark.at_limit("FAILURES_BEFORE_CACHE_IS_DELAYED_MAX")
@pytest.mark.past_limit("FAILURES_BEFORE_CACHE_IS_DELAYED_MAX")
async def test_remembered_password_is_delayed_after_very_many_failures(
    authenticator, autojump_clock
):
    assert await authenticator.login("ada", b"engine", peer=PEER)
    took = []
    for failures in (FAILURES_BEFORE_CACHE_IS_DELAYED_MAX - 1, 1):
        for _ in range(failures):
            authenticator._throttle.failed(PEER, "ada")
        began = trio.current_time()
        assert await authenticator.login("ada", b"engine", peer=PEER)
        took.append(trio.current_time() - began)
    assert took == [0, LONGEST_SECONDS]


# --- clients that hang up -----------------------------------------------------------------------


class Client:
    """Client that can hang up, as a transport shows it."""

    def __init__(self) -> None:
        self.gone = False
        self.scope: trio.CancelScope | None = None

    def hang_up(self) -> None:
        self.gone = True
        if self.scope is not None:
            self.scope.cancel()

    @contextlib.contextmanager
    def while_connected(self) -> Iterator[None]:
        with trio.CancelScope() as scope:
            self.scope = scope
            if self.gone:
                scope.cancel()
            yield
        self.scope = None
        if scope.cancelled_caught:
            raise trio.BrokenResourceError

    async def login(self, authenticator: Authenticator, name: str = "ada") -> None:
        with contextlib.suppress(trio.BrokenResourceError, TooManyLoginsError):
            await authenticator.login(
                name, b"wrong", peer=PEER, while_connected=self.while_connected
            )


async def test_logins_of_clients_that_hung_up_do_not_delay_their_queue(
    authenticator, autojump_clock
):
    await fail(authenticator, PAIR_FREE + 5)
    clients = [Client() for _ in range(DELAYED_LOGINS_MAX)]
    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(client.login, authenticator)
        await wait_all_tasks_blocked()
        for client in clients:
            client.hang_up()
    assert not authenticator._queues
    began = trio.current_time()
    assert await authenticator.login("ada", b"engine", peer=PEER)
    assert trio.current_time() - began == LONGEST_SECONDS


async def test_login_of_a_client_that_hung_up_does_not_wait_for_a_core(accounts, gate):
    authenticator = Authenticator(accounts, gate)
    client = Client()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(attempt, authenticator, "ada", b"engine", OTHER)
        await wait_all_tasks_blocked()
        nursery.start_soon(client.login, authenticator)
        await wait_all_tasks_blocked()
        assert authenticator._hashing.waiting == 1
        client.hang_up()
        await wait_all_tasks_blocked()
        assert authenticator._hashing.waiting == 0
        assert gate.running == 1
        gate.open.set()
    assert authenticator._hashing.borrowed == 0


async def test_client_that_closes_its_direction_is_answered_if_it_need_not_wait(authenticator):
    client = Client()
    client.hang_up()
    account = await authenticator.login(
        "ada", b"engine", peer=PEER, while_connected=client.while_connected
    )
    assert account.name == "Ada"


async def test_guesses_at_the_cache_are_counted_although_their_clients_hang_up(
    authenticator, autojump_clock
):
    assert await authenticator.login("ada", b"engine", peer=PEER)
    await fail(authenticator, PAIR_FREE + 1)
    async with trio.open_nursery() as nursery:
        client = Client()
        nursery.start_soon(client.login, authenticator)
        await wait_all_tasks_blocked()
        client.hang_up()
    assert authenticator._throttle.failures(PEER, "ada") == PAIR_FREE + 2


# --- cores --------------------------------------------------------------------------------------


async def test_one_address_delays_a_login_of_another_by_one_turn(accounts, gate):
    authenticator = Authenticator(accounts, gate)
    order: list[str] = []

    async def login(name: str, peer: str) -> None:
        await attempt(authenticator, name, b"engine", peer)
        order.append(peer)

    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(login, f"unknown{number}", PEER)
        await wait_all_tasks_blocked()
        nursery.start_soon(login, "ada", OTHER)
        await wait_all_tasks_blocked()
        gate.open.set()
    assert order.index(OTHER) <= 2


async def test_addresses_of_one_ipv6_network_share_a_turn_and_their_failures(
    authenticator, autojump_clock
):
    for number in range(PAIR_FREE + 1):
        await refused(authenticator, "ada", b"wrong", peer=f"2001:db8::{number}")
    began = trio.current_time()
    assert await authenticator.login("ada", b"engine", peer="2001:db8::ffff")
    assert trio.current_time() - began == 1


@pytest.mark.at_limit("PASSWORD_CHECKS_PER_PEER_MAX")
@pytest.mark.past_limit("PASSWORD_CHECKS_PER_PEER_MAX")
async def test_one_address_hashes_on_few_of_many_cores(accounts):
    gate = Gate(cores=32)
    authenticator = Authenticator(accounts, gate)
    async with trio.open_nursery() as nursery:
        for number in range(PASSWORD_CHECKS_PER_PEER_MAX + 1):
            nursery.start_soon(attempt, authenticator, f"unknown{number}", b"x", PEER)
        await wait_all_tasks_blocked()
        assert gate.running == PASSWORD_CHECKS_PER_PEER_MAX
        nursery.start_soon(attempt, authenticator, "ada", b"engine", OTHER)
        await wait_all_tasks_blocked()
        assert gate.running == PASSWORD_CHECKS_PER_PEER_MAX + 1
        gate.open.set()


@pytest.mark.at_limit("PASSWORD_CHECKS_WAITING_MAX")
@pytest.mark.past_limit("PASSWORD_CHECKS_WAITING_MAX")
async def test_logins_wait_for_a_core_up_to_the_limit_and_one_more_is_refused(accounts, gate):
    authenticator = Authenticator(accounts, gate)
    async with trio.open_nursery() as nursery:
        for number in range(1 + PASSWORD_CHECKS_WAITING_MAX):
            nursery.start_soon(attempt, authenticator, f"unknown{number}", b"x", PEER)
        await wait_all_tasks_blocked()
        assert authenticator._hashing.waiting == PASSWORD_CHECKS_WAITING_MAX
        with pytest.raises(TooManyLoginsError):
            await authenticator.login("one more", b"x", peer=PEER)
        # Of another address: it takes the place of the newest login of the first.
        nursery.start_soon(attempt, authenticator, "ada", b"engine", OTHER)
        await wait_all_tasks_blocked()
        assert authenticator._hashing.waiting == PASSWORD_CHECKS_WAITING_MAX
        nursery.cancel_scope.cancel()
    assert authenticator._hashing.waiting == authenticator._hashing.borrowed == 0
    assert not authenticator._queues
