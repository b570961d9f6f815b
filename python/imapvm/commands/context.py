"""Context of a command: one connection without its socket.

`Context` serves commands of any state. `AccountContext` adds the store that a signed-in client
has, `SelectedContext` the view of the selected mailbox; dispatch makes the one that a command's row
in the table asks for.

All waits of handlers are here and in the filepool; each awaits `suspend()` before it blocks
(`imapvm.model.stepping`), so that handlers are plain coroutines.
"""

from contextlib import AsyncExitStack
from functools import lru_cache, partial
from typing import Final

import trio

from imapvm._core import (
    CommandReader,
    DisabledSyntax,
    Limits,
    Malformed,
    ResponseWriter,
    SequenceSet,
    UidSet,
)
from imapvm.commands.idlers import Channel
from imapvm.commands.message_limit import LIMITED, NO_LIMIT, MessageLimit
from imapvm.commands.notifications import watched_stores
from imapvm.commands.outcome import Disconnected, Hangup, Refusal
from imapvm.commands.progress import Progress
from imapvm.commands.services import Services
from imapvm.commands.updates import read_changes, write_held_modseq, write_updates
from imapvm.filepool.access.access import Access
from imapvm.filepool.accounts import Account
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import AccountStore, Mailbox
from imapvm.model.changes import AccountChange
from imapvm.model.ids import MailboxId
from imapvm.model.limits import LINE_BEFORE_LOGIN_MAX, LITERAL_BEFORE_LOGIN_MAX, MESSAGE_MAX
from imapvm.model.names import SHARED_NAMESPACES, normal_name
from imapvm.model.stepping import suspend
from imapvm.session.events import Event
from imapvm.session.interest import NOTHING
from imapvm.session.session import Session
from imapvm.session.syntax import Disabled
from imapvm.session.view import View

BEFORE_LOGIN: Final = Limits(
    line=LINE_BEFORE_LOGIN_MAX,
    literal=LITERAL_BEFORE_LOGIN_MAX,
    command=LINE_BEFORE_LOGIN_MAX + 2 * LITERAL_BEFORE_LOGIN_MAX,
    append=LITERAL_BEFORE_LOGIN_MAX,
    items=32,
    nesting=1,
)
"""Room for a name and a password, and for the 30 pairs of ID (RFC 2971 section 3.3)."""
AFTER_LOGIN: Final = Limits(append=MESSAGE_MAX)
NO_CHARSET: Final = ("SEARCH CHARSET", "ESEARCH CHARSET")
"""Syntax that is unknown after ENABLE UTF8=ACCEPT (RFC 9755 section 3): texts are UTF-8 then. SORT
and THREAD, whose charset is not optional, refuse others than UTF-8 themselves."""
SEND_BYTES: Final = 64 * 1024
"""Responses of pipelined commands that are collected before they are sent."""


@lru_cache(maxsize=64)  # as many as `Disabled.of` keeps
def disabled_syntax(entries: tuple[str, ...]) -> DisabledSyntax:
    """Return the syntax that is unknown, for the entries of `Disabled.syntax`."""
    return DisabledSyntax(entries)


