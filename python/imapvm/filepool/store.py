"""The store of one account: reading, and all changes to its mailboxes and messages."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Final

import outcome
import trio

from imapvm._core import HeaderColumns, KeyColumns, UidSet
from imapvm.filepool.errors import FilepoolError, MailboxExistsError, MessageGoneError
from imapvm.filepool.group import Group
from imapvm.filepool.operations.append import AppendMessages, AppendResult, NewMessage
from imapvm.filepool.operations.copy import (
    CommitCopies,
    CopyMessages,
    CopyResult,
    DiscardCopies,
    StageCopies,
    StagedCopies,
)
from imapvm.filepool.operations.mailboxes.acl import SetRights, SetSharedSeen
from imapvm.filepool.operations.mailboxes.annotations import SPECIAL_USE, Annotation, SetAnnotations
from imapvm.filepool.operations.mailboxes.mailboxes import (
    ClaimRecent,
    CreateMailbox,
    DeleteMailbox,
    SetSubscription,
    checked_name,
)
from imapvm.filepool.operations.mailboxes.rename import (
    RENAMED_AT_ONCE,
    Move,
    RenameMailbox,
    RenamePart,
    rename_parts,
)
from imapvm.filepool.operations.mailboxes.shared import RemoveMessages, TouchMessages
from imapvm.filepool.operations.quota import Recounted, RecountUsage, SetLimits, counts_of
from imapvm.filepool.operations.replace import ReplaceMessage
from imapvm.filepool.operations.store_flags import (
    ExpungeMessages,
    ExpungeResult,
    StoreFlags,
    StoreResult,
)
from imapvm.filepool.reading import Reader
from imapvm.filepool.staging import BodyWriter, copy_staged
from imapvm.filepool.tables.accounts import Account
from imapvm.filepool.tables.annotations import SERVER, SHARED, Scope
from imapvm.filepool.tables.mailboxes import Mailbox
from imapvm.filepool.tables.messages.changes import Change
from imapvm.filepool.tables.name_changes import NO_ORIGIN, NameChange, NameChangeKind
from imapvm.filepool.tables.quotas import Quota
from imapvm.model.ids import MailboxId
from imapvm.model.names import DELIMITER, INBOX, canonical_name, is_below, name_error
from imapvm.model.quota import OwnLimits
from imapvm.model.rights import AclEntry, Grantee, Rights, RightsChange
from imapvm.model.stepping import suspend

__all__ = [
    "BATCH_MESSAGES",
    "SERVER",
    "SHARED",
    "SPECIAL_USE",
    "AccountStore",
    "Annotation",
    "AppendResult",
    "BodyWriter",
    "Change",
    "CopyResult",
    "ExpungeResult",
    "Mailbox",
    "NameChange",
    "NameChangeKind",
    "NewMessage",
    "Quota",
    "Scope",
    "StoreResult",
]

LOG: Final = logging.getLogger(__name__)

BATCH_MESSAGES: Final = 2048
"""Messages of one operation, about 10 ms: while it is applied, other commits wait. Callers of
`store_flags`, `expunge` and `move` split longer sets."""
COST_PER_APPEND: Final = 8
"""Cost of storing a message, see `Writer.submit`."""
COST_PER_RENAME: Final = 3
"""Cost of the new name of a mailbox."""
STORES_PER_COST: Final = 8
"""Messages whose flags are changed in the time of one that is copied."""


def _ignore(_: int) -> None:
    """Report no progress."""


class AccountStore:
    """Access to the data of one account. Cheap; a session keeps it.

    Coroutines return when the change is on disk, and cannot be cancelled meanwhile. They raise
    `NoSuchAccountError` if the account was deleted, `NoSuchMailboxError` if the mailbox does not
    exist or belongs to another account, and `StoreUnavailableError` if the disk is full or fails.
    Nothing was changed then.
    """

    __slots__ = ("_group", "_groups", "_id", "account")

    prefix: str = ""
    """In front of the names of the account, as the user writes them."""
    is_own: bool = True
    """False for the store of a user who is not the owner of the mailboxes."""

    def __init__(self, account: Account, groups: Sequence[Group]) -> None:
        self.account = account
        self._id = account.id
        self._group = groups[account.group]
        self._groups = groups

    def reading(self) -> AbstractContextManager[Reader]:
        """Return a short read transaction. Nothing may be awaited inside."""
        return Reader(self._group, self._id)

    def latest_txn_id(self) -> int:
        """Return the id of the latest commit; if it equals `Reader.txn_id`, nothing has changed.

        Includes commits for other accounts of the storage group, and by other processes. Costs
        a tenth of a read transaction.

        Raises:
            CorruptError: the data file is corrupt.
        """
        return self._group.data.latest_txn_id()

    @property
    def columns(self) -> HeaderColumns:
        """Header columns for SEARCH, of the account's storage group."""
        return self._group.columns

    @property
    def key_columns(self) -> KeyColumns:
        """Key columns for SORT and THREAD, of the account's storage group."""
        return self._group.key_columns

    def new_body(self) -> BodyWriter:
        """Return a writer for a message to this account, staged in its storage group."""
        return BodyWriter(self._group)

    def _now(self) -> int:
        return int(self._group.clock())

    # --- mailboxes ----------------------------------------------------------------------------

    async def create_mailbox(
        self,
        name: str,
        *,
        special_use: Sequence[str] = (),
        subscribe: bool = False,
        origin: bytes = NO_ORIGIN,
    ) -> Mailbox:
        """Create a mailbox and its missing parents.

        Args:
            name: of the mailbox.
            special_use: attributes.
            subscribe: True to subscribe the name.
            origin: id of the session, which is not notified; so in the methods below.

        Raises:
            MailboxExistsError, InvalidNameError, SpecialUseError, LimitError, OverQuotaError: it is
                refused.
        """
        return await self._group.submit(
            CreateMailbox(self._id, name, tuple(special_use), subscribe, self._now(), origin)
        )

    async def delete_mailbox(self, mailbox: MailboxId, *, origin: bytes = NO_ORIGIN) -> None:
        """Delete a mailbox with its messages; its children stay.

        Raises:
            InvalidNameError: the mailbox is INBOX.
        """
        await self._group.submit(DeleteMailbox(self._id, mailbox, self._now(), origin))

    async def rename_mailbox(self, old: str, new: str, *, origin: bytes = NO_ORIGIN) -> None:
        """Rename a mailbox and its children; for INBOX, move its messages to a new mailbox.

        More than RENAMED_AT_ONCE mailboxes are renamed in several transactions, the mailbox itself
        in the last one.

        Raises:
            NoSuchMailboxError, MailboxExistsError, InvalidNameError, LimitError: it is refused.
                Nothing was changed, unless another session changed the same mailboxes meanwhile.
        """
        rename = RenameMailbox(self._id, old, new, self._now(), origin)
        parts = await self._rename_parts(rename)
        for part in parts:
            await self._group.submit(part, cost=COST_PER_RENAME * len(part.moves))
        if not parts or not is_below(old, new):
            await self._group.submit(rename, cost=COST_PER_RENAME * RENAMED_AT_ONCE)

    async def _rename_parts(self, rename: RenameMailbox) -> list[RenamePart]:
        """Return the parts of a RENAME that is split; none if one operation renames all.

        Raises:
            MailboxExistsError, InvalidNameError: it is refused.
        """
        old = canonical_name(rename.old)
        new = canonical_name(rename.new.removesuffix(DELIMITER))
        if old == INBOX or name_error(old) or name_error(new) or is_below(new, old):
            return []  # the operation refuses it, except for INBOX
        moves: list[tuple[Move, bool]] = []
        after, more = old + DELIMITER, True
        with self.reading() as reader:
            top = reader.mailbox_id(old)
            if top is not None:
                moves.append(((old, new, top), reader.is_subscribed(old)))
        while more:
            with self.reading() as reader:
                if reader.mailbox_id(new) is not None:
                    return []
                names = reader.names(after, RENAMED_AT_ONCE)
                for name in names:
                    if not is_below(name.name, old):
                        break
                    if name.mailbox:
                        to = checked_name(new + name.name[len(old) :])
                        if not is_below(to, old) and to != old and reader.mailbox_id(to):
                            raise MailboxExistsError(f"mailbox {to} already exists")
                        moves.append(((name.name, to, MailboxId(name.mailbox)), name.subscribed))
            more = len(names) == RENAMED_AT_ONCE and is_below(names[-1].name, old)
            if more:
                after = names[-1].name
                await suspend()
                await trio.lowlevel.checkpoint()
        if len(moves) <= RENAMED_AT_ONCE:
            return []
        return rename_parts(self._id, old, new, moves, rename.now, rename.origin)

    async def set_annotations(
        self,
        mailbox: MailboxId,
        annotations: Sequence[Annotation],
        *,
        origin: bytes,
    ) -> list[tuple[MailboxId, tuple[str, ...]]]:
        """Set and remove annotations, all or none (RFC 5464 section 4.3).

        Args:
            mailbox: the mailbox; SERVER for private entries of the server.
            annotations: the changes; at least one.
            origin: id of the session, which is not notified.

        Returns:
            Other mailboxes that have lost a special use, with those that they still have.

        Raises:
            AnnotationTooLargeError, TooManyAnnotationsError, LimitError, OverQuotaError,
                SpecialUseError: it is refused.
        """
        operation = SetAnnotations(self._id, mailbox, self._id, tuple(annotations), origin)
        count = len(annotations)
        return await self._group.submit(operation, cost=count if count > 1 else 0)

    async def subscribe(self, name: str, *, origin: bytes = NO_ORIGIN) -> None:
        """Subscribe a name, with or without a mailbox.

        Raises:
            InvalidNameError, LimitError: it is refused.
        """
        await self._group.submit(SetSubscription(self._id, name, subscribed=True, origin=origin))

    async def unsubscribe(self, name: str, *, origin: bytes = NO_ORIGIN) -> None:
        """Remove the subscription of a name, if there is one."""
        await self._group.submit(SetSubscription(self._id, name, subscribed=False, origin=origin))

    async def claim_recent(self, mailbox: MailboxId, up_to: int) -> int:
        r"""Claim the \Recent messages up to a UID; return the UID from which on they were recent.

        Costs a commit: call it if `Mailbox.recent_from` is not above `up_to`. The result is above
        `up_to` if other sessions have claimed all of them meanwhile.
        """
        return await self._group.submit(ClaimRecent(self._id, mailbox, up_to))

    def claim_recent_soon(
        self, mailbox: MailboxId, up_to: int, done: Callable[[int | None], None]
    ) -> None:
        r"""Claim as `claim_recent` does, without waiting.

        Args:
            mailbox: the mailbox.
            up_to: highest UID.
            done: called in Trio's thread with the result, or with None if the claim failed.
        """

        def finish(result: outcome.Outcome[int]) -> None:
            recent_from: int | None = None
            try:
                recent_from = result.unwrap()
            except FilepoolError:
                pass
            except Exception:
                LOG.exception("internal error in a claim")
            done(recent_from)

        self._group.submit_soon(ClaimRecent(self._id, mailbox, up_to), finish)

    # --- quota --------------------------------------------------------------------------------

    async def set_quota(
        self,
        limits: Mapping[str, int | None],
        *,
        unset: Sequence[str] = (),
        replace: bool = False,
    ) -> OwnLimits:
        """Set limits of the account; return all that are set.

        Args:
            limits: resource → limit in units, None for no limit.
            unset: resources to which the default applies again.
            replace: remove the limits of all resources that are not in `limits`.
        """
        change = SetLimits(self._id, tuple(limits.items()), tuple(unset), replace)
        return await self._group.submit(change)

    async def recount_usage(self) -> Recounted:
        """Count the usage again; if it is wrong, correct it in a transaction.

        Reads the index of all mailboxes, on the calling thread.
        """
        with self.reading() as reader:
            usage, rows = reader.usage(), reader.mailboxes()
            is_right = usage.mailboxes == len(rows)
            totals = [0, 0]
            for row in rows:
                counts = counts_of(reader.segments(row))
                is_right &= counts == (row.messages, row.unseen, row.deleted, row.size)
                totals[0] += row.messages
                totals[1] += row.size
        if is_right and totals == [usage.messages, usage.size]:
            found = {"messages": totals[0], "size": totals[1], "mailboxes": len(rows)}
            return Recounted(found, found, corrected=False)
        return await self._group.submit(RecountUsage(self._id))

    async def set_rights(
        self,
        mailbox: MailboxId,
        grantee: Grantee,
        change: RightsChange,
        rights: Rights,
        *,
        negative: bool = False,
    ) -> AclEntry:
        """Change an entry of the ACL of a mailbox, and return it (RFC 4314 section 3.1).

        Args:
            mailbox: the mailbox.
            grantee: another user than the owner, a group of users, or anyone.
            change: effect of `rights`.
            rights: to set, to add or to remove.
            negative: change the rights that are removed from the grantee.

        Raises:
            LimitError: the ACL would have too many entries.
        """
        return await self._group.submit(
            SetRights(self._id, mailbox, grantee, negative, change, rights)
        )

    async def set_shared_seen(self, mailbox: MailboxId, *, shared: bool) -> None:
        r"""Choose one \Seen for all readers of a mailbox, or one for each.

        All messages get a new MODSEQ, in steps, so that clients read \Seen again.
        """
        await self._group.submit(SetSharedSeen(self._id, mailbox, shared))
        with self.reading() as reader:
            row = reader.mailbox_by_id(mailbox)
            uids = UidSet() if row is None else reader.uid_map(row).uids
        while uids:
            batch, uids = uids.split(BATCH_MESSAGES)
            await self._group.submit(TouchMessages(self._id, mailbox, batch))

    # --- messages -----------------------------------------------------------------------------

    async def append(
        self, mailbox: MailboxId, messages: Sequence[NewMessage], *, claim: bool = False
    ) -> AppendResult:
        r"""Append messages to a mailbox, all or none.

        Args:
            mailbox: the mailbox.
            messages: the messages.
            claim: claim the \Recent messages of the mailbox, these included.

        Raises:
            LimitError, OverQuotaError: keywords, UIDs or the quota exceed a limit.
            StagedExpiredError: a message took longer than a day to arrive.
        """
        ready = await self._staged_here(messages)
        return await self._group.submit(
            AppendMessages(self._id, mailbox, ready, self._now(), claim), cost=append_cost(ready)
        )

    async def _staged_here(self, messages: Sequence[NewMessage]) -> tuple[NewMessage, ...]:
        """Return messages ready to be stored in the account's group."""
        return tuple(
            [
                message
                if message.body.staged is None
                else await copy_staged(message, self._group, self._groups)
                for message in messages
            ]
        )

    async def replace(
        self,
        mailbox: MailboxId,
        uid: int,
        to: MailboxId,
        message: NewMessage,
        *,
        claim: bool = False,
    ) -> AppendResult:
        """Append a message to a mailbox and expunge another one from its own, both or neither.

        Args:
            mailbox: mailbox of the message that is replaced.
            uid: its UID; it needs no flag.
            to: mailbox of the new message.
            message: the new message.
            claim: as of `append`.

        Raises:
            MessageGoneError: the message was expunged before.
            LimitError, OverQuotaError, StagedExpiredError: as of `append`.
        """
        if message.body.staged is not None:
            message = await copy_staged(message, self._group, self._groups)
        return await self._group.submit(
            ReplaceMessage(self._id, mailbox, uid, to, message, self._now(), claim)
        )

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
            mailbox: the mailbox.
            uids: the messages; UIDs that do not exist are ignored.
            mode: STORE_REPLACE, STORE_ADD or STORE_REMOVE.
            flags: bits of `SystemFlag`.
            keywords: compared without regard to case.
            unchanged_since: skip messages with a higher MODSEQ (RFC 7162 section 3.1.3).

        Raises:
            LimitError: a message or the mailbox would have too many keywords.
        """
        return await self._group.submit(
            StoreFlags(self._id, mailbox, uids, mode, flags, keywords, unchanged_since),
            cost=len(uids) // STORES_PER_COST,
        )

    async def expunge(self, mailbox: MailboxId, uids: UidSet) -> ExpungeResult:
        r"""Expunge those of some messages that have \Deleted."""
        return await self._group.submit(
            ExpungeMessages(self._id, mailbox, uids, self._now()), cost=_cost(uids)
        )

    async def remove(self, mailbox: MailboxId, uids: UidSet) -> ExpungeResult:
        r"""Remove messages, with or without \Deleted, that were copied to another account."""
        return await self._group.submit(
            RemoveMessages(self._id, mailbox, uids, self._now()), cost=_cost(uids)
        )

    async def copy(
        self,
        mailbox: MailboxId,
        uids: UidSet,
        to: MailboxId,
        *,
        whole: bool = False,
        on_progress: Callable[[int], None] = _ignore,
    ) -> CopyResult:
        """Copy messages to a mailbox of this account, all or none.

        Args:
            mailbox: mailbox of the messages.
            uids: the messages.
            to: mailbox of the copies.
            whole: copy nothing if any message was expunged; else those are skipped.
            on_progress: called with the number of messages done, after each of several batches.

        Raises:
            MessageGoneError: with `whole`, a message was expunged.
            LimitError, OverQuotaError: keywords or UIDs of the target, or the quota, exceed a
                limit.
        """
        if len(uids) > BATCH_MESSAGES:
            present = self._present(mailbox, uids)
            if whole and len(present) < len(uids):
                raise MessageGoneError("some of the messages have been expunged")
            if len(present) > BATCH_MESSAGES:
                return await self._copy_staged(mailbox, present, to, whole, on_progress)
        return await self._group.submit(
            CopyMessages(self._id, mailbox, uids, to, move=False, now=self._now(), whole=whole),
            cost=_cost(uids),
        )

    def _present(self, mailbox: MailboxId, uids: UidSet) -> UidSet:
        """Return those of some UIDs that exist."""
        with self.reading() as reader:
            row = reader.mailbox_by_id(mailbox)
            return UidSet() if row is None else reader.uid_map(row).uids & uids

    async def _copy_staged(
        self,
        mailbox: MailboxId,
        uids: UidSet,
        to: MailboxId,
        whole: bool,  # noqa: FBT001
        on_progress: Callable[[int], None],
    ) -> CopyResult:
        """Copy in many transactions, of which the last makes all copies appear."""
        group = self._group

        async def stage(batch: UidSet, before: StagedCopies | None) -> StagedCopies:
            operation = StageCopies(self._id, mailbox, batch, to, self._now(), whole, before)
            return await group.submit(operation, cost=len(batch))

        batch, uids = uids.split(BATCH_MESSAGES)
        staged = await stage(batch, None)
        try:
            while uids:
                on_progress(len(staged.source))
                batch, uids = uids.split(BATCH_MESSAGES)
                staged = await stage(batch, staged)
            return await group.submit(CommitCopies(self._id, to, staged), cost=_cost(staged.source))
        except BaseException:
            with trio.CancelScope(shield=True), suppress(FilepoolError):  # else swept later
                await group.submit(DiscardCopies(staged, self._now()))
            raise

    async def move(self, mailbox: MailboxId, uids: UidSet, to: MailboxId) -> CopyResult:
        """Move messages to a mailbox of this account, all or none; see `copy`."""
        return await self._group.submit(
            CopyMessages(self._id, mailbox, uids, to, move=True, now=self._now()), cost=_cost(uids)
        )


def append_cost(messages: Sequence[NewMessage]) -> int:
    """Return the cost of an operation that stores messages; 0 for one."""
    return COST_PER_APPEND * len(messages) if len(messages) > 1 else 0


def _cost(uids: UidSet) -> int:
    """Return the cost of an operation that copies or removes messages."""
    return len(uids) if len(uids) > 1 else 0
