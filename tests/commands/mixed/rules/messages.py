"""Commands that change messages, with the rights that they need (RFC 4314 section 4)."""

import re

import hypothesis.strategies as st
from hypothesis.stateful import rule
from tests.commands.mixed.client import MixedClient, numbers
from tests.commands.mixed.machine import (
    MixedMachine,
    anyone,
    booleans,
    flag_sets,
    literal,
    message_list,
    messages,
    places,
    signs,
)
from tests.commands.mixed.model import DELETED, FLAGS, SEEN, Mailbox

NOPERM, READ_ONLY, GONE = "NO [NOPERM]", "NO [READ-ONLY]", "NO [EXPUNGEISSUED]"

STORED = ("OK", GONE, "NO [MODIFIED")


def refused_target(client: MixedClient, target: Mailbox) -> str | None:
    """Return the response if a user may not append to a mailbox."""
    rights = target.rights(client.user)
    if "i" in rights:
        return None
    return NOPERM if "l" in rights else "NO [TRYCREATE]"


class MessageRules(MixedMachine):
    @rule(number=anyone, appended=messages, to_own=booleans)
    def append_messages(self, number, appended, to_own):
        client = self.pick(number)
        target = self.target(client, own=to_own)
        refused = refused_target(client, target)
        uids = [] if refused else target.append(client.user, appended)
        text = f"APPEND {target.name_for(client.user)} {message_list(appended)}"
        result = self.command(client, "APPEND", text, passes=(refused or "OK",))
        if not refused:
            self.check_new(client, target, result.lines, "APPENDUID", uids)

    def target(self, client, *, own: bool) -> Mailbox:
        """Return the user's INBOX, or the shared mailbox."""
        mine = next(each for each in self.mailboxes if each.owner == client.user)
        return mine if own else self.shared

    def check_new(self, client, target, lines, code, uids):
        """Compare APPENDUID or COPYUID; a user who cannot read the mailbox gets none."""
        found = re.search(rf"\[{code} (\d+) (?:[\d:,]+ )?([\d:,]+)\]", "\n".join(lines))
        if "r" not in target.rights(client.user) or not uids:
            assert found is None, lines
        else:
            assert found, lines
            assert int(found[1]) == target.uid_validity
            assert numbers(found[2]) == uids

    # --- flags ----------------------------------------------------------------------------------

    @rule(number=anyone, wanted=places, sign=signs, flags=flag_sets, uid=booleans, silent=booleans)
    def store(self, number, wanted, sign, flags, uid, silent):
        client = self.pick_selected(number)
        if client is not None:
            self.store_flags(client, wanted, sign, flags, uid=uid, silent=silent)

    @rule(
        number=anyone,
        wanted=places,
        sign=signs,
        flags=flag_sets,
        uid=booleans,
        silent=booleans,
        back=st.integers(0, 6),
    )
    def store_if_unchanged(self, number, wanted, sign, flags, uid, silent, back):
        client = self.pick_selected(number, condstore=True)
        if client is not None:
            since = max(0, client.picture.highest - back)
            self.store_flags(client, wanted, sign, flags, uid=uid, silent=silent, since=since)

    def store_flags(self, client, wanted, sign, flags, *, uid, silent, since=None):
        uid = uid or client.kind.uidonly
        mailbox = client.picture
        named, uids = self.chosen(client, wanted, uid=uid)
        passes = self.passes_store(client, sign, flags)
        if since is not None and passes != (READ_ONLY,):
            client.enable_condstore()

        def take(lines):
            if passes != STORED:
                return
            refused = self.check_modified(client, lines, uids, sign, flags, uid=uid, since=since)
            done = [one for one in uids if one not in refused]
            mailbox.store(client.user, done, sign, flags)
            if silent:
                self.assume(client, set(done), sign, flags)

        unchanged = "" if since is None else f" (UNCHANGEDSINCE {since})"
        words = f"{sign}FLAGS{'.SILENT' * silent} ({' '.join(sorted(flags))})"
        result = self.command(
            client,
            "STORE",
            f"{'UID ' * uid}STORE {named}{unchanged} {words}",
            holds=not uid,
            uid=uid,
            passes=passes,
            take=take,
        )
        if not silent and passes == STORED:
            assert {one for one in uids if one in mailbox.messages} <= set(result.fetched)

    def passes_store(self, client, sign, flags):
        if client.read_only:
            return (READ_ONLY,)
        concerned = flags if sign else frozenset(FLAGS)
        if concerned and not concerned & client.picture.settable(client.user):
            return (self.denied(client),)
        return STORED

    def check_modified(self, client, lines, uids, sign, flags, *, uid, since):
        """Compare MODIFIED; return its UIDs."""
        found = re.search(r"\[MODIFIED ([\d,:]+)\]", "\n".join(lines))
        got = numbers(found[1]) if found else []
        refused = set(got if uid else [client.counted[n - 1] for n in got])
        if since is None:
            assert not refused
        else:
            must, may = client.picture.modified(client.user, uids, sign, flags, since)
            assert must <= refused <= may, (must, refused, may)
        return refused

    def assume(self, client, uids, sign, flags):
        """Compute the flags after .SILENT as the client does, unless it is sent others."""
        for uid in uids & set(client.flags):
            before = client.flags[uid]
            client.flags[uid] = {"+": before | flags, "-": before - flags, "": flags}[sign]

    @rule(number=anyone, wanted=places)
    def fetch_body(self, number, wanted):
        client = self.pick_selected(number)
        if client is not None:
            named, uids = self.chosen(client, wanted, uid=True)
            if not client.read_only:
                client.picture.store(client.user, uids, "+", frozenset({SEEN}))
            self.command(client, "FETCH", f"UID FETCH {named} (BODY[TEXT])", uid=True)

    # --- removal --------------------------------------------------------------------------------

    @rule(number=anyone, wanted=places, by_uid=booleans)
    def expunge(self, number, wanted, by_uid):
        client = self.pick_selected(number)
        if client is None:
            return
        named, uids = self.chosen(client, wanted, uid=True)
        if not by_uid:
            uids = client.counted
        passes = self.refused_expunge(client)
        if not passes:
            self.expunge_deleted(client.picture, uids)
        text = f"UID EXPUNGE {named}" if by_uid else "EXPUNGE"
        self.command(client, "EXPUNGE", text, uid=by_uid, passes=(passes or "OK",))

    def refused_expunge(self, client, needed="e"):
        if client.read_only:
            return READ_ONLY
        return None if set(needed) <= client.picture.rights(client.user) else self.denied(client)

    def denied(self, client):
        """Return the response if a right is missing; without `l`, also another one may be sent."""
        return NOPERM if "l" in client.picture.rights(client.user) else "NO ["

    def expunge_deleted(self, mailbox, uids):
        mailbox.expunge(
            [u for u in uids if u in mailbox.messages and DELETED in mailbox.messages[u].flags]
        )

    @rule(number=anyone)
    def close_mailbox(self, number):
        client = self.pick_selected(number)
        if client is not None:
            if not self.refused_expunge(client):
                self.expunge_deleted(client.picture, client.counted)
            client.deselect()
            self.command(client, "CLOSE", "CLOSE")

    # --- copies ---------------------------------------------------------------------------------

    @rule(number=anyone, wanted=places, uid=booleans, to_own=booleans)
    def copy(self, number, wanted, uid, to_own):
        client = self.pick_selected(number)
        if client is None:
            return
        uid = uid or client.kind.uidonly
        named, uids = self.chosen(client, wanted, uid=uid)
        target = self.target(client, own=to_own)
        existing = [one for one in uids if one in client.picture.messages]
        passes = refused_target(client, target)
        if not passes and not uid and existing != uids:
            passes = GONE
        new = [] if passes else self.copy_in_model(client, existing, target)
        text = f"{'UID ' * uid}COPY {named} {target.name_for(client.user)}"
        result = self.command(client, "COPY", text, uid=uid, passes=(passes or "OK",))
        self.check_new(client, target, result.lines, "COPYUID", new)

    def copy_in_model(self, client, uids, target):
        source = client.picture
        copies = [(source.flags(client.user, uid), source.messages[uid].size) for uid in uids]
        return target.append(client.user, copies)

    @rule(number=anyone, wanted=places, uid=booleans, to_own=booleans)
    def move(self, number, wanted, uid, to_own):
        client = self.pick_selected(number)
        if client is not None:
            self.move_messages(client, wanted, uid=uid, to_own=to_own)

    def move_messages(self, client, wanted, *, uid, to_own):
        uid = uid or client.kind.uidonly
        named, uids = self.chosen(client, wanted, uid=uid)
        self.move_set(client, named, uids, uid=uid, to_own=to_own)

    def move_set(self, client, named, uids, *, uid, to_own):
        target = self.target(client, own=to_own)
        existing = [one for one in uids if one in client.picture.messages]
        passes = self.refused_expunge(client, "te")
        if passes != READ_ONLY:
            passes = refused_target(client, target) or passes
        new = []
        if not passes:
            new = self.copy_in_model(client, existing, target)
            client.picture.expunge(existing)
            if not uid and existing != uids:
                passes = GONE
        text = f"{'UID ' * uid}MOVE {named} {target.name_for(client.user)}"
        result = self.command(client, "MOVE", text, uid=uid, passes=(passes or "OK",))
        self.check_new(client, target, result.lines, "COPYUID", new)

    @rule(number=anyone, place=st.integers(0, 9), flags=flag_sets, to_own=booleans)
    def replace(self, number, place, flags, to_own):
        client = self.pick_selected(number)
        if client is None:
            return
        named, (replaced,) = self.chosen(client, [place], uid=True)
        target = self.target(client, own=to_own)
        passes = self.refused_expunge(client, "te")
        if passes != READ_ONLY:
            passes = refused_target(client, target) or passes
        if not passes and replaced not in client.picture.messages:
            passes = GONE
        new = []
        if not passes:
            client.picture.expunge([replaced])
            new = target.append(client.user, [(flags, 5)])
        words = f"{target.name_for(client.user)} ({' '.join(sorted(flags))}) {literal(5)}"
        text = f"UID REPLACE {named} {words}"
        result = self.command(client, "REPLACE", text, uid=True, passes=(passes or "OK",))
        self.check_new(client, target, result.lines, "APPENDUID", new)
