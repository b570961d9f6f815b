"""imapvm at growing sizes: cost of a command or a delivery with large mailboxes and filepools."""

import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.peers import PeerFailedError, Service, peer
from bench.peers.scratch import scratch
from bench.table.bulk_load import PrintLine, bulk_load
from bench.table.idle import IdleRow, measure_idling
from bench.table.results import Curve, IdleResult, Point, Results
from bench.table.rows import FOUR_KB, LOGIN
from bench.table.users import PASSWORD
from imapvm_bench.errors import BenchError
from imapvm_bench.load.plan import LoadSpec
from imapvm_bench.load.run import run
from imapvm_bench.scenario.model import Entry, Scenario, ScenarioCommand
from imapvm_bench.server.imap_client import Client
from imapvm_bench.server.target import Address, Target
from imapvm_bench.server.users import User

REPETITIONS: Final = 3
SPARE_DESCRIPTORS: Final = 0.75
"""Usable share of the descriptors of a worker, as connections do not spread evenly over workers."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes to measure."""

    sessions: int = 50_000
    mailbox: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    filepool: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000)
    users: tuple[int, ...] = (10, 100, 1000, 10_000)
    accounts: int = 1000
    """Users that share the messages of the filepool."""
    seconds: float = 3.0


SHORT: Final = Sizes(1000, (1000, 10_000), (1000, 10_000), (10, 100), 100, 1.0)
"""Small sizes for a trial of a minute or two."""


def measure_scale(
    results: Results, *, sizes: Sizes, base: Path | None, print_line: PrintLine
) -> None:
    """Measure all parts; a part that fails records its error, and the others go on.

    Args:
        results: `large_idle` and `scale` are replaced.
        sizes: sizes to measure. Ten million messages need about 40 GB of disk meanwhile.
        base: directory for the filepools; None for the temporary directory.
        print_line: receives lines about the progress.
    """
    results.scale.clear()
    results.large_idle.clear()
    first, again = Curve(*FIRST), Curve(*AGAIN)
    delivering, enrolled = Curve(*DELIVERING), Curve(*ENROLLED)
    results.scale += [first, again, delivering, enrolled]
    with _part(first, base, print_line) as directory:
        _selecting(first, again, sizes, directory, print_line)
    with _part(delivering, base, print_line) as directory:
        _delivering(delivering, sizes, directory, print_line)
    with _part(enrolled, base, print_line) as directory:
        _enrolled(enrolled, sizes, directory, print_line)
    results.large_idle.append(_large_idle(sizes, print_line))


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
    "LMTP over four connections, messages of 4 KB, each to a random user of the filepool; time"
    " divided by messages. The existing messages were bulk loaded.",
)
ENROLLED: Final = (
    "Commands with many enrolled users",
    "enrolled users",
    "µs a command",
    "flat from 10 to 10,000",
    "Ten connections, of users spread over all enrolled users: NOOP, STATUS, SELECT and FETCH of"
    " flags in turn; time divided by commands.",
)


@contextmanager
def _part(curve: Curve, base: Path | None, print_line: PrintLine) -> Iterator[Path]:
    """Yield a directory for one part; record its error and go on where it fails."""
    print_line(f"{curve.name} …")
    try:
        with scratch(base and base / curve.name.split(",")[0].replace(" ", "-")) as directory:
            yield directory
    except (BenchError, PeerFailedError, OSError) as error:
        curve.error = str(error)
        print_line(f"  {error}")


@contextmanager
def _serving(base: Path, users: Sequence[User]) -> Iterator[Target]:
    """Run imapvm on a directory that may have a filepool; yield a target with these users."""
    with peer("imapvm").running(base, {user.name: user.password for user in users}) as service:
        yield _target(service, users)


def _target(service: Service, users: Sequence[User]) -> Target:
    assert service.lmtp is not None, "imapvm has LMTP"
    return Target(
        service.name,
        Address(*service.imap),
        tuple(users),
        lmtp=Address(*service.lmtp),
        pid=service.pid,
    )


def _note(curve: Curve, size: int, values: list[float], print_line: PrintLine) -> None:
    curve.points.append(Point(size, values))
    print_line(f"  {size:,}: {', '.join(f'{value:,.3g}' for value in values)} {curve.unit}")


