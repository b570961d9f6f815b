r"""Clients that apply ADDTO and REMOVEFROM to their lists have what SEARCH and SORT would return.

Two clients change one mailbox at random; both keep results of searches up to date. After each
command, each list of a client equals a new search with the same keys, unless an expunge is held
back (RFC 5267 section 4.3).
"""

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.commands.fakes import connection, exchange
from tests.commands.mixed.backend import LocalBackend
from tests.dialogues.responses.client_state import ClientState
from tests.dialogues.responses.grammar import Reader
from tests.dialogues.responses.live_lists import expanded

FLAGS = (r"\Seen", r"\Flagged", r"\Deleted", "$Work")
KEYS = (
    "ALL",
    "FLAGGED",
    "UNSEEN NOT DELETED",
    "KEYWORD $Work",
    "OR FLAGGED SUBJECT b",
    "BODY needle",
    "RECENT",
    "UID 3:*",
    "UID *",
    "UID 9:*",
    "2:3",
    "NOT 1:2",
    "$",
    "LARGER 70 UNFLAGGED",
    "MODSEQ 4",
    "FUZZY SUBJECT aple",
)
NUMBERED = ("2:3", "NOT 1:2", "$")
CRITERIA = (
    "SUBJECT",
    "REVERSE SUBJECT",
    "SIZE",
    "FROM REVERSE SIZE",
    "REVERSE DATE",
    "ARRIVAL",
    "DISPLAYFROM SUBJECT",
)
BEFORE = ("", "IMAP4rev2", "QRESYNC", "UIDONLY")

clients = st.integers(0, 1)
places = st.lists(st.integers(0, 9), min_size=1, max_size=3)
booleans = st.booleans()
messages = st.lists(
    st.tuples(
        st.sampled_from(["apple", "Re: b", "b", "", "zebra"]),
        st.sampled_from(["Ann <x@a.example>", "b@a.example", "Zoe <a@a.example>"]),
        st.sampled_from(["", "needle", "a longer body of a message"]),
        st.sampled_from([r"\Flagged", r"\Seen $Work", ""]),
    ),
    min_size=1,
    max_size=4,
)


class Watcher:
    """Client with results that it keeps up to date."""

    def __init__(self, ctx, loop, *, uidonly: bool) -> None:
        self.ctx = ctx
        self.loop = loop
        self.uidonly = uidonly
        self.received = b""
        self.tags = 0
        self.state = ClientState()
        self.searches: dict[str, str] = {}
        """Tag → a command that returns the same result."""

    def send(self, text: str) -> list:
        """Send a command, and apply its responses."""
        self.tags += 1
        data = f"a{self.tags} {text}\r\n".encode()
        sent = self.loop.run(exchange, self.ctx, data)
        reader = Reader(sent)
        reader.rev2 = self.ctx.session.rev2
        reader.utf8 = self.ctx.session.utf8
        responses = list(reader.all())
        assert responses[-1].kind in ("OK", "NO"), sent
        for response in responses:
            self.state.apply(response)
        return responses

    def result(self, text: str) -> list[int]:
        """Return the result of a new search."""
        (found,) = [one for one in self.send(text) if one.kind == "ESEARCH"]
        return expanded(found.value["ALL"]) if "ALL" in found.value else []

    def check(self) -> None:
        """Compare all lists with new searches."""
        for tag, text in self.searches.items():
            kept = list(self.state.lists.of(tag) or [])
            assert kept == self.result(text), (tag, text)


