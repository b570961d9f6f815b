"""From a commit to the clients that wait for news (IDLE)."""

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Final, final

import trio
from trio.lowlevel import wait_readable

from imapvm.filepool.errors import FilepoolError
from imapvm.model.bugs import is_bug
from imapvm.server.imap.connections import SWEEP_SLICE, Connections

if TYPE_CHECKING:
    from imapvm.commands.context import Context
    from imapvm.commands.services import Services
    from imapvm.model.ids import AccountId, MailboxId
    from imapvm.server.shared.wakeup import Bells

LOG: Final = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""Between two looks at commits of other processes, and at clients that were not reading."""
ANSWER_SECONDS: Final = 0.002
"""Between two answers to our bell: while others commit a thousand times a second, one look finds
what several of them did."""


@final
class Doorbell:
    """Rings at the sessions that a commit concerns.

    Commits of this process ring at once, before those who made them go on; other workers ring our
    bell (`answer_forever`), and whatever other processes there are is found by `look_forever`.
    Nothing is carried here: who is rung at reads the store, so a ring too many costs a look, and
    one that got lost is made up for by the next.
    """

    __slots__ = ("_behind", "_bells", "_connections", "_services")

    def __init__(
        self, services: "Services", connections: Connections, bells: "Bells | None" = None
    ) -> None:
        self._services = services
        self._connections = connections
        self._bells = bells
        self._behind: set[Context] = set()
        """Who did not take what it was told last, and so was perhaps not told all."""
        if bells is not None:
            services.idlers.on_enter = bells.attend
            self._answer()

    def ring(self, mailboxes: Collection["MailboxId"]) -> None:
        """Tell the idlers of these mailboxes what has happened; for `Filepool.on_news`."""
        idlers = self._services.idlers
        for mailbox in mailboxes:
            for context in idlers.at(mailbox):
                self._push(context)

    async def answer_forever(self) -> None:
        """Tell what other workers have committed, as soon as they ring."""
        assert self._bells is not None
        while True:
            await wait_readable(self._bells.fd)
            self._answer()
            try:
                await self._look_for_news()
            except FilepoolError as fault:
                LOG.warning("cannot look for news", extra={"reason": str(fault)})
            await trio.sleep(ANSWER_SECONDS)

    def _answer(self) -> None:
        if self._bells is not None:
            self._bells.answer(waiting=len(self._services.idlers) > 0)

    async def look_forever(self) -> None:
        """Once a second: news from other processes, clients that read again, deleted accounts."""
        while True:
            await trio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except FilepoolError as fault:
                # A disk that fails now and then must not end everybody's connection.
                LOG.warning("cannot look for news", extra={"reason": str(fault)})

    async def look(self) -> None:
        """Look once."""
        self._answer()
        await self._look_for_news()
        behind, self._behind = self._behind, set()
        for context in behind:
            self._push(context)  # does nothing where it is not in IDLE any more

    async def _look_for_news(self) -> None:
        pool = self._services.pool
        news = pool.foreign_news()
        if news:
            self.ring(news)
        if pool.accounts_changed():
            await self._end_deleted()

    async def _end_deleted(self) -> None:
        accounts = self._services.pool.accounts
        there: dict[AccountId, bool] = {}
        for number, connection in enumerate(self._connections):
            if number % SWEEP_SLICE == SWEEP_SLICE - 1:
                await trio.lowlevel.checkpoint()
            store = connection.context.session.store
            if store is None:
                continue
            account = store.account.id
            if account not in there:
                there[account] = accounts.by_id(account) is not None
            if not there[account]:
                connection.end("your account was deleted")

    def _push(self, context: "Context") -> None:
        """Tell one client; a mistake in it is the end of that connection alone."""
        try:
            context.push()
            if context.channel.waiting:
                self._behind.add(context)
        except BaseException as fault:
            if not is_bug(fault):
                raise
            LOG.exception("connection ended by an internal error", extra={"command": "IDLE"})
            for connection in self._connections:
                if connection.context is context:
                    context.out.take()
                    connection.end("internal error; the operator has been told")