def _selecting(first: Curve, again: Curve, sizes: Sizes, base: Path, print_line: PrintLine) -> None:
    user = User("million", PASSWORD)
    for size in sizes.mailbox:
        bulk_load(base / "filepool", [user.name], size, password=PASSWORD, print_line=print_line)
        starts, values = [], []
        for _ in range(REPETITIONS):
            with _serving(base, [user]) as target, Client(target) as client:
                client.login(user)
                starts.append(_select(client))
                values += [_select(client) for _ in range(REPETITIONS)]
        _note(first, size, starts, print_line)
        _note(again, size, values, print_line)


def _select(client: Client) -> float:
    """Return the milliseconds of a SELECT in the authenticated state."""
    began = time.perf_counter()
    client.command("SELECT INBOX")
    taken = time.perf_counter() - began
    client.command("UNSELECT")
    return taken * 1000


def _delivering(curve: Curve, sizes: Sizes, base: Path, print_line: PrintLine) -> None:
    accounts = min(sizes.accounts, min(sizes.filepool))
    users = [User(f"grown{n}", PASSWORD) for n in range(1, accounts + 1)]
    names = [user.name for user in users]
    recipient = f"RCPT TO:<grown{{random 1 {accounts}}}@localhost>"
    sent = ("MAIL FROM:<sender@example.org>", recipient, "DATA{data}")
    scenario = Scenario(
        "deliveries",
        "",
        protocol="lmtp",
        login=(ScenarioCommand.of("LHLO bench.example", protocol="lmtp"),),
        mix=(Entry("delivery", tuple(ScenarioCommand.of(text, protocol="lmtp") for text in sent)),),
        messages=FOUR_KB,
    )
    for size in sizes.filepool:
        bulk_load(base / "filepool", names, size, password=PASSWORD, print_line=print_line)
        with _serving(base, users) as target:
            load = LoadSpec(target, scenario, connections=4, seconds=sizes.seconds)
            values = [_microseconds(load, "entries") for _ in range(REPETITIONS)]
        _note(curve, size, values, print_line)


def _enrolled(curve: Curve, sizes: Sizes, base: Path, print_line: PrintLine) -> None:
    texts = ("NOOP", "STATUS Archive (MESSAGES UNSEEN)", "SELECT INBOX", "FETCH 1:* (FLAGS)")
    scenario = Scenario(
        "everyday",
        "",
        login=(ScenarioCommand.of(LOGIN),),
        mix=(Entry("round", tuple(ScenarioCommand.of(text) for text in texts)),),
    )
    for size in sizes.users:
        names = [f"user{n}" for n in range(1, size + 1)]
        # All users have mail, so that the tables grow with the users.
        bulk_load(base / "filepool", names, 20 * size, password=PASSWORD, print_line=print_line)
        some = [User(name, PASSWORD) for name in names[:: max(1, size // 10)][:10]]
        with _serving(base, some) as target:
            load = LoadSpec(target, scenario, connections=10, seconds=sizes.seconds)
            values = [_microseconds(load, "commands") for _ in range(REPETITIONS)]
        _note(curve, size, values, print_line)


def _microseconds(load: LoadSpec, what: str) -> float:
    """Run a load; return its time divided by commands or entries.

    Raises:
        BenchError: the load had errors.
    """
    outcome = run(load)
    if outcome.interrupted:
        raise KeyboardInterrupt
    measured = outcome.report
    count = measured.totals.commands if what == "commands" else measured.totals.entries
    if measured.errors or not count:
        errors = [f"{kind}: {error.example}" for kind, error in measured.errors.items()]
        raise BenchError("; ".join(errors) or measured.ended)
    return measured.seconds * 1e6 / count


def workers_for(sessions: int, descriptors: int) -> int:
    """Return the number of workers for some sessions, given the descriptors of each worker."""
    return max(2, -(-sessions // int(descriptors * SPARE_DESCRIPTORS)))


def _large_idle(sizes: Sizes, print_line: PrintLine) -> IdleResult:
    """Measure many idle sessions over several workers and client processes."""
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    workers = workers_for(sizes.sessions, descriptors)
    print_line(f"{sizes.sessions:,} idle sessions over {workers} workers …")
    row = IdleRow(peer(f"imapvm-{workers}"), sizes.sessions, tls=False, deliveries=200)
    with scratch() as base:
        result = measure_idling(row, base / "pool")
    print_line(f"  {result.sessions:,} idle, {result.push_ms} {result.error[:100]}")
    return result
