"""FETCH, SEARCH, SELECT (QRESYNC): a client gets what has changed, and nothing else."""

import hypothesis.strategies as st
from hypothesis.stateful import precondition, rule
from tests.commands.mixed.client import Cache
from tests.commands.mixed.machine import anyone, booleans, places
from tests.commands.mixed.model import DELETED, SEEN
from tests.commands.mixed.rules.messages import MessageRules

KEYS = {
    "SEEN": lambda flags: SEEN in flags,
    "UNSEEN": lambda flags: SEEN not in flags,
    "DELETED": lambda flags: DELETED in flags,
    "KEYWORD $Work": lambda flags: "$Work" in flags,
    "UNFLAGGED": lambda flags: r"\Flagged" not in flags,
}
keys = st.sampled_from(sorted(KEYS))


class ReadingRules(MessageRules):
    @rule(number=anyone)
    def noop(self, number):
        self.command(self.pick(number), "NOOP", "NOOP")

    # --- FETCH ----------------------------------------------------------------------------------

    @rule(number=anyone, uid=booleans, modseq=booleans)
    def fetch(self, number, uid, modseq):
        client = self.pick_selected(number)
        if client is None:
            return
        uid = uid or client.kind.uidonly
        modseq = modseq and client.kind.condstore
        if modseq:
            client.enable_condstore()
        before = set(client.counted)
        items = "FLAGS" + " UID" * (not client.kind.uidonly) + " MODSEQ" * modseq
        result = self.command(
            client, "FETCH", f"{'UID ' * uid}FETCH 1:* ({items})", holds=not uid, uid=uid
        )
        assert before & set(client.picture.messages) <= set(result.fetched)

    @rule(number=anyone, back=st.integers(0, 20), uid=booleans, vanished=booleans)
    def fetch_changes(self, number, back, uid, vanished):
        client = self.pick_selected(number, condstore=True)
        if client is None:
            return
        uid = uid or client.kind.uidonly
        client.enable_condstore()
        vanished = vanished and uid and client.kind.qresync
        since = max(1, client.picture.highest - back)
        before = set(client.counted)
        result = self.command(
            client,
            "FETCH",
            f"{'UID ' * uid}FETCH 1:* (FLAGS) (CHANGEDSINCE {since}{' VANISHED' * vanished})",
            holds=not uid,
            uid=uid,
        )
        must, _ = client.picture.changed_since(client.user, since)
        assert must & before <= set(result.fetched)
        if vanished:
            self.check_vanished(client.picture, result.earlier, since, counted=before)
        else:
            assert not result.earlier

    def check_vanished(self, mailbox, earlier, since, counted=frozenset()):
        """Compare UIDs with those expunged since a MODSEQ."""
        must, may = mailbox.expunged_since(since)
        assert len(earlier) == len(set(earlier))
        assert must - counted <= set(earlier) <= may - counted

    # --- SEARCH ---------------------------------------------------------------------------------

    @rule(number=anyone, back=st.integers(0, 6), uid=booleans, numbered=booleans)
    def search_modseq(self, number, back, uid, numbered):
        client = self.pick_selected(number, condstore=True)
        if client is None:
            return
        uid, numbered = uid or client.kind.uidonly, numbered and not client.kind.uidonly
        client.enable_condstore()
        messages = client.picture.messages
        since = max(0, client.picture.highest - back)
        counted = list(client.counted)
        result = self.command(
            client,
            "SEARCH",
            f"{'UID ' * uid}SEARCH {'1:* ' * numbered}MODSEQ {since}",
            holds=not uid or (numbered and client.kind.qresync),
            uid=uid,
        )
        expected = [one for one in counted if one in messages and messages[one].modseq >= since]
        assert result.found == [one if uid else counted.index(one) + 1 for one in expected]
        modseqs = [messages[one].modseq for one in expected]
        assert result.modseq == (max(modseqs) if modseqs else None)

    @rule(number=anyone, wanted=places, then=anyone, back=st.integers(0, 6), uid=booleans)
    def move_before_search(self, number, wanted, then, back, uid):
        """Expunge messages that the client of the next SEARCH has counted."""
        client = self.pick_selected(number)
        if client is not None:
            self.move_messages(client, wanted, uid=uid, to_own=True)
            self.search_modseq(then, back, uid, True)

    @rule(number=anyone, key=keys, uid=booleans)
    def search(self, number, key, uid):
        client = self.pick_selected(number)
        if client is not None:
            uid = uid or client.kind.uidonly
            counted = list(client.counted)
            result = self.command(
                client, "SEARCH", f"{'UID ' * uid}SEARCH {key}", holds=not uid, uid=uid
            )
            expected = self.matches(client, key, counted)
            assert result.found == [one if uid else counted.index(one) + 1 for one in expected]

    def matches(self, client, key, uids):
        mailbox = client.picture
        existing = [one for one in uids if one in mailbox.messages]
        return [one for one in existing if KEYS[key](mailbox.flags(client.user, one))]

    @rule(number=anyone, key=keys)
    def save_result(self, number, key):
        client = self.pick_selected(number)
        if client is not None:
            found = self.matches(client, key, client.counted)
            self.command(client, "SEARCH", f"UID SEARCH RETURN (SAVE) {key}", uid=True)
            client.saved = set(found)

    @rule(number=anyone)
    def fetch_saved(self, number):
        client = self.pick_selected(number)
        if client is not None:
            expected = client.saved & set(client.counted) & set(client.picture.messages)
            result = self.command(client, "FETCH", "UID FETCH $ (FLAGS)", uid=True)
            assert expected <= set(result.fetched)

    @rule(number=anyone, uid=booleans, to_own=booleans)
    def move_saved(self, number, uid, to_own):
        client = self.pick_selected(number)
        if client is not None and (uids := [u for u in client.counted if u in client.saved]):
            uid = uid or client.kind.uidonly
            self.move_set(client, "$", uids, uid=uid, to_own=to_own)

    # --- SELECT ---------------------------------------------------------------------------------

    @rule(number=anyone, other=booleans, read_only=booleans)
    def select_again(self, number, other, read_only):
        client = self.pick(number)
        mailboxes = self.visible(client.user)
        parameters = " (CONDSTORE)" if client.condstore else ""
        self.select(client, mailboxes[-1 if other else 0], parameters, read_only=read_only)

    @rule(number=anyone)
    def connect_again(self, number):
        self.reconnect(self.pick(number))

    @rule(number=anyone, back=st.integers(0, 20), wanted=places, known=booleans, own=booleans)
    def resynchronise(self, number, back, wanted, known, own):
        client = self.pick_selected(number, qresync=True)
        if client is None:
            return
        mailbox = client.picture
        since = client.modseq if own else max(1, mailbox.highest - back)
        uids = sorted({place + 1 for place in wanted}) if known else []
        parameters = f"{mailbox.uid_validity} {since}{' ' * known}{','.join(map(str, uids))}"
        result = self.select(client, mailbox, f" (QRESYNC ({parameters}))")
        changed, touched = mailbox.changed_since(client.user, since)
        if known:
            must, may = mailbox.expunged_since(since)
            assert changed & set(uids) <= set(result.fetched) <= touched & set(uids)
            assert must & set(uids) <= set(result.earlier) <= may & set(uids)
        else:
            assert changed <= set(result.fetched) <= touched
            self.check_vanished(mailbox, result.earlier, since)

    @rule(number=anyone)
    def disconnect(self, number):
        """Lose the connection; what was sent meanwhile by others is found on return."""
        client = self.pick_selected(number, qresync=True)
        if client is not None:
            cache = Cache(
                client.picture,
                client.uid_validity,
                client.modseq,
                dict(client.flags),
                list(client.counted),
            )
            client.link.close()
            client.start(self.backend.connect(client.user))
            self.enable(client, client.kind)
            client.cache = cache

    @rule(number=anyone, known=booleans, matched=booleans)
    def come_back(self, number, known, matched):
        """Resynchronise the flags that the client knew before its connection was lost.

        Args:
            number: the client.
            known: send the UIDs that it knows.
            matched: send message numbers and their UIDs (RFC 7162 section 3.2.5.2).
        """
        client = self.pick(number, qresync=True)
        if client is None or client.cache is None:
            return
        cache, client.cache = client.cache, None
        mailbox = cache.mailbox
        if not mailbox.exists or "r" not in mailbox.rights(client.user) or not cache.modseq:
            return
        client.start_selecting(mailbox, read_only=False)
        client.flags = cache.flags
        parameters = f"{cache.uid_validity} {cache.modseq}"
        if known and cache.flags:
            parameters += f" {','.join(map(str, sorted(cache.flags)))}"
        if matched and cache.counted and not client.kind.uidonly:
            uids = ",".join(map(str, cache.counted))
            parameters += f" (1:{len(cache.counted)} {uids})"
        text = f"SELECT {mailbox.name_for(client.user)} (QRESYNC ({parameters}))"
        result = self.command(client, "SELECT", text)
        client.uid_validity = mailbox.uid_validity
        for uid in result.earlier:
            client.flags.pop(uid, None)
        assert set(client.flags) <= set(mailbox.messages)
        client.check("QRESYNC")

    @precondition(lambda self: any(each.expunged for each in self.mailboxes))
    @rule()
    def forget_expunges(self):
        for mailbox in self.mailboxes:
            mailbox.forgotten = True
        self.backend.forget_expunges()
