"""Plans for the engine."""

import base64
import dataclasses

import pytest
from bench.tests.builders import scenario, target

from imapvm_bench.errors import BenchError, ExitStatus
from imapvm_bench.load.plan import LoadSpec, idle_plan, plan
from imapvm_bench.scenario import file as scenario_file
from imapvm_bench.server.target import Address, loopback_sources, parse_address, parse_named
from imapvm_bench.server.users import User


def parts(made):
    return [command["parts"] for entry in made["mix"] for command in entry["commands"]]


def test_names_and_passwords_are_quoted_in_imap():
    load = LoadSpec(
        target(), scenario("LOGIN {user} {password}", 'X "{user}"', "AUTHENTICATE {plain}")
    )
    quoted, once, plain = parts(plan(load))
    text = "".join(part.get("text", "?") for part in quoted)
    assert text == 'LOGIN "?" "?"'
    assert "".join(part.get("text", "?") for part in once) == 'X "?"'
    assert plain == [{"text": "AUTHENTICATE "}, {"plain": True}]


def test_a_password_with_a_quote_needs_authenticate_plain():
    odd = dataclasses.replace(target(), users=(User("ada", 'se"cret'),))
    with pytest.raises(
        BenchError, match=r"'ada' with LOGIN: it has a quote .*AUTHENTICATE PLAIN \{plain\}"
    ):
        plan(LoadSpec(odd, scenario("LOGIN {user} {password}")))
    assert plan(LoadSpec(odd, scenario("AUTHENTICATE PLAIN {plain}")))["users"] == [
        ["ada", 'se"cret']
    ]


def test_literals_are_synchronizing_without_literal_plus():
    load = LoadSpec(target(), scenario("APPEND INBOX {message}"))
    assert parts(plan(load))[0][1] == {"message": "literal"}
    assert parts(plan(load, fast_literals=True))[0][1] == {"message": "literal+"}


def test_messages_are_made_only_for_scenarios_that_send_them():
    assert plan(LoadSpec(target(), scenario("NOOP")))["messages"] == []
    made = plan(LoadSpec(target(), scenario("APPEND INBOX {message}")))["messages"]
    assert len(made) == 64
    assert all(base64.b64decode(one).startswith(b"Return-Path:") for one in made)


def test_lmtp_uses_its_own_address_without_tls():
    there = target(lmtp=Address("127.0.0.1", 24), tls="tls")
    made = plan(LoadSpec(there, scenario_file.load("lmtp")))
    assert (made["protocol"], made["port"], made["tls"]) == ("lmtp", 24, "none")
    assert {"user": True} in parts(made)[1]
    assert parts(made)[2] == [{"text": "DATA"}, {"data": True}]
    with pytest.raises(BenchError, match="--lmtp HOST:PORT") as caught:
        plan(LoadSpec(target(), scenario_file.load("lmtp")))
    assert caught.value.status is ExitStatus.USAGE


def test_the_command_line_overrides_the_scenario():
    there = scenario(pipeline=4, connections=9)
    assert plan(LoadSpec(target(), there))["connections"] == 9
    made = plan(LoadSpec(target(), there, connections=2, pipeline=1, rate=5.0, poisson=True))
    assert (made["connections"], made["pipeline"], made["rate"]) == (2, 1, 5.0)
    assert made["arrivals"] == "poisson"


def test_idle_logs_in_and_selects_and_has_no_mix():
    made = idle_plan(target(), 5, at_once=2, answer_seconds=3.0)
    assert '"mix":[]' in made
    assert '"connections":5' in made
    assert "SELECT INBOX" in made


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("mail.example.org", ("mail.example.org", 143)),
        ("127.0.0.1:1143", ("127.0.0.1", 1143)),
        ("[::1]:1143", ("::1", 1143)),
        ("[::1]", ("::1", 143)),
        ("::1", ("::1", 143)),
    ],
)
def test_an_address_is_a_host_with_an_optional_port(text, address):
    assert parse_address(text, 143) == Address(*address)
    assert parse_address(str(Address(*address)), 1) == Address(*address)


@pytest.mark.parametrize("text", ["", "a b", "a:b", "a:99999", "[::1", ":143"])
def test_an_invalid_address_is_refused(text):
    with pytest.raises(BenchError, match="invalid address"):
        parse_address(text, 143)


def test_servers_of_a_comparison_have_names():
    assert parse_named("ours=127.0.0.1:143") == ("ours", "127.0.0.1:143")
    assert parse_named("127.0.0.1:143") == ("127.0.0.1:143", "127.0.0.1:143")
    with pytest.raises(BenchError, match="NAME=HOST:PORT"):
        parse_named("=127.0.0.1")


def test_loopback_has_an_address_for_every_twenty_thousand():
    assert loopback_sources(20_000) == ("127.0.0.2",)
    assert loopback_sources(50_000) == ("127.0.0.2", "127.0.0.3", "127.0.0.4")
    assert loopback_sources(20_000 * 300)[-1] == "127.0.1.45"
