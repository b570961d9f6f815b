"""Operations on the environment of accounts."""

import unicodedata

from imapvm.filepool.errors import (
    AccountExistsError,
    InvalidNameError,
    LimitError,
    NoSuchAccountError,
)
from imapvm.filepool.operations.user_groups import forget_memberships
from imapvm.filepool.tables.accounts import Account, AccountRow, AccountStatus
from imapvm.filepool.tables.schema import COUNTER, ID_KEY, LOGIN_EPOCH
from imapvm.filepool.tables.transactions import AccountsTxn
from imapvm.model.ids import AccountId
from imapvm.model.limits import ACCOUNT_NAME_MAX, ADDRESS_MAX, CREDENTIAL_MAX
from imapvm.model.names import normal_name
from imapvm.model.values import frozen


def _checked(text: str, what: str, limit: int) -> str:
    """Return a name or an address if it is valid.

    Raises:
        InvalidNameError: it is empty, too long, or has spaces or control characters.
    """
    if not text:
        raise InvalidNameError(f"{what} must not be empty")
    if any(unicodedata.category(char)[0] in "CZ" for char in text):
        raise InvalidNameError(f"{what} must not contain spaces or control characters")
    if len(text.encode()) > limit or len(normal_name(text).encode()) > limit:
        raise InvalidNameError(f"{what} has at most {limit} bytes")
    return text


def _check_credential(credential: str) -> None:
    if len(credential.encode()) > CREDENTIAL_MAX:
        raise LimitError(f"a credential has at most {CREDENTIAL_MAX} bytes")


# --- operations -------------------------------------------------------------------------------


def _row(txn: AccountsTxn, number: AccountId, *, active: bool = True) -> AccountRow:
    """Return an account's row.

    Raises:
        NoSuchAccountError: there is no row, or it has to be active and is not.
    """
    key = ID_KEY.pack(number)
    stored = txn.get(key, txn.tables.accounts)
    row = AccountRow.from_bytes(key, stored) if stored else None
    if row is None or (active and row.status is not AccountStatus.ACTIVE):
        raise NoSuchAccountError("account does not exist")
    return row


def _put(txn: AccountsTxn, row: AccountRow) -> None:
    txn.put(ID_KEY.pack(row.account.id), bytes(row), txn.tables.accounts)


def _check_free(txn: AccountsTxn, text: str) -> None:
    """Check that a new login name or alias is neither a login name nor an alias.

    One address resolves to one account: an alias takes precedence over a login name, so an alias
    equal to a login name would redirect the mail of that user.

    Raises:
        AccountExistsError: it is in use; names the user.
    """
    key = normal_name(text).encode()
    if txn.get(key, txn.tables.names) is not None:
        raise AccountExistsError(f"user {text} already exists")
    if (stored := txn.get(key, txn.tables.aliases)) is not None:
        owner = _row(txn, AccountId(*COUNTER.unpack(stored)), active=False).account.name
        raise AccountExistsError(
            f"{text} is an alias of user {owner}; to remove it: imapvm user alias remove {text}"
        )


@frozen
class ReserveAccount:
    """Allocation of an account id and a name; the account cannot be found yet."""

    name: str
    credential: str
    groups: int
    now: int

    def apply(self, txn: AccountsTxn) -> Account:
        _checked(self.name, "a user name", ACCOUNT_NAME_MAX)
        _check_credential(self.credential)
        key = normal_name(self.name).encode()
        _check_free(txn, self.name)
        number = AccountId(txn.allocate(b"account"))
        group = (number - 1) % self.groups
        account = Account(number, self.name, group, self.credential, self.now)
        txn.put(key, COUNTER.pack(number), txn.tables.names)
        txn.put(ID_KEY.pack(number), b"", txn.tables.unfinished)
        _put(txn, AccountRow(account, AccountStatus.ENROLLING))
        return account


