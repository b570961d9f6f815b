"""Check of the environment of accounts: rows, names and addresses agree."""

from dataclasses import dataclass, field

from imapvm.filepool.check.findings import Findings, delete_row, put_row
from imapvm.filepool.engine.transactions import LmdbTxn
from imapvm.filepool.errors import CorruptDataError
from imapvm.filepool.tables.accounts import AccountRow, AccountStatus
from imapvm.filepool.tables.schema import COUNTER, ID_KEY, AccountTables
from imapvm.filepool.tables.transactions import AccountsTxn
from imapvm.model.names import normal_name


@dataclass
class AccountsState:
    """Storage groups of accounts, by account id."""

    active: dict[int, int] = field(default_factory=dict)
    unfinished: dict[int, int] = field(default_factory=dict)
    """Accounts that are being enrolled or deleted."""


def inspect_accounts(
    txn: LmdbTxn,
    tables: AccountTables,
    groups: int,
    found: Findings[AccountsTxn],
) -> AccountsState:
    """Check the environment of accounts."""
    state = AccountsState()
    names: dict[bytes, int] = {}
    highest = 0
    with txn.cursor(tables.accounts) as cursor:
        for key, stored in cursor:
            try:
                row = AccountRow.from_bytes(key, stored)
            except CorruptDataError as error:
                found.add(str(error))
                continue
            account = row.account
            highest = account.id
            active = row.status is AccountStatus.ACTIVE
            (state.active if active else state.unfinished)[account.id] = account.group
            if active == (txn.get(key, None, tables.unfinished) is not None):
                fix = (
                    delete_row(tables.unfinished, key)
                    if active
                    else put_row(tables.unfinished, key, b"")
                )
                listed = "is enrolled and listed" if active else "is neither enrolled nor listed"
                found.add(f"account {account.id} {listed} as unfinished", fix)
            if account.group >= groups:
                found.add(f"account {account.id} is in group {account.group}, which does not exist")
            if row.status is not AccountStatus.DELETED:
                name = normal_name(account.name).encode()
                if name in names:
                    found.add(f"accounts {names[name]} and {account.id} have the same name")
                names[name] = account.id
    _inspect_names(txn, tables, names, found)
    _inspect_aliases(txn, tables, state, found)
    stored_counter = txn.get(b"account", None, tables.counters)
    if highest > (COUNTER.unpack(stored_counter)[0] if stored_counter else 0):
        found.add(
            f"account {highest} has an id that was not allocated",
            put_row(tables.counters, b"account", COUNTER.pack(highest)),
        )
    return state


def _inspect_names(
    txn: LmdbTxn,
    tables: AccountTables,
    names: dict[bytes, int],
    found: Findings[AccountsTxn],
) -> None:
    for name, account in names.items():
        value = COUNTER.pack(account)
        if txn.get(name, None, tables.names) != value:
            found.add(
                f"the name of account {account} does not lead to it",
                put_row(tables.names, name, value),
            )
    with txn.cursor(tables.names) as cursor:
        for name, _ in cursor:
            if name not in names:
                found.add(
                    f"the name {name.decode(errors='replace')} leads to no account",
                    delete_row(tables.names, name),
                )


def _inspect_aliases(
    txn: LmdbTxn,
    tables: AccountTables,
    state: AccountsState,
    found: Findings[AccountsTxn],
) -> None:
    with txn.cursor(tables.aliases) as cursor:
        for address, stored in cursor:
            (account,) = COUNTER.unpack(stored)
            text = address.decode(errors="replace")
            back = ID_KEY.pack(account) + address
            if account not in state.active and account not in state.unfinished:
                found.add(
                    f"the address {text} leads to no account",
                    delete_row(tables.aliases, address),
                )
            elif txn.get(back, None, tables.addresses) is None:
                found.add(
                    f"the address {text} is not listed with account {account}",
                    put_row(tables.addresses, back, b""),
                )
    with txn.cursor(tables.addresses) as cursor:
        for back, _ in cursor:
            value = COUNTER.pack(*ID_KEY.unpack(back[:8]))
            if txn.get(back[8:], None, tables.aliases) != value:
                found.add(
                    f"the address {back[8:].decode(errors='replace')} is listed with an account "
                    "that it does not lead to",
                    delete_row(tables.addresses, back),
                )
