"""An account's handle on the store: what it can see, and what it can do."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from imapvm._core import HeaderColumns, UidSet
from imapvm.filepool.group import Group
from imapvm.filepool.operations.append import AppendMessages, AppendResult, NewMessage
from imapvm.filepool.operations.copy import CopyMessages, CopyResult
from imapvm.filepool.operations.mailboxes import (
    ClaimRecent,
    CreateMailbox,
    DeleteMailbox,
    SetSubscription,
)
from imapvm.filepool.operations.rename import RenameMailbox
from imapvm.filepool.operations.store_flags import (
    ExpungeMessages,
    ExpungeResult,
    StoreFlags,
    StoreResult,
)
from imapvm.filepool.reading import Reader
from imapvm.filepool.staging import BodyWriter, in_group
from imapvm.filepool.tables.accounts import Account
from imapvm.filepool.tables.mailboxes import Mailbox
from imapvm.model.ids import MailboxId

__all__ = [
    "AccountStore",
    "AppendResult",
    "BodyWriter",
    "CopyResult",
    "ExpungeResult",
    "Mailbox",
    "NewMessage",
    "StoreResult",
]


class AccountStore:
    """Everything of one account, and nothing of any other. Cheap; keep it with the session.

    What changes something returns when it is on disk, and cannot be cancelled meanwhile. All of it
    raises `NoSuchAccountError` once the account is deleted, `NoSuchMailboxError` where the
    mailbox is not there or is another account's, and `StoreUnavailableError` when the disk is full
    or fails; nothing was changed then.
    """

    __slots__ = ("_group", "_groups", "_id", "account")

    def __init__(self, account: Account, groups: Sequence[Group]) -> None:
        self.account = account
        self._id = account.id
        self._group = groups[account.group]
        self._groups = groups

    def reading(self) -> AbstractContextManager[Reader]:
        """One short read transaction. Nothing may be awaited inside."""
        return Reader(self._group, self._id)

    def latest_txn_id(self) -> int:
        """The number of the latest commit: where it is `Reader.txn_id`, nothing has changed since.

        Counts the commits of every account in the storage group, and of every process. Costs
        a tenth of a read transaction.

        Raises:
            CorruptError: the data file is damaged.
        """
        return self._group.data.latest_txn_id()

    @property
    def columns(self) -> HeaderColumns:
        """Header fields for SEARCH, of the account's storage group."""
        return self._group.columns

    def new_body(self) -> BodyWriter:
        """Return a writer for a message to this account, staged in its storage group."""
        return BodyWriter(self._group)

    def _now(self) -> int:
        return int(self._group.clock())

    # --- mailboxes ----------------------------------------------------------------------------

    async def create_mailbox(
        self, name: str, *, special_use: Sequence[str] = (), subscribe: bool = False
    ) -> Mailbox:
        """Make a mailbox, and those above it that are missing.

        Raises:
            MailboxExistsError, InvalidNameError, SpecialUseError, LimitError: it cannot be made.
        """
        return await self._group.submit(
            CreateMailbox(self._id, name, tuple(special_use), subscribe, self._now())
        )

    async def delete_mailbox(self, mailbox: MailboxId) -> None:
        """Delete a mailbox with its messages; names below it stay.

        Raises:
            InvalidNameError: it is INBOX.
        """
        await self._group.submit(DeleteMailbox(self._id, mailbox, self._now()))

    async def rename_mailbox(self, old: str, new: str) -> None:
        """Rename a mailbox and all below it; of INBOX, move the messages to a new mailbox.

        Raises:
            NoSuchMailboxError, MailboxExistsError, InvalidNameError, LimitError: it cannot be done.
        """
        await self._group.submit(RenameMailbox(self._id, old, new, self._now()))

    async def subscribe(self, name: str) -> None:
        """SetSubscription a name, whether it has a mailbox or not.

        Raises:
            InvalidNameError, LimitError: it cannot be kept.
        """
        await self._group.submit(SetSubscription(self._id, name, subscribed=True))

    async def unsubscribe(self, name: str) -> None:
        """The name is not subscribed afterwards."""
        await self._group.submit(SetSubscription(self._id, name, subscribed=False))

    async def claim_recent(self, mailbox: MailboxId) -> int:
        r"""Take the \\Recent messages: returns the UID from which on they were recent.

        Costs no commit where there are none.
        """
        with Reader(self._group, self._id) as reader:
            found = reader.mailbox_by_id(mailbox)
            if found is not None and found.recent_from == found.uid_next:
                return found.recent_from
        return await self._group.submit(ClaimRecent(self._id, mailbox))

    # --- messages -----------------------------------------------------------------------------

    async def append(self, mailbox: MailboxId, messages: Sequence[NewMessage]) -> AppendResult:
        """Put messages into a mailbox, all or none.

        Raises:
            LimitError: keywords or UIDs are over a bound.
            BodyGoneError: a message took longer than a day to arrive.
        """
        ready = tuple(messages)
        if any(message.body.staged is not None for message in ready):
            ready = tuple([await in_group(message, self._group, self._groups) for message in ready])
        return await self._group.submit(AppendMessages(self._id, mailbox, ready, self._now()))

    async def store_flags(
        self,
        mailbox: MailboxId,
        uids: UidSet,
        *,
        mode: int,
        flags: int,
        keywords: tuple[str, ...],
        unchanged_since: int | None = None,
    ) -> StoreResult:
        """Change flags.

        Args:
            mailbox: where.
            uids: which messages; those that do not exist are passed over.
            mode: STORE_REPLACE, STORE_ADD or STORE_REMOVE.
            flags: bits of `SystemFlag`.
            keywords: compared without regard to case.
            unchanged_since: leave alone what has a MODSEQ above (RFC 7162 section 3.1.3).

        Raises:
            LimitError: a message or the mailbox would have too many keywords; nothing is changed.
        """
        return await self._group.submit(
            StoreFlags(self._id, mailbox, uids, mode, flags, keywords, unchanged_since)
        )

    async def expunge(self, mailbox: MailboxId, uids: UidSet) -> ExpungeResult:
        r"""Remove those of some messages that carry \Deleted."""
        return await self._group.submit(ExpungeMessages(self._id, mailbox, uids, self._now()))

    async def copy(
        self, mailbox: MailboxId, uids: UidSet, to: MailboxId, *, whole: bool = False
    ) -> CopyResult:
        """Copy messages to a mailbox of this account, all or none.

        Those that are gone are passed over, unless they are `whole` only together.

        Raises:
            MessageGoneError: one is gone of what is to be copied as a whole.
            LimitError: keywords or UIDs are over a bound there.
        """
        return await self._group.submit(
            CopyMessages(self._id, mailbox, uids, to, move=False, now=self._now(), whole=whole)
        )

    async def move(self, mailbox: MailboxId, uids: UidSet, to: MailboxId) -> CopyResult:
        """Move messages to a mailbox of this account, all or none; see `copy`."""
        return await self._group.submit(
            CopyMessages(self._id, mailbox, uids, to, move=True, now=self._now())
        )
