import ssl

import pytest
import trustme
from bench.tests.engine.plans import command, run
from bench.tests.engine.scripted import polite, serving


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def encrypted(context, script=polite):
    def serve(connection, _):
        with context.wrap_socket(connection, server_side=True) as tls, tls.makefile("rb") as lines:
            script(tls, lines)

    return serve


def starttls(context):
    def serve(connection, lines):
        connection.sendall(b"* OK hello\r\n")
        tag, verb = lines.readline().split()
        assert verb == b"STARTTLS"
        connection.sendall(tag + b" OK go on\r\n")

        def talk(tls, lines):
            for line in lines:
                tls.sendall(line.split(b" ")[0] + b" OK done\r\n")

        encrypted(context, talk)(connection, lines)

    return serve


def test_tls_from_the_start(context):
    with serving(encrypted(context)) as port:
        report = run(port, tls="tls", server_name="localhost", login=[command("LOGIN a b")])
    assert report["errors"] == {}
    assert report["labels"]["NOOP"]["count"] > 50
    noop = report["labels"]["NOOP"]
    assert report["totals"]["bytes_in"] == noop["bytes_in"], "before TLS"


def test_starttls_before_the_login(context):
    with serving(starttls(context)) as port:
        report = run(port, tls="starttls", server_name="localhost", login=[command("LOGIN a b")])
    assert report["errors"] == {}
    assert report["setup"]["LOGIN"]["count"] == 4
    assert report["labels"]["NOOP"]["count"] > 50


def test_large_responses_and_messages_with_tls(context):
    def talk(tls, lines):
        tls.sendall(b"* OK hello\r\n")
        for line in lines:
            tag, verb = line.split(b" ")[:2]
            if verb == b"APPEND":
                taken = lines.read(3_000_000 + len(b"\r\n"))
                assert taken == b"x" * 3_000_000 + b"\r\n"
            else:
                literal = b"y" * 2_000_000
                tls.sendall(b"* 1 FETCH (BODY[] {2000000}\r\n" + literal + b")\r\n")
            tls.sendall(tag + b" OK\r\n")

    append = {"label": "APPEND", "parts": [{"text": "APPEND x "}, {"message": "literal+"}]}
    mix = [{"name": "both", "commands": [command("FETCH 1 BODY[]"), append]}]
    messages = ["eHh4" * 1_000_000]
    with serving(encrypted(context, talk)) as port:
        report = run(
            port, tls="tls", server_name="localhost", messages=messages, mix=mix, limit=4,
            seconds=None, connections=2,
        )  # fmt: skip
    assert (report["ended"], report["errors"]) == ("limit", {})
    assert report["labels"]["FETCH"]["bytes_in"] > 8_000_000
    assert report["totals"]["bytes_out"] > 12_000_000


def test_verify_checks_the_certificate(context, ca_file):
    options = {"tls": "tls", "verify": True, "ca": ca_file, "connections": 1}
    with serving(encrypted(context)) as port:
        assert run(port, server_name="localhost", **options)["errors"] == {}
        report = run(port, server_name="mail.example.org", **options)
    assert report["errors"]["TLS"]["count"] == 3
    assert "certificate" in report["errors"]["TLS"]["example"]
    assert report["ended"].startswith("no connection could be set up: ")


def test_a_server_without_tls_is_a_tls_error():
    with serving(polite) as port:
        report = run(port, tls="tls", server_name="localhost", connections=1)
    assert report["errors"]["TLS"]["count"] == 3


def test_a_login_storm_over_tls(context):
    def talk(tls, lines):
        tls.sendall(b"* OK hello\r\n")
        for line in lines:
            tls.sendall(line.split(b" ")[0] + b" OK done\r\n")

    with serving(encrypted(context, talk)) as port:
        report = run(
            port, tls="tls", server_name="localhost", reconnect=True, limit=20, seconds=None,
            login=[command("LOGIN a b")],
        )  # fmt: skip
    assert report["errors"] == {}
    assert report["labels"]["CONNECT"]["count"] == report["labels"]["LOGOUT"]["count"] == 20
