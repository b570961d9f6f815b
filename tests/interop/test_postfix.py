"""Postfix with the snippets in config/: delivery over LMTP, and through a pipe into the spool."""

import os
import re
import signal
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.demo import Demo
from tests.interop.mta import (
    CONFIG,
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

SERVICES = """\
127.0.0.1:{port} inet  n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
retry     unix  - - n - - error
error     unix  - - n - - error
discard   unix  - - n - - discard
lmtp      unix  - - {chroot} - - lmtp
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

# Accounts of every Debian that no other process here runs as.
OWNER, SETGID, PIPE_USER = "uucp", "games", "news"


class Postfix:
    """Postfix with the snippets.

    Args:
        directory: for its files.
        root: where the package was unpacked.
        transport: "lmtp" over TCP, "unix" for LMTP over a unix socket, as on Debian in a chroot, or
            "imapvm" for the pipe.
        demo: server that gets the mail.
    """

    def __init__(
        self, directory: Path, root: Path, transport: str, demo: Demo | Configured
    ) -> None:
        self.root = root
        self.directory = directory / f"postfix-{transport}"
        self.port = free_port()
        self.config = self.directory / "etc"
        self.log = self.directory / "log"
        for part in (self.config, self.directory / "data", self.directory / "queue"):
            part.mkdir(parents=True)
        for part in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold",
                     "incoming", "private", "saved", "trace"):  # fmt: skip
            (self.directory / "queue" / part).mkdir(mode=0o700)
            _own(self.directory / "queue" / part)
        for part, mode in (("pid", 0o755), ("public", 0o755), ("maildrop", 0o730)):
            (self.directory / "queue" / part).mkdir()
            (self.directory / "queue" / part).chmod(mode)
        _own(self.directory / "queue/public")
        _own(self.directory / "data")
        if isinstance(demo, Configured):
            target = f"lmtp:unix:{demo.socket}"
        elif transport == "lmtp":
            target = f"lmtp:inet:[{demo.lmtp[0]}]:{demo.lmtp[1]}"
        else:
            target = "imapvm:"
        main = snippet(
            "postfix/main.cf.snippet",
            {
                "virtual_transport = lmtp:unix:/run/imapvm/lmtp": f"virtual_transport = {target}",
                "    permit_mynetworks\n": "",  # the test client is in mynetworks
            },
        )
        if transport == "imapvm":
            main = main.replace("    reject_unverified_recipient\n", "")
        (self.config / "main.cf").write_text(
            f"""\
compatibility_level = 3.6
queue_directory = {self.directory}/queue
data_directory = {self.directory}/data
daemon_directory = {root}/usr/lib/postfix/sbin
command_directory = {root}/usr/sbin
shlib_directory = {root}/usr/lib/postfix
meta_directory = {root}/etc/postfix
mail_owner = {OWNER}
setgid_group = {SETGID}
import_environment = MAIL_CONFIG LD_LIBRARY_PATH
maillog_file = {self.log}
maillog_file_prefixes = {self.directory}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
address_verify_map =
{main}"""
        )
        master = snippet(
            "postfix/master.cf.snippet",
            {
                "user=imapvm": f"user={PIPE_USER}",
                "/opt/imapvm/.venv/bin/imapvm-smtpexit": str(public_smtpexit(self.directory)),
                "/var/spool/imapvm": str(demo.spool),
            },
        )
        chroot = "y" if transport == "unix" else "n"
        services = SERVICES.format(port=self.port, chroot=chroot)
        (self.config / "master.cf").write_text(services + master)
        self.environment = {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": libraries(root)}
        self.master = root / "usr/lib/postfix/sbin/master"

    @contextmanager
    def running(self) -> Iterator["Postfix"]:
        with (self.directory / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                [self.master, "-c", self.config, "-d"],
                env={**self.environment, "MAIL_CONFIG": str(self.config)},
                cwd=self.directory / "queue",
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
            _end_group(process.pid)

    def postconf(self, *arguments: str) -> None:
        """Change the configuration."""
        subprocess.run(
            [self.root / "usr/sbin/postconf", "-c", self.config, *arguments],
            env={**self.environment, "MAIL_CONFIG": str(self.config)},
            check=True,
        )

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
        return "Postfix failed:\n" + "".join(found)[-8000:]

    def send(self, sender: str, recipients: list[str], message: bytes, *options: str) -> dict:
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as smtp:
            return smtp.sendmail(sender, recipients, message, options)


def _own(path: Path) -> None:
    subprocess.run(["chown", OWNER, path], check=True)


def _end_group(group: int) -> None:
    """End processes of Postfix that outlived its master, in the session of this test."""
    try:
        os.killpg(group, signal.SIGTERM)
    except ProcessLookupError:
        return


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with public_directory() as path:
        yield path


@pytest.fixture(scope="module")
def root(directory: Path) -> Path:
    return unpacked("postfix", directory)


@pytest.fixture(scope="module")
def demo(directory: Path) -> Iterator[Demo]:
    with server(directory) as running:
        yield running


@pytest.mark.parametrize("transport", ["lmtp", "imapvm"])
def test_postfix_delivers_each_message_once_and_unchanged(directory, root, demo, transport):
    first, second, null, large = (deliverable(f"{transport}-{n}") for n in range(4))
    large += b"0123456789abcde\r\n" * 200_000
    with Postfix(directory, root, transport, demo).running() as postfix:
        postfix.send("cyn@x.test", ["ada@example.org"], first, "BODY=8BITMIME")
        postfix.send("cyn@x.test", ["ada@example.org", "bob+list@example.org"], second)
        postfix.send("", ["bob@example.org"], null)
        postfix.send('"c y n"@x.test', ['"ada"@example.org'], large)
        check(demo, postfix.output, first, ["ada"])
        check(demo, postfix.output, second, ["ada", "bob"])
        check(demo, postfix.output, null, ["bob"])
        check(demo, postfix.output, large, ["ada"])
        # Postfix logs a delivery after the message has arrived.
        until(lambda: postfix.log.read_text().count("status=sent") >= 5, postfix.output)
        log = postfix.log.read_text()
    assert log.count("status=sent") == 5
    assert "status=deferred" not in log
    assert "status=bounced" not in log
    (data,) = [o for o in inbox(demo, "bob") if null in o]
    assert data.startswith(b"Return-Path: <>\r\nDelivered-To: bob@example.org\r\nReceived: ")
    (data,) = [o for o in inbox(demo, "ada") if first in o]
    assert data.startswith(b"Return-Path: <cyn@x.test>\r\nDelivered-To: ada@example.org\r\n")


def test_over_lmtp_an_unknown_recipient_is_refused_during_the_smtp_session(directory, root, demo):
    (directory / "unknown").mkdir()
    with Postfix(directory / "unknown", root, "lmtp", demo).running() as postfix:
        message = deliverable("unknown")
        refused = postfix.send("cyn@x.test", ["ada@example.org", "unknown@example.org"], message)
        assert refused["unknown@example.org"][0] == 550
        assert b"no such user here" in refused["unknown@example.org"][1]
        check(demo, postfix.output, message, ["ada"])


def test_command_of_the_snippet_lets_debians_postfix_reach_the_unix_socket(directory, root):
    (command,) = re.findall(
        r"^# +postconf (.*)$", (CONFIG / "postfix/main.cf.snippet").read_text(), re.MULTILINE
    )
    with configured(directory / "unix") as server:
        postfix = Postfix(directory / "unix", root, "unix", server)
        message = deliverable("unix")
        with postfix.running():
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                postfix.send("cyn@x.test", ["ada@example.org"], message)
            assert refused.value.recipients["ada@example.org"][0] == 450
            assert "No such file or directory" in postfix.log.read_text()
        postfix.postconf(*command.split())
        with postfix.running():
            postfix.send("cyn@x.test", ["ada+list@example.org"], message)
            check(server, postfix.output, message, ["ada"])


def test_through_the_pipe_mail_waits_for_a_stopped_server(directory, root):
    (directory / "stopped").mkdir()
    with server(directory / "stopped") as demo:
        pass
    with Postfix(directory / "stopped", root, "imapvm", demo).running() as postfix:
        message = deliverable("stopped")
        postfix.send("cyn@x.test", ["bob@example.org"], message)
        until(lambda: any((demo.spool / "new").iterdir()), postfix.output)
        with server(directory / "stopped") as demo:
            check(demo, postfix.output, message, ["bob"])


def test_postfix_defers_mail_while_the_spool_is_not_writable(directory, root):
    (directory / "closed").mkdir()
    with server(directory / "closed") as demo:
        (demo.spool / "tmp").chmod(0o700)
        with Postfix(directory / "closed", root, "imapvm", demo).running() as postfix:
            postfix.send("cyn@x.test", ["bob@example.org"], deliverable("closed"))
            until(lambda: "status=deferred" in postfix.log.read_text(), postfix.output)
            assert "Permission denied" in postfix.log.read_text()
            assert "status=bounced" not in postfix.log.read_text()
