"""List, fetch or run a server of the comparison.

python -m bench.peers                     list the servers, with the command that installs each
python -m bench.peers get cyrus           fetch one into var/peers, without installing it
python -m bench.peers dovecot --dir DIR   run one until Ctrl-C
"""

import argparse
import signal
import sys
from pathlib import Path

from bench.peers import PEERS, PeerFailedError, PeerMissingError, Service, peer
from bench.peers.scratch import scratch
from bench.peers.unpacked import UnpackingError


def main() -> int:
    """Run the command line; return the exit code."""
    options = argparse.ArgumentParser(
        prog="python -m bench.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("what", nargs="?", metavar="NAME", help="a server, or `get`")
    options.add_argument("names", nargs="*", metavar="NAME", help="after `get`: servers to fetch")
    options.add_argument(
        "--dir", type=Path, help="directory of the server (default: a temporary one)"
    )
    options.add_argument("--users", type=int, default=10, help="user1 … userN (default: 10)")
    options.add_argument(
        "--password", default="secret", help="password of each user (default: %(default)s)"
    )
    chosen = options.parse_args()
    try:
        if chosen.what is None:
            _list()
        elif chosen.what == "get":
            for name in chosen.names or [each.name for each in PEERS.values() if each.get]:
                peer(name).get_ready()
        else:
            _serve(chosen)
    except KeyError as unknown:
        options.error(f"unknown server {unknown}: use {', '.join(PEERS)}")
    except PeerMissingError as missing:
        print(f"{chosen.what} is not installed: {missing}", file=sys.stderr)
        return 1
    except (PeerFailedError, UnpackingError) as error:
        print(f"{chosen.what}: {error}", file=sys.stderr)
        return 1
    return 0


def _list() -> None:
    for each in PEERS.values():
        command = each.missing()
        state = "installed" if command is None else f"not installed: {command}"
        print(f"{each.name:18} {each.about:42} {state}")


def _serve(chosen: argparse.Namespace) -> None:
    server = peer(chosen.what)
    users = {f"user{n}": chosen.password for n in range(1, chosen.users + 1)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with scratch(chosen.dir) as base, server.running(base, users) as service:
        _print_service(service, users)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("stopping")


def _print_service(service: Service, users: dict[str, str]) -> None:
    first, password = next(iter(users.items()))
    print(f"{service.version} serves users {first} … user{len(users)}, password {password}")
    for kind in ("imap", "imaps", "lmtp"):
        address = getattr(service, kind)
        if address is not None:
            print(f"{kind}={address[0]}:{address[1]}")
    print(f"pid={service.pid}")
    for kind in ("fsync", "passwords", "settings"):
        print(f"{kind}: {getattr(service, kind)}")
    print("ready", flush=True)


if __name__ == "__main__":
    sys.exit(main())
