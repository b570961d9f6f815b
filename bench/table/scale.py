"""imapvm alone, growing: what a command or a delivery costs when there is much of everything."""

import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.peers import PeerFailedError, Service, peer
from bench.peers.scratch import scratch
from bench.table.bulk_load import Say, bulk_load
from bench.table.idle import IdleRow, measure_idling
from bench.table.results import Curve, IdleResult, Point, Results
from bench.table.rows import FOUR_KB, LOGIN
from bench.table.users import PASSWORD
from imapvm_bench.errors import BenchError
from imapvm_bench.load.plan import Load
from imapvm_bench.load.run import run
from imapvm_bench.scenario.model import Command, Entry, Scenario
from imapvm_bench.server.imap_client import Client
from imapvm_bench.server.target import Address, Target
from imapvm_bench.server.users import User

REPETITIONS: Final = 3
SPARE_DESCRIPTORS: Final = 0.75
"""So full may a worker's table of descriptors be: connections do not spread evenly over workers."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How far it goes."""

    sessions: int = 50_000
    mailbox: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    filepool: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000)
    users: tuple[int, ...] = (10, 100, 1000, 10_000)
    accounts: int = 1000
    """Who share the messages of the filepool."""
    seconds: float = 3.0


SHORT: Final = Sizes(1000, (1000, 10_000), (1000, 10_000), (10, 100), 100, 1.0)
"""To see that it works: a minute or two."""


def measure_scale(results: Results, *, sizes: Sizes, base: Path | None, say: Say) -> None:
    """Measure all of it; what fails is noted, and the rest goes on.

    Args:
        results: `large_idle` and `scale` are made anew.
        sizes: how far to go. Ten million messages take some 40 GB of disk while it runs.
        base: where the filepools are made; None for the usual place of things that go away.
        say: is told what happens.
    """
    results.scale.clear()
    results.large_idle.clear()
    first, again = Curve(*FIRST), Curve(*AGAIN)
    delivering, enrolled = Curve(*DELIVERING), Curve(*ENROLLED)
    results.scale += [first, again, delivering, enrolled]
    with _part(first, base, say) as directory:
        _selecting(first, again, sizes, directory, say)
    with _part(delivering, base, say) as directory:
        _delivering(delivering, sizes, directory, say)
    with _part(enrolled, base, say) as directory:
        _enrolled(enrolled, sizes, directory, say)
    results.large_idle.append(_crowd(sizes, say))


FIRST: Final = (
    "SELECT of a large mailbox, the first after the server has started",
    "messages",
    "ms",
    "under 50 ms with 1,000,000 messages",
)
AGAIN: Final = ("SELECT of a large mailbox, again", *FIRST[1:])
DELIVERING: Final = (
    "Delivery into a large filepool",
    "messages in the filepool",
    "µs a message",
    "flat from 10 thousand to 10 million",
    "LMTP over four connections, messages of 4 KB, each to one of the filepool's users by chance;"
    " time over messages. What was there before went in by the filepool's own face.",
)
ENROLLED: Final = (
    "Commands with many enrolled users",
    "enrolled users",
    "µs a command",
    "flat from 10 to 10,000",
    "Ten connections, of users spread over all who are enrolled: NOOP, STATUS, SELECT and FETCH of"
    " flags in turn; time over commands.",
)


@contextmanager
def _part(curve: Curve, base: Path | None, say: Say) -> Iterator[Path]:
    """A directory for one part; what goes wrong there is noted, and the next begins."""
    say(f"{curve.name} …")
    try:
        with scratch(base and base / curve.name.split(",")[0].replace(" ", "-")) as directory:
            yield directory
    except (BenchError, PeerFailedError, OSError) as error:
        curve.error = str(error)
        say(f"  {error}")


@contextmanager
def _serving(base: Path, users: Sequence[User]) -> Iterator[Target]:
    """imapvm over a directory that may hold a filepool already; yields it with these users."""
    with peer("imapvm").running(base, {user.name: user.password for user in users}) as service:
        yield _target(service, users)


def _target(service: Service, users: Sequence[User]) -> Target:
    assert service.lmtp is not None, "imapvm has one"
    return Target(
        service.name,
        Address(*service.imap),
        tuple(users),
        lmtp=Address(*service.lmtp),
        pid=service.pid,
    )