@frozen
class ActivateAccount:
    """Activation of an account whose mailboxes exist, so that it can be found."""

    account: AccountId

    def apply(self, txn: AccountsTxn) -> None:
        row = _row(txn, self.account, active=False)
        if row.status is AccountStatus.ENROLLING:
            row.status = AccountStatus.ACTIVE
            _put(txn, row)
            txn.delete(ID_KEY.pack(self.account), txn.tables.unfinished)


@frozen
class MarkDeleted:
    """First step of a deletion: the account cannot be found, its name and addresses are free.

    It is in no group of users, and rights that were granted to it have no effect.
    """

    account: AccountId

    def apply(self, txn: AccountsTxn) -> Account:
        row = _row(txn, self.account, active=False)
        tables = txn.tables
        if row.status is not AccountStatus.DELETED:
            txn.delete(normal_name(row.account.name).encode(), tables.names)
            for key, _ in list(txn.items(tables.addresses, ID_KEY.pack(self.account))):
                txn.delete(key, tables.addresses)
                txn.delete(key[8:], tables.aliases)
            forget_memberships(txn, self.account)
            row.status = AccountStatus.DELETED
            _put(txn, row)
            txn.put(ID_KEY.pack(self.account), b"", tables.unfinished)
        return row.account


@frozen
class ForgetAccount:
    """Last step of a deletion: the row of an account whose mail has been removed."""

    account: AccountId

    def apply(self, txn: AccountsTxn) -> None:
        txn.delete(ID_KEY.pack(self.account), txn.tables.accounts)
        txn.delete(ID_KEY.pack(self.account), txn.tables.unfinished)
        txn.delete(LOGIN_EPOCH + ID_KEY.pack(self.account), txn.tables.counters)


@frozen
class RenameAccount:
    """Change of the login name of an account."""

    account: AccountId
    to: str

    def apply(self, txn: AccountsTxn) -> None:
        row = _row(txn, self.account)
        _checked(self.to, "a user name", ACCOUNT_NAME_MAX)
        old, new = normal_name(row.account.name).encode(), normal_name(self.to).encode()
        if old != new:
            _check_free(txn, self.to)
            txn.delete(old, txn.tables.names)
            txn.put(new, COUNTER.pack(self.account), txn.tables.names)
        found = row.account
        row.account = Account(found.id, self.to, found.group, found.credential, found.created)
        _put(txn, row)


@frozen
class SetCredential:
    """Change of the credential of an account. Ends its sessions by a new login epoch."""

    account: AccountId
    credential: str
    keep_sessions: bool

    def apply(self, txn: AccountsTxn) -> None:
        row = _row(txn, self.account)
        _check_credential(self.credential)
        found = row.account
        row.account = Account(found.id, found.name, found.group, self.credential, found.created)
        _put(txn, row)
        if not self.keep_sessions:
            key = LOGIN_EPOCH + ID_KEY.pack(self.account)
            (epoch,) = COUNTER.unpack(txn.get(key, txn.tables.counters) or bytes(COUNTER.size))
            txn.put(key, COUNTER.pack(epoch + 1), txn.tables.counters)


@frozen
class AddAlias:
    """Addition of an address to an account."""

    account: AccountId
    address: str

    def apply(self, txn: AccountsTxn) -> None:
        _row(txn, self.account)
        key = normal_name(_checked(self.address, "an address", ADDRESS_MAX)).encode()
        value = COUNTER.pack(self.account)
        if txn.get(key, txn.tables.aliases) == value:
            return
        _check_free(txn, self.address)
        txn.put(key, value, txn.tables.aliases)
        txn.put(ID_KEY.pack(self.account) + key, b"", txn.tables.addresses)


@frozen
class RemoveAlias:
    """Removal of an address from its account."""

    address: str

    def apply(self, txn: AccountsTxn) -> None:
        key = normal_name(_checked(self.address, "an address", ADDRESS_MAX)).encode()
        stored = txn.get(key, txn.tables.aliases)
        if stored is not None:
            txn.delete(key, txn.tables.aliases)
            txn.delete(ID_KEY.pack(*COUNTER.unpack(stored)) + key, txn.tables.addresses)
