"""Commands about mailboxes, some of which other clients have selected."""

import re

import hypothesis.strategies as st
from hypothesis.stateful import rule
from tests.commands.mixed.client import numbers
from tests.commands.mixed.machine import OWNER, SHARED, anyone
from tests.commands.mixed.rules.messages import NOPERM
from tests.commands.mixed.rules.reading import KEYS, ReadingRules, keys

STATUS_ITEMS = "MESSAGES UIDNEXT UNSEEN DELETED SIZE"


class MailboxRules(ReadingRules):
    def counts(self, mailbox, user):
        return " ".join(f"{item} {value}" for item, value in mailbox.counts(user).items())

    def without_right(self, mailbox, user, right):
        """Return the response to a command that needs a right, if the user has not got it."""
        rights = mailbox.rights(user)
        if right in rights:
            return None
        return NOPERM if "l" in rights else "NO [NONEXISTENT]"

    @rule(number=anyone, modseq=st.booleans(), own=st.booleans())
    def status(self, number, modseq, own):
        client = self.pick(number)
        mailbox = self.target(client, own=own)
        refused = self.without_right(mailbox, client.user, "r")
        modseq = modseq and client.kind.condstore
        if modseq:
            client.enable_condstore()
        items = STATUS_ITEMS + " HIGHESTMODSEQ" * modseq
        text = f"STATUS {mailbox.name_for(client.user)} ({items})"
        result = self.command(client, "STATUS", text, passes=(refused or "OK",))
        if not refused:
            counts = self.counts(mailbox, client.user)
            counts += f" HIGHESTMODSEQ {mailbox.highest}" * modseq
            assert f"* STATUS {mailbox.name_for(client.user)} ({counts})" in result.lines

    @rule(number=anyone)
    def list_with_status(self, number):
        client = self.pick(number)
        text = f'LIST "" (* "Other Users/*") RETURN (STATUS ({STATUS_ITEMS}))'
        lines = self.command(client, "LIST", text).lines
        for mailbox in self.mailboxes:
            rights = mailbox.rights(client.user)
            name = mailbox.name_for(client.user)
            listed = any(line.startswith("* LIST ") and line.endswith(f" {name}") for line in lines)
            assert listed == ("l" in rights), (name, lines)
            counts = f"* STATUS {name} ({self.counts(mailbox, client.user)})"
            assert (counts in lines) == ({"l", "r"} <= rights), (counts, lines)

    @rule(number=anyone, key=keys)
    def search_mailboxes(self, number, key):
        client = self.pick(number)
        mine = [each for each in self.mailboxes if each.owner == client.user]
        names = " ".join(each.name for each in mine)
        lines = self.command(client, "ESEARCH", f"ESEARCH IN (mailboxes ({names})) {key}").lines
        for mailbox in mine:
            expected = [
                uid for uid in mailbox.messages if KEYS[key](mailbox.flags(client.user, uid))
            ]
            if mailbox is client.mailbox:
                continue  # messages that it has not counted are not found
            pattern = (
                rf'\* ESEARCH \(TAG "\w+" MAILBOX {mailbox.name} UIDVALIDITY (\d+)\) UID ALL (\S+)'
            )
            found = [each for line in lines if (each := re.match(pattern, line))]
            assert len(found) == bool(expected), lines
            if expected:
                assert int(found[0][1]) == mailbox.uid_validity
                assert numbers(found[0][2]) == expected

    @rule(number=anyone)
    def rename(self, number):
        """Rename the shared mailbox; those that have it selected keep it."""
        client = self.pick(number)
        if client.user == OWNER:
            old = self.shared.name
            self.shared.name = f"{SHARED}2" if old == SHARED else SHARED
            self.command(client, "RENAME", f"RENAME {old} {self.shared.name}")

    @rule(number=anyone, certain=st.integers(0, 3))
    def delete(self, number, certain):
        """Delete the shared mailbox, and create another one."""
        client = self.pick(number)
        if certain:
            return  # rare: a new mailbox has no history
        mailbox = self.shared
        refused = self.without_right(mailbox, client.user, "x")
        name = mailbox.name_for(client.user)
        mailbox.exists = bool(refused)
        selected = client.mailbox is mailbox
        if selected and not refused:
            client.deselect()
        result = self.command(client, "DELETE", f"DELETE {name}", passes=(refused or "OK",))
        if not refused:
            assert selected == any("[CLOSED]" in line for line in result.lines)
            self.mailboxes.remove(mailbox)
            self.create_shared()
