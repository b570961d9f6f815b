r"""ACLs that change while others have the mailbox selected, and private or shared \Seen."""

import hypothesis.strategies as st
from hypothesis.stateful import rule
from tests.commands.mixed.machine import (
    FIRST_RIGHTS,
    OWNER,
    READERS,
    anyone,
    booleans,
    places,
    signs,
)
from tests.commands.mixed.model import FLAGS, TEAM
from tests.commands.mixed.rules.mailboxes import MailboxRules

readers = st.sampled_from(READERS)
identifiers = st.sampled_from((*READERS, "anyone", "-bob", "-anyone", TEAM, f"-{TEAM}"))


class AccessRules(MailboxRules):
    @rule(user=readers, letter=st.sampled_from("rwstielx"))
    def take_right(self, user, letter):
        self.set_rights(user, self.shared.acl.get(user, frozenset()) - {letter})

    @rule(user=readers, letter=st.sampled_from("rwstielx"))
    def give_right(self, user, letter):
        self.set_rights(user, self.shared.acl.get(user, frozenset()) | {letter})

    @rule(
        number=anyone,
        letter=st.sampled_from("wst"),
        wanted=places,
        sign=signs,
        flags=st.frozensets(st.sampled_from(FLAGS), min_size=1),
        silent=booleans,
    )
    def take_right_before_store(self, number, letter, wanted, sign, flags, silent):
        """Change flags before the client knows that it may no longer change some of them."""
        client = self.pick_selected(number)
        if client is not None and client.user != OWNER:
            self.take_right(client.user, letter)
            self.store_flags(client, wanted, sign, flags, uid=True, silent=silent)

    @rule(number=anyone, letter=st.sampled_from("til"), wanted=places, to_own=booleans)
    def take_right_before_move(self, number, letter, wanted, to_own):
        client = self.pick_selected(number)
        if client is not None and client.user != OWNER:
            self.take_right(client.user, letter)
            self.move_messages(client, wanted, uid=True, to_own=to_own)

    @rule(user=readers)
    def restore_rights(self, user):
        """Give back all rights, and delete the entries that take some away."""
        self.set_rights(user, FIRST_RIGHTS)
        for identifier in (f"-{user}", "-anyone", f"-{TEAM}"):
            self.delete_entry(identifier)

    @rule(identifier=identifiers, rights=st.frozensets(st.sampled_from("lrswte"), max_size=4))
    def replace_rights(self, identifier, rights):
        self.set_rights(identifier, rights)

    @rule(identifier=identifiers)
    def delete_entry(self, identifier):
        self.shared.acl.pop(identifier, None)
        self.command(self.owner, "DELETEACL", f"DELETEACL {self.shared.name} {identifier}")

    @rule(user=readers, member=booleans)
    def change_member(self, user, member):
        """Let a user join or leave the group; sessions notice it without a change of an ACL."""
        (self.team.add if member else self.team.discard)(user)
        self.backend.set_member(user, member=member)
        self.observe()

    @rule(shared=booleans)
    def share_seen(self, shared):
        self.shared.share_seen(shared=shared)
        self.backend.share_seen(OWNER, self.shared.name, shared=shared)
        self.observe()