class Context:
    """One connection, as its commands see it.

    Bytes written to `out` are sent by `flush`, or when the connection has no more commands to run.
    """

    __slots__ = (
        "_claiming",
        "_hangup",
        "_idle",
        "_resting",
        "channel",
        "out",
        "reader",
        "services",
        "session",
    )

    def __init__(
        self, channel: Channel, services: Services, session: Session[AccountStore]
    ) -> None:
        self.channel = channel
        self.services = services
        self.session = session
        self.reader = CommandReader(BEFORE_LOGIN)
        self.disable(services.capability_rules.for_all)
        self.out = ResponseWriter()
        self._idle: trio.CancelScope | None = None
        self._hangup: Hangup | None = None
        """Reason for which `push` has ended IDLE."""
        self._resting = False
        """True between commands of a client that uses NOTIFY."""
        self._claiming = False
        r"""True while a claim of \Recent messages by `push` is being committed."""

    @property
    def is_administrator(self) -> bool:
        """True if the user is one of `login.administrators`."""
        store, administrators = self.session.store, self.services.administrators
        if store is None or not administrators:
            return False
        return normal_name(store.account.name) in administrators

    # --- for handlers ------------------------------------------------------------------------

    async def flush(self) -> None:
        """Send what is in `out`; wait while the client does not read. Call it every 64 KiB.

        Raises:
            Disconnected: the connection is closed.
        """
        if len(self.out):
            try:
                await self.channel.write(self.out.take())
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise Disconnected from error

    async def yield_control(self) -> None:
        """Let other tasks run if the turn is over. Call it between small batches of long work."""
        turns = self.services.turns
        if turns.is_over():
            await turns.next()

    async def read_changes(self) -> None:
        """Read the changes of the selected mailbox into the view, without writing responses.

        Raises:
            Hangup: the mailbox was deleted.
        """
        while read_changes(self.session):
            await self.yield_control()

    async def start_long_list(self, stack: AsyncExitStack) -> None:
        """Wait until no other long LIST runs in this process; one runs until `stack` closes."""
        await suspend()
        await stack.enter_async_context(self.services.long_lists)

    async def start_long_sort(self, stack: AsyncExitStack) -> None:
        """Wait until no long SORT or THREAD runs in this process; one runs until `stack` closes."""
        await suspend()
        await stack.enter_async_context(self.services.long_sorts)

    async def next_event(self) -> Event:
        """Return the next event inside a command; send what is in `out` before waiting for it.

        Raises:
            Disconnected: the connection is closed.
            Hangup: the client sent what cannot be framed.
        """
        while (event := self.reader.next()) is None:
            await self.flush()
            await self.receive()
        if isinstance(event, Malformed) and event.fatal:
            raise Hangup(event.message)
        return event

    async def receive(self) -> None:
        """Wait for bytes, and feed them to the reader.

        Raises:
            Disconnected: the connection is closed.
        """
        await suspend()  # long input is read by the connection's task, not in the callback
        await self.yield_control()  # bytes of a fast client have always arrived
        try:
            data = await self.channel.read()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise Disconnected from error
        if not data:
            raise Disconnected
        self.reader.feed(data)

    @property
    def message_limit(self) -> MessageLimit:
        """Limit on the messages of one command; none if it is disabled for this client."""
        limit = self.services.message_limit
        if limit is NO_LIMIT:
            return limit
        name = "MESSAGELIMIT" if limit.messages else "SAVELIMIT"
        return NO_LIMIT if name in self.session.disabled.names else limit

    def disable(self, disabled: Disabled) -> None:
        """Stop offering capabilities; their syntax is unknown from the next command on.

        What has been enabled stays enabled: RFC 5161 has no way to turn it off.
        """
        if disabled is not self.session.disabled:
            self.session.disabled = disabled
            self.update_syntax()

    def update_syntax(self) -> None:
        """Set the syntax that the reader treats as unknown, after ENABLE or `disable`."""
        session = self.session
        entries = session.disabled.syntax
        if "UTF8=ACCEPT" in session.enabled:
            entries += NO_CHARSET
        self.reader.disable(disabled_syntax(entries))

    async def start_tls(self) -> None:
        """Send what is in `out`, then run the TLS handshake.

        Bytes read before the handshake are discarded (RFC 9051 section 6.2.1).

        Raises:
            Disconnected: the handshake failed.
        """
        await suspend()
        await self.flush()
        self.reader.clear()
        try:
            await self.channel.start_tls()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise Disconnected from error
        self.session.tls = True

    async def start_compression(self) -> None:
        """Send what is in `out`, then compress both directions (RFC 4978 section 3).

        Raises:
            Disconnected: the connection is closed.
        """
        await self.flush()
        try:
            self.channel.start_compression()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise Disconnected from error

    async def stop_compression(self) -> None:
        """Send what is in `out` with the end of the compressed stream (RFC 8437 section 4.1).

        Raises:
            Disconnected: the connection is closed.
        """
        try:
            self.channel.stop_compression(self.out.take())
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise Disconnected from error

    async def verify_password(self, name: str, password: bytes) -> Account:
        """Return the account with this name and password.

        Raises:
            LoginFailedError: wrong name or password.
            TooManyLoginsError: too many logins wait already.
            Disconnected: the client closed the connection while its login waited.
        """
        await suspend()
        try:
            return await self.services.authenticator.login(
                name,
                password,
                peer=self.session.peer,
                while_connected=self.channel.while_connected,
            )
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise Disconnected from error

    def sign_in(self, store: AccountStore, login_epoch: int = 0) -> None:
        """Enter the authenticated state; the reader's limits widen."""
        self.session.store = store
        self.session.login_epoch = login_epoch
        self.session.errors = 0
        self.reader.limits = AFTER_LOGIN

    def sign_out(self) -> None:
        """Enter the not authenticated state, as it was before login (RFC 8437 section 3)."""
        self.session.sign_out()
        self.services.watchers.leave(self)
        self.reader.utf8 = False
        self.reader.limits = BEFORE_LOGIN
        self.update_syntax()

    def enable_condstore(self) -> None:
        """Include MODSEQ in FETCH responses from now on (RFC 7162 section 3.1).

        If a mailbox is selected, write the MODSEQ up to which the client has its changes.
        """
        session = self.session
        if session.condstore:
            return
        session.condstore = True
        if session.view is not None:
            code = f"HIGHESTMODSEQ {session.view.highest_modseq}"
            self.out.condition("OK", "CONDSTORE enabled", code)

    def write_closed(self, text: str) -> None:
        """Write OK with CLOSED (RFC 9051 section 7.1, RFC 7162 section 3.2.11)."""
        session = self.session
        if session.offers("CONDSTORE") or session.offers("IMAP4rev2") or session.enabled:
            self.out.condition("OK", text, "CLOSED")

    # --- IDLE ----------------------------------------------------------------------------------

    @property
    def mailbox(self) -> MailboxId | None:
        """The selected mailbox."""
        view = self.session.view
        return None if view is None else view.mailbox

    @property
    def annotated(self) -> AccountChange | None:
        """The account, if the client is notified of annotations."""
        session = self.session
        if session.annotations is None or session.store is None:
            return None
        return AccountChange(session.store.account.id)

    async def idle(self) -> Event:
        """Wait for the end of IDLE; meanwhile `push` sends updates.

        Raises:
            Hangup: the selected mailbox was deleted, or the client cannot be notified any more.
            Disconnected: the connection is closed.
        """
        await suspend()
        idlers = self.services.idlers
        with trio.CancelScope() as self._idle:
            idlers.enter(self)
            try:
                if self.push():  # changes before `enter` were pushed by no one
                    idlers.push_later(self)
                return await self.next_event()
            finally:
                idlers.leave(self)
                self._idle = None
        raise self._hangup or Disconnected

    def push(self) -> bool:
        r"""Send updates that are due to a client in IDLE, or between commands after NOTIFY.

        EXISTS is sent first. If new messages may be \Recent they are claimed, and RECENT is sent
        when the claim is on disk.

        Called on Trio's thread after each commit that touches the mailbox, and each second for a
        client that was not reading: it gets nothing until it has read what was sent.

        Returns:
            True if more is due than one call sends: let other tasks run, and call again.

        Raises:
            Hangup: between commands, the selected mailbox was deleted. IDLE ends by itself.
        """
        idle = self._idle
        if (idle is None and not self._resting) or self.channel.waiting:
            return False
        interest = self.session.interest
        hold_expunges = idle is None and interest is not None and interest.delayed
        try:
            more = write_updates(self.session, self.out, hold_expunges=hold_expunges, uid=False)
        except Hangup as reason:
            if idle is None:
                raise
            self._hangup = reason
            idle.cancel()
            return False
        if len(self.out):
            if interest is not None:
                write_held_modseq(self.session, self.out)
            self.channel.write_nowait(self.out.take())
        self._claim_soon()
        if interest is not None:
            self.update_watchers()
        return more and not self.channel.waiting

    # --- NOTIFY --------------------------------------------------------------------------------

    def rest(self) -> None:
        """Enter the time between two commands, in which `push` sends updates after NOTIFY.

        Raises:
            Hangup: the selected mailbox was deleted.
        """
        self._resting = self.session.interest is not None and self.session.interest is not NOTHING
        self.update_watchers()
        if self._resting and self.push():
            self.services.idlers.push_later(self)

    def leave_rest(self) -> bool:
        """Leave the time between two commands; return True if `complete_update` has to follow."""
        self._resting = False
        return self.is_responding

    async def complete_update(self) -> None:
        """Complete the responses of which a part was sent between two commands."""
        view = self.session.view
        while view is not None and view.stream is not None:
            write_updates(self.session, self.out, hold_expunges=True, uid=False)
            await self.flush()
            await self.yield_control()

    @property
    def is_responding(self) -> bool:
        """True if a part of a response was sent between two commands: no other may begin."""
        view = self.session.view
        return view is not None and view.stream is not None

    def update_watchers(self) -> None:
        """Register for changes of the accounts that NOTIFY concerns, or for none."""
        session = self.session
        if session.watch is None:
            self.services.watchers.leave(self)
        else:
            self.services.watchers.enter(self, watched_stores(session, session.watch))

    def _claim_soon(self) -> None:
        view, store = self.session.view, self.session.shared or self.session.store
        if view is None or store is None or self._claiming:
            return
        if (last := view.undecided.last) is not None:
            self._claiming = True
            store.claim_recent_soon(view.mailbox, last, partial(self._claimed, view, last))

    def _claimed(self, view: View, up_to: int, recent_from: int | None) -> None:
        self._claiming = False
        view.note_claim(recent_from, up_to)
        self.services.idlers.push_later(self)

    def still_here(self) -> None:
        """Send an untagged OK during IDLE (allowed by RFC 9051 section 6.3.13).

        Called every few minutes, so that address translators keep an idle connection.
        """
        if self._idle is not None and not self.channel.waiting and not self.is_responding:
            self.out.condition("OK", "still here")
            self.channel.write_nowait(self.out.take())
            view = self.session.view
            if view is not None and view.live is not None:
                self.services.idlers.push_later(self)  # the age of messages has changed


