"""Any history of one account, compared with a model after every step."""

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.filepool.direct import (
    START,
    Direct,
    message,
    message_bytes,
    records,
)
from tests.filepool.direct import (
    keywords as keywords_of,
)
from tests.filepool.naive import NaiveMailbox, NaiveMessage, NaiveStore

from imapvm._core import STORE_ADD, STORE_REMOVE, STORE_REPLACE, UidSet
from imapvm.filepool.errors import FilepoolError, MailboxExistsError, NoSuchMailboxError
from imapvm.filepool.operations.append import AppendMessages
from imapvm.filepool.operations.copy import CopyMessages
from imapvm.filepool.operations.mailboxes.mailboxes import (
    ClaimRecent,
    CreateMailbox,
    DeleteMailbox,
    SetSubscription,
)
from imapvm.filepool.operations.mailboxes.rename import RenameMailbox
from imapvm.filepool.operations.store_flags import ExpungeMessages, StoreFlags
from imapvm.filepool.operations.sweep import SweepStep

NAMES = ["INBOX", "a", "a/b", "a/b/c", "b", "b/b", "c/d", "INBOX/x"]
KEYWORDS = ["$Forwarded", "Junk", "todo"]
MODES = {"add": STORE_ADD, "remove": STORE_REMOVE, "replace": STORE_REPLACE}
DELETED = 8

names = st.sampled_from(NAMES)
flag_sets = st.integers(0, 31)
keyword_sets = st.frozensets(st.sampled_from(KEYWORDS))
uid_sets = st.one_of(
    st.just(((1, 4_294_967_295),)),
    st.lists(st.tuples(st.integers(1, 120), st.integers(0, 40)), max_size=4).map(
        lambda runs: tuple((first, first + more) for first, more in runs)
    ),
)
FAST = Path("/dev/shm")


