"""Listening sockets: from the configuration, or handed over by systemd."""

import contextlib
import errno
import os
import socket
import stat
from dataclasses import dataclass, field
from typing import Final

from imapvm.server.settings import Listening, Settings, SettingsError

BACKLOG: Final = 4096
"""Connections that may wait to be accepted; the kernel's somaxconn may allow fewer."""
LISTEN_FDS_START: Final = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""
UNIX: Final = "unix:"
KINDS: Final = ("imap", "imaps", "lmtp")


@dataclass(frozen=True, slots=True)
class Listeners:
    """Sockets that listen, by what is spoken there."""

    imap: list[socket.socket] = field(default_factory=list)
    imaps: list[socket.socket] = field(default_factory=list)
    lmtp: list[socket.socket] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    """Names of unix sockets that were made here."""

    def addresses(self) -> Listening:
        """Addresses for whoever wants to connect."""
        return Listening(
            **{kind: _address(found[0]) for kind in KINDS if (found := getattr(self, kind))}
        )

    def close_imap(self) -> None:
        """Stop listening for clients: who comes now is refused by the kernel, and asks again."""
        for sock in (*self.imap, *self.imaps):
            sock.close()

    def close(self) -> None:
        """Stop listening; may be called again. Nobody may be waiting for these sockets."""
        self.close_imap()
        for sock in self.lmtp:
            sock.close()
        while self.paths:
            with contextlib.suppress(OSError):
                os.unlink(self.paths.pop())


def open_listeners(settings: Settings, *, reuse_port: bool = False) -> Listeners:
    """Listen at all addresses of the settings, and take what systemd hands over.

    Args:
        settings: says where.
        reuse_port: let other processes listen at the same addresses (SO_REUSEPORT).

    Raises:
        SettingsError: an address is none, or cannot be had.
    """
    listeners = Listeners()
    try:
        take_inherited(listeners)
        for kind in KINDS:
            for address in getattr(settings, kind):
                getattr(listeners, kind).extend(listen(address, reuse_port=reuse_port))
                if address.startswith(UNIX):
                    listeners.paths.append(address.removeprefix(UNIX))
    except BaseException:
        listeners.close()
        raise
    if listeners.imaps and settings.certificate is None:
        listeners.close()
        raise SettingsError("imaps needs a certificate and a key")
    return listeners


def listen(address: str, *, reuse_port: bool = False) -> list[socket.socket]:
    """Listen at one address; a name with several (localhost, *) makes several sockets.

    Raises:
        SettingsError: it is no address, or cannot be had.
    """
    if address.startswith(UNIX):
        return [_listen_unix(address.removeprefix(UNIX))]
    sockets = bind(address, reuse_port=reuse_port)
    try:
        for sock in sockets:
            sock.listen(BACKLOG)
    except OSError as fault:
        for sock in sockets:
            sock.close()
        raise _refused(address, fault) from fault
    return sockets


def bind(address: str, *, reuse_port: bool = False) -> list[socket.socket]:
    """Have a TCP address, without listening yet; see `listen`.

    Raises:
        SettingsError: it is no address, or cannot be had.
    """
    host, port = parse(address)
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as fault:
        raise SettingsError(f"{address}: {(fault.strerror or str(fault)).lower()}") from fault
    sockets: list[socket.socket] = []
    for family, kind, protocol, _, place in dict.fromkeys(found):
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as fault:
            if fault.errno == errno.EAFNOSUPPORT and len(found) > 1:
                continue  # a machine without IPv6
            raise _refused(address, fault) from fault
        sockets.append(sock)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # The second family of a name gets the free port that the first was given.
            sock.bind((place[0], port or sockets[0].getsockname()[1], *place[2:]))
        except OSError as fault:
            for each in sockets:
                each.close()
            raise _refused(address, fault) from fault
    return sockets


def parse(address: str) -> tuple[str, int]:
    """Read `host:port` or `[IPv6 address]:port`; the host `*`, or none, is every address.

    Raises:
        SettingsError: it is neither.
    """
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise SettingsError(f"{address}: an IPv6 address stands in brackets: [::1]:143")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{address}: not of the form host:port, [address]:port or unix:/path")
    return ("" if host == "*" else host), int(port)


def take_inherited(listeners: Listeners) -> None:
    """Add what systemd hands over.

    Raises:
        SettingsError: a socket has a name that says nothing.
    """
    for kind, sock in inherited_sockets().items():
        spoken = next((name for name in KINDS if kind.partition("-")[0] == name), None)
        if spoken is None:
            raise SettingsError(
                f"systemd hands over a socket named {kind!r}; imap, imaps and lmtp are known"
            )
        getattr(listeners, spoken).append(sock)


def inherited_sockets() -> dict[str, socket.socket]:
    """Sockets from systemd (sd_listen_fds(3)), by name; a second of the same name gets `-1` … .

    They are taken once: children of ours do not take them again.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    del os.environ["LISTEN_PID"]
    sockets: dict[str, socket.socket] = {}
    for number in range(count):
        name = names[number] if number < len(names) else "unknown"
        sock = socket.socket(fileno=LISTEN_FDS_START + number)
        sock.set_inheritable(False)  # positional only
        key = name if name not in sockets else f"{name}-{number}"
        sockets[key] = sock
    return sockets


def _listen_unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        sock.bind(path)
        # The owner and the group: LMTP believes its peer, so not everybody is one.
        os.chmod(path, 0o660)
        sock.listen(BACKLOG)
    except OSError as fault:
        sock.close()
        raise _refused(UNIX + path, fault) from fault
    return sock


def _remove_stale(path: str) -> None:
    """Take away what a server that was killed has left; one that answers keeps its name."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)


def _address(sock: socket.socket) -> tuple[str, int]:
    name = sock.getsockname()
    return (name, 0) if sock.family == socket.AF_UNIX else (name[0], name[1])


def _refused(address: str, fault: OSError) -> SettingsError:
    return SettingsError(f"cannot listen at {address}: {(fault.strerror or str(fault)).lower()}")
