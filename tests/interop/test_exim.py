"""Exim with the snippet in config/: delivery through a pipe into the spool, and over LMTP."""

import os
import signal
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.demo import Demo
from tests.interop.mta import (
    Configured,
    check,
    configured,
    deliverable,
    free_port,
    inbox,
    libraries,
    public_directory,
    public_smtpexit,
    server,
    snippet,
    unpacked,
    until,
)

pytestmark = pytest.mark.slow

# Accounts of every Debian that no other process here runs as.
OWNER, PIPE_USER = "uucp", "news"


class Exim:
    def __init__(
        self, directory: Path, root: Path, transport: str, demo: Demo | Configured
    ) -> None:
        self.directory = directory / f"exim-{transport}"
        self.port = free_port()
        self.log = self.directory / "main"
        (self.directory / "spool").mkdir(parents=True)
        subprocess.run(["chown", OWNER, self.directory, self.directory / "spool"], check=True)
        changes = {
            "transport = imapvm_lmtp": f"transport = imapvm_{transport}",
            "user = imapvm": f"user = {PIPE_USER}",
            "/opt/imapvm/.venv/bin/imapvm-smtpexit": str(public_smtpexit(self.directory)),
            "/var/spool/imapvm": str(demo.spool),
            "socket = /run/imapvm/lmtp": f"socket = {getattr(demo, 'socket', None)}",
        }
        self.config = self.directory / "exim.conf"
        self.config.write_text(
            f"""\
primary_hostname = relay.test
exim_user = {OWNER}
exim_group = {OWNER}
spool_directory = {self.directory}/spool
exim_path = {root}/usr/sbin/exim4
log_file_path = {self.directory}/%s
pid_file_path = {self.directory}/pid
local_interfaces = <; [127.0.0.1]:{self.port}
domainlist local_domains = example.org
acl_smtp_rcpt = accept
queue_only
never_users =
keep_environment = LD_LIBRARY_PATH : LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
host_lookup =
rfc1413_query_timeout = 0s
allow_utf8_domains
tls_advertise_hosts =
message_size_limit = 64M
retry_interval_max = 1h
accept_8bitmime = true
{snippet("exim/imapvm.snippet", changes)}
begin retry
* * F,1h,1m
"""
        )
        self.config.chmod(0o644)
        # Debian's Exim looks up its own user by name before it reads its configuration.
        # libnss_wrapper defines one for this process only: no user is added to the machine.
        for name in ("passwd", "group"):
            known = Path("/etc", name).read_text()
            number = next(
                line.split(":")[2] for line in known.splitlines() if line.startswith(OWNER)
            )
            entry = f"Debian-exim:x:{number}:" + (f"{number}::/:/bin/false" * (name == "passwd"))
            (self.directory / name).write_text(f"{known}{entry}\n")
        (wrapper,) = root.parent.glob("libnss-wrapper/**/libnss_wrapper.so")
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "LD_LIBRARY_PATH": libraries(root),
            "LD_PRELOAD": str(wrapper),
            "NSS_WRAPPER_PASSWD": str(self.directory / "passwd"),
            "NSS_WRAPPER_GROUP": str(self.directory / "group"),
        }
        self.program = root / "usr/sbin/exim4"

    @contextmanager
    def running(self) -> Iterator["Exim"]:
        with (self.directory / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                [self.program, "-C", self.config, "-bdf"],
                env=self.environment,
                cwd=self.directory,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        try:
            until(lambda: self.answers(process), self.output)
            yield self
        finally:
            process.terminate()
            process.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(
                    process.pid, signal.SIGTERM
                )  # running deliveries, in the session of this test

    def answers(self, process: subprocess.Popen) -> bool:
        assert process.poll() is None, self.output()
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=10):
                return True
        except OSError:
            return False

    def output(self) -> str:
        found = [(self.directory / "stderr").read_text()]
        if self.log.exists():
            found.append(self.log.read_text())
        return "Exim failed:\n" + "".join(found)[-8000:]

    def logged(self, text: str) -> bool:
        return self.log.exists() and text in self.log.read_text()

    def send(self, sender: str, recipients: list[str], message: bytes, *options: str) -> dict:
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as smtp:
            return smtp.sendmail(sender, recipients, message, options)

    def run_queue(self) -> None:
        """Deliver the received messages.

        Run by root: an unpacked Exim is not set-user-ID, and the receiving process has given up
        its privileges.
        """
        command = [self.program, "-C", self.config, "-qff"]
        subprocess.run(command, env=self.environment, cwd=self.directory, check=True, timeout=60)


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with public_directory() as path:
        yield path


