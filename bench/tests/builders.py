"""Builders for tests: a target without a server, a small scenario, a report."""

from imapvm_bench.load.plan import LoadSpec
from imapvm_bench.load.probe import Probe
from imapvm_bench.load.report import LabelStats, LoadReport, Totals
from imapvm_bench.load.run import Outcome
from imapvm_bench.scenario.model import Entry, Scenario, ScenarioCommand
from imapvm_bench.server.target import Address, Target
from imapvm_bench.server.users import User


def target(name="there", **changes):
    return Target(
        name, Address("127.0.0.1", 9), (User("ada", "secret"), User("bob", "secret")), **changes
    )


def scenario(*commands, name="small", protocol="imap", connections=3, **changes):
    made = tuple(ScenarioCommand.of(one, protocol=protocol) for one in commands or ("NOOP",))
    mix = (Entry("entry", made),)
    return Scenario(name, "for a test", mix, protocol=protocol, connections=connections, **changes)


def report(commands=100, *, seconds=1.0, histogram=((1000, 99), (9000, 1)), **more):
    return LoadReport(
        seconds=seconds,
        connections=3,
        totals=Totals(commands=commands, entries=commands // 2, bytes_in=5_000_000),
        labels={"NOOP": LabelStats(count=commands, histogram=list(histogram))},
        **more,
    )


def outcome(made=None, *, on=None, interrupted=False, rate=None, doing=None):
    load = LoadSpec(on or target(), doing or scenario(), rate=rate)
    return Outcome(load, Probe("* OK", "Fake 1"), made or report(), interrupted)
