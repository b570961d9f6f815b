"""NOTIFY: pictures of all mailboxes that are made of what is pushed (RFC 5465)."""

import hypothesis.strategies as st
from hypothesis.stateful import rule
from tests.commands.mixed.machine import OWNER, anyone
from tests.commands.mixed.rules.contexts import ContextRules

EVENTS = "(MessageNew MessageExpunge FlagChange)"


class NotificationRules(ContextRules):
    @rule(number=anyone, delayed=st.booleans(), flags=st.booleans())
    def notify(self, number, delayed, flags):
        """Watch the selected mailbox, with or without the flags of new messages, and others."""
        client = self.pick(number)
        client.fetches_new = flags
        client.notify = "SELECTED-DELAYED" if delayed else "SELECTED"
        client.watches_others, client.statuses = True, {}
        others = "PERSONAL" if client.user == OWNER else f'SUBTREE ("Other Users/{OWNER}" INBOX)'
        selected = EVENTS.replace("New", "New (FLAGS)") if flags else EVENTS
        text = f"NOTIFY SET STATUS ({client.notify} {selected}) ({others} {EVENTS})"
        self.command(client, "NOTIFY", text)
        for mailbox in self.mailboxes:
            watched = mailbox.owner in (client.user, OWNER) and mailbox is not client.mailbox
            visible = {"l", "r"} <= mailbox.rights(client.user)
            assert (mailbox in client.statuses) == (watched and visible), mailbox.name

    @rule(number=anyone)
    def notify_of_selected(self, number):
        client = self.pick(number)
        client.notify, client.watches_others, client.statuses = "SELECTED", False, {}
        client.fetches_new = False
        self.command(client, "NOTIFY", f"NOTIFY SET (SELECTED {EVENTS})")
