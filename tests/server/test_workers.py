"""Several processes on one filepool: common state, deaths, reload and shutdown."""

import os
import re
import signal
import ssl
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import lmdb
import pytest
import trio
import trustme
from tests.server.whole import MESSAGE, Client, Processes, lmtp, running

from imapvm.auth.throttle import PAIR_FREE
from imapvm.server.settings import SHUTDOWN_SECONDS

pytestmark = pytest.mark.slow

WORKERS = ("worker-1", "worker-2", "worker-3")
TIMEOUT_SECONDS = 20
TRIES = 200
"""Connections until each worker has one: the chance that they do not suffice is 1e-34."""


@pytest.fixture
async def server(tmp_path) -> AsyncIterator[Processes]:
    async with running(tmp_path, workers=3) as server:
        yield server


async def eventually(condition, server: Processes) -> None:
    with trio.move_on_after(TIMEOUT_SECONDS):
        while not condition():  # noqa: ASYNC110  # other processes make it true
            await trio.sleep(0.02)
        return
    raise AssertionError(server.log)


def worker_of(server: Processes, client: Client) -> str:
    """Return the worker that has the descriptor of the other end of a client's connection."""
    connected = client.stream.socket
    ours, theirs = connected.getsockname()[1], connected.getpeername()[1]
    inode = None
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *words = line.split()
        ports = [int(address.rpartition(":")[2], 16) for address in (local, remote)]
        if ports == [theirs, ours] and state == "01":  # not an earlier connection in TIME_WAIT
            inode = words[5]
    for name, pid in server.pids().items():
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if os.readlink(fd) == f"socket:[{inode}]":
                    return name
            except FileNotFoundError:
                continue
    raise AssertionError("no worker has the connection")


async def at_each(server: Processes, connect) -> dict[str, Client]:
    """Return a client at each worker."""
    found: dict[str, Client] = {}
    for _ in range(TRIES):
        client = await connect()
        found.setdefault(worker_of(server, client), client)
        if len(found) == len(WORKERS):
            return found
    raise AssertionError(f"only {found} were reached")


# --- common state -------------------------------------------------------------------------------


async def test_each_worker_gets_connections(server):
    assert set(await at_each(server, server.connect)) == set(WORKERS)


async def test_delivery_is_pushed_by_every_worker_at_once(server):
    idlers = await at_each(server, server.idling)
    delays = []
    for number in range(1, 31):
        arrived: list[float] = []

        async def receive(client: Client, number: int, arrived: list[float]) -> None:
            await client.until(b"* %d EXISTS" % number)
            arrived.append(time.perf_counter())

        async with trio.open_nursery() as nursery:
            for client in idlers.values():
                nursery.start_soon(receive, client, number, arrived)
            assert (await lmtp(server, b"ada@localhost")).startswith(b"250")
            sent = time.perf_counter()
        delays += [at - sent for at in arrived]
    # Without wakeups it would take half a second; bench/ has the numbers.
    assert statistics.median(delays) < 0.05
    assert max(delays) < 0.9


async def test_commit_of_one_worker_is_pushed_by_the_others_at_once(server):
    idlers = await at_each(server, server.idling)
    writers = await at_each(server, server.signed_in)
    delays = []
    for count, writer in enumerate([*writers.values()] * 10, 1):
        await writer.send(b"w APPEND INBOX {%d+}\r\n" % len(MESSAGE) + MESSAGE + b"\r\n")
        await writer.until(b"w OK")
        done = time.perf_counter()
        for client in idlers.values():
            await client.until(b"* %d EXISTS" % count)
        delays.append(time.perf_counter() - done)
    assert statistics.median(delays) < 0.05


async def test_account_enrolled_while_serving_can_log_in_at_each_worker(server):
    await by_command(server, "user", "enroll", "late", "--password-stdin", stdin=b"secret\n")
    assert set(await at_each(server, partial(server.signed_in, b"late"))) == set(WORKERS)


async def test_changed_password_applies_at_each_worker(server):
    await at_each(server, server.signed_in)  # all cache the old one
    await by_command(server, "user", "password", "ada", "--password-stdin", stdin=b"other\n")
    for client in (await at_each(server, server.connect)).values():
        assert (await client.command(b"LOGIN ada other"))[-1].startswith(b"t OK")
    for client in (await at_each(server, server.connect)).values():
        assert (await client.command(b"LOGIN ada secret"))[-1].startswith(b"t NO")


async def by_command(server: Processes, *words: str, stdin: bytes = b"") -> None:
    await trio.run_process(
        [sys.executable, "-m", "imapvm", *words, "--filepool", str(server.settings.filepool)],
        stdin=stdin,
        capture_stdout=True,
    )


