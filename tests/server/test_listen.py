"""Addresses, listening sockets, and those that systemd hands over."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from imapvm.server.net.listen import BACKLOG, Listeners, listen, open_listeners, parse
from imapvm.server.settings import Listening, Settings, SettingsError


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("127.0.0.1:143", ("127.0.0.1", 143)),
        ("[::1]:993", ("::1", 993)),
        ("imap.example.org:0", ("imap.example.org", 0)),
        ("*:143", ("", 143)),
        (":143", ("", 143)),
    ],
)
def test_addresses_are_read(written, read):
    assert parse(written) == read


@pytest.mark.parametrize(
    "written",
    ["", "143", "host", "host:", "host:x", "host:65536", "::1:143", "host:-1", "host:\u0661"],
)
def test_what_is_no_address_is_said(written):
    with pytest.raises(SettingsError, match=r"brackets|not of the form"):
        parse(written)


def test_port_0_takes_a_free_port_and_says_which():
    listeners = open_listeners(Settings(filepool=Path("x"), imap=("127.0.0.1:0",)))
    try:
        where = listeners.addresses()
        assert where.imap is not None
        assert where.imaps is None
        assert where.imap[0] == "127.0.0.1"
        socket.create_connection(where.imap).close()
    finally:
        listeners.close()


def test_a_name_with_two_families_has_one_port():
    sockets = listen("localhost:0")
    try:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
    finally:
        for sock in sockets:
            sock.close()


def test_ipv6_is_listened_at():
    (sock,) = listen("[::1]:0")
    with sock, socket.create_connection(sock.getsockname()[:2]) as client:
        assert client.family == socket.AF_INET6


def test_a_port_in_use_is_said_in_one_sentence():
    (sock,) = listen("127.0.0.1:0")
    with sock:
        address = f"127.0.0.1:{sock.getsockname()[1]}"
        with pytest.raises(SettingsError, match=f"cannot bind {address}: address already"):
            listen(address)


def test_a_port_can_be_shared_where_that_is_wanted():
    (one,) = listen("127.0.0.1:0", reuse_port=True)
    (two,) = listen(f"127.0.0.1:{one.getsockname()[1]}", reuse_port=True)
    one.close()
    two.close()


def test_an_unknown_host_is_said_in_one_sentence():
    with pytest.raises(SettingsError, match=r"nowhere\.invalid:143: "):
        listen("nowhere.invalid:143")


def test_when_one_address_fails_none_stays_open():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(SettingsError):
            open_listeners(Settings(filepool=Path("x"), imap=("127.0.0.1:0",), lmtp=(busy,)))
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_unix_socket_is_for_its_owner_and_group_and_goes_with_the_server(tmp_path):
    path = tmp_path / "lmtp"
    listeners = open_listeners(Settings(filepool=Path("x"), lmtp=(f"unix:{path}",)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert listeners.addresses() == Listening(lmtp=(str(path), 0))
    listeners.close()
    assert not path.exists()
    listeners.close()


def test_a_unix_socket_left_by_a_server_that_was_killed_is_taken_over(tmp_path):
    path = tmp_path / "lmtp"
    (left,) = listen(f"unix:{path}")
    left.close()
    assert path.exists()
    (sock,) = listen(f"unix:{path}")
    with sock, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_unix_socket_of_a_server_that_runs_is_not_taken_over(tmp_path):
    (running,) = listen(f"unix:{tmp_path}/lmtp")
    with running, pytest.raises(SettingsError, match="address already in use"):
        listen(f"unix:{tmp_path}/lmtp")


def test_a_file_that_is_no_socket_is_not_removed(tmp_path):
    path = tmp_path / "precious"
    path.write_text("mail")
    with pytest.raises(SettingsError):
        listen(f"unix:{path}")
    assert path.read_text() == "mail"


def test_imaps_without_a_certificate_is_refused(tmp_path):
    settings = Settings(filepool=Path("x"), imaps=("127.0.0.1:0",))
    with pytest.raises(SettingsError, match="certificate"):
        settings.check()
    with pytest.raises(SettingsError, match="certificate"):
        open_listeners(settings)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (Settings(filepool=Path("x"), certificate=Path("c")), "needs its key"),
        (Settings(filepool=Path("x"), key=Path("k")), "a key its certificate"),
    ],
)
def test_settings_that_cannot_work_are_said_in_one_sentence(settings, sentence):
    with pytest.raises(SettingsError, match=sentence):
        settings.check()


def test_the_backlog_is_what_was_asked_for_or_what_the_kernel_allows():
    allowed = int(Path("/proc/sys/net/core/somaxconn").read_text())
    assert min(BACKLOG, allowed) >= 128


HANDED_OVER = """
import os, socket, sys
from pathlib import Path
os.environ["LISTEN_PID"] = str(os.getpid())
from imapvm.server.net.listen import inherited_sockets, open_listeners
from imapvm.server.settings import Settings
listeners = open_listeners(Settings(filepool=Path("x")))
print(len(listeners.imap), len(listeners.lmtp), listeners.addresses().imap[1])
print(os.get_inheritable(listeners.imap[0].fileno()))
print("LISTEN_FDS" in os.environ, "LISTEN_PID" in os.environ, inherited_sockets())
"""


def hand_over(names: str, count: int) -> subprocess.CompletedProcess[str]:
    """Run a program as systemd does: sockets from number 3 on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    code = "import os, sys\n"
    for number, sock in enumerate(sockets):
        code += f"os.dup2({sock.fileno()}, {number + 100})\n"
    for number in range(count):
        code += f"os.dup2({number + 100}, {number + 3})\n"
    try:
        return subprocess.run(
            [sys.executable, "-c", code + HANDED_OVER],
            env={**os.environ, "LISTEN_FDS": str(count), "LISTEN_FDNAMES": names},
            pass_fds=[sock.fileno() for sock in sockets],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        for sock in sockets:
            sock.close()


def test_sockets_from_systemd_are_taken_once_by_their_names():
    done = hand_over("imap:lmtp:imap", 3)
    first, inheritable, environment = done.stdout.splitlines()
    assert first.startswith("2 1 ")
    assert inheritable == "False"
    assert environment == "False False {}"


def test_a_socket_from_systemd_with_an_unknown_name_is_refused():
    done = hand_over("smtp", 1)
    assert "unknown FileDescriptorName 'smtp'" in done.stderr


def test_sockets_that_were_handed_to_somebody_else_are_left_alone(monkeypatch):
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "3")
    assert open_listeners(Settings(filepool=Path("x"))) == Listeners()