def _note(curve: Curve, size: int, values: list[float], say: Say) -> None:
    curve.points.append(Point(size, values))
    say(f"  {size:,}: {', '.join(f'{value:,.3g}' for value in values)} {curve.unit}")


def _selecting(first: Curve, again: Curve, sizes: Sizes, base: Path, say: Say) -> None:
    user = User("million", PASSWORD)
    for size in sizes.mailbox:
        bulk_load(base / "filepool", [user.name], size, password=PASSWORD, say=say)
        starts, values = [], []
        for _ in range(REPETITIONS):
            with _serving(base, [user]) as target, Client(target) as client:
                client.login(user)
                starts.append(_select(client))
                values += [_select(client) for _ in range(REPETITIONS)]
        _note(first, size, starts, say)
        _note(again, size, values, say)


def _select(client: Client) -> float:
    """Milliseconds of a SELECT of what was not selected."""
    began = time.perf_counter()
    client.command("SELECT INBOX")
    taken = time.perf_counter() - began
    client.command("UNSELECT")
    return taken * 1000


def _delivering(curve: Curve, sizes: Sizes, base: Path, say: Say) -> None:
    accounts = min(sizes.accounts, min(sizes.filepool))
    users = [User(f"grown{n}", PASSWORD) for n in range(1, accounts + 1)]
    names = [user.name for user in users]
    recipient = f"RCPT TO:<grown{{random 1 {accounts}}}@localhost>"
    sent = ("MAIL FROM:<sender@example.org>", recipient, "DATA{data}")
    scenario = Scenario(
        "deliveries",
        "",
        protocol="lmtp",
        login=(Command.of("LHLO bench.example", protocol="lmtp"),),
        mix=(Entry("delivery", tuple(Command.of(text, protocol="lmtp") for text in sent)),),
        messages=FOUR_KB,
    )
    for size in sizes.filepool:
        bulk_load(base / "filepool", names, size, password=PASSWORD, say=say)
        with _serving(base, users) as target:
            load = Load(target, scenario, connections=4, seconds=sizes.seconds)
            values = [_microseconds(load, "entries") for _ in range(REPETITIONS)]
        _note(curve, size, values, say)


def _enrolled(curve: Curve, sizes: Sizes, base: Path, say: Say) -> None:
    texts = ("NOOP", "STATUS Archive (MESSAGES UNSEEN)", "SELECT INBOX", "FETCH 1:* (FLAGS)")
    scenario = Scenario(
        "everyday",
        "",
        login=(Command.of(LOGIN),),
        mix=(Entry("round", tuple(Command.of(text) for text in texts)),),
    )
    for size in sizes.users:
        names = [f"user{n}" for n in range(1, size + 1)]
        # Everybody has some mail, so that the tables bulk_load with the users.
        bulk_load(base / "filepool", names, 20 * size, password=PASSWORD, say=say)
        some = [User(name, PASSWORD) for name in names[:: max(1, size // 10)][:10]]
        with _serving(base, some) as target:
            load = Load(target, scenario, connections=10, seconds=sizes.seconds)
            values = [_microseconds(load, "commands") for _ in range(REPETITIONS)]
        _note(curve, size, values, say)


def _microseconds(load: Load, what: str) -> float:
    """Run a load; time over commands or entries.

    Raises:
        BenchError: something went wrong in it.
    """
    outcome = run(load)
    if outcome.interrupted:
        raise KeyboardInterrupt
    report = outcome.report
    count = report.totals.commands if what == "commands" else report.totals.entries
    if report.errors or not count:
        said = [f"{kind}: {error.example}" for kind, error in report.errors.items()]
        raise BenchError("; ".join(said) or report.ended)
    return report.seconds * 1e6 / count


def workers_for(sessions: int, descriptors: int) -> int:
    """Return how many workers so many connections need, with so many descriptors for each."""
    return max(2, -(-sessions // int(descriptors * SPARE_DESCRIPTORS)))


def _crowd(sizes: Sizes, say: Say) -> IdleResult:
    """As many sessions as was asked for, all idle, over several workers and client processes."""
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    workers = workers_for(sizes.sessions, descriptors)
    say(f"{sizes.sessions:,} idle sessions over {workers} workers …")
    row = IdleRow(peer(f"imapvm-{workers}"), sizes.sessions, tls=False, deliveries=200)
    with scratch() as base:
        result = measure_idling(row, base / "pool")
    say(f"  {result.sessions:,} idle, {result.push_ms} {result.error[:100]}")
    return result
