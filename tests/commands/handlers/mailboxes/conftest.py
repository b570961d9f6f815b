"""Fixtures for tests with several users."""

import pytest

from imapvm.filepool.pool import create_filepool, open_filepool


@pytest.fixture
async def pool(tmp_path):
    create_filepool(tmp_path / "filepool", groups=2)
    async with open_filepool(tmp_path / "filepool", clock=lambda: 1_800_000_000) as pool:
        yield pool
        assert pool.check().findings == ()
