"""Listening sockets, opened here or passed by systemd."""

import contextlib
import errno
import os
import socket
import stat
from dataclasses import dataclass, field
from typing import Any, Final

from imapvm.server.settings import Listening, Settings, SettingsError

BACKLOG: Final = 4096
"""Connections waiting to be accepted; the kernel's somaxconn may allow fewer."""
LISTEN_FDS_START: Final = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""
UNIX: Final = "unix:"
KINDS: Final = ("imap", "imaps", "lmtp")


@dataclass(frozen=True, slots=True)
class Listeners:
    """Listening sockets by protocol."""

    imap: list[socket.socket] = field(default_factory=list)
    imaps: list[socket.socket] = field(default_factory=list)
    lmtp: list[socket.socket] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    """Paths of unix sockets opened here."""

    def addresses(self) -> Listening:
        """Return the addresses to connect to."""
        return Listening(
            **{kind: _address(found[0]) for kind in KINDS if (found := getattr(self, kind))},
            all={
                kind: " ".join(_text(_address(sock)) for sock in found)
                for kind in KINDS
                if (found := getattr(self, kind))
            },
        )

    def close_imap(self) -> None:
        """Stop listening for IMAP clients: the kernel refuses new connections."""
        for sock in (*self.imap, *self.imaps):
            sock.close()

    def close(self) -> None:
        """Stop listening; may be called again. No task may be waiting for these sockets."""
        self.close_imap()
        for sock in self.lmtp:
            sock.close()
        while self.paths:
            with contextlib.suppress(OSError):
                os.unlink(self.paths.pop())


def open_listeners(settings: Settings, *, reuse_port: bool = False) -> Listeners:
    """Listen at all addresses of the settings, and on the sockets that systemd passes.

    Args:
        settings: the addresses.
        reuse_port: let other processes listen at the same addresses (SO_REUSEPORT).

    Raises:
        SettingsError: an address is invalid or cannot be bound.
    """
    listeners = Listeners()
    try:
        take_inherited(listeners)
        for kind in KINDS:
            for address in not_inherited(listeners, settings, kind):
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
    """Listen at one address; a name with several addresses (localhost, *) makes several sockets.

    Raises:
        SettingsError: the address is invalid or cannot be bound.
    """
    if address.startswith(UNIX):
        return [_listen_unix(address.removeprefix(UNIX))]
    sockets = bind(address, reuse_port=reuse_port)
    try:
        for sock in sockets:
            sock.listen(BACKLOG)
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise _bind_error(address, error) from error
    return sockets


def bind(address: str, *, reuse_port: bool = False) -> list[socket.socket]:
    """Bind a TCP address without listening; see `listen`.

    Raises:
        SettingsError: the address is invalid or cannot be bound.
    """
    port = parse(address)[1]
    found = _resolve(address)
    sockets: list[socket.socket] = []
    for family, place in found:
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT and len(found) > 1:
                continue  # a machine without IPv6
            raise _bind_error(address, error) from error
        sockets.append(sock)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # With port 0 the second address family gets the port that the first was given.
            sock.bind((place[0], port or sockets[0].getsockname()[1], *place[2:]))
        except OSError as error:
            for opened in sockets:
                opened.close()
            raise _bind_error(address, error) from error
    return sockets


def _resolve(address: str) -> list[tuple[int, tuple[Any, ...]]]:
    """Return family and socket address of each address of a name.

    Raises:
        SettingsError: the address is invalid, or the name is unknown.
    """
    host, port = parse(address)
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise SettingsError(
            f"cannot resolve {address}: {(error.strerror or str(error)).lower()}"
        ) from error
    return list(dict.fromkeys((family, place) for family, _, _, _, place in found))


def parse(address: str) -> tuple[str, int]:
    """Parse `host:port` or `[IPv6 address]:port`; the host `*`, or none, is every address.

    Raises:
        SettingsError: neither form.
    """
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise SettingsError(f"{address}: an IPv6 address needs brackets: [::1]:143")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{address}: not of the form host:port, [address]:port or unix:/path")
    return ("" if host == "*" else host), int(port)


def take_inherited(listeners: Listeners) -> None:
    """Add the sockets that systemd passes.

    Raises:
        SettingsError: the name of a socket is not a protocol.
    """
    for name, sock in inherited_sockets().items():
        kind = name.partition("-")[0]
        if kind not in KINDS:
            raise SettingsError(
                f"unknown FileDescriptorName {name!r} in the systemd socket unit: use imap, imaps"
                " or lmtp"
            )
        getattr(listeners, kind).append(sock)


def not_inherited(inherited: Listeners, settings: Settings, kind: str) -> list[str]:
    """Return the addresses of a protocol that no socket from systemd covers.

    A unit with the port of the default configuration works without a change of the configuration.

    Raises:
        SettingsError: an address is invalid.
    """
    sockets = tuple(getattr(inherited, kind))
    return [address for address in getattr(settings, kind) if not _is_covered(address, sockets)]


def _is_covered(address: str, sockets: tuple[socket.socket, ...]) -> bool:
    """Return True if each address of a name is bound by one of the sockets, or by a wildcard."""
    if not sockets:
        return False
    if address.startswith(UNIX):
        path = address.removeprefix(UNIX)
        return any(s.family == socket.AF_UNIX and s.getsockname() == path for s in sockets)
    return all(
        any(_covers(sock, family, place[0], place[1]) for sock in sockets)
        for family, place in _resolve(address)
    )


def _covers(sock: socket.socket, family: int, host: str, port: int) -> bool:
    """Return True if connections to a resolved address arrive at this socket."""
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    name = sock.getsockname()
    if name[1] != port:
        return False
    if sock.family == family:
        return name[0] in {host, "0.0.0.0", "::"}  # noqa: S104  # compared, not bound
    return name[0] == "::" and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def inherited_sockets() -> dict[str, socket.socket]:
    """Return the sockets from systemd (sd_listen_fds(3)) by name; duplicates get `-1` … .

    The environment variables are removed, so that children do not take the sockets again.
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
        # Owner and group only: LMTP trusts its peer.
        os.chmod(path, 0o660)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _bind_error(UNIX + path, error) from error
    return sock


def _remove_stale(path: str) -> None:
    """Remove the socket of a server that was killed; one that accepts connections stays."""
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


def _text(address: tuple[str, int]) -> str:
    host, port = address
    if not port:
        return UNIX + host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bind_error(address: str, error: OSError) -> SettingsError:
    return SettingsError(f"cannot bind {address}: {(error.strerror or str(error)).lower()}")
