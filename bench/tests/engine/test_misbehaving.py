import json
import socket
import struct
import threading

from bench.tests.engine.plans import command, entry, plan, run
from bench.tests.engine.scripted import polite, serving

from imapvm_bench._engine import Load


def only_error(report):
    [(kind, seen)] = report["errors"].items()
    return kind, seen["count"], seen["example"]


def test_a_refused_connection_is_tried_three_times():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    report = run(port)
    assert report["ended"].startswith("no connection could be set up: Connection refused")
    assert only_error(report)[:2] == ("connection refused", 12)
    assert (report["seconds"], report["opened"]) == (0, 0)
    assert report["setup"]["CONNECT"]["errors"] == 12


def test_a_refused_login_is_not_tried_again():
    def script(connection, lines):
        connection.sendall(b"* OK hello\r\n")
        for line in lines:
            connection.sendall(line.split()[0] + b" NO [AUTHENTICATIONFAILED] who?\r\n")

    with serving(script) as port:
        report = run(port, login=[command("LOGIN a b")])
    assert only_error(report) == ("NO", 4, "LOGIN → NO [AUTHENTICATIONFAILED] who?")
    assert report["ended"] == "no connection could be set up: NO [AUTHENTICATIONFAILED] who?"


def test_no_and_bad_are_counted_with_an_example_and_the_load_goes_on():
    def script(connection, lines):
        connection.sendall(b"* OK hello\r\n")
        for line in lines:
            tag, verb = line.split()
            status = {b"A": b"OK", b"B": b"NO [LIMIT] slow down", b"C": b"BAD what"}[verb]
            connection.sendall(tag + b" " + status + b"\r\n")

    mix = [entry(command("A"), command("B")), entry(command("C"), name="bad")]
    with serving(script) as port:
        report = run(port, mix=mix, limit=200, seconds=None)
    assert report["ended"] == "limit"
    assert report["errors"]["NO"]["example"] == "B → NO [LIMIT] slow down"
    assert report["errors"]["BAD"]["example"] == "C → BAD what"
    assert report["errors"]["NO"]["count"] == report["labels"]["B"]["errors"]
    assert report["errors"]["BAD"]["count"] == report["entries"]["bad"]["errors"]
    assert report["totals"]["errors"] == 200
    assert report["labels"]["A"]["count"] == report["entries"]["entry"]["errors"] > 50


def test_a_closed_connection_is_opened_again():
    def script(connection, lines):
        connection.sendall(b"* OK hello\r\n")
        for _ in range(2):
            connection.sendall(lines.readline().split()[0] + b" OK\r\n")

    with serving(script) as port:
        report = run(port, seconds=0.6)
    # Data sent to a closed socket is answered with a reset.
    assert report["errors"].keys() <= {"closed by server", "connection reset"}
    assert sum(seen["count"] for seen in report["errors"].values()) >= 8
    assert all(seen["example"].startswith("NOOP → ") for seen in report["errors"].values())
    assert report["labels"]["NOOP"]["count"] >= 16
    assert report["setup"]["CONNECT"]["count"] >= 8
    assert report["ended"] == "time"


def test_a_reset_is_a_separate_kind_of_error():
    def script(connection, lines):
        connection.sendall(b"* OK hello\r\n")
        lines.readline()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serving(script) as port:
        report = run(port)
    assert only_error(report)[0] == "connection reset"


def test_garbage_is_an_error_with_a_short_example():
    for garbage in (b"HTTP/1.1 400 Bad Request\r\n", b"\xff\x00" * 4_000 + b"\r\n", b"\r\n"):

        def script(connection, lines, garbage=garbage):
            connection.sendall(garbage)
            lines.read()

        with serving(script) as port:
            report = run(port, connections=1)
        kind, count, example = only_error(report)
        assert (kind, count) == ("garbage", 3)
        assert len(example) <= 300
        assert report["ended"].startswith("no connection could be set up: ")


