"""Open a filepool; get accounts and their stores; deliver, sweep and check."""

import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import trio

from imapvm._core import HeaderColumns, KeyColumns
from imapvm.filepool.access.access import Access
from imapvm.filepool.accounts import Accounts
from imapvm.filepool.check.findings import Finding
from imapvm.filepool.check.run import CheckReport, check_filepool
from imapvm.filepool.create import create_filepool
from imapvm.filepool.engine.environment import MAP_SIZE
from imapvm.filepool.errors import FilepoolError
from imapvm.filepool.format import ACCOUNTS, group_name, read_format
from imapvm.filepool.group import Group
from imapvm.filepool.operations.append import NewMessage
from imapvm.filepool.operations.deliver import (
    AlreadyDelivered,
    Delivered,
    DeliverMessage,
    Delivery,
    DeliveryRefused,
    DeliveryResult,
)
from imapvm.filepool.operations.sweep import SweepReport, SweepStep
from imapvm.filepool.staging import BodyWriter, copy_staged
from imapvm.filepool.store import SHARED, AccountStore
from imapvm.filepool.tables.accounts import Account
from imapvm.model.changes import Changed
from imapvm.model.ids import AccountId
from imapvm.model.limits import HEADER_COLUMNS_BYTES_MAX, KEY_COLUMNS_BYTES_MAX
from imapvm.model.quota import NO_LIMITS, Limits

__all__ = [
    "AlreadyDelivered",
    "CheckReport",
    "Delivered",
    "Delivery",
    "DeliveryRefused",
    "DeliveryResult",
    "Filepool",
    "Finding",
    "SweepReport",
    "create_filepool",
    "open_filepool",
    "read_format",
]

SWEEP_STEPS: Final = 16
"""Steps of one call of `sweep` in each group; each is one commit."""


