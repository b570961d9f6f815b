"""Servers of the comparison: start, every protocol, end of all processes."""

import imaplib
import smtplib
import ssl
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench.disk import fixed_latency
from bench.peers import PEERS, PeerMissingError, Service, peer
from bench.peers.processes import descendants
from bench.peers.scratch import scratch

USERS = {"ada": "first", "bob": "second"}
MESSAGE = b"From: a@example.org\r\nSubject: greetings\r\n\r\nHello.\r\n"

HERE = [name for name, each in PEERS.items() if each.missing() is None]
"""Installed servers; CI has imapvm and Dovecot."""


@contextmanager
def signed_in(service: Service, name: str, *, tls: bool = False):
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client: imaplib.IMAP4 = imaplib.IMAP4_SSL(*service.imaps, ssl_context=context)
    else:
        client = imaplib.IMAP4(*service.imap)
    with client:
        client.login(name, USERS[name])
        yield client


def subjects(client: imaplib.IMAP4, mailbox: str) -> list[bytes]:
    _, [count] = client.select(mailbox)
    if count == b"0":
        return []
    _, data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return [part[1].strip() for part in data if isinstance(part, tuple)]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_a_peer_serves_its_users_and_ends_with_all_its_processes(name):
    with scratch() as base:
        with peer(name).running(base / name, USERS) as service:
            assert service.name == name
            mailbox = f"{service.prefix}kept"
            with signed_in(service, "ada") as client:
                client.create(mailbox)
                assert client.append(mailbox, None, None, MESSAGE)[0] == "OK"
                assert subjects(client, mailbox) == [b"Subject: greetings"]
            if service.imaps:
                with signed_in(service, "ada", tls=True) as client:
                    assert subjects(client, mailbox) == [b"Subject: greetings"]
            if service.lmtp:
                with smtplib.LMTP(*service.lmtp) as lmtp:
                    lmtp.sendmail("a@example.org", [f"bob@{service.domain}"], MESSAGE)
                with signed_in(service, "bob") as client:
                    assert subjects(client, "INBOX") == [b"Subject: greetings"]
            with imaplib.IMAP4(*service.imap) as client, pytest.raises(imaplib.IMAP4.error):
                client.login("ada", USERS["bob"])
            family = descendants(service.pid)
            assert family[0] == service.pid
            assert all(map(is_running, family))
        assert not [pid for pid in family if is_running(pid)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stored"), [("imapvm", True), ("dovecot", False), ("dovecot-always", True)]
)
def test_all_processes_of_a_server_use_its_disk(name, stored):
    """APPEND is synced on each; STORE where flags are."""
    with (
        scratch() as base,
        fixed_latency(base / "disk") as disk,
        peer(name).running(base / name, USERS, disk=disk) as service,
        signed_in(service, "ada") as client,
    ):
        before = disk.syncs().total
        assert client.append("INBOX", None, None, MESSAGE)[0] == "OK"
        appended = disk.syncs().total
        assert appended > before
        client.select()
        before, disk.latency_ms = disk.syncs().total, 50.0
        start = time.perf_counter()
        assert client.store("1", "+FLAGS", r"(\Flagged)")[0] == "OK"
        seconds = time.perf_counter() - start
        assert (disk.syncs().total > before) is stored
        assert (seconds >= 0.05) is stored
        disk.latency_ms = 0


@pytest.mark.slow
def test_imapvm_and_dovecot_are_installed():
    """The message is the command that installs Dovecot."""
    assert PEERS["imapvm"].missing() is None
    assert PEERS["dovecot"].missing() is None, PEERS["dovecot"].missing()


@pytest.mark.parametrize("name", ["cyrus", "courier", "pymap"])
def test_a_missing_peer_is_refused_with_the_command_that_installs_it(name, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.peers.unpacked.PLACE", tmp_path)
    monkeypatch.setattr("bench.peers.pymap.PLACE", tmp_path)
    command = peer(name).missing()
    assert f"python -m bench.peers get {name}" in command
    with (
        pytest.raises(PeerMissingError, match=f"get {name}"),
        peer(name).running(tmp_path / "base", USERS),
    ):
        pass


def test_a_number_after_imapvm_is_the_number_of_workers():
    assert peer("imapvm-7").about == "imapvm with workers = 7"
    with pytest.raises(KeyError):
        peer("imapvm-many")
