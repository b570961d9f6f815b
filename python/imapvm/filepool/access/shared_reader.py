r"""Read transaction of a user on the mailboxes of another.

A mailbox without the right `l` looks as if it did not exist: the same look-ups are made, with the
same result. Names are those of the user, special uses are the owner's and are left out, and no
message is \Recent: a claim would take it from the owner.
"""

from typing import Final, Protocol, Self

from imapvm._core import UidSet, segment_seen_by_reader
from imapvm.filepool.errors import PermissionDeniedError
from imapvm.filepool.group import Group
from imapvm.filepool.operations.mailboxes.acl import DENIED
from imapvm.filepool.operations.mailboxes.shared import SharedUser
from imapvm.filepool.reading import Name, Reader
from imapvm.filepool.tables.acl import has_shared_seen, rights_of
from imapvm.filepool.tables.mailboxes import Mailbox
from imapvm.filepool.tables.schema import NAME_ROW, name_key
from imapvm.filepool.tables.seen import seen_prefix, union_of
from imapvm.model.ids import AccountId, MailboxId, Uid
from imapvm.model.names import DELIMITER, canonical_name
from imapvm.model.rights import ANNOTATION_RIGHTS, ANY_RIGHT, Rights

CHILDREN_EXAMINED: Final = 500
"""Names below a mailbox that are examined for one that the user can see, in some 2 ms."""


class SharedView(Protocol):
    """State of a `SharedStore` that its readers use."""

    user: SharedUser
    prefix: str
    """In front of the owner's names."""
    id_bits: int
    """In ids of messages and threads, which are unique in a storage group only."""
    accounts_txn_id: int
    """Transaction of the accounts in which the user's groups were read."""
    seen: tuple[MailboxId, int, UidSet] | None
    r"""Private \Seen as last read: mailbox, its MODSEQ, messages."""

    def is_subscribed(self, name: str) -> bool:
        """Return True if the user has subscribed a name."""


