import os

import pytest
from tests.intake.fakes import FakePool

from imapvm._core import segment_records
from imapvm.filepool.pool import create_filepool, open_filepool
from imapvm.intake.deliver import Deliverer
from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.intake.spool.directory import SpoolDirectory

NOW = 1_795_400_000.0


@pytest.fixture
def fake():
    return FakePool()


@pytest.fixture
def settings():
    return DeliverySettings(hostname="mail.example.org")


@pytest.fixture
def deliverer(fake, settings):
    return Deliverer(fake, settings, clock=lambda: NOW)


@pytest.fixture
async def pool(tmp_path):
    """Real filepool with ada and bob."""
    create_filepool(tmp_path / "filepool")
    async with open_filepool(tmp_path / "filepool") as pool:
        await pool.accounts.enroll("ada", "secret")
        await pool.accounts.enroll("bob", "secret")
        yield pool
        assert pool.check().findings == ()


@pytest.fixture
def spool(tmp_path):
    """Spool directory without a watcher."""
    directory = SpoolDirectory(tmp_path / "spool")
    directory.close()
    return directory.path


@pytest.fixture
def dropped_at_once(monkeypatch):
    """Submit files without fsync, which takes most of the time of tests about something else."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


def inbox_of(pool, name, mailbox="INBOX"):
    """Return all messages of a mailbox of a real filepool, by UID."""
    store = pool.account(pool.accounts.find(name))
    with store.reading() as reader:
        found = reader.mailbox(mailbox)
        records = [r for s in reader.segments(found) for r in segment_records(s)]
        return [reader.body(r.body, 0, r.size) for r in records]