@pytest.fixture(scope="module")
def root(directory: Path) -> Path:
    unpacked("libnss-wrapper", directory)
    return unpacked("exim4-daemon-light", directory)


@pytest.fixture(scope="module")
def demo(directory: Path) -> Iterator[Demo]:
    with server(directory) as running:
        yield running


def test_exim_delivers_through_the_spool_each_message_once_and_unchanged(directory, root, demo):
    first, second, null, large = (deliverable(f"spool-{n}") for n in range(4))
    large += b"0123456789abcde\r\n" * 200_000
    with Exim(directory, root, "spool", demo).running() as exim:
        exim.send("cyn@x.test", ["ada@example.org"], first, "BODY=8BITMIME")
        exim.send("cyn@x.test", ["ada@example.org", "bob+list@example.org"], second)
        exim.send("", ["bob@example.org"], null)
        exim.send('"c y n"@x.test', ["ada@example.org"], large)
        exim.run_queue()
        check(demo, exim.output, first, ["ada"])
        check(demo, exim.output, second, ["ada", "bob"])
        check(demo, exim.output, null, ["bob"])
        check(demo, exim.output, large, ["ada"])
        until(lambda: exim.log.read_text().count("Completed") == 4, exim.output)
        assert " ** " not in exim.log.read_text()
        assert " == " not in exim.log.read_text()
    (data,) = [o for o in inbox(demo, "bob") if null in o]
    assert data.startswith(b"Return-Path: <>\r\nDelivered-To: bob@example.org\r\nReceived: ")
    (data,) = [o for o in inbox(demo, "ada") if large in o]
    assert data.startswith(b'Return-Path: <"c y n"@x.test>\r\n')


def test_exim_defers_mail_while_the_spool_is_not_writable(directory, root):
    (directory / "closed").mkdir()
    with server(directory / "closed") as demo:
        (demo.spool / "tmp").chmod(0o700)
        with Exim(directory / "closed", root, "spool", demo).running() as exim:
            exim.send("cyn@x.test", ["bob@example.org"], deliverable("closed"))
            exim.run_queue()
            until(lambda: exim.logged(" == bob@example.org"), exim.output, 10)
            assert exim.logged("Permission denied")
            assert not exim.logged(" ** ")


def test_exim_delivers_over_lmtp_each_message_once_and_unchanged(directory, root):
    first, second, null = (deliverable(f"lmtp-{n}") for n in range(3))
    (directory / "over").mkdir()
    with configured(directory / "lmtp") as server:
        with Exim(directory / "over", root, "lmtp", server).running() as exim:
            exim.send("cyn@x.test", ["ada@example.org", "bob+list@example.org"], first)
            exim.send("", ["bob@example.org"], null)
            exim.send("cyn@x.test", ["ada@example.org", "unknown@example.org"], second)
            exim.run_queue()
            check(server, exim.output, first, ["ada", "bob"])
            check(server, exim.output, null, ["bob"])
            check(server, exim.output, second, ["ada"])
            assert exim.logged(" ** unknown@example.org")
            assert exim.logged("550 5.1.1 no such user here")
        (data,) = [o for o in inbox(server, "ada") if first in o]
        assert b"by mail.test with LMTP id " in data
