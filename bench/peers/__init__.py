"""Servers of the comparison. Each runs on loopback, on free ports, in its own directory.

    with peer("dovecot").running(directory, {"ada": "secret"}) as service:
        imaplib.IMAP4(*service.imap)

From the command line: `python -m bench.peers`. Loads and measurements are in `bench.table`.
"""

import functools
from typing import Final

from bench.peers import courier, cyrus, dovecot, imapvm, pymap
from bench.peers.peer import Peer, PeerFailedError, PeerMissingError, Service, Users

__all__ = ["PEERS", "Peer", "PeerFailedError", "PeerMissingError", "Service", "Users", "peer"]


def _imapvm(name: str, workers: int) -> Peer:
    about = f"imapvm with workers = {workers}"
    running = functools.partial(imapvm.running, workers=workers, name=name)
    return Peer(name, about, imapvm.missing, running)


def _dovecot(
    name: str,
    about: str,
    *,
    fsync: str = "optimized",
    hibernate: bool = False,
    compress: bool = False,
) -> Peer:
    running = functools.partial(
        dovecot.running, fsync=fsync, hibernate=hibernate, compress=compress, name=name
    )
    return Peer(name, about, dovecot.missing, running)


PEERS: Final = {
    each.name: each
    for each in (
        _imapvm("imapvm", 0),
        _imapvm("imapvm-1", 1),
        _imapvm("imapvm-2", 2),
        _dovecot("dovecot", "Debian's Dovecot, mail_fsync = optimized"),
        _dovecot("dovecot-always", "the same, mail_fsync = always", fsync="always"),
        _dovecot("dovecot-hibernate", "the same, idle connections hibernate", hibernate=True),
        _dovecot("dovecot-compress", "the same, with COMPRESS", compress=True),
        Peer("cyrus", "Debian's Cyrus", cyrus.missing, cyrus.running, cyrus.get),
        Peer("courier", "Debian's Courier", courier.missing, courier.running, courier.get),
        Peer("pymap", "PyPI's pymap", pymap.missing, pymap.running, pymap.get),
    )
}
"""Servers by name, in display order."""


def peer(name: str) -> Peer:
    """Return a server by its name; `imapvm-N` has N workers, for any N.

    Raises:
        KeyError: unknown name.
    """
    stem, _, workers = name.partition("-")
    if stem == "imapvm" and workers.isdecimal():
        return _imapvm(name, int(workers))
    return PEERS[name]
