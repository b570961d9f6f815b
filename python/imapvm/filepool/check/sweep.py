"""Check of the tables `sweep` and `deliveries`: no item that is in use is to expire."""

from imapvm.filepool.check.findings import Findings, delete_row, put_row
from imapvm.filepool.check.state import GroupState
from imapvm.filepool.engine.transactions import LmdbTxn
from imapvm.filepool.operations.deliver import DELIVERY_ID_SECONDS
from imapvm.filepool.tables.messages.bodies import SweepKind
from imapvm.filepool.tables.schema import COUNTER, ID_KEY, SEEN_BLOCK_KEY, SWEEP_KEY
from imapvm.filepool.tables.transactions import GroupTxn


def inspect_sweep(txn: LmdbTxn, state: GroupState, found: Findings[GroupTxn]) -> None:
    """Check the tables `sweep` and `deliveries`."""
    tables = state.tables
    due: dict[bytes, int] = {}
    with txn.cursor(tables.sweep) as cursor:
        for key, _ in cursor:
            when, kind = SWEEP_KEY.unpack_from(key)
            what = key[SWEEP_KEY.size :]
            if kind == SweepKind.DELIVERY:
                due[what] = when
                if txn.get(what, None, tables.deliveries) is None:
                    found.add(
                        "a row of the sweep table is about a delivery that does not exist",
                        delete_row(tables.sweep, key),
                    )
                continue
            size = SEEN_BLOCK_KEY.size if kind == SweepKind.SEEN else ID_KEY.size
            if len(what) != size or kind not in _KINDS:
                found.add(
                    "a row of the sweep table cannot be read",
                    delete_row(tables.sweep, key),
                )
                continue
            if kind == SweepKind.SEEN:
                state.pending_seen.add(SEEN_BLOCK_KEY.unpack(what))
                continue
            (number,) = ID_KEY.unpack(what)
            if kind == SweepKind.MAILBOX:
                state.pending_mailboxes.add(number)
                if number in state.mailboxes:
                    found.add(
                        f"mailbox {number} exists and would be swept",
                        delete_row(tables.sweep, key),
                    )
            elif kind == SweepKind.ACCOUNT:
                state.pending_accounts.add(number)
                if number in state.usages:
                    found.add(
                        f"account {number} exists and would be swept",
                        delete_row(tables.sweep, key),
                    )
            else:
                state.pending_bodies[number] = key
                if txn.get(what, None, tables.references) is not None:
                    found.add(
                        f"body {number} is in use and would be swept",
                        delete_row(tables.sweep, key),
                    )
    with txn.cursor(tables.deliveries) as cursor:
        for key, stored in cursor:
            if key not in due:
                (when,) = COUNTER.unpack(stored)
                row = SWEEP_KEY.pack(when + DELIVERY_ID_SECONDS, SweepKind.DELIVERY) + key
                found.add(
                    "a delivery would never be swept",
                    put_row(tables.sweep, row, b""),
                )


_KINDS = (
    SweepKind.BODY,
    SweepKind.STAGED,
    SweepKind.MAILBOX,
    SweepKind.ACCOUNT,
    SweepKind.SEEN,
)
