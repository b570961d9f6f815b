"""The filepool's face: open it, find accounts, get their handles, deliver, sweep, check."""

import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import trio

from imapvm._core import HeaderColumns
from imapvm.filepool.accounts import Accounts
from imapvm.filepool.check.findings import Finding
from imapvm.filepool.check.run import CheckReport, check_filepool
from imapvm.filepool.create import create_filepool
from imapvm.filepool.engine.environment import MAP_SIZE
from imapvm.filepool.engine.format import ACCOUNTS, group_name, read_format
from imapvm.filepool.errors import FilepoolError
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
from imapvm.filepool.staging import BodyWriter, in_group
from imapvm.filepool.store import AccountStore
from imapvm.filepool.tables.accounts import Account
from imapvm.model.ids import AccountId, MailboxId
from imapvm.model.limits import HEADER_COLUMNS_BYTES_MAX

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
"""Steps of one call of `sweep` in each group; each is a commit of its own."""


class Filepool:
    """A filepool that is open in this process. Made by `open_filepool`."""

    def __init__(self, path: Path, *, clock: Callable[[], float], map_size: int) -> None:
        self.path = path
        self.clock = clock
        self.format = read_format(path)
        self.groups: list[Group] = []
        self.columns = HeaderColumns(HEADER_COLUMNS_BYTES_MAX)
        """What SEARCH keeps of all groups: one bound, for whoever searches most."""
        self._swept_to = [b""] * self.format.groups
        self._on_changes: Callable[[Collection[MailboxId]], None] | None = None
        try:
            for number in range(self.format.groups):
                directory = path / group_name(number)
                self.groups.append(
                    Group(directory, number, clock=clock, map_size=map_size, columns=self.columns)
                )
            self.accounts = Accounts(path / ACCOUNTS, self.groups, clock=clock, map_size=map_size)
        except BaseException:
            for group in self.groups:
                group.release()
            raise

    def account(self, account: Account) -> AccountStore:
        """The handle on everything of one account."""
        return AccountStore(account, self.groups)

    def new_body(self, *, group: int) -> BodyWriter:
        """Return a writer for a message that is delivered; see also `AccountStore.new_body`.

        Args:
            group: the storage group of a recipient. A large message is staged there, and copied to
                the groups of other recipients.
        """
        return BodyWriter(self.groups[group])

    # --- news ---------------------------------------------------------------------------------

    @property
    def on_changes(self) -> Callable[[Collection[MailboxId]], None] | None:
        """Called in Trio's thread after each commit of ours that changed mailboxes, with their ids.

        Before the tasks that wait for the commit go on. It must not raise.
        """
        return self._on_changes

    @on_changes.setter
    def on_changes(self, callback: Callable[[Collection[MailboxId]], None] | None) -> None:
        self._on_changes = callback
        for group in self.groups:
            group.on_changes = callback

    def set_commit_hooks(self, mail: Callable[[], None], accounts: Callable[[], None]) -> None:
        """Have other processes told of our commits, as soon as they are on disk.

        Args:
            mail: called in a writer's thread after a commit that changed mailboxes. It must neither
                raise nor wait; what it tells of is found by `foreign_changes`.
            accounts: likewise after one that changed an account: `accounts_changed`.
        """
        for group in self.groups:
            group.on_durable = mail
        self.accounts.on_durable = accounts

    def foreign_changes(self) -> set[MailboxId]:
        """Mailboxes that other processes have changed since this was last asked."""
        changed: set[MailboxId] = set()
        for group in self.groups:
            changed |= group.foreign_changes()
        return changed

    def accounts_changed(self) -> bool:
        """True where any process has changed an account since this was last asked."""
        return self.accounts.changed()

    # --- delivery -----------------------------------------------------------------------------

    async def deliver(self, delivery: Delivery) -> dict[AccountId, DeliveryResult]:
        """Deliver a message to some recipients, to each exactly once however often this is tried.

        Returns when it is on disk. In each storage group the octets are stored once. Raises
        nothing of the filepool's: where a group cannot be written to, its recipients are refused
        with `StoreUnavailableError`.
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
            ready = await in_group(message, group, self.groups)
            results |= await group.submit(
                DeliverMessage(delivery, tuple(recipients), ready, int(self.clock()))
            )
        except FilepoolError as reason:
            for account, _ in recipients:
                results.setdefault(account, DeliveryRefused(reason))

    # --- upkeep -------------------------------------------------------------------------------

    async def sweep(self) -> SweepReport:
        """Remove what is due, a bounded amount at a time; finish what was cut short.

        Bodies past their grace, old delivery ids, what deleted mailboxes and accounts have left,
        the ends of the ring and of the change logs; and readers' slots of dead processes.
        """
        total = SweepReport()
        await self.accounts.finish()
        self.accounts.env.reader_check()
        more = False
        for number, group in enumerate(self.groups):
            group.env.reader_check()
            for _ in range(SWEEP_STEPS):
                step = SweepStep(int(self.clock()), self._swept_to[number])
                report, self._swept_to[number] = await group.submit(step)
                total += report
                if not report.more:
                    break
            more = more or total.more
        return replace(total, more=more)

    def check(self, *, repair: bool = False) -> CheckReport:
        """Look whether everything that must hold holds, while the filepool is in use.

        Reads all of it, on the calling thread.

        Args:
            repair: recompute what can be recomputed, and leave to the sweep what nobody refers to;
                nothing else can write meanwhile.
        """
        return check_filepool(self.accounts, self.groups, repair=repair)

    async def close(self) -> None:
        """Finish what is queued, and close everything."""
        for group in self.groups:
            await group.close()
        await self.accounts.close()

    def start(self) -> None:
        """Begin to write. Call it in Trio's thread."""
        for group in self.groups:
            group.start()
        self.accounts.start()


@asynccontextmanager
async def open_filepool(
    path: Path, *, clock: Callable[[], float] = time.time, map_size: int = MAP_SIZE
) -> AsyncIterator[Filepool]:
    """Open a filepool for this process; at the end, what is queued is finished.

    Args:
        path: where `create_filepool` made it.
        clock: seconds since 1970 UTC.
        map_size: how large each environment may grow, in octets; the same in all processes.

    Raises:
        FilepoolMissingError, NotAFilepoolError, WrongFormatError, FilepoolError: see the message.
    """
    pool = Filepool(path, clock=clock, map_size=map_size)
    pool.start()
    try:
        with suppress(FilepoolError):  # no room now: a sweep finishes it later
            await pool.accounts.finish()
        yield pool
    finally:
        await pool.close()
