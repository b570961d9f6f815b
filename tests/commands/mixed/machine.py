"""State machine of mixed clients: the server, the model of its mailboxes, and commands.

The rules are in the modules of `rules`, one subject each.
"""

import re
from collections.abc import Callable

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize
from tests.commands.mixed.backend import Backend, LocalBackend
from tests.commands.mixed.client import BYE, KINDS, Kind, MixedClient, Result
from tests.commands.mixed.model import FLAGS, Mailbox

OWNER, READERS = "alice", ("bob", "carol")
"""Bob is in another storage group."""
USERS = (OWNER, *READERS)
SHARED, INBOX = "Plan", "INBOX"
PASSED = ("OK", "NO [EXPUNGEISSUED", "NO [MODIFIED")
FIRST_RIGHTS = frozenset("lrswite")

anyone = st.integers(0, 99)
"""Client: its place, among those that can send the command."""
places = st.lists(st.integers(0, 9), min_size=1, max_size=3)
flag_sets = st.frozensets(st.sampled_from(FLAGS), max_size=2)
signs = st.sampled_from(["+", "-", ""])
booleans = st.booleans()
messages = st.lists(st.tuples(flag_sets, st.integers(4, 9)), min_size=1, max_size=3)
crews = st.lists(
    st.tuples(st.sampled_from((OWNER, OWNER, *READERS)), st.sampled_from(KINDS)),
    min_size=4,
    max_size=7,
)


def literal(size: int) -> str:
    """Return a message of a size."""
    return f"{{{size}+}}\r\n" + "A: b".ljust(size, "c")


