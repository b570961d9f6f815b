r"""Clients with and without CONDSTORE, QRESYNC, UIDONLY, CONTEXT, NOTIFY and IMAP4rev2.

After each command, its responses and the client's mailbox are compared with a model, and what was
pushed to the clients in IDLE, and between commands after NOTIFY.

MIXED_EXAMPLES, 300 by default, is the number of long examples; `make soak-clients` sets it.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from tests.commands.mixed.rules.notifications import NotificationRules

EXAMPLES = int(os.environ.get("MIXED_EXAMPLES", "300"))

quick = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


class MixedClients(NotificationRules):
    pass


MixedClients.TestCase.settings = quick
TestMixedClients = MixedClients.TestCase


class ManyMixedClients(NotificationRules):
    pass


ManyMixedClients.TestCase.settings = settings(quick, max_examples=EXAMPLES, stateful_step_count=50)
TestManyMixedClients = pytest.mark.slow(ManyMixedClients.TestCase)
