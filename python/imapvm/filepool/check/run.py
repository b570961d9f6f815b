"""Proof of the filepool's invariants, while it is in use; repairs only when told to.

Each environment is looked at in one read transaction, so what others write meanwhile is not seen. A
repair looks and mends in one write transaction instead: nothing else can write until it is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from imapvm.filepool.accounts import Accounts
from imapvm.filepool.check.accounts import AccountsState, inspect_accounts
from imapvm.filepool.check.bodies import inspect_bodies
from imapvm.filepool.check.findings import Finding, Findings
from imapvm.filepool.check.index import inspect_index
from imapvm.filepool.check.journals import inspect_counters, inspect_logs
from imapvm.filepool.check.mailboxes import inspect_mailboxes, inspect_usage
from imapvm.filepool.check.state import read_group
from imapvm.filepool.check.sweep import inspect_sweep
from imapvm.filepool.engine.transactions import LmdbTxn
from imapvm.filepool.group import Group

__all__ = ["CheckReport", "Finding", "check_filepool"]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check has looked at, and what it found."""

    findings: tuple[Finding, ...]
    accounts: int
    mailboxes: int
    messages: int
    bodies: int


def check_filepool(accounts: Accounts, groups: Sequence["Group"], *, repair: bool) -> CheckReport:
    """Check all environments; see `Filepool.check`."""
    found = Findings(accounts.write_txn)
    with accounts.env.begin(write=repair) as txn:
        before = inspect_accounts(txn, accounts.tables, len(groups), found)
        findings = found.repair(txn) if repair else found.report()
    mailboxes = messages = bodies = 0
    for group in groups:
        with group.env.begin(write=repair) as txn:
            # Who is enrolled or deleted while we look is in one state only: that is no finding.
            with accounts.env.begin() as now:
                after = inspect_accounts(
                    now, accounts.tables, len(groups), Findings(accounts.write_txn)
                )
            report = _check_group(txn, group, (before, after), repair=repair)
        findings += report.findings
        mailboxes += report.mailboxes
        messages += report.messages
        bodies += report.bodies
    return CheckReport(tuple(findings), len(before.active), mailboxes, messages, bodies)


def _check_group(
    txn: LmdbTxn,
    group: Group,
    snapshots: tuple[AccountsState, AccountsState],
    *,
    repair: bool,
) -> CheckReport:
    found = Findings(group.write_txn)
    now = int(group.clock())
    state = read_group(txn, group.tables, found)
    inspect_sweep(txn, state, found)
    inspect_usage(state, group.number, snapshots, now, found)
    inspect_index(txn, state, found)
    inspect_mailboxes(txn, state, found)
    inspect_logs(txn, state, found)
    bodies = inspect_bodies(txn, state, now, found)
    inspect_counters(txn, state, found)
    findings = found.repair(txn) if repair else found.report()
    messages = sum(counted.messages for counted in state.counted.values())
    return CheckReport(tuple(findings), 0, len(state.mailboxes), messages, bodies)
