"""imapvm beside Dovecot: the same closed loop on both, in turn, several rounds.

    python -m bench.compare [--rounds N] [--seconds S] [--json FILE]

Prints a table of medians and the ratio round by round. What is measured: commands a second as one
or more blocking clients get them, so at the fast end it is also the client that is measured, on
both sides alike. Both servers keep their mail on the same disk; imapvm syncs every commit, Dovecot
with mail_fsync=optimized syncs deliveries only.
"""

import argparse
import json
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import corpus
from bench.client import Client
from bench.peers import dovecot, imapvm

USER, PASSWORD = "reader", "secret"
BIG = 10_000
"""Messages in the mailbox of the FETCH FLAGS and SEARCH SUBJECT rows."""

MESSAGES = [corpus.message(n) for n in range(200)]
"""What the APPEND rows append; made before anything is measured."""


@dataclass(frozen=True)
class Row:
    """One line of the table: what one client does in one step, and how many clients do it."""

    name: str
    step: Callable[[Client], int | None]
    mailbox: str | None = "big"
    clients: int = 1


ROWS = (
    Row("NOOP", lambda c: c.command(b"NOOP")),
    Row("NOOP, 20 clients", lambda c: c.command(b"NOOP"), clients=20),
    Row("SELECT (10,000)", lambda c: c.command(b"SELECT big"), mailbox=None),
    Row("FETCH 1:* (FLAGS) of 10,000", lambda c: c.command(b"FETCH 1:* (FLAGS)")),
    Row("FETCH 1:1000 (ENVELOPE)", lambda c: c.command(b"FETCH 1:1000 (ENVELOPE)")),
    Row("FETCH 1:1000 (BODYSTRUCTURE)", lambda c: c.command(b"FETCH 1:1000 (BODYSTRUCTURE)")),
    Row(
        "FETCH 1:1000 (header fields)",
        lambda c: c.command(
            b"FETCH 1:1000 (BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])"
        ),
    ),
    Row("FETCH 1:500 (BODY.PEEK[]) of 4 KB", lambda c: c.command(b"FETCH 1:500 (BODY.PEEK[])")),
    Row("FETCH BODY.PEEK[] of 25 MB", lambda c: c.command(b"FETCH 1 (BODY.PEEK[])"), "large"),
    Row("SEARCH SUBJECT over 10,000", lambda c: c.command(b'SEARCH SUBJECT "zebra"')),
    Row("SEARCH BODY over 40 MB", lambda c: c.command(b'SEARCH BODY "zebra"')),
    Row("STORE one flag", lambda c: _toggle(c), "store"),
    Row("STORE one flag, 20 clients", lambda c: _toggle(c), "store", clients=20),
    Row("APPEND 4 KB", lambda c: c.append("appended", MESSAGES[c.count % len(MESSAGES)]), None),
    Row("APPEND 4 KB, 20 clients",
        lambda c: c.append("appended", MESSAGES[c.count % len(MESSAGES)]), None, clients=20),
    Row("LOGIN (argon2id)", lambda c: _login(c), None),
)  # fmt: skip


def _toggle(client: Client) -> int:
    number = 1 + client.count % 500
    sign = "+" if (client.count // 500) % 2 else "-"
    return client.command(f"STORE {number} {sign}FLAGS.SILENT (\\Flagged)".encode())


def _login(client: Client) -> None:
    Client(client.socket.getpeername(), USER, PASSWORD).close()


def fill(address: tuple[str, int]) -> None:
    """Make the mailboxes that the rows read."""
    client = Client(address, USER, PASSWORD)
    for name in ("big", "store", "large", "appended"):
        client.command(f"CREATE {name}".encode())
    for start in range(0, BIG, 50):
        client.append_many("big", [corpus.message(start + n) for n in range(50)])
    for start in range(0, 500, 50):
        client.append_many("store", [corpus.message(start + n) for n in range(50)])
    client.append("large", corpus.attachment(1, size=25_000_000))
    client.close()


def measure(address: tuple[str, int], row: Row, seconds: float) -> float:
    """Return steps a second over all clients of the row."""
    clients = [Client(address, USER, PASSWORD) for _ in range(row.clients)]
    for client in clients:
        if row.mailbox:
            client.command(f"SELECT {row.mailbox}".encode())
        row.step(client)
    counts = [0] * len(clients)
    start = time.perf_counter()
    until = start + seconds

    def loop(place: int) -> None:
        while time.perf_counter() < until:
            row.step(clients[place])
            counts[place] += 1

    if len(clients) == 1:
        loop(0)
    else:
        threads = [threading.Thread(target=loop, args=(n,)) for n in range(len(clients))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    rate = sum(counts) / (time.perf_counter() - start)
    for client in clients:
        client.close()
    return rate


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--json", type=Path)
    options.add_argument("--only", help="rows whose name holds this text")
    chosen = options.parse_args()
    rows = [row for row in ROWS if not chosen.only or chosen.only in row.name]
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imapvm-compare-")))
        base.chmod(0o755)
        ours = stack.enter_context(imapvm.running(base / "imapvm", {USER: PASSWORD}))
        theirs = stack.enter_context(dovecot.running(base / "dovecot", {USER: PASSWORD}))
        addresses = {"imapvm": ours.imap, "dovecot": theirs.imap}
        for name, address in addresses.items():
            print(f"filling {name} …", flush=True)
            fill(address)
        table = {row.name: {name: [] for name in addresses} for row in rows}
        for _ in range(chosen.rounds):
            for row in rows:
                for name, address in addresses.items():
                    table[row.name][name].append(measure(address, row, chosen.seconds))
    report(table)
    if chosen.json:
        about = {
            "machine": platform.processor() or platform.machine(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "servers": [imapvm.version(), dovecot.version()],
            "fsync": {"imapvm": "every commit", "dovecot": "optimized"},
            "state": "warm",
            "rounds": chosen.rounds,
            "seconds": chosen.seconds,
        }
        chosen.json.write_text(json.dumps({"about": about, "rows": table}, indent=1) + "\n")


def report(table: dict[str, dict[str, list[float]]]) -> None:
    print(f"\n{'row':36} {'imapvm':>11} {'dovecot':>11} {'ratio':>7}   each round")
    for name, rates in table.items():
        ratios = [a / b for a, b in zip(rates["imapvm"], rates["dovecot"], strict=True)]
        print(
            f"{name:36} {statistics.median(rates['imapvm']):11,.1f}"
            f" {statistics.median(rates['dovecot']):11,.1f} {statistics.median(ratios):7.2f}   "
            + " ".join(f"{ratio:.2f}" for ratio in ratios)
        )


if __name__ == "__main__":
    main()