class AccountContext(Context):
    """Context of commands of the authenticated and the selected state."""

    __slots__ = ("own", "store")
    own: AccountStore
    """The user's own store."""

    def __init__(self, ctx: Context) -> None:
        store = ctx.session.store
        assert store is not None
        self.channel = ctx.channel
        self.out = ctx.out
        self.reader = ctx.reader
        self.services = ctx.services
        self.session = ctx.session
        self.own = self.store = store

    def locate(self, name: str) -> tuple[AccountStore, str]:
        """Return the store that has a mailbox, and the name of the mailbox in it.

        A mailbox of the user's own account comes first: one of an older version may have a name
        like those of other users' mailboxes.
        """
        own = self.own
        if not name.startswith(SHARED_NAMESPACES):
            return own, name
        with own.reading() as reader:
            if reader.mailbox_id(name) is not None:
                return own, name
        return self.access().locate(name)

    def note_own_messages(
        self, store: AccountStore, mailbox: MailboxId, uids: UidSet, modseq: int
    ) -> None:
        """Record messages that this client has appended: NOTIFY omits them (RFC 5465 section 5)."""
        session = self.session
        if session.watch is None:
            return
        if session.view is not None and self.is_selected(store, mailbox):
            session.view.note_own_messages(uids)
        else:
            session.watch.note_own_change(store.account.id, mailbox, modseq)

    def access(self) -> Access:
        """Return the access of the user to mailboxes of others."""
        return self.services.pool.access(self.own.account)

    def is_selected(self, store: AccountStore, mailbox: MailboxId) -> bool:
        """Return True if a mailbox is the selected one."""
        selected = self.session.shared or self.session.store
        return (
            self.mailbox == mailbox
            and selected is not None
            and selected.account.id == store.account.id
        )


