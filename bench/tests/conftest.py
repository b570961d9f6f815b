"""Fixture with a real server: `imapvm demo`, with four users and some mail."""

import dataclasses

import pytest
from tests.demo import started

from imapvm_bench.server.target import Address, Target
from imapvm_bench.server.users import parse_users
from tests.conftest import *  # noqa: F403 - profiles of Hypothesis, and the reactor

USERS = "user{1..4}:secret"


class DemoServer:
    """A running demo, with addresses as options of the tool."""

    def __init__(self, demo):
        self.demo = demo
        self.imap = "{}:{}".format(*demo.imap)
        self.imaps = "{}:{}".format(*demo.imaps)
        self.lmtp = "{}:{}".format(*demo.lmtp)
        self.pid = demo.process.pid
        self.spool = demo.spool

    def target(self, **changes):
        plain = Target(
            "imapvm",
            Address(*self.demo.imap),
            parse_users([USERS]),
            lmtp=Address(*self.demo.lmtp),
            pid=self.pid,
        )
        return dataclasses.replace(plain, **changes)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with started(tmp_path_factory.mktemp("demo"), "--users", "user%d:4:secret") as demo:
        yield DemoServer(demo)
