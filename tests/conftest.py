"""Hypothesis profiles (fixed examples, or many new ones for `make soak`), and shared fixtures."""

import os
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trustme
from hypothesis import settings

from imapvm.ops.config.file import Config
from imapvm.server.net.reactor import Reactor

# No deadlines: the machine may be busy with other tests, and time is measured in bench/.
settings.register_profile("usual", derandomize=True, deadline=None)
settings.register_profile("soak", max_examples=10_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))

# A process started in the background by a shell ignores SIGINT, and its children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_spool_of_the_system() -> Iterator[None]:
    """Fail if a server of a test has used the default spool, which is that of the machine."""
    spool = Path(Config().spool)
    existed = spool.exists()
    yield
    assert spool.exists() == existed, (
        f"a test has created {spool}; set `spool` in its configuration"
    )


@pytest.fixture
async def reactor(nursery: trio.Nursery) -> Reactor:
    reactor = Reactor()
    await nursery.start(reactor.run)
    return reactor


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def tls_server_files(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Certificate chain and key of imap.example.org."""
    issued = authority.issue_cert("imap.example.org")
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = directory / "cert.pem", directory / "key.pem"
    issued.private_key_pem.write_to_path(key)
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return certificate, key


@pytest.fixture
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
