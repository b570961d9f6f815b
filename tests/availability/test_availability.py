"""No command or pipeline of one client delays other users' sessions, or takes much memory.

`make availability` prints all measurements as a table.
"""

from collections.abc import Iterator

import pytest
from tests.availability.attacks import ATTACKS, Row, prepare
from tests.availability.results import measured
from tests.availability.table import USERS
from tests.demo import Demo, started

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[0, 1], ids=["one-process", "one-worker"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Demo]:
    directory = tmp_path_factory.mktemp("availability") / "demo"
    with started(directory, *USERS, "--workers", str(request.param)) as server:
        prepare(server)
        yield server


@pytest.mark.parametrize("row", ATTACKS, ids=[row.name for row in ATTACKS])
def test_other_sessions_are_answered_during(server: Demo, row: Row) -> None:
    result = measured(server, row)
    print(result)
    assert not result.failed, result
    assert not result.exceeded, result
