"""Operations on groups of users, and the choice of the account below `Shared/`."""

import unicodedata
from typing import Final

from imapvm.filepool.errors import AccountExistsError, InvalidNameError, LimitError
from imapvm.filepool.tables.accounts import AccountRow, AccountStatus
from imapvm.filepool.tables.schema import COUNTER, ID_KEY, MEMBER_KEY, SHARED_ACCOUNT
from imapvm.filepool.tables.transactions import AccountsTxn
from imapvm.filepool.tables.user_groups import (
    BY_ACCOUNT,
    BY_GROUP,
    ID,
    group_name_key,
    member_keys,
)
from imapvm.model.ids import AccountId
from imapvm.model.limits import GROUP_NAME_MAX, GROUPS_PER_USER_MAX
from imapvm.model.values import frozen

MEMBERS_PER_STEP: Final = 1_000
"""Members of a deleted group that are removed in one transaction, in some 5 ms."""


@frozen
class AddUserGroup:
    """Creation of a group without members; the result is its id."""

    name: str

    def apply(self, txn: AccountsTxn) -> int:
        name = self.name
        if not name or any(unicodedata.category(char)[0] in "CZ" for char in name):
            raise InvalidNameError("a group name must not be empty or have spaces or controls")
        key = group_name_key(name)
        if max(len(name.encode()), len(key) - 1) > GROUP_NAME_MAX:
            raise InvalidNameError(f"a group name has at most {GROUP_NAME_MAX} bytes")
        if txn.get(key, txn.tables.groups) is not None:
            raise AccountExistsError(f"group {name} already exists")
        number = txn.allocate(b"group")
        txn.put(key, COUNTER.pack(number), txn.tables.groups)
        txn.put(ID + ID_KEY.pack(number), name.encode(), txn.tables.groups)
        return number


@frozen
class RemoveMembers:
    """Removal of the members of a group, MEMBERS_PER_STEP at a time; False if there are more."""

    group: int

    def apply(self, txn: AccountsTxn) -> bool:
        tables = txn.tables
        found = txn.keys(tables.members, BY_GROUP + ID_KEY.pack(self.group), MEMBERS_PER_STEP)
        for member in found:
            _, group, account = MEMBER_KEY.unpack(member)
            for each in member_keys(group, account):
                txn.delete(each, tables.members)
        return len(found) < MEMBERS_PER_STEP


@frozen
class RemoveUserGroup:
    """Deletion of a group, with members that were added meanwhile; its id is never used again."""

    group: int

    def apply(self, txn: AccountsTxn) -> None:
        RemoveMembers(self.group).apply(txn)
        tables = txn.tables
        key = ID + ID_KEY.pack(self.group)
        name = txn.get(key, tables.groups)
        if name is not None:
            txn.delete(group_name_key(name.decode()), tables.groups)
            txn.delete(key, tables.groups)


@frozen
class SetMember:
    """Addition of a user to a group, or removal."""

    group: int
    account: AccountId
    member: bool

    def apply(self, txn: AccountsTxn) -> None:
        tables = txn.tables
        keys = member_keys(self.group, self.account)
        if not self.member:
            for key in keys:
                txn.delete(key, tables.members)
            return
        of_account = BY_ACCOUNT + ID_KEY.pack(self.account)
        found = txn.keys(tables.members, of_account, GROUPS_PER_USER_MAX)
        if keys[1] not in found and len(found) == GROUPS_PER_USER_MAX:
            raise LimitError(f"a user is in at most {GROUPS_PER_USER_MAX} groups")
        for key in keys:
            txn.put(key, b"", tables.members)


@frozen
class SetSharedAccount:
    """Choice of the account whose mailboxes are below `Shared/`; None for none."""

    account: AccountId | None

    def apply(self, txn: AccountsTxn) -> None:
        if self.account is None:
            txn.delete(SHARED_ACCOUNT, txn.tables.counters)
            return
        stored = txn.get(ID_KEY.pack(self.account), txn.tables.accounts)
        row = AccountRow.from_bytes(ID_KEY.pack(self.account), stored) if stored else None
        if row is not None and row.status is AccountStatus.ACTIVE:
            txn.put(SHARED_ACCOUNT, COUNTER.pack(self.account), txn.tables.counters)


def forget_memberships(txn: AccountsTxn, account: AccountId) -> None:
    """Remove a deleted account from all groups, and from `Shared/`."""
    tables = txn.tables
    for key in txn.keys(tables.members, BY_ACCOUNT + ID_KEY.pack(account), GROUPS_PER_USER_MAX):
        _, _, group = MEMBER_KEY.unpack(key)
        for each in member_keys(group, account):
            txn.delete(each, tables.members)
    if txn.get(SHARED_ACCOUNT, tables.counters) == COUNTER.pack(account):
        txn.delete(SHARED_ACCOUNT, tables.counters)
