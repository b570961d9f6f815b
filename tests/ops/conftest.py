"""Fixtures that restore the state of the process."""

import logging
import socket

import pytest

from imapvm.ops import audit


@pytest.fixture(autouse=True)
def restored_logging():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.fixture(autouse=True)
def syslog(tmp_path_factory, monkeypatch):
    """Socket that receives the audit lines, instead of the system's."""
    path = str(tmp_path_factory.mktemp("syslog") / "log")
    monkeypatch.setattr(audit, "SYSLOG", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.setblocking(False)
        receiver.bind(path)
        yield receiver
