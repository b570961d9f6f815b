import json
import threading
import time

import pytest
from bench.tests.engine.plans import command, plan
from bench.tests.engine.scripted import serving

from imapvm_bench._engine import IdleLoad, Responder


def idle_plan(port, **fields):
    wanted = plan(port, mix=[], setup=[command("SELECT INBOX")], **fields)
    del wanted["seconds"]
    return json.dumps(wanted)


def wait_for(idle, **expected):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        state = json.loads(idle.state())
        if all(state[name] == value for name, value in expected.items()):
            return state
        time.sleep(0.005)
    raise AssertionError(state)


def test_arrivals_have_connection_time_and_number():
    clients = {}

    def script(connection, lines):
        connection.sendall(b"* OK hello\r\n")
        name = b""
        for line in lines:
            tag = line.split()[0]
            if b"LOGIN" in line:
                name = line.split()[2]
            if b"IDLE" in line:
                clients[name] = connection
                connection.sendall(b"+ idling\r\n")
            elif tag == b"DONE":
                connection.sendall(b"T3 OK\r\n")
            else:
                connection.sendall(b"* 7 EXISTS\r\n" + tag + b" OK\r\n")

    users = [[f"user{number}", "x"] for number in range(6)]
    login = [{"label": "LOGIN", "parts": [{"text": "LOGIN "}, {"user": True}]}]
    with serving(script) as port:
        idle = IdleLoad(idle_plan(port, connections=6, threads=2, users=users, login=login))
        assert json.loads(idle.state())["opening"] == 6
        idle.start()
        state = wait_for(idle, idling=6)
        assert state == {
            "idling": 6, "opening": 0, "failed": 0, "errors": {}, "arrivals_dropped": 0,
        }  # fmt: skip
        assert idle.arrivals() == []
        before = time.monotonic_ns()
        clients[b"user4"].sendall(b"* 8 EXISTS\r\n* 1 RECENT\r\n")
        clients[b"user1"].sendall(b"* 9 EXI")
        clients[b"user1"].sendall(b"STS\r\n")
        arrivals = []
        while len(arrivals) < 2:
            arrivals += idle.arrivals()
        after = time.monotonic_ns()
        assert {(number, count) for number, _, count in arrivals} == {(4, 8), (1, 9)}
        assert all(before < at < after for _, at, _ in arrivals)
        idle.stop()
        assert json.loads(idle.state())["idling"] == 0 or not idle.arrivals()


def test_a_broken_connection_has_failed_and_is_not_opened_again():
    breaks = threading.Event()

    def script(connection, lines):
        connection.sendall(b"* OK hello\r\n")
        lines.readline()
        connection.sendall(b"T1 OK\r\n")
        lines.readline()
        connection.sendall(b"+ idling\r\n")
        breaks.wait()
        connection.sendall(b"* BYE going down\r\n")

    with serving(script) as port:
        idle = IdleLoad(idle_plan(port, connections=3))
        idle.start()
        wait_for(idle, idling=3)
        breaks.set()
        state = wait_for(idle, failed=3, errors={"BYE": [3, "IDLE → * BYE going down"]})
        assert (state["idling"], state["opening"]) == (0, 0)
        idle.stop()


def test_a_server_without_idle_is_an_error():
    def script(connection, lines):
        connection.sendall(b"* OK hello\r\n")
        for line in lines:
            status = b" BAD unknown command\r\n" if b"IDLE" in line else b" OK\r\n"
            connection.sendall(line.split()[0] + status)

    with serving(script) as port:
        idle = IdleLoad(idle_plan(port, connections=2))
        idle.start()
        wait_for(idle, failed=2, errors={"BAD": [2, "IDLE → BAD unknown command"]})
        idle.stop()


def test_no_arrivals_before_the_start_or_after_the_end():
    responder = Responder()
    idle = IdleLoad(idle_plan(responder.port))
    idle.stop()
    idle.start()
    wait_for(idle, idling=4)
    idle.stop()
    idle.stop()
    assert idle.arrivals() == []
    responder.stop()


def test_waiting_costs_no_processor_time():
    responder = Responder()
    idle = IdleLoad(idle_plan(responder.port, connections=100))
    idle.start()
    wait_for(idle, idling=100)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.15
    idle.stop()
    responder.stop()


def test_an_idle_plan_has_no_mix():
    with pytest.raises(ValueError, match=r"^mix: "):
        IdleLoad(json.dumps(plan(143)))


@pytest.mark.slow
def test_thousands_idle_in_one_process():
    responder = Responder()
    idle = IdleLoad(idle_plan(responder.port, connections=5_000, connects_at_once=500))
    idle.start()
    wait_for(idle, idling=5_000)
    idle.stop()
    responder.stop()
