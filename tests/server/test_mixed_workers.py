"""Mixed clients on a server of two workers: each step is seen by the sessions of the other one.

MIXED_SEED, 0 by default, is the seed of the commands; it is printed. MIXED_RUNS, 4 by default, is
the number of runs of 100 commands each, with a server of its own; `make soak-clients` sets it.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.commands.mixed.machine import USERS
from tests.commands.mixed.rules.notifications import NotificationRules
from tests.server.mixed_backend import WorkersBackend

SEED = int(os.environ.get("MIXED_SEED", "0"))
RUNS = int(os.environ.get("MIXED_RUNS", "4"))


class MixedClientsOfWorkers(NotificationRules):
    def start_backend(self) -> WorkersBackend:
        return WorkersBackend(USERS, workers=2)


@pytest.mark.slow
def test_mixed_clients_of_two_workers():
    print(f"MIXED_SEED={SEED}")
    run_state_machine_as_test(
        seed(SEED)(MixedClientsOfWorkers),
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=100,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # a run takes seconds, and each starts a server
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
