"""IDLE, ENABLE in mid-session, and another user on the same connection."""

import hypothesis.strategies as st
from hypothesis.stateful import rule
from tests.commands.mixed.client import KINDS
from tests.commands.mixed.machine import USERS, anyone
from tests.commands.mixed.rules.access import AccessRules

kinds = st.sampled_from(KINDS)


class SessionRules(AccessRules):
    @rule(number=anyone)
    def idle(self, number):
        """Idle until the client is picked again; meanwhile its picture is checked at each step."""
        client = self.pick(number)
        client.idle = self.next_tag()
        lines = client.link.start_idle(client.idle)
        assert any(line.startswith("+ ") for line in lines), lines
        client.apply("IDLE", lines)

    @rule(number=anyone, names=st.sampled_from(("IMAP4rev2", "QRESYNC", "UIDONLY")))
    def enable_more(self, number, names):
        client = self.pick(number)
        if client.mailbox is not None:
            client.deselect()
            self.command(client, "UNSELECT", "UNSELECT")
        client.kind = client.kind.with_enabled(names)
        client.condstore = client.condstore or client.kind.qresync
        self.send(client, f"ENABLE {names}")

    @rule(number=anyone, user=st.sampled_from(USERS), kind=kinds)
    def unauthenticate(self, number, user, kind):
        client = self.pick(number)
        client.deselect()
        client.notify, client.fetches_new = None, False
        self.command(client, "UNAUTHENTICATE", "UNAUTHENTICATE")
        client.link.sign_in_again(user)
        client.user, client.kind = user, kind
        client.start(client.link)
        self.enable(client, kind)
        self.select(client, self.visible(user)[0])
