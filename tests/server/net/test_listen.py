"""Addresses, listening sockets, and sockets from systemd."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from imapvm.server.net.listen import (
    BACKLOG,
    Listeners,
    listen,
    not_inherited,
    open_listeners,
    parse,
)
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
def test_addresses_are_parsed(written, read):
    assert parse(written) == read


@pytest.mark.parametrize(
    "written",
    ["", "143", "host", "host:", "host:x", "host:65536", "::1:143", "host:-1", "host:\u0661"],
)
def test_invalid_address_is_refused(written):
    with pytest.raises(SettingsError, match=r"brackets|not of the form"):
        parse(written)


def test_port_0_selects_a_free_port_and_reports_it():
    listeners = open_listeners(Settings(filepool=Path("x"), imap=("127.0.0.1:0",)))
    try:
        addresses = listeners.addresses()
        assert addresses.imap is not None
        assert addresses.imaps is None
        assert addresses.imap[0] == "127.0.0.1"
        socket.create_connection(addresses.imap).close()
    finally:
        listeners.close()


def test_name_with_two_address_families_has_one_port():
    sockets = listen("localhost:0")
    try:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
    finally:
        for sock in sockets:
            sock.close()


def test_server_listens_at_ipv6():
    (sock,) = listen("[::1]:0")
    with sock, socket.create_connection(sock.getsockname()[:2]) as client:
        assert client.family == socket.AF_INET6


def test_port_in_use_is_reported():
    (sock,) = listen("127.0.0.1:0")
    with sock:
        address = f"127.0.0.1:{sock.getsockname()[1]}"
        with pytest.raises(SettingsError, match=f"cannot bind {address}: address already"):
            listen(address)


def test_port_can_be_shared_with_reuse_port():
    (one,) = listen("127.0.0.1:0", reuse_port=True)
    (two,) = listen(f"127.0.0.1:{one.getsockname()[1]}", reuse_port=True)
    one.close()
    two.close()


def test_unknown_host_is_reported():
    with pytest.raises(SettingsError, match=r"nowhere\.invalid:143: "):
        listen("nowhere.invalid:143")


def test_failure_at_one_address_closes_all_sockets():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(SettingsError):
            open_listeners(Settings(filepool=Path("x"), imap=("127.0.0.1:0",), lmtp=(busy,)))
        assert len(os.listdir("/proc/self/fd")) == before


def test_unix_socket_is_for_owner_and_group_and_is_removed_at_close(tmp_path):
    path = tmp_path / "lmtp"
    listeners = open_listeners(Settings(filepool=Path("x"), lmtp=(f"unix:{path}",)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert listeners.addresses() == Listening(lmtp=(str(path), 0), all={"lmtp": f"unix:{path}"})
    listeners.close()
    assert not path.exists()
    listeners.close()


def test_stale_unix_socket_is_replaced(tmp_path):
    path = tmp_path / "lmtp"
    (left,) = listen(f"unix:{path}")
    left.close()
    assert path.exists()
    (sock,) = listen(f"unix:{path}")
    with sock, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_unix_socket_in_use_is_not_replaced(tmp_path):
    (running,) = listen(f"unix:{tmp_path}/lmtp")
    with running, pytest.raises(SettingsError, match="address already in use"):
        listen(f"unix:{tmp_path}/lmtp")


def test_file_that_is_no_socket_is_not_removed(tmp_path):
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
    "settings",
    [
        Settings(filepool=Path("x"), certificate=Path("c")),
        Settings(filepool=Path("x"), key=Path("k")),
    ],
)
def test_certificate_without_key_or_key_without_certificate_is_refused(settings):
    with pytest.raises(SettingsError, match="must be set together"):
        settings.check()


def test_backlog_is_at_least_128():
    allowed = int(Path("/proc/sys/net/core/somaxconn").read_text())
    assert min(BACKLOG, allowed) >= 128


PROGRAM = """
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


def run_with_sockets(names: str, count: int) -> subprocess.CompletedProcess[str]:
    """Run a program as systemd does: with sockets from descriptor 3 on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    code = "import os, sys\n"
    for number, sock in enumerate(sockets):
        code += f"os.dup2({sock.fileno()}, {number + 100})\n"
    for number in range(count):
        code += f"os.dup2({number + 100}, {number + 3})\n"
    try:
        return subprocess.run(
            [sys.executable, "-c", code + PROGRAM],
            env={**os.environ, "LISTEN_FDS": str(count), "LISTEN_FDNAMES": names},
            pass_fds=[sock.fileno() for sock in sockets],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        for sock in sockets:
            sock.close()


def test_sockets_from_systemd_are_taken_once_by_name():
    done = run_with_sockets("imap:lmtp:imap", 3)
    first, inheritable, environment = done.stdout.splitlines()
    assert first.startswith("2 1 ")
    assert inheritable == "False"
    assert environment == "False False {}"


def test_socket_from_systemd_with_an_unknown_name_is_refused():
    done = run_with_sockets("smtp", 1)
    assert "unknown FileDescriptorName 'smtp'" in done.stderr


def test_sockets_for_another_process_are_ignored(monkeypatch):
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "3")
    assert open_listeners(Settings(filepool=Path("x"))) == Listeners()


@pytest.mark.parametrize(
    ("bound", "address", "covered"),
    [
        ("127.0.0.1", "127.0.0.1:{}", True),
        ("0.0.0.0", "127.0.0.1:{}", True),
        ("::", "127.0.0.1:{}", True),
        ("::", "[::1]:{}", True),
        ("::", "*:{}", True),
        ("127.0.0.1", "127.0.0.2:{}", False),
        ("127.0.0.1", "*:{}", False),
        ("127.0.0.1", "[::1]:{}", False),
        ("127.0.0.1", "127.0.0.1:0", False),
        ("127.0.0.1", "unix:/nowhere/imapvm", False),
    ],
)
def test_address_that_a_socket_from_systemd_covers_is_not_opened_again(bound, address, covered):
    family = socket.AF_INET6 if ":" in bound else socket.AF_INET
    dual = family == socket.AF_INET6
    with socket.create_server((bound, 0), family=family, dualstack_ipv6=dual) as sock:
        written = address.format(sock.getsockname()[1])
        settings = Settings(filepool=Path("x"), imap=(written,), lmtp=(written,))
        passed = Listeners(imap=[sock])
        assert not_inherited(passed, settings, "imap") == ([] if covered else [written])
        # A socket of another protocol does not cover it.
        assert not_inherited(passed, settings, "lmtp") == [written]


def test_ipv6_socket_from_systemd_covers_no_ipv4_address_if_it_is_for_ipv6_only():
    with socket.create_server(("::", 0), family=socket.AF_INET6) as sock:
        written = f"127.0.0.1:{sock.getsockname()[1]}"
        settings = Settings(filepool=Path("x"), imap=(written,))
        assert not_inherited(Listeners(imap=[sock]), settings, "imap") == [written]


def test_unix_socket_from_systemd_is_not_opened_again(tmp_path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "lmtp"))
        settings = Settings(filepool=Path("x"), lmtp=(f"unix:{tmp_path}/lmtp",))
        assert not_inherited(Listeners(lmtp=[sock]), settings, "lmtp") == []


def test_all_addresses_are_listed():
    listeners = open_listeners(Settings(filepool=Path(), imap=("127.0.0.1:0", "127.0.0.2:0")))
    try:
        ports = [sock.getsockname()[1] for sock in listeners.imap]
        listed = f"127.0.0.1:{ports[0]} 127.0.0.2:{ports[1]}"
        assert listeners.addresses().all == {"imap": listed}
    finally:
        listeners.close()