class SelectedContext(AccountContext):
    """Context of commands of the selected state; `store` has the selected mailbox."""

    __slots__ = ("progress", "view")
    progress: Progress | None
    """Set for a command that may take long."""

    def __init__(
        self, ctx: Context, view: View | None = None, store: AccountStore | None = None
    ) -> None:
        """Enter the selected mailbox, or with a view another one, which is not selected.

        Args:
            ctx: of the connection.
            view: the other mailbox.
            store: its store; None: the user's own.
        """
        # Not by super(): this is on the path of each FETCH.
        session = ctx.session
        own = session.store
        assert own is not None
        if store is None:
            store = own
        if view is None:
            store, view = session.shared or own, session.view
        assert view is not None
        self.channel = ctx.channel
        self.out = ctx.out
        self.reader = ctx.reader
        self.services = ctx.services
        self.session = session
        self.own = own
        self.store = store
        self.view = view
        self.progress = None

    def start_progress(self, tag: bytes, goal: int) -> Progress | None:
        """Start to report the progress of a command that may take long (RFC 9585).

        Args:
            tag: of the command.
            goal: messages that it works on.

        Returns:
            None if INPROGRESS is disabled for this client.
        """
        if "INPROGRESS" not in self.session.disabled.names:
            self.progress = Progress(self.channel, self.out, tag, goal)
        return self.progress

    def write_limited(self, code: str | None) -> None:
        """Write MESSAGELIMIT in an untagged NO, if it is due beside another code (RFC 9738)."""
        if code is not None:
            self.out.condition("NO", LIMITED, code)

    def report(self, done: int) -> None:
        """Report the messages that the command has worked on, if it reports progress."""
        if self.progress is not None:
            self.progress.report(done)

    def uids(self, numbers: SequenceSet, *, uid: bool) -> UidSet:
        """Return the UIDs of a sequence-set, among the messages that the client has counted.

        Raises:
            Refusal: BAD, if a message number does not exist (RFC 9051 section 9, `seq-number`).
        """
        view = self.view
        uids = view.numbers.select(numbers, uid=uid, saved=view.saved)
        if uids is None:
            text = f"no such message: the mailbox has {len(view.numbers)}"
            raise Refusal(text, bad=True)
        return uids

    def mailbox_row(self, reader: Reader) -> Mailbox:
        """Return the selected mailbox as it is in this transaction.

        Raises:
            Refusal: it was deleted; the BYE follows with the updates.
        """
        mailbox = reader.mailbox_by_id(self.view.mailbox)
        if mailbox is None:
            raise Refusal("selected mailbox was deleted", code="NONEXISTENT")
        return mailbox

    def require_writable(self) -> None:
        """Refuse to change a mailbox that was opened with EXAMINE (RFC 9051 section 6.3.3)."""
        if self.view.read_only:
            raise Refusal("mailbox is selected read-only", code="READ-ONLY")