class SharedReader(Reader):
    """Read transaction on the mailboxes that a user can see; see `Reader`."""

    __slots__ = ("_view", "id_bits")

    def __init__(self, group: Group, owner: AccountId, view: SharedView) -> None:
        super().__init__(group, owner)
        self._view = view
        self.id_bits = view.id_bits

    def __enter__(self) -> Self:
        super().__enter__()
        self.txn_id = joined_txn_id(self.txn_id, self._view.accounts_txn_id)
        return self

    # --- rights -------------------------------------------------------------------------------

    def rights(self, mailbox: int) -> Rights:
        """Return the rights of the user."""
        return rights_of(self._acl, mailbox, self._view.user.grantees)

    def _acl(self, key: bytes) -> bytes | None:
        return self._txn.get(key, None, self._tables.acl)

    def find(self, name: str, needed: Rights) -> Mailbox | None:
        """Return the mailbox with a name, or None if it does not exist or cannot be seen.

        Raises:
            PermissionDeniedError: the user can see it, and has not all of the needed rights.
        """
        mailbox = super().mailbox_id(name) or MailboxId(0)
        rights = self.rights(mailbox)  # also without a mailbox: as many look-ups
        if needed & ~rights:
            if mailbox and Rights.LOOKUP in rights:
                raise PermissionDeniedError(DENIED)
            return None
        return self._shown(mailbox) if rights & ANY_RIGHT else None

    def target_id(self, name: str) -> MailboxId | None:
        """Return the id of a mailbox to append to, or None; `i` is needed."""
        found = self.find(canonical_name(name), Rights.INSERT)
        return None if found is None else found.id

    def require(self, mailbox: MailboxId, needed: Rights) -> None:
        """Check that the user has some rights on a mailbox that the user can read.

        Raises:
            PermissionDeniedError: one is missing.
        """
        if needed & ~self.rights(mailbox):
            raise PermissionDeniedError(DENIED)

    def mailbox_by_id(self, mailbox: MailboxId) -> Mailbox | None:
        """Return a mailbox that the user can read, or None."""
        return self._shown(mailbox) if Rights.READ in self.rights(mailbox) else None

    def mailbox_id(self, name: str) -> MailboxId | None:
        """Return the id of a mailbox that the user can read, or None."""
        mailbox = super().mailbox_id(name)
        return mailbox if Rights.READ in self.rights(mailbox or 0) else None

    def visible(self, mailbox: MailboxId) -> Mailbox | None:
        """Return a mailbox that LIST shows, or None."""
        return self._shown(mailbox) if Rights.LOOKUP in self.rights(mailbox) else None

    def annotated(self, mailbox: MailboxId) -> Mailbox | None:
        """Return a mailbox whose annotations the user may read and set, or None.

        Raises:
            PermissionDeniedError: the user has only the right `l` (RFC 5464 section 3.3).
        """
        rights = self.rights(mailbox)
        if Rights.LOOKUP not in rights:
            return None
        if not rights & ANNOTATION_RIGHTS:
            raise PermissionDeniedError(DENIED)
        return self._shown(mailbox)

    def _shown(self, mailbox: MailboxId) -> Mailbox | None:
        found = super().mailbox_by_id(mailbox)
        if found is None:
            return None
        return found._replace(
            name=self._view.prefix + found.name,
            special_use=(),
            recent_from=found.uid_next,
            shared_by=self._account,
        )

    # --- names --------------------------------------------------------------------------------

    def has_name(self, name: str) -> bool:
        """Return True if the user can see a mailbox with a canonical name."""
        mailbox = super().mailbox_id(name) or 0
        return Rights.LOOKUP in self.rights(mailbox)

    def is_in_use(self, name: str) -> bool:
        """Return True if the user can see a mailbox with a canonical name.

        Names below it are not read: the time would depend on mailboxes that cannot be seen.
        """
        return self.has_name(name)

    def mailboxes(self) -> list[Mailbox]:
        """Return no mailbox: `Access` lists them."""
        return []

    def names(self, after: str, limit: int) -> list[Name]:
        """Return no name: `Access` lists them."""
        return []

    def subscriptions(self) -> set[str]:
        """Return no name: subscriptions are in the user's own account."""
        return set()

    def is_subscribed(self, name: str) -> bool:
        """Return True if the user has subscribed a name."""
        return self._view.is_subscribed(name)

    def has_children(self, name: str) -> bool:
        """Return True if the user can see one of the first CHILDREN_EXAMINED names below a name."""
        local = name.removeprefix(self._view.prefix)
        prefix = name_key(self._account, local + DELIMITER)
        if len(prefix) >= 512:
            return False
        with self._txn.cursor(self._tables.names) as cursor:
            found = cursor.set_range(prefix)
            for _ in range(CHILDREN_EXAMINED):
                if not found or not cursor.key().startswith(prefix):
                    break
                mailbox, _ = NAME_ROW.unpack(cursor.value())
                if mailbox and Rights.LOOKUP in self.rights(mailbox):
                    return True
                found = cursor.next()
        return False

    # --- \Seen --------------------------------------------------------------------------------

    def private_seen(self, mailbox: Mailbox) -> UidSet | None:
        r"""Return the messages with the reader's own \Seen; None if \Seen is shared."""
        if has_shared_seen(self._acl, mailbox.id):
            return None
        view = self._view
        known = view.seen
        if known is not None and known[:2] == (mailbox.id, mailbox.highest_modseq):
            return known[2]
        prefix = seen_prefix(mailbox.id, view.user.account)
        rows: list[tuple[bytes, bytes]] = []
        with self._txn.cursor(self._tables.seen) as cursor:
            if cursor.set_range(prefix):
                for key, stored in cursor:
                    if not key.startswith(prefix):
                        break
                    rows.append((key, stored))
        seen = union_of(rows)
        view.seen = (mailbox.id, mailbox.highest_modseq, seen)
        return seen

    def seen_of(self, mailbox: Mailbox) -> AccountId | None:
        r"""Return the account whose \Seen the user has; None if it is that of all accounts."""
        return None if has_shared_seen(self._acl, mailbox.id) else self._view.user.account

    def unseen(self, mailbox: Mailbox) -> int:
        r"""Return the number of messages without \Seen."""
        seen = self.private_seen(mailbox)
        if seen is None:
            return mailbox.unseen
        return mailbox.messages - (len(self.uid_map(mailbox).uids & seen) if seen else 0)

    def first_unseen(self, mailbox: Mailbox) -> Uid | None:
        r"""Return the first message without \Seen."""
        seen = self.private_seen(mailbox)
        if seen is None:
            return super().first_unseen(mailbox)
        first = (self.uid_map(mailbox).uids - seen).first
        return None if first is None else Uid(first)

    def segments(self, mailbox: Mailbox, uids: UidSet | None = None) -> list[bytes]:
        r"""Return segments, as `Reader.segments` does, with the reader's own \Seen."""
        segments = super().segments(mailbox, uids)
        seen = self.private_seen(mailbox)
        if seen is None:
            return segments
        return [segment_seen_by_reader(segment, seen) for segment in segments]


def joined_txn_id(txn_id: int, accounts_txn_id: int) -> int:
    """Return one number for a state of a storage group and of the accounts."""
    return accounts_txn_id << 64 | txn_id