async def test_login_failures_are_counted_over_all_workers(server):
    clients = [*(await at_each(server, server.connect)).values()]
    for number in range(PAIR_FREE + 2):  # spread over all: one alone would not be delayed yet
        received = await clients[number % len(clients)].command(b"LOGIN grace wrong")
        assert received[-1].startswith(b"t NO")
    start = trio.current_time()
    await clients[-1].command(b"LOGIN grace wrong")
    assert trio.current_time() - start >= 2


async def test_password_verified_at_one_worker_is_not_hashed_at_another(server, tmp_path):
    # Visible by its effect: hashing takes a tenth of a second of CPU.
    await by_command(server, "user", "enroll", "dear", "--password-stdin", stdin=b"secret\n")
    clients = await at_each(server, server.connect)
    first, *others = clients.values()
    assert (await first.command(b"LOGIN dear secret"))[-1].startswith(b"t OK")
    for name, client in [*clients.items()][1:]:
        before = cpu_seconds(server.pids()[name])
        assert (await client.command(b"LOGIN dear secret"))[-1].startswith(b"t OK")
        assert cpu_seconds(server.pids()[name]) - before <= 0.03
    assert len(others) == 2


def cpu_seconds(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


# --- deaths -------------------------------------------------------------------------------------


async def test_killed_worker_ends_its_own_connections_only_and_loses_nothing(server):
    """Clients of the others continue, in IDLE and out of it; its own can reconnect."""
    acknowledged = 0
    sessions = [(await at_each(server, server.signed_in)) for _ in range(3)]
    idlers = await at_each(server, server.idling)
    victim = "worker-2"
    killed = trio.Event()
    gone: set[str] = set()
    answered_after = dict.fromkeys(WORKERS, 0)

    async def load(name: str, client: Client, number: int) -> None:
        nonlocal acknowledged
        text = b"Subject: %s-%d\r\n\r\nx\r\n" % (name.encode(), number)
        for _ in range(400):
            try:
                await client.send(b"a APPEND Archive {%d+}\r\n" % len(text) + text + b"\r\n")
                line = await client.line()
            except trio.BrokenResourceError:
                line = b""
            if not line.startswith(b"a OK"):
                assert line == b"", line
                gone.add(name)
                return
            acknowledged += 1
            answered_after[name] += killed.is_set()
            if answered_after[name] > 30:
                return

    async with trio.open_nursery() as nursery:
        for number, session in enumerate(sessions):
            for name, client in session.items():
                nursery.start_soon(load, name, client, number)
        await trio.sleep(0.5)
        before = server.pids()
        os.kill(before[victim], signal.SIGKILL)
        killed.set()
    assert gone == {victim}
    assert all(answered_after[name] > 30 for name in set(WORKERS) - gone)
    await eventually(lambda: server.pids().get(victim, before[victim]) != before[victim], server)
    after = server.pids()
    assert {**after, victim: 0} == {**before, victim: 0}
    again = await at_each(server, server.signed_in)
    (status,) = (
        line
        for line in await again[victim].command(b"STATUS Archive (MESSAGES)")
        if line.startswith(b"* STATUS")
    )
    kept = int(re.search(rb"MESSAGES (\d+)", status)[1])
    assert acknowledged <= kept <= acknowledged + len(sessions)
    await lmtp(server, b"ada@localhost")
    for name in set(WORKERS) - {victim}:
        await idlers[name].until(b"* 1 EXISTS")
    assert f"role={victim}" in server.log
    assert "signal=SIGKILL" in server.log


async def test_clients_waiting_for_a_dead_worker_are_served_by_its_successor(server):
    os.kill(server.pids()["worker-1"], signal.SIGSTOP)
    waiting: list[Client] = []
    for _ in range(TRIES):
        client = Client(await trio.open_tcp_stream(*server.listening.imap))
        with trio.move_on_after(1) as waited:
            assert (await client.line()).startswith(b"* OK")
        if waited.cancelled_caught:
            waiting.append(client)
            if len(waiting) == 3:
                break
    os.kill(server.pids()["worker-1"], signal.SIGKILL)
    for client in waiting:
        with trio.fail_after(TIMEOUT_SECONDS):
            assert (await client.line()).startswith(b"* OK [CAPABILITY IMAP4rev1")
        assert (await client.command(b"LOGIN ada secret"))[-1].startswith(b"t OK")


@pytest.mark.parametrize("who", ["intake", "maintenance"])
async def test_intake_and_maintenance_are_replaced_while_clients_continue(server, who):
    idler = await server.idling()
    before = server.pids()[who]
    os.kill(before, signal.SIGKILL)
    await eventually(lambda: server.pids().get(who, before) != before, server)
    with trio.fail_after(TIMEOUT_SECONDS):  # LMTP clients wait in the backlog meanwhile
        assert (await lmtp(server, b"ada@localhost")).startswith(b"250")
    await idler.until(b"* 1 EXISTS")


async def test_readers_of_a_dead_worker_are_cleared(server):
    await at_each(server, server.idling)  # each has a reader slot
    dead = server.pids()["worker-3"]
    group = server.settings.filepool / "group-000"
    with lmdb.open(str(group), readonly=True, max_dbs=32, lib_version=0) as env:
        assert f" {dead} " in env.readers()
        os.kill(dead, signal.SIGKILL)
        await eventually(lambda: f" {dead} " not in env.readers(), server)


async def test_all_processes_end_with_the_master(tmp_path, server):
    await at_each(server, server.idling)
    pids = server.pids()
    os.kill(pids["worker-1"], signal.SIGSTOP)  # stopped, so it could not react itself
    server.master.kill()
    await eventually(lambda: not any(alive(pid) for pid in pids.values()), server)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- reload and shutdown ------------------------------------------------------------------------


@pytest.fixture
def two_certificates(tmp_path) -> Iterator[tuple[Path, Path, list[tuple[bytes, bytes]]]]:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    authority = trustme.CA()
    pairs = []
    for _ in range(2):
        issued = authority.issue_cert("imap.example.org")
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        pairs.append((chain, issued.private_key_pem.bytes()))
    certificate.write_bytes(pairs[0][0])
    key.write_bytes(pairs[0][1])
    return certificate, key, pairs


async def shown(server: Processes) -> bytes:
    """Return the certificate that a new client receives."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    stream = trio.SSLStream(await trio.open_tcp_stream(*server.listening.imaps), context)
    await stream.do_handshake()
    certificate = stream.getpeercert(binary_form=True)
    await trio.aclose_forcefully(stream)
    return certificate


async def test_reload_uses_the_new_certificate_and_refuses_no_client(tmp_path, two_certificates):
    certificate, key, ((old, _), (new, new_key)) = two_certificates
    options = {"certificate": certificate, "key": key, "imaps": ("127.0.0.1:0",)}
    async with running(tmp_path, workers=2, reload_seconds=2, **options) as server:
        assert await shown(server) == first_of(old)
        sessions = [await server.idling() for _ in range(6)]
        busy = await server.connect()
        for _ in range(PAIR_FREE + 1):
            await busy.command(b"LOGIN grace wrong")
        before = server.pids()
        certificate.write_bytes(new)
        key.write_bytes(new_key)
        stop = trio.Event()

        async def connect_and_close() -> None:
            while not stop.is_set():
                client = await server.connect()  # raises if refused or reset
                await client.stream.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(connect_and_close)
            await busy.send(b"x LOGIN grace secret\r\n")  # delayed by a second or more
            await server.reload()
            start = trio.current_time()
            received = (await busy.all()).splitlines()
            assert received[0].startswith(b"x OK")  # the running command finishes
            assert received[-1].startswith(b"* BYE")
            for session in sessions:
                assert b"* BYE [UNAVAILABLE] server is restarting, reconnect" in await session.all()
            assert trio.current_time() - start < 2 + SHUTDOWN_SECONDS
            await eventually(lambda: not set(before.values()) & set(server.pids().values()), server)
            stop.set()
        assert await shown(server) == first_of(new)
        idler = await server.idling()
        assert (await lmtp(server, b"ada@localhost")).startswith(b"250")
        await idler.until(b"* 1 EXISTS")


def first_of(chain: bytes) -> bytes:
    end = "-----END CERTIFICATE-----\n"
    return ssl.PEM_cert_to_DER_cert(chain.decode().partition(end)[0] + end)


async def test_reload_that_changes_fixed_settings_is_refused(server):
    client = await server.idling()
    before = server.pids()
    server.configure(replace(server.settings, workers=2))
    server.master.send_signal(signal.SIGHUP)
    await eventually(lambda: "cannot change workers without a restart" in server.log, server)
    server.configure(replace(server.settings, filepool=Path("/nowhere")))
    server.master.send_signal(signal.SIGHUP)
    await eventually(lambda: "there is no filepool at /nowhere" in server.log, server)
    assert server.pids() == before
    assert (await lmtp(server, b"ada@localhost")).startswith(b"250")
    await client.until(b"* 1 EXISTS")


async def test_shutdown_sends_bye_to_clients_of_all_workers(server):
    clients = await at_each(server, server.idling)
    pids = server.pids()
    server.stop.cancel()
    for client in clients.values():
        assert b"* BYE [UNAVAILABLE] server is shutting down\r\n" in await client.all()
    with trio.fail_after(SHUTDOWN_SECONDS):
        assert await server.master.wait() == 0
    assert not any(alive(pid) for pid in pids.values())
