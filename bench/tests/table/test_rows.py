"""Rows of the table: aims, and valid plans."""

import json

import pytest
from bench.table.rounds import target_of
from bench.table.rows import ROWS, Setting
from bench.table.users import fresh_names
from bench.tests.table.builders import service

from imapvm_bench.load.plan import LoadSpec, plan_json


def test_the_aims_of_all_rows():
    aims = [(row.name, goal) for row in ROWS for goal in row.goals.values()]
    assert [goal for _, goal in aims] == [
        1.3, 2.5, 3, 3, 5, 10, 5, 5, 4, 1.5, 20, 20, 10, 10, 10, 1, 5, 1, 1, 1.2, 5, 1.5, 8, 3, 20,
    ]  # fmt: skip
    assert {name for row in ROWS for name in row.goals} == {"dovecot", "dovecot-always"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.slug)
def test_a_row_is_a_plan(row):
    target = target_of(service("imapvm"), row.users)
    load = LoadSpec(target, row.scenario(Setting("", 3)), connections=row.connections)
    plan = json.loads(plan_json(load))
    assert plan["connections"] == row.connections
    assert plan["mix"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.slug)
def test_mailbox_names_have_the_prefix_of_the_server(row):
    def plan_with(prefix: str) -> str:
        load = LoadSpec(target_of(service("x"), row.users), row.scenario(Setting(prefix, 0)))
        return plan_json(load)

    plain, prefixed = plan_with(""), plan_with("INBOX.")
    for name in ("big", "large", "new"):
        assert plain.replace(f'\\"{name}\\"', f'\\"INBOX.{name}\\"').count("INBOX.") == (
            prefixed.count("INBOX.") if f'\\"{name}\\"' in plain else 0
        )


def test_every_round_has_other_users_that_log_in_once():
    names = fresh_names(rounds=2, seconds=1.0)
    assert len(names) == len(set(names))
    assert {"fresh0-0-1", "fresh1-7-12"} <= set(names)
