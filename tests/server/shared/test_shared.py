"""Memory shared by workers: login failures, verified passwords, connections by address."""

import os
import random

import pytest
from tests.server.imap.test_connections import FakeConnection

from imapvm.auth.throttle import PAIR_FREE, Throttle
from imapvm.server.imap.connections import Connections
from imapvm.server.shared import memory as shared_memory
from imapvm.server.shared.memory import SharedMemory
from imapvm.server.shared.table import WAYS, SharedTable, table_bytes

KEY = bytes(32)


def table(records: int = 64, payload: int = 8) -> SharedTable:
    memory = memoryview(bytearray(table_bytes(records, payload)))
    return SharedTable(memory, KEY, payload=payload)


def number(value: int) -> bytes:
    return value.to_bytes(8, "little")


@pytest.fixture
def memory():
    memory = SharedMemory.create(4)
    yield memory
    os.close(memory.fd)


def again(memory: SharedMemory) -> SharedMemory:
    """Return the same memory as another process maps it."""
    return SharedMemory(memory.fd, memory.processes)


# --- the table ----------------------------------------------------------------------------------


def test_record_is_found_until_it_is_removed():
    shared = table()
    assert shared.find(b"ada") is None
    shared.put(b"ada", 1.5, number(7))
    assert shared.find(b"ada") == (1.5, number(7))
    shared.put(b"ada", 2.5, number(8))
    assert shared.find(b"ada") == (2.5, number(8))
    assert len(shared) == 1
    shared.forget(b"ada")
    shared.forget(b"ada")
    assert shared.find(b"ada") is None
    assert len(shared) == 0


def test_full_row_drops_its_oldest_record():
    shared = table(records=WAYS)  # one row
    for at in range(WAYS):
        shared.put(number(at), 100.0 + at, number(at))
    shared.put(number(0), 200.0, number(0))  # the newest now
    shared.put(b"more", 201.0, number(9))
    assert shared.find(number(1)) is None
    assert shared.find(number(0)) == (200.0, number(0))
    assert shared.find(b"more") == (201.0, number(9))
    assert len(shared) == WAYS


def test_removed_record_does_not_cause_duplicates():
    shared = table(records=WAYS)
    for at in range(WAYS):
        shared.put(number(at), 100.0 + at, number(at))
    shared.forget(number(0))
    shared.put(number(5), 300.0, number(55))
    shared.forget(number(5))
    assert shared.find(number(5)) is None
    assert len(shared) == WAYS - 2


def test_table_agrees_with_a_dictionary_while_rows_are_not_full():
    chance = random.Random(1)
    shared, naive = table(records=4096), {}
    for at in range(3000):
        key = number(chance.randrange(500))
        if chance.random() < 0.3:
            shared.forget(key)
            naive.pop(key, None)
        else:
            shared.put(key, float(at), number(at))
            naive[key] = (float(at), number(at))
        assert shared.find(key) == naive.get(key)
    assert {key: shared.find(key) for key in naive} == naive
    assert len(shared) == len(naive)


# --- logins -------------------------------------------------------------------------------------


def test_failures_of_one_worker_delay_logins_at_another(memory):
    now = [1000.0]
    one = Throttle(lambda: now[0], memory.failures())
    two = Throttle(lambda: now[0], again(memory).failures())
    for _ in range(PAIR_FREE):
        one.failed("192.0.2.1", "ada")
    two.failed("192.0.2.1", "ada")
    assert one.delay("192.0.2.1", "ada") == two.delay("192.0.2.1", "ada") == 1
    assert one.delay("192.0.2.1", "grace") == one.delay("192.0.2.2", "ada") == 0
    two.succeeded("192.0.2.1", "ada")
    assert one.delay("192.0.2.1", "ada") == 0
    assert len(one) == 0


def test_name_with_nuls_is_distinct(memory):
    throttle = Throttle(lambda: 1000.0, memory.failures())
    for _ in range(PAIR_FREE + 1):
        throttle.failed("192.0.2.1", "a\0+b")
    assert throttle.delay("192.0.2.1", "a\0+b") == 1
    assert throttle.delay("192.0.2.1", "a") == 0


def test_verified_password_of_one_worker_is_found_by_all(memory):
    one, two = memory.verification_cache(), again(memory).verification_cache()
    assert one.key == two.key
    assert one.key != bytes(32)
    one.remember((7, None), b"d" * 32, 1234.5)
    assert two.find((7, None)) == (b"d" * 32, 1234.5)
    assert two.find((8, None)) is None
    assert two.find((7, "192.0.2.1")) is None
    two.remember((7, "192.0.2.1"), b"e" * 32, 2000.0)
    assert one.find((7, "192.0.2.1")) == (b"e" * 32, 2000.0)
    assert one.find((7, None)) == (b"d" * 32, 1234.5)


def test_each_server_has_its_own_secret(memory):
    other = SharedMemory.create(4)
    assert other.key != memory.key
    os.close(other.fd)


# --- connections of one address -----------------------------------------------------------------


def test_limit_per_address_counts_all_workers(memory):
    workers = [
        Connections(limit_per_peer=3, shared=again(memory).peers(place)) for place in range(2)
    ]
    entered = []
    for at in range(3):
        assert workers[at % 2].refusal("192.0.2.1") is None
        connection = FakeConnection("192.0.2.1")
        workers[at % 2].enter(connection)
        entered.append((workers[at % 2], connection))
    for worker in workers:
        assert worker.refusal("192.0.2.1") == "too many connections from your address"
        assert worker.refusal("192.0.2.2") is None
        assert worker.refusal("127.0.0.1") is None
    worker, connection = entered.pop()
    worker.leave(connection)
    assert [worker.refusal("192.0.2.1") for worker in workers] == [None, None]


def test_connections_of_a_dead_worker_are_cleared(memory):
    dead, alive = again(memory).peers(1), again(memory).peers(2)
    for _ in range(5):
        dead.change("192.0.2.1", 1)
    dead.change("192.0.2.9", 1)
    alive.change("192.0.2.1", 1)
    looking = memory.peers(3)
    assert looking.elsewhere("192.0.2.1") == 6
    memory.clear(1)
    assert looking.elsewhere("192.0.2.1") == 1
    assert looking.elsewhere("192.0.2.9") == 0
    assert alive.elsewhere("192.0.2.1") == 0


def test_memory_not_written_to_takes_no_pages(memory):
    status = os.fstat(memory.fd)
    assert status.st_size > shared_memory.PEER_BUCKETS * 4 * 4
    assert status.st_blocks * 512 <= 16 * 1024