class Filepool:
    """Filepool that is open in this process; see `open_filepool`."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float],
        map_size: int,
        quota: Limits = NO_LIMITS,
    ) -> None:
        self.path = path
        self.clock = clock
        self.format = read_format(path)
        self.groups: list[Group] = []
        self.columns = HeaderColumns(HEADER_COLUMNS_BYTES_MAX)
        """Header columns for SEARCH, of all groups: one limit for all users."""
        self.key_columns = KeyColumns(KEY_COLUMNS_BYTES_MAX)
        """Key columns for SORT and THREAD, of all groups."""
        self._swept_to = [b""] * self.format.groups
        self._on_changes: Callable[[Collection[Changed]], None] | None = None
        try:
            for number in range(self.format.groups):
                directory = path / group_name(number)
                self.groups.append(
                    Group(
                        directory,
                        number,
                        self.format.groups,
                        clock=clock,
                        map_size=map_size,
                        columns=self.columns,
                        key_columns=self.key_columns,
                        quota=quota,
                    )
                )
            self.accounts = Accounts(path / ACCOUNTS, self.groups, clock=clock, map_size=map_size)
        except BaseException:
            for group in self.groups:
                group.release()
            raise

    def account(self, account: Account) -> AccountStore:
        """Return the store of one account."""
        return AccountStore(account, self.groups)

    def server(self) -> AccountStore:
        """Return the store of the shared annotations of the server: in the first storage group."""
        return self.account(Account(SHARED, "", 0, "", 0))

    def access(self, account: Account) -> Access:
        """Return the access of an account to mailboxes of others."""
        return Access(account, self.accounts, self.groups)

    def has_grants(self) -> bool:
        """Return False if no mailbox of any account is shared; takes 1 us for each group."""
        return any(map(Group.has_grants, self.groups))

    def new_body(self, *, group: int) -> BodyWriter:
        """Return a writer for a message that is delivered; see also `AccountStore.new_body`.

        Args:
            group: the storage group of a recipient. A large message is staged there, and copied to
                the groups of other recipients.
        """
        return BodyWriter(self.groups[group])

    def yield_gil(self) -> None:
        """Let the writers' threads apply their batches first; see `Writer.yield_gil`."""
        for group in self.groups:
            group.yield_gil()

    # --- changes -------------------------------------------------------------------------------

    @property
    def on_changes(self) -> Callable[[Collection[Changed]], None] | None:
        """Callback with changed mailboxes and accounts, called in Trio's thread after each commit.

        Called before the tasks that wait for the commit are resumed. It must not raise.
        """
        return self._on_changes

    @on_changes.setter
    def on_changes(self, callback: Callable[[Collection[Changed]], None] | None) -> None:
        self._on_changes = callback
        for group in self.groups:
            group.on_changes = callback

    def set_commit_hooks(self, mail: Callable[[], None], accounts: Callable[[], None]) -> None:
        """Set functions to call as soon as a commit is durable, to wake other processes.

        They are called in a writer's thread and must neither raise nor wait.

        Args:
            mail: called after a commit that changed mailboxes; see `foreign_changes`.
            accounts: called after a commit that changed an account; see `accounts_changed`.
        """
        for group in self.groups:
            group.on_durable = mail
        self.accounts.on_durable = accounts

    def foreign_changes(self) -> set[Changed]:
        """Return what other processes have changed since the last call."""
        changed: set[Changed] = set()
        for group in self.groups:
            changed |= group.foreign_changes()
        return changed

    def accounts_changed(self) -> bool:
        """Return True if any process has changed an account since the last call."""
        return self.accounts.changed()

    # --- delivery -----------------------------------------------------------------------------

    async def deliver(self, delivery: Delivery) -> dict[AccountId, DeliveryResult]:
        """Deliver a message to some recipients; return when it is on disk.

        With the same delivery id, each recipient gets the message once, however often this is
        called. The text is stored once per storage group. Raises no `FilepoolError`: if a group is
        not writable, the results of its recipients are `DeliveryRefused`.
        """
        groups: dict[int, list[tuple[AccountId, str]]] = {}
        for account, name in delivery.recipients:
            groups.setdefault(account.group, []).append((account.id, name))
        message = NewMessage(
            delivery.body, delivery.flags, delivery.keywords, delivery.date, delivery.zone
        )
        results: dict[AccountId, DeliveryResult] = {}
        if len(groups) == 1:
            ((number, recipients),) = groups.items()
            await self._deliver(delivery.id, number, recipients, message, results)
        else:
            async with trio.open_nursery() as nursery:
                for number, recipients in groups.items():
                    nursery.start_soon(
                        self._deliver, delivery.id, number, recipients, message, results
                    )
        return results

    async def _deliver(
        self,
        delivery: bytes,
        number: int,
        recipients: list[tuple[AccountId, str]],
        message: NewMessage,
        results: dict[AccountId, DeliveryResult],
    ) -> None:
        group = self.groups[number]
        try:
            ready = await copy_staged(message, group, self.groups)
            results |= await group.submit(
                DeliverMessage(delivery, tuple(recipients), ready, int(self.clock()))
            )
        except FilepoolError as error:
            for account, _ in recipients:
                results.setdefault(account, DeliveryRefused(error))

    # --- maintenance ---------------------------------------------------------------------------

    async def sweep(self, *, expunges_kept: int | None = None) -> SweepReport:
        """Remove expired data, a bounded amount at a time; complete interrupted changes.

        Expired are bodies after the grace period, old delivery ids, remains of deleted mailboxes
        and accounts, old rows of the change journal and the change logs, and reader slots of dead
        processes.

        Args:
            expunges_kept: changes of a mailbox for which expunges are remembered; None: all.
        """
        total = SweepReport()
        await self.accounts.complete_interrupted()
        self.accounts.env.reader_check()
        more = False
        for number, group in enumerate(self.groups):
            group.env.reader_check()
            for _ in range(SWEEP_STEPS):
                step = SweepStep(int(self.clock()), self._swept_to[number], expunges_kept)
                report, self._swept_to[number] = await group.submit(step)
                total += report
                if not report.more:
                    break
            more = more or total.more
        return replace(total, more=more)

    def check(self, *, repair: bool = False) -> CheckReport:
        """Check the invariants of the filepool while it is in use.

        Reads everything, on the calling thread.

        Args:
            repair: recompute derived data, make metadata of older versions again, and have the
                sweep remove unreferenced data. Nothing else can write meanwhile.
        """
        return check_filepool(self.accounts, self.groups, repair=repair)

    async def close(self) -> None:
        """Commit all queued operations, and close all environments."""
        for group in self.groups:
            await group.close()
        await self.accounts.close()

    def start(self) -> None:
        """Start the writers. Call it in Trio's thread."""
        for group in self.groups:
            group.start()
        self.accounts.start()


@asynccontextmanager
async def open_filepool(
    path: Path,
    *,
    clock: Callable[[], float] = time.time,
    map_size: int = MAP_SIZE,
    quota: Limits = NO_LIMITS,
) -> AsyncIterator[Filepool]:
    r"""Open a filepool for this process; on exit, commit all queued operations and close it.

    >>> async def first_message(path):
    ...     create_filepool(path)
    ...     async with open_filepool(path) as pool:
    ...         store = pool.account(await pool.accounts.enroll("ada", "credential"))
    ...         body = store.new_body()
    ...         if body.feed(b"Subject: hello\r\n\r\nHello.\r\n"):
    ...             await body.spill()
    ...         with store.reading() as reader:
    ...             inbox = reader.mailbox("INBOX")
    ...         message = NewMessage(body.finish(), flags=0, keywords=(), date=0, zone=0)
    ...         return (await store.append(inbox.id, [message])).uids
    >>> trio.run(first_message, Path(directory) / "filepool")
    UidSet(1)

    Args:
        path: directory made by `create_filepool`.
        clock: returns seconds since 1970 UTC.
        map_size: maximum size of each environment in bytes; the same in all processes.
        quota: default limits of accounts.

    Raises:
        FilepoolMissingError, NotAFilepoolError, WrongFormatError, FilepoolError: it cannot be
            opened.
    """
    pool = Filepool(path, clock=clock, map_size=map_size, quota=quota)
    pool.start()
    try:
        with suppress(FilepoolError):  # the disk is full: a sweep completes it later
            await pool.accounts.complete_interrupted()
        yield pool
    finally:
        await pool.close()
