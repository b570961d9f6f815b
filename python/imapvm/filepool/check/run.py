"""Check of all environments, while the filepool is in use, with optional repair.

Each environment is checked in one read transaction, which does not see concurrent changes. A
repair checks in one write transaction instead: nothing else can write until it is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from imapvm._core import Snapshot
from imapvm.filepool.accounts import Accounts
from imapvm.filepool.check.accounts import AccountsState, inspect_accounts
from imapvm.filepool.check.acl import inspect_acls
from imapvm.filepool.check.annotations import inspect_annotations
from imapvm.filepool.check.bodies import inspect_bodies, renew_metadata
from imapvm.filepool.check.findings import Finding, Findings
from imapvm.filepool.check.index import inspect_index
from imapvm.filepool.check.journals import inspect_counters, inspect_logs
from imapvm.filepool.check.mailboxes import inspect_mailboxes, inspect_usage
from imapvm.filepool.check.state import read_group
from imapvm.filepool.check.sweep import inspect_sweep
from imapvm.filepool.engine.transactions import LmdbTxn
from imapvm.filepool.errors import StoreUnavailableError
from imapvm.filepool.group import Group
from imapvm.filepool.reading import ATTEMPTS_MAX

__all__ = ["CheckReport", "Finding", "check_filepool"]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Findings of a check, and numbers of checked items."""

    findings: tuple[Finding, ...]
    accounts: int
    mailboxes: int
    messages: int
    bodies: int
    outdated: int
    """Bodies with metadata of an older version, which is valid; a repair makes it again."""


def check_filepool(accounts: Accounts, groups: Sequence["Group"], *, repair: bool) -> CheckReport:
    """Check all environments; see `Filepool.check`."""
    found = Findings(accounts.write_txn)
    with accounts.env.begin(write=repair) as txn:
        before = inspect_accounts(txn, accounts.tables, len(groups), found)
        findings = found.repair(txn) if repair else found.report()
    mailboxes = messages = bodies = outdated = 0
    for group in groups:
        txn, snapshot = _begin(group, repair=repair)
        with txn:
            # Accounts enrolled or deleted during the check are in one state only: not a finding.
            with accounts.env.begin() as now:
                after = inspect_accounts(
                    now, accounts.tables, len(groups), Findings(accounts.write_txn)
                )
            report = _check_group(txn, snapshot, group, (before, after), repair=repair)
        findings += report.findings
        mailboxes += report.mailboxes
        messages += report.messages
        bodies += report.bodies
        outdated += report.outdated
    return CheckReport(tuple(findings), len(before.active), mailboxes, messages, bodies, outdated)


def _begin(group: Group, *, repair: bool) -> tuple[LmdbTxn, Snapshot]:
    """Begin a transaction; return it with the state that it sees."""
    for _ in range(ATTEMPTS_MAX):
        txn = group.env.begin(write=repair)
        # A write transaction sees the state of the one before.
        snapshot = group.data.snapshot(txn.id() - 1 if repair else txn.id())
        if snapshot is not None:
            return txn, snapshot
        txn.abort()
    raise StoreUnavailableError("cannot check the filepool: too many commits")


def _check_group(
    txn: LmdbTxn,
    snapshot: Snapshot,
    group: Group,
    snapshots: tuple[AccountsState, AccountsState],
    *,
    repair: bool,
) -> CheckReport:
    found = Findings(group.write_txn)
    now = int(group.clock())
    state = read_group(txn, group.tables, snapshot, found)
    inspect_sweep(txn, state, found)
    inspect_usage(state, group.number, snapshots, now, found)
    inspect_index(txn, state, found)
    inspect_mailboxes(txn, state, found)
    inspect_logs(txn, state, found)
    inspect_annotations(txn, state, found)
    inspect_acls(txn, state, found)
    bodies = inspect_bodies(txn, state, now, found)
    inspect_counters(txn, state, found)
    findings = found.repair(txn) if repair else found.report()
    if repair:
        renew_metadata(state, group.write_txn(txn))
    messages = sum(counted.messages for counted in state.counted.values())
    return CheckReport(
        tuple(findings), 0, len(state.mailboxes), messages, bodies, len(state.outdated)
    )