class UpdatedResults(RuleBasedStateMachine):
    @initialize(enabled=st.tuples(st.sampled_from(BEFORE), st.sampled_from(BEFORE)))
    def begin(self, enabled):
        self.backend = LocalBackend(("alice",))
        self.clients = []
        for names in enabled:
            ctx = connection(store=self.backend.stored.store("alice"))
            ctx.services = self.backend.services
            client = Watcher(ctx, self.backend.loop, uidonly=names == "UIDONLY")
            if names:
                client.send(f"ENABLE {names}")
            self.clients.append(client)
        for client in self.clients:
            client.send("SELECT INBOX")
        self.append(0, [("b", "b@a.example", "", ""), ("apple", "b@a.example", "needle", "")])

    def teardown(self):
        if hasattr(self, "backend"):
            self.backend.close()

    def check(self):
        for client in self.clients:
            client.send("NOOP")
            client.send("UID FETCH 1:* (UID)")
            client.check()

    def chosen(self, client: Watcher, places: list[int]) -> str:
        count = len(client.state.uids)
        return ",".join(str(n) for n in sorted({place % count + 1 for place in places}))

    def named(self, client: Watcher, places: list[int]) -> str:
        """Return UIDs of messages."""
        uids = list(client.ctx.session.view.numbers.uids)
        return ",".join(str(n) for n in sorted({uids[place % len(uids)] for place in places}))

    @rule(number=clients, keys=st.sampled_from(KEYS), uid=booleans)
    def search(self, number, keys, uid):
        self._start(number, "SEARCH RETURN ({}) {}", keys, uid)

    @rule(
        number=clients,
        keys=st.sampled_from(KEYS),
        criteria=st.sampled_from(CRITERIA),
        uid=booleans,
    )
    def sort(self, number, keys, criteria, uid):
        self._start(number, "SORT RETURN ({}) (" + criteria + ") UTF-8 {}", keys, uid)

    def _start(self, number, command, keys, uid):
        client = self.clients[number]
        uid = uid or client.uidonly
        view = client.ctx.session.view
        later = keys
        if keys in NUMBERED:
            if client.uidonly or not view.numbers:
                return
            # The numbers name what they name now.
            word, _, named = keys.rpartition(" ")
            uids = client.result(f"UID SEARCH RETURN (ALL) {named}")
            later = f"{word} UID {','.join(map(str, uids))}" if uids else f"{word} NOT ALL"
            later = later.strip()
        if len(client.searches) >= 6:
            oldest = next(iter(client.searches))
            client.send(f'CANCELUPDATE "{oldest}"')
            del client.searches[oldest]
        words = ("UID " if uid else "") + command
        client.send(words.format("UPDATE ALL", keys))
        client.searches[f"a{client.tags}"] = words.format("ALL", later)
        self.check()

    @rule(number=clients, messages=messages)
    def append(self, number, messages):
        parts = []
        for subject, sender, body, flags in messages:
            text = f"Subject: {subject}\r\nFrom: {sender}\r\n\r\n{body}"
            parts.append(f"({flags}) {{{len(text)}+}}\r\n{text}")
        self.clients[number].send(f"APPEND INBOX {' '.join(parts)}")
        self.check()

    @rule(
        number=clients,
        places=places,
        sign=st.sampled_from("+-"),
        flag=st.sampled_from(FLAGS),
        both=booleans,
    )
    def store(self, number, places, sign, flag, both):
        client = self.clients[number]
        if not client.state.uids:
            return
        client.send(f"UID STORE {self.named(client, places)} {sign}FLAGS.SILENT ({flag})")
        if both:  # without updates for the other client in between
            other = self.clients[1 - number]
            if other.ctx.session.view.numbers:
                other.send(f"UID STORE {self.named(other, places)} +FLAGS ({flag})")
        self.check()

    @rule(number=clients, places=places)
    def copy(self, number, places):
        client = self.clients[number]
        if client.state.uids:
            client.send(f"UID COPY {self.named(client, places)} INBOX")
            self.check()

    @rule(number=clients, places=places, held=booleans)
    def expunge(self, number, places, held):
        client, other = self.clients[number], self.clients[1 - number]
        if not client.state.uids:
            return
        client.send(f"UID STORE {self.named(client, places)} +FLAGS.SILENT (\\Deleted)")
        client.send("EXPUNGE")
        if held and not other.uidonly and other.state.uids:
            other.send("FETCH 1 (UID)")  # holds EXPUNGE back, and sends REMOVEFROM
        self.check()

    @rule(number=clients, places=places)
    def save(self, number, places):
        client = self.clients[number]
        if client.state.uids:
            client.send(f"UID SEARCH RETURN (SAVE) UID {self.named(client, places)}")


quick = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
UpdatedResults.TestCase.settings = quick
TestUpdatedResults = UpdatedResults.TestCase


class ManyUpdatedResults(UpdatedResults):
    pass


ManyUpdatedResults.TestCase.settings = settings(quick, max_examples=300, stateful_step_count=40)
TestManyUpdatedResults = pytest.mark.slow(ManyUpdatedResults.TestCase)
