"""What an idle session costs, and how soon it hears of new mail.

    python -m bench.idle_memory [--sessions N] [--deliveries N] [--tls] [--json FILE]

Starts `imapvm demo`, lets N sessions sign in, select INBOX and IDLE, and reads how much more
anonymous memory (`RssAnon`) the server then has, a session. The clients are this process, so none
of theirs is counted. Then mail is delivered by LMTP, to a user with one idling session while all
the others idle beside it, and to the user who has N sessions that all hear of it.
"""

import argparse
import json
import math
import resource
import smtplib
import socket
import ssl
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench.peers import imapvm

CROWD, SINGLE = "crowd", "single"
PASSWORD = "secret"
MESSAGE = "From: a@example.org\r\nTo: b@example.net\r\nSubject: news\r\n\r\nSome text.\r\n"
WARM = 50
"""Sessions that come and go before anything is measured: what is loaded once is no session's."""


class IdleClient:
    """A session in IDLE."""

    def __init__(
        self, address: tuple[str, int], user: str, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.socket: socket.socket = socket.create_connection(address, timeout=60)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket)
        self.read_to(b"* OK")
        self.socket.sendall(b"a LOGIN %b %b\r\n" % (user.encode(), PASSWORD.encode()))
        self.read_to(b"a OK")
        self.socket.sendall(b"b SELECT INBOX\r\n")
        self.read_to(b"b OK")
        self.socket.sendall(b"c IDLE\r\n")
        self.read_to(b"+ ")

    def read_to(self, start: bytes) -> float:
        """Read up to the end of a line that begins so; return when it was there."""
        data = b""
        while True:
            more = self.socket.recv(65536)
            if not more:
                raise RuntimeError(f"the server hung up; it said last: {data[-200:]!r}")
            data += more
            if data.endswith(b"\r\n") and any(
                line.startswith(start) for line in data.split(b"\r\n")
            ):
                return time.perf_counter()

    def wait_exists(self) -> float:
        """Wait to hear of a new message; return when it was heard."""
        data = b""
        while b" EXISTS\r\n" not in data:
            more = self.socket.recv(65536)
            if not more:
                raise RuntimeError("the server hung up")
            data += more
        return time.perf_counter()

    def close(self) -> None:
        self.socket.close()


def anonymous_memory(pid: int) -> int:
    """RssAnon in octets (docs/decisions/0001-what-memory-means.md)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no RssAnon")


def settled_memory(pid: int) -> int:
    """RssAnon when it has not changed for half a second."""
    last, since = anonymous_memory(pid), time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.05)
        now = anonymous_memory(pid)
        if now != last:
            last, since = now, time.monotonic()
    return last


def measure_news(
    lmtp: smtplib.LMTP, user: str, listeners: list[IdleClient], count: int
) -> dict[str, list[float]]:
    """Deliver messages one at a time; milliseconds until the last of the listeners knows.

    Returns:
        `sent`: from handing over the message's last octet; `acknowledged`: from the reply that it
        is on disk, 0 where the news was faster than the reply.
    """
    sent, acknowledged = [], []
    for _ in range(count):
        heard: list[float] = []

        def listen(heard: list[float] = heard) -> None:
            heard.append(max(listener.wait_exists() for listener in listeners))

        listening = threading.Thread(target=listen)
        listening.start()
        began = time.perf_counter()
        lmtp.sendmail("a@example.org", [f"{user}@localhost"], MESSAGE)
        answered = time.perf_counter()
        listening.join()
        sent.append((heard[0] - began) * 1000)
        acknowledged.append(max(0.0, heard[0] - answered) * 1000)
    return {"sent": sent, "acknowledged": acknowledged}


def spread(values: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum."""
    ordered = sorted(values)
    return {
        "p50": round(statistics.median(ordered), 3),
        "p99": round(ordered[math.ceil(len(ordered) * 0.99) - 1], 3),
        "max": round(ordered[-1], 3),
    }


def measure(sessions: int, deliveries: int, *, tls: bool) -> dict[str, Any]:
    """Run the server and all of the above; returns the report."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if sessions + 100 > hard:
        raise SystemExit(f"this machine allows {hard} descriptors: at most {hard - 100} sessions")
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        tempfile.TemporaryDirectory(prefix="imapvm-idle-") as base,
        imapvm.running(Path(base), {CROWD: PASSWORD, SINGLE: PASSWORD}) as demo,
    ):
        address = demo.imaps if tls else demo.imap
        with smtplib.LMTP(*demo.lmtp) as lmtp:
            for user in (CROWD, SINGLE):
                lmtp.sendmail("a@example.org", [f"{user}@localhost"], MESSAGE)
            for client in [IdleClient(address, CROWD, tls=context) for _ in range(WARM)]:
                client.close()
            before = settled_memory(demo.pid)
            began = time.perf_counter()
            crowd = [IdleClient(address, CROWD, tls=context) for _ in range(sessions)]
            signed_in = time.perf_counter() - began
            after = settled_memory(demo.pid)
            single = IdleClient(address, SINGLE, tls=context)
            one = measure_news(lmtp, SINGLE, [single], deliveries)
            everybody = measure_news(lmtp, CROWD, crowd, max(1, deliveries // 20))
            told = settled_memory(demo.pid)
        for client in (*crowd, single):
            client.close()
    return {
        "sessions": sessions,
        "tls": tls,
        "octets_a_session": round((after - before) / sessions),
        "octets_a_session_after_news": round((told - before) / sessions),
        "server_octets_before": before,
        "sign_ins_a_second": round(sessions / signed_in),
        "news_to_one_ms": {key: spread(values) for key, values in one.items()},
        "news_to_all_ms": {key: spread(values) for key, values in everybody.items()},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=5000)
    parser.add_argument("--deliveries", type=int, default=200)
    parser.add_argument("--tls", action="store_true", help="over imaps")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    report = measure(arguments.sessions, arguments.deliveries, tls=arguments.tls)
    print(
        f"sessions in IDLE          {report['sessions']:>8}{' with TLS' if report['tls'] else ''}"
    )
    print(f"KiB a session             {report['octets_a_session'] / 1024:>8.2f}")
    print(f"KiB a session after news  {report['octets_a_session_after_news'] / 1024:>8.2f}")
    print(f"sign-ins a second         {report['sign_ins_a_second']:>8}")
    for key, who in (("news_to_one_ms", "one session"), ("news_to_all_ms", "all sessions")):
        for start, name in (("sent", "message sent"), ("acknowledged", "message acknowledged")):
            spread = report[key][start]
            print(f"{name} → {who} told: p50 {spread['p50']} p99 {spread['p99']} ms")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
