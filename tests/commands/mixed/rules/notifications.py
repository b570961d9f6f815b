"""NOTIFY: pictures of all mailboxes that are made of what is pushed (RFC 5465)."""

import hypothesis.strategies as st
from hypothesis.stateful import rule
from tests.commands.mixed.machine import OWNER, anyone
from tests.commands.mixed.rules.contexts import ContextRules

EVENTS = "(MessageNew MessageExpunge FlagChange)"


class NotificationRules(ContextRules):
    @rule(number=anyone, delayed=st.booleans())
    def notify(self, number, delayed):
        client = self.pick(number)
        client.notify = "SELECTED-DELAYED" if delayed else "SELECTED"
        client.watches_others, client.statuses = True, {}
        others = "PERSONAL" if client.user == OWNER else f'SUBTREE ("Other Users/{OWNER}" INBOX)'
        self.command(
            client, "NOTIFY", f"NOTIFY SET STATUS ({client.notify} {EVENTS}) ({others} {EVENTS})"
        )
        for mailbox in self.mailboxes:
            watched = mailbox.owner in (client.user, OWNER) and mailbox is not client.mailbox
            visible = {"l", "r"} <= mailbox.rights(client.user)
            assert (mailbox in client.statuses) == (watched and visible), mailbox.name

    @rule(number=anyone)
    def notify_of_selected(self, number):
        client = self.pick(number)
        client.notify, client.watches_others, client.statuses = "SELECTED", False, {}
        self.command(client, "NOTIFY", f"NOTIFY SET (SELECTED {EVENTS})")
