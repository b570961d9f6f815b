"""Names of mailboxes of other users, and their stores."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from imapvm.filepool.access.shared_store import SharedStore
from imapvm.filepool.accounts import Account, Accounts
from imapvm.filepool.group import Group
from imapvm.filepool.reading import Reader
from imapvm.filepool.tables.mailboxes import Mailbox
from imapvm.model.ids import AccountId, MailboxId
from imapvm.model.limits import SHARED_NAMES_MAX
from imapvm.model.names import (
    DELIMITER,
    OTHER_USERS,
    SHARED,
    canonical_name,
)
from imapvm.model.rights import Rights

__all__ = ["Access", "SharedStore"]

GRANTS_READ: Final = 100
"""Rows of `grants` that are read at a time, with the mailboxes: some 2 ms."""


class VisibleMailbox(NamedTuple):
    """Mailbox of another user that LIST shows."""

    store: SharedStore
    mailbox: Mailbox
    readable: bool
    """True if the user may read it."""


class Access:
    """Mailboxes of other users, as one user names them.

        Other Users/NAME/MAILBOX    a mailbox of the user with the login name NAME
        Shared/MAILBOX              a mailbox of the account that the operator has chosen

    A login name with the delimiter in it has no mailboxes here.
    """

    __slots__ = ("_accounts", "_groups", "_me")

    def __init__(self, me: Account, accounts: Accounts, groups: Sequence[Group]) -> None:
        self._me = me
        self._accounts = accounts
        self._groups = groups

    def locate(self, name: str) -> tuple[SharedStore, str]:
        """Return the store of a mailbox of another user, and the name of the mailbox in it.

        The store has no mailboxes if there is no such user; a look-up costs the same.

        Args:
            name: starts with one of SHARED_NAMESPACES.
        """
        owner: Account | None
        if name.startswith(OTHER_USERS):
            user, _, local = name.removeprefix(OTHER_USERS).partition(DELIMITER)
            owner = self._accounts.find(user) if user else None
        else:
            local = name.removeprefix(SHARED)
            owner = self._accounts.shared_account()
        if owner is None:
            self._accounts.by_id(self._me.id)  # as many look-ups as for an account that exists
        if owner is None or owner.id == self._me.id:
            owner = Account(AccountId(0), "", self._me.group, "", 0)
            prefix = name.removesuffix(local)
        else:
            prefix = self._prefix(owner, shared=name.startswith(SHARED))
        return self._store(owner, prefix), canonical_name(local)

    def _prefix(self, owner: Account, *, shared: bool) -> str:
        return SHARED if shared else f"{OTHER_USERS}{owner.name}{DELIMITER}"

    def _store(self, owner: Account, prefix: str) -> SharedStore:
        return SharedStore(owner, self._groups, self._accounts, self._me, prefix)

    # --- LIST ---------------------------------------------------------------------------------

    def visible_names(self) -> Iterator[list[str]]:
        """Yield the names of all mailboxes of others that LIST shows, in batches, in any order.

        At most SHARED_NAMES_MAX names. A batch is read in some milliseconds.
        """
        found = 0
        for batch in self.visible():
            yield [each.mailbox.name for each in batch[: SHARED_NAMES_MAX - found]]
            found += len(batch)
            if found >= SHARED_NAMES_MAX:
                return

    def visible(self) -> Iterator[list[VisibleMailbox]]:
        """Yield all mailboxes of others that LIST shows, in batches, as LIST does.

        A batch is read in some milliseconds.
        """
        shared = self._accounts.shared_account()
        owners: dict[AccountId, SharedStore | None] = {}
        for group in self._groups:
            done: set[MailboxId] = set()
            for grantee in self._accounts.grantees(self._me.id):
                after: bytes | None = b""
                while after is not None:
                    with Reader(group, self._me.id) as reader:
                        grants, after = reader.grants(grantee, after, GRANTS_READ)
                    batch: list[VisibleMailbox] = []
                    for owner, mailboxes in groupby(grants, lambda grant: grant[0]):
                        if owner not in owners:
                            owners[owner] = self._store_of(owner, shared)
                        store = owners[owner]
                        fresh = [each for _, each in mailboxes if each not in done]
                        done.update(fresh)
                        if store is not None:
                            batch.extend(_visible(store, fresh))
                    yield batch

    def _store_of(self, number: AccountId, shared: Account | None) -> SharedStore | None:
        owner = self._accounts.by_id(number)
        if owner is None or number == self._me.id:
            return None
        is_shared = shared is not None and shared.id == number
        if not is_shared and DELIMITER in owner.name:
            return None
        return self._store(owner, self._prefix(owner, shared=is_shared))


def _visible(store: SharedStore, mailboxes: list[MailboxId]) -> Iterator[VisibleMailbox]:
    with store.shared_reading() as reader:
        for mailbox in mailboxes:
            found = reader.visible(mailbox)
            if found is not None:
                readable = Rights.READ in reader.rights(mailbox)
                yield VisibleMailbox(store, found, readable)