def test_bye_is_an_error_with_its_text():
    def script(connection, lines):
        connection.sendall(b"* BYE [UNAVAILABLE] too many\r\n")
        lines.read()

    with serving(script) as port:
        report = run(port, connections=1)
    assert only_error(report) == ("BYE", 3, "CONNECT → * BYE [UNAVAILABLE] too many")


def test_a_server_that_never_greets_ends_the_run():
    with serving(lambda _, lines: lines.read()) as port:
        report = run(port, answer_seconds=0.3)
    assert report["ended"].startswith("server stopped answering: CONNECT has had no answer for 0.")
    assert only_error(report)[0] == "timeout"
    assert report["errors"]["timeout"]["example"].startswith("CONNECT → no answer for 0.")


def test_a_server_that_stops_answering_ends_the_run_with_its_results():
    silent = threading.Event()

    def script(connection, lines):
        connection.sendall(b"* OK hello\r\n")
        for number, line in enumerate(lines):
            if number == 100:
                silent.set()
            if not silent.is_set():
                connection.sendall(line.split()[0] + b" OK\r\n")

    with serving(script) as port:
        report = run(port, answer_seconds=0.4, seconds=60)
    assert report["ended"].startswith("server stopped answering: NOOP has had no answer for 0.")
    assert report["labels"]["NOOP"]["count"] >= 100
    assert report["labels"]["NOOP"]["errors"] == report["errors"]["timeout"]["count"] == 4
    assert report["seconds"] < 10


def test_one_command_without_an_answer_is_a_timeout_and_not_the_end():
    def script(connection, lines):
        connection.sendall(b"* OK hello\r\n")
        for line in lines:
            if b"STUCK" not in line:
                connection.sendall(line.split()[0] + b" OK\r\n")

    # Some connections send the command without an answer; the others go on.
    stuck = {"label": "X", "parts": [{"text": "STUCK"}]}
    mix = [entry(command("NOOP"), weight=1e6), entry(stuck, name="stuck", weight=50)]
    with serving(script) as port:
        report = run(port, answer_seconds=0.3, seconds=1.0, connections=16, mix=mix)
    assert report["ended"] == "time" or "X has had" in report["ended"]
    assert report["errors"]["timeout"]["example"].startswith("X → no answer for 0.")
    assert report["entries"]["stuck"]["errors"] >= 1


def test_a_server_that_closes_its_listener_ends_the_run():
    def script(connection, lines):
        connection.sendall(b"* OK hello\r\n")
        line = lines.readline()
        connection.sendall(line.split()[0] + b" OK\r\n")
        lines.readline()

    listener_port: list[int] = []
    with serving(script) as port:
        listener_port.append(port)
        load = Load(json.dumps(plan(port, seconds=60, answer_seconds=0.5)))
        load.start()
        while json.loads(load.snapshot())["totals"]["bytes_in"] == 0:
            pass
    report = json.loads(load.finish())
    assert report["ended"].startswith("server stopped answering: Connection refused")
    assert "connection refused" in report["errors"]


def test_an_endless_line_costs_no_memory_and_times_out():
    def script(connection, lines):
        connection.sendall(b"* OK hello\r\n")
        lines.readline()
        connection.sendall(b"* ")
        while True:
            connection.sendall(b"x" * 100_000)

    with serving(script) as port:
        report = run(port, connections=1, answer_seconds=0.3, seconds=0.8)
    assert report["errors"]["timeout"]["count"] >= 1
    assert report["totals"]["bytes_in"] > 1_000_000


def test_a_close_in_a_literal_is_an_error():
    def script(connection, lines):
        connection.sendall(b"* OK hello\r\n")
        lines.readline()
        connection.sendall(b"* 1 FETCH (BODY[] {1000}\r\nshort")

    with serving(script) as port:
        report = run(port, connections=1, mix=[entry(command("FETCH 1 BODY[]"))])
    assert only_error(report)[0] == "closed by server"
    assert report["labels"]["FETCH"]["errors"] >= 1


def test_a_polite_server_has_no_errors():
    with serving(polite) as port:
        assert run(port)["errors"] == {}
