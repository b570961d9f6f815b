"""IMAPClient's quota calls, as a user and as an administrator."""

import io
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.interop.clients.mail import message
from tests.interop.conftest import PASSWORD, USER

from imapvm.ops import cli

pytestmark = pytest.mark.slow

ADMINISTRATOR = "chief"
DEADLINE_SECONDS = 30
ROOT = f"#user/{USER}"
CONFIGURATION = """
filepool = "pool"
spool = ""
listen.imap = ["127.0.0.1:{imap}"]
listen.lmtp = ["127.0.0.1:{lmtp}"]
login.administrators = ["{administrator}"]
quota = {{ storage_mib = 2, messages = 10 }}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture
def ports(tmp_path, monkeypatch) -> Iterator[tuple[int, int]]:
    """Run a server with default limits and an administrator; yield the ports of IMAP and LMTP."""
    imap, lmtp = free_port(), free_port()
    config = tmp_path / "imapvm.toml"
    config.write_text(CONFIGURATION.format(imap=imap, lmtp=lmtp, administrator=ADMINISTRATOR))
    options = ["--config", str(config)]
    assert cli.main(["filepool", "create", *options]) == 0
    for name in (USER, ADMINISTRATOR):
        stdin = io.TextIOWrapper(io.BytesIO(PASSWORD.encode()))
        monkeypatch.setattr(sys, "stdin", stdin)
        assert cli.main(["user", "enroll", name, "--password-stdin", *options]) == 0
    command = [sys.executable, "-m", "imapvm", "serve", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + DEADLINE_SECONDS
            assert process.stderr is not None
            while "server ready" not in process.stderr.readline():
                assert time.monotonic() < deadline
            yield imap, lmtp
        finally:
            process.terminate()
            process.communicate(timeout=DEADLINE_SECONDS)


@contextmanager
def signed_in(ports, name):
    # Imported here: `make test` collects this file, and does not need third-party clients.
    import imapclient

    with imapclient.IMAPClient("127.0.0.1", port=ports[0], ssl=False, timeout=30) as client:
        client.login(name, PASSWORD)
        yield client


def limits(quotas) -> dict[str, tuple[int, int]]:
    assert {quota.quota_root for quota in quotas} == {ROOT}
    return {quota.resource: (quota.usage, quota.limit) for quota in quotas}


def test_usage_and_limits_of_a_user(ports) -> None:
    with signed_in(ports, USER) as client:
        client.append("INBOX", message("one"))
        assert limits(client.get_quota()) == {
            "STORAGE": (1, 2048),
            "MESSAGE": (1, 10),
            "MAILBOX": (6, 10_000),
        }
        root, quotas = client.get_quota_root("Sent")
        assert (root.mailbox, root.quota_roots) == ("Sent", [ROOT])
        assert limits(quotas)["MESSAGE"] == (1, 10)
        assert limits(client._get_quota(ROOT))["MESSAGE"] == (1, 10)
        assert client.folder_status("INBOX", ["DELETED-STORAGE"]) == {b"DELETED-STORAGE": 0}


def test_only_an_administrator_sets_limits(ports) -> None:
    from imapclient.exceptions import IMAPClientError
    from imapclient.imapclient import Quota

    new = [Quota(ROOT, "STORAGE", 0, 500), Quota(ROOT, "MESSAGE", 0, 2)]
    with signed_in(ports, USER) as user, signed_in(ports, ADMINISTRATOR) as chief:
        assert not user.has_capability("QUOTASET")
        assert chief.has_capability("QUOTASET")
        with pytest.raises(IMAPClientError, match="NOPERM"):
            user.set_quota(new)
        assert limits(chief.set_quota(new))["MESSAGE"] == (0, 2)
        assert limits(user.get_quota())["STORAGE"] == (0, 500)


def test_mail_over_quota_is_refused_to_imap_and_lmtp(ports) -> None:
    from imapclient.exceptions import IMAPClientError
    from imapclient.imapclient import Quota

    with signed_in(ports, ADMINISTRATOR) as chief:
        chief.set_quota([Quota(ROOT, "MESSAGE", 0, 1)])
    with signed_in(ports, USER) as client:
        client.append("INBOX", message("one"))
        with pytest.raises(IMAPClientError, match="OVERQUOTA"):
            client.append("INBOX", message("two"))
        client.select_folder("INBOX")
        with pytest.raises(IMAPClientError, match="OVERQUOTA"):
            client.copy([1], "Sent")
        client.move([1], "Sent")
        lmtp = smtplib.LMTP("127.0.0.1", ports[1])
        with lmtp, pytest.raises(smtplib.SMTPDataError) as refused:
            lmtp.sendmail("a@example.org", [f"{USER}@example.org"], message("three"))
        assert refused.value.smtp_code == 452
        assert refused.value.smtp_error.startswith(b"4.2.2")
