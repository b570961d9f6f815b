import pytest
from tests.clock import Clock
from tests.filepool.direct import START, Direct

from imapvm.filepool.pool import create_filepool, open_filepool


@pytest.fixture
def path(tmp_path):
    create_filepool(tmp_path / "filepool")
    return tmp_path / "filepool"


@pytest.fixture
def clock():
    return Clock(START)


@pytest.fixture
async def pool(path, clock):
    async with open_filepool(path, clock=clock) as pool:
        yield pool
        assert pool.check().findings == ()


@pytest.fixture
async def alice(pool):
    """Store of an account with the default mailboxes."""
    return pool.account(await pool.accounts.enroll("alice", "secret"))


@pytest.fixture
def direct(tmp_path):
    """Filepool with one account; operations are applied without a writer thread."""
    with Direct(tmp_path / "direct") as direct:
        yield direct