class MixedMachine(RuleBasedStateMachine):
    """Clients of some users, and all mailboxes in which they work."""

    backend: Backend

    def start_backend(self) -> Backend:
        return LocalBackend(USERS)

    @initialize(crew=crews)
    def begin(self, crew: list[tuple[str, Kind]]) -> None:
        self.backend = self.start_backend()
        self.tags = 0
        self.team: set[str] = set()
        self.mailboxes = [Mailbox(user, INBOX, team=self.team) for user in USERS]
        self.owner = MixedClient(OWNER, KINDS[0], self.backend.connect(OWNER), self.mailboxes)
        """Selects nothing."""
        self.create_shared()
        self.clients = [self.connected(user, kind) for user, kind in crew]
        self.append(self.shared, [(frozenset(), 4)] * 4)
        for client in self.clients:
            self.select(client, self.shared)
            self.command(client, "FETCH", "UID FETCH 1:* (FLAGS)", uid=True)

    def teardown(self) -> None:
        if hasattr(self, "backend"):
            self.backend.close()

    @property
    def shared(self) -> Mailbox:
        """The shared mailbox."""
        return self.mailboxes[-1]

    def create_shared(self) -> None:
        """Create the shared mailbox, again if it was deleted."""
        self.mailboxes.append(Mailbox(OWNER, SHARED, team=self.team))
        self.command(self.owner, "CREATE", f"CREATE {SHARED}")
        for user in READERS:
            self.set_rights(user, FIRST_RIGHTS)

    def set_rights(self, identifier: str, rights: frozenset[str]) -> None:
        self.shared.acl[identifier] = rights
        letters = "".join(sorted(rights))
        self.command(self.owner, "SETACL", f'SETACL {self.shared.name} {identifier} "{letters}"')

    def append(self, mailbox: Mailbox, appended: list[tuple[frozenset[str], int]]) -> None:
        """Append messages as the owner of the shared mailbox."""
        mailbox.append(OWNER, appended)
        self.command(self.owner, "APPEND", f"APPEND {mailbox.name} {message_list(appended)}")

    # --- clients --------------------------------------------------------------------------------

    def connected(self, user: str, kind: Kind) -> MixedClient:
        client = MixedClient(user, kind, self.backend.connect(user), self.mailboxes)
        self.enable(client, kind)
        return client

    def enable(self, client: MixedClient, kind: Kind) -> None:
        if kind.enabled:
            self.send(client, f"ENABLE {kind.enabled}")

    def pick(self, number: int, **wanted: bool) -> MixedClient | None:
        """Return a client that is not cut off, whose kind has some extensions; out of IDLE."""
        able = [
            client
            for client in self.clients
            if all(getattr(client.kind, name) == value for name, value in wanted.items())
        ]
        if not able:
            return None
        client = able[number % len(able)]
        self.leave_idle(client)
        if client.is_cut_off:
            self.find_cut_off(client, number)
        return client

    def pick_selected(self, number: int, **wanted: bool) -> MixedClient | None:
        """Return a client with a mailbox selected in which there are messages."""
        client = self.pick(number, **wanted)
        if client is None:
            return None
        if client.mailbox is None:
            self.select(client, self.visible(client.user)[0])
        return client if client.counted else None

    def find_cut_off(self, client: MixedClient, number: int) -> None:
        """Send a command, which gets BYE and changes nothing; connect again."""
        commands = (
            "NOOP",
            "UID FETCH 1:* (FLAGS)",
            r"UID STORE 1:* +FLAGS (\Seen \Deleted)",
            "UID SEARCH ALL",
            "EXPUNGE",
            "UID MOVE 1:* INBOX",
            "UID COPY 1:* INBOX",
            "STATUS INBOX (MESSAGES)",
        )
        lines = self.send(client, commands[number % len(commands)])
        assert lines[-1] == BYE, lines
        self.reconnect(client)

    def reconnect(self, client: MixedClient) -> None:
        """Connect again, and select one of the mailboxes that the user can read."""
        client.link.close()
        client.start(self.backend.connect(client.user))
        self.enable(client, client.kind)
        self.select(client, self.visible(client.user)[0])

    def visible(self, user: str) -> list[Mailbox]:
        """Return the mailboxes that a user can read, the shared one first."""
        readable = [each for each in self.mailboxes if each.exists and "r" in each.rights(user)]
        return readable[::-1]

    def leave_idle(self, client: MixedClient) -> None:
        if client.idle is None:
            return
        tag, client.idle = client.idle, None
        lines = client.link.stop_idle()
        assert re.match(rf"{tag}\S* OK", lines[-1]), lines
        client.apply("IDLE", lines)

    # --- commands -------------------------------------------------------------------------------

    def send(
        self, client: MixedClient, text: str, take: Callable[[list[str]], None] | None = None
    ) -> list[str]:
        """Send a command; take its effect on the mailboxes, and check the clients in IDLE."""
        lines = client.link.send(f"{self.next_tag()} {text}\r\n".encode())
        if take is not None:
            take(lines)
        self.observe(client)
        return lines

    def next_tag(self) -> str:
        self.tags += 1
        return f"a{self.tags}"

    def observe(self, acting: MixedClient | None = None) -> None:
        """Take the effect of a command on the mailboxes, and check what others were sent for it."""
        changed = [mailbox for mailbox in self.mailboxes if mailbox.is_changing]
        for mailbox in self.mailboxes:
            if mailbox.exists:
                mailbox.observe(self.backend.observe(mailbox.owner, mailbox.name))
        for client in getattr(self, "clients", ()):
            client.forget_counts(changed if client is acting else ())
            if client.is_pushed_to and client is not acting:
                self.check_pushed(client)

    def check_pushed(self, client: MixedClient) -> None:
        lines = client.link.pushed(due=not client.is_current)
        if client.is_cut_off:
            assert lines[-1:] == [BYE], lines
            self.reconnect(client)
        else:
            before = set(client.counted)
            client.apply("IDLE", lines, holds=client.holds_pushed)
            if client.fetches_new:
                assert set(client.counted) - before <= set(client.flags)

    def command(
        self,
        client: MixedClient,
        name: str,
        text: str,
        *,
        holds: bool = False,
        uid: bool = False,
        passes: tuple[str, ...] = PASSED,
        take: Callable[[list[str]], None] | None = None,
    ) -> Result:
        """Send a command, and check all that it changes for this client.

        Args:
            client: sends it.
            name: of the command, without UID.
            text: the whole command.
            holds: True if no EXPUNGE may be sent.
            uid: True for a UID command.
            passes: beginnings of the tagged response.
            take: applies an effect to the model that the responses decide.
        """
        start = f"a{self.tags + 1} "
        lines = self.send(client, text, take)
        assert lines[-1].startswith(tuple(start + each for each in passes)), (client, text, lines)
        result = client.apply(name, lines, holds=holds, uid=uid)
        if client.is_pushed_to:
            self.check_pushed(client)
        return result

    def select(
        self,
        client: MixedClient,
        mailbox: Mailbox,
        parameters: str = "",
        *,
        read_only: bool = False,
    ) -> Result:
        client.start_selecting(mailbox, read_only=read_only)
        word = "EXAMINE" if read_only else "SELECT"
        result = self.command(
            client, "SELECT", f"{word} {mailbox.name_for(client.user)}{parameters}"
        )
        client.uid_validity = mailbox.uid_validity
        rights = mailbox.rights(client.user)
        changes = rights & set("iewt" if mailbox.has_own_seen(client.user) else "iewts")
        code = "READ-WRITE" if changes and not read_only else "READ-ONLY"
        assert f"[{code}]" in result.tagged, (result.tagged, rights)
        if not result.fetched:
            assert client.modseq == mailbox.highest
        return result

    def chosen(self, client: MixedClient, wanted: list[int], *, uid: bool) -> tuple[str, list[int]]:
        """Return a set of messages that the client has counted, and their UIDs."""
        at = sorted({place % len(client.counted) for place in wanted})
        uids = [client.counted[n] for n in at]
        return ",".join(str(n) for n in (uids if uid else [n + 1 for n in at])), uids


def message_list(appended: list[tuple[frozenset[str], int]]) -> str:
    """Return the messages of APPEND."""
    return " ".join(f"({' '.join(sorted(flags))}) {literal(size)}" for flags, size in appended)