class Histories(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        home = FAST if FAST.is_dir() else None
        self.home = Path(tempfile.mkdtemp(dir=home))
        self.direct = Direct(self.home / "filepool")
        self.account = self.direct.account.id
        with self.direct.reading() as reader:
            found = reader.mailboxes()
            subscribed = reader.subscriptions()
        self.naive = NaiveStore(
            {box.name: NaiveMailbox(box.id, box.uid_validity) for box in found}, subscribed
        )
        self.contents: dict[int, bytes] = {}
        self.number = 0
        self.validities = {box.uid_validity for box in found}

    def teardown(self):
        if hasattr(self, "direct"):
            try:
                assert self.direct.check() == []
                for later in (10_000, 20_000):  # bodies of swept mailboxes have a grace period, too
                    step = SweepStep(self.direct.clock.now + later)
                    while self.direct.apply(step)[0].more:
                        pass
                assert self.direct.check() == []
                kept = {
                    message.content
                    for mailbox in self.naive.mailboxes.values()
                    for message in mailbox.messages
                }
                assert self.direct.pool.check().bodies == len(kept)
            finally:
                self.direct.close()
                shutil.rmtree(self.home)

    def apply(self, operation):
        self.direct.clock.now += 1
        return self.direct.apply(operation)

    @property
    def now(self):
        return self.direct.clock.now

    def mailbox(self, name) -> NaiveMailbox:
        """Return the mailbox with a name, or INBOX."""
        return self.naive.mailboxes.get(name) or self.naive.mailboxes["INBOX"]

    # --- mailboxes ----------------------------------------------------------------------------

    @rule(name=names, subscribe=st.booleans())
    def create(self, name, subscribe):
        operation = CreateMailbox(self.account, name, (), subscribe, self.now)
        if self.naive.exists(name):
            with pytest.raises(MailboxExistsError):
                self.apply(operation)
            return
        self.apply(operation)
        for new in (*self.naive.missing_parents(name), name):
            self.adopt(new)
        if subscribe:
            self.naive.subscribed.add(name)

    def adopt(self, name):
        """Add a mailbox with the id and UIDVALIDITY that the store chose."""
        found = self.direct.mailbox(name)
        assert found.uid_validity not in self.validities
        self.validities.add(found.uid_validity)
        self.naive.mailboxes[name] = NaiveMailbox(found.id, found.uid_validity)

    @rule(name=names)
    def delete(self, name):
        if self.naive.exists(name) and name != "INBOX":
            gone = self.naive.mailboxes.pop(name)
            self.apply(DeleteMailbox(self.account, gone.id, self.now))
            with pytest.raises(NoSuchMailboxError):
                self.apply(ClaimRecent(self.account, gone.id, 1))

    @rule(old=names.filter(lambda name: name != "INBOX"), new=names)
    def rename(self, old, new):
        operation = RenameMailbox(self.account, old, new, self.now)
        if not self.naive.can_rename(old, new):
            with pytest.raises(FilepoolError):
                self.apply(operation)
            return
        missing = self.naive.missing_parents(new)
        self.apply(operation)
        self.naive.rename(old, new)
        for name in missing:
            if not self.naive.exists(name):
                self.adopt(name)

    @rule(new=names)
    def rename_inbox(self, new):
        operation = RenameMailbox(self.account, "INBOX", new, self.now)
        if self.naive.exists(new):
            with pytest.raises(MailboxExistsError):
                self.apply(operation)
            return
        missing = self.naive.missing_parents(new)
        self.apply(operation)
        for name in missing:
            self.adopt(name)
        self.adopt(new)
        inbox, target = self.naive.mailboxes["INBOX"], self.naive.mailboxes[new]
        target.uid_next = inbox.uid_next
        moved = list(inbox.messages)
        if moved:
            inbox.remove(moved)
            target.messages = moved
            target.modseq = inbox.modseq - 1
            target.log("appended", [message.uid for message in moved])

    @rule(name=names, subscribed=st.booleans())
    def subscribe(self, name, subscribed):
        self.apply(SetSubscription(self.account, name, subscribed))
        (self.naive.subscribed.add if subscribed else self.naive.subscribed.discard)(name)

    # --- messages -----------------------------------------------------------------------------

    @rule(name=names, count=st.integers(1, 45), flags=flag_sets, keywords=keyword_sets)
    def append(self, name, count, flags, keywords):
        mailbox = self.mailbox(name)
        new = []
        for _ in range(count):
            self.number += 1
            new.append(message_bytes(self.number, size=5000 if self.number % 10 == 0 else 0))
        done = self.apply(
            AppendMessages(
                self.account,
                mailbox.id,
                tuple(message(data, flags, tuple(sorted(keywords)), START) for data in new),
                self.now,
            )
        )
        appended = mailbox.append([NaiveMessage(0, data, flags, keywords, 0) for data in new])
        assert list(done.uids) == appended
        assert (done.uid_validity, done.modseq) == (mailbox.uid_validity, mailbox.modseq)

    @rule(
        name=names,
        runs=uid_sets,
        mode=st.sampled_from(sorted(MODES)),
        flags=flag_sets,
        keywords=keyword_sets,
        since=st.one_of(st.none(), st.integers(0, 12)),
    )
    def store(self, name, runs, mode, flags, keywords, since):
        mailbox = self.mailbox(name)
        wanted = UidSet(runs)
        spelling = tuple(keyword.upper() for keyword in sorted(keywords))
        if not any(message.keywords for message in mailbox.messages):
            spelling = tuple(sorted(keywords))  # the first use of a keyword decides its spelling
        done = self.apply(
            StoreFlags(self.account, mailbox.id, wanted, MODES[mode], flags, spelling, since)
        )
        changed, refused = mailbox.store(wanted, mode, flags, keywords, since)
        assert (set(done.changed), set(done.refused)) == (changed, refused)
        assert done.modseq == mailbox.modseq

    @rule(name=names, runs=uid_sets)
    def expunge(self, name, runs):
        mailbox = self.mailbox(name)
        wanted = UidSet(runs)
        done = self.apply(ExpungeMessages(self.account, mailbox.id, wanted, self.now))
        gone = [message for message in mailbox.chosen(wanted) if message.flags & DELETED]
        mailbox.remove(gone)
        assert list(done.uids) == [message.uid for message in gone]
        assert done.modseq == mailbox.modseq

    @rule(source=names, destination=names, runs=uid_sets, move=st.booleans())
    def transfer(self, source, destination, runs, move):
        one, other = self.mailbox(source), self.mailbox(destination)
        if move or len(one.messages) + len(other.messages) < 400:
            wanted = UidSet(runs)
            done = self.apply(CopyMessages(self.account, one.id, wanted, other.id, move, self.now))
            chosen, copies = self.naive.copy(one, wanted, other, move=move)
            assert (list(done.source), list(done.copies)) == (chosen, copies)
            assert (done.uid_validity, done.modseq) == (other.uid_validity, other.modseq)

    @rule(seconds=st.sampled_from([0, 1000, 4000]))
    def sweep(self, seconds):
        self.direct.clock.now += seconds
        self.apply(SweepStep(self.now))

    # --- comparison ---------------------------------------------------------------------------

    @invariant()
    def agrees_with_the_model(self):
        if not hasattr(self, "direct"):
            return
        with self.direct.reading() as reader:
            found = {mailbox.name: mailbox for mailbox in reader.mailboxes()}
            assert found.keys() == self.naive.mailboxes.keys()
            assert reader.subscriptions() == self.naive.subscribed
            for name, mailbox in found.items():
                self.compare(reader, mailbox, self.naive.mailboxes[name])
            usage = reader.usage()
        everything = [m for box in self.naive.mailboxes.values() for m in box.messages]
        assert usage.mailboxes == len(found)
        assert usage.messages == len(everything)
        assert usage.size == sum(len(message.content) for message in everything)

    def compare(self, reader, mailbox, naive: NaiveMailbox):
        messages = naive.messages
        assert (mailbox.id, mailbox.uid_validity) == (naive.id, naive.uid_validity)
        assert (mailbox.uid_next, mailbox.highest_modseq) == (naive.uid_next, naive.modseq)
        assert mailbox.messages == len(messages)
        assert mailbox.unseen == sum(not message.flags & 1 for message in messages)
        assert mailbox.deleted == sum(bool(message.flags & DELETED) for message in messages)
        assert mailbox.size == sum(len(message.content) for message in messages)
        keywords = keywords_of(reader, mailbox)
        rows = records(reader, mailbox)
        assert list(reader.uid_map(mailbox).uids) == [message.uid for message in messages]
        assert [
            (r.uid, r.flags, r.modseq, r.size, lower(keywords.get(r.keyword_set, ()))) for r in rows
        ] == [(m.uid, m.flags, m.modseq, len(m.content), lower(m.keywords)) for m in messages]
        for row, message_ in zip(rows, messages, strict=True):
            if self.contents.setdefault(row.body, message_.content) != message_.content:
                pytest.fail(f"body {row.body} is used for two messages")
        for row in rows[:1] + rows[-1:]:
            assert reader.body(row.body, 0, row.size) == self.contents[row.body]
        for since in {0, max(naive.modseq - 2, 0), naive.modseq - 1, naive.modseq}:
            changes = reader.changes(mailbox, since)
            assert changes.complete
            assert {
                "appended": set(changes.appended),
                "flagged": set(changes.flagged),
                "expunged": set(changes.expunged),
            } == naive.since(since)


def lower(keywords):
    return frozenset(keyword.lower() for keyword in keywords)


Histories.TestCase.settings = settings(
    max_examples=35,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestHistories = Histories.TestCase


@pytest.mark.slow
class TestLongHistories(Histories.TestCase):
    settings = settings(Histories.TestCase.settings, max_examples=500, stateful_step_count=80)
