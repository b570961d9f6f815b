"""Quota: limits hold in the transaction that adds, and usage is what a recount finds."""

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import lmdb
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.filepool.direct import (
    START,
    Direct,
    message,
    message_bytes,
    received,
    records,
    uids,
)

from imapvm._core import STORE_ADD, UidSet
from imapvm.filepool.errors import CorruptDataError, FilepoolError, OverQuotaError
from imapvm.filepool.operations.append import AppendMessages
from imapvm.filepool.operations.copy import CommitCopies, CopyMessages, StageCopies
from imapvm.filepool.operations.deliver import (
    AlreadyDelivered,
    Delivered,
    DeliverMessage,
    DeliveryRefused,
)
from imapvm.filepool.operations.enroll import ClearAccount
from imapvm.filepool.operations.mailboxes.mailboxes import CreateMailbox, DeleteMailbox
from imapvm.filepool.operations.mailboxes.rename import RenameMailbox
from imapvm.filepool.operations.quota import RecountUsage, SetLimits, add_annotations
from imapvm.filepool.operations.replace import ReplaceMessage
from imapvm.filepool.operations.store_flags import ExpungeMessages, StoreFlags
from imapvm.filepool.pool import open_filepool
from imapvm.filepool.tables import quotas
from imapvm.model.quota import (
    ANNOTATION_STORAGE,
    LIMIT_MAX,
    MAILBOX,
    MESSAGE,
    STORAGE,
    UNITS,
    effective,
    in_units,
)

ALL = UidSet([(1, 4_294_967_295)])


def sized(size: int):
    """Return a message of exactly this many bytes."""
    return message(b"Subject: x\r\n\r\n".ljust(size, b"x"))


def quota(direct):
    with direct.reading() as reader:
        return reader.quota()


def set_limits(direct, account: int = 1, **limits):
    names = {"storage": STORAGE, "messages": MESSAGE, "mailboxes": MAILBOX}
    named = tuple((names[name], value) for name, value in limits.items())
    return direct.apply(SetLimits(account, named, (), replace=False))


def append(*messages, mailbox: int = 1):
    return AppendMessages(1, mailbox, messages, START)


# --- limits ---------------------------------------------------------------------------------------


def test_no_limits_without_a_row_and_without_a_default(direct):
    found = quota(direct)
    assert found.used == {STORAGE: 0, MESSAGE: 0, MAILBOX: 6, ANNOTATION_STORAGE: 0}
    assert (found.limits, found.own) == ({}, {})


def test_own_limit_takes_the_place_of_the_default(tmp_path):
    with Direct(tmp_path / "pool", quota={STORAGE: 10, MESSAGE: 5}) as direct:
        assert quota(direct).limits == {STORAGE: 10, MESSAGE: 5}
        set_limits(direct, storage=None, mailboxes=9)
        assert quota(direct).limits == {MESSAGE: 5, MAILBOX: 9}
        assert quota(direct).own == {STORAGE: None, MAILBOX: 9}
        direct.apply(SetLimits(1, (), (STORAGE,), replace=False))
        assert quota(direct).limits == {STORAGE: 10, MESSAGE: 5, MAILBOX: 9}
        direct.apply(SetLimits(1, ((MESSAGE, 7),), (), replace=True))
        assert quota(direct).limits == {MESSAGE: 7}
        direct.apply(SetLimits(1, (), tuple(UNITS), replace=False))
        assert quota(direct).own == {}
        with direct.group.env.begin() as txn:
            assert txn.stat(direct.group.tables.quotas)["entries"] == 0


def test_limits_of_each_size_are_stored(direct):
    for limit in (0, 1, LIMIT_MAX, None):
        set_limits(direct, storage=limit)
        assert quota(direct).own == {STORAGE: limit}
    assert effective({STORAGE: None}, {STORAGE: 3, MESSAGE: 4}) == {MESSAGE: 4}


def test_replace_counts_the_difference(direct):
    direct.apply(append(sized(1000)))
    set_limits(direct, storage=1, messages=1)
    direct.apply(ReplaceMessage(1, 1, 1, 1, sized(1024), START))
    assert quota(direct).used[MESSAGE] == 1
    with pytest.raises(OverQuotaError):
        direct.apply(ReplaceMessage(1, 1, 2, 1, sized(1025), START))
    assert quota(direct).used[STORAGE] == 1


def test_usage_is_rounded_up_to_units():
    assert [in_units(STORAGE, size) for size in (0, 1, 1024, 1025)] == [0, 1, 1, 2]
    assert in_units(MESSAGE, 7) == 7


def test_each_resource_at_its_limit_and_past_it(direct):
    set_limits(direct, storage=1, messages=2, mailboxes=7)
    direct.apply(append(sized(1000)))
    with pytest.raises(OverQuotaError) as over:
        direct.apply(append(sized(25)))
    assert (over.value.resource, over.value.never) == (STORAGE, False)
    direct.apply(append(sized(24)))
    assert quota(direct).used == {STORAGE: 1, MESSAGE: 2, MAILBOX: 6, ANNOTATION_STORAGE: 0}
    set_limits(direct, storage=None)
    with pytest.raises(OverQuotaError, match="MESSAGE is limited to 2"):
        direct.apply(append(sized(20)))
    with pytest.raises(OverQuotaError, match="MAILBOX is limited to 7"):
        direct.apply(CreateMailbox(1, "a/b", (), subscribe=False, now=START))
    direct.apply(CreateMailbox(1, "a", (), subscribe=False, now=START))
    with pytest.raises(OverQuotaError):
        direct.apply(RenameMailbox(1, "INBOX", "old", START))
    with pytest.raises(OverQuotaError):
        direct.apply(RenameMailbox(1, "a", "new/a", START))
    direct.apply(RenameMailbox(1, "a", "b", START))
    assert direct.check() == []


def test_message_larger_than_the_limit_never_fits(direct):
    set_limits(direct, storage=1)
    with pytest.raises(OverQuotaError) as over:
        direct.apply(append(sized(1025)))
    assert over.value.never


def test_limit_of_zero_allows_nothing_to_be_added(direct):
    direct.apply(append(sized(20)))
    set_limits(direct, storage=0, messages=0, mailboxes=0)
    for operation in (
        append(sized(20)),
        CopyMessages(1, 1, ALL, 2, move=False, now=START),
        CreateMailbox(1, "a", (), subscribe=False, now=START),
    ):
        with pytest.raises(OverQuotaError):
            direct.apply(operation)


def test_account_above_its_limit_can_free_space(direct):
    direct.apply(append(*(sized(500) for _ in range(4))))
    set_limits(direct, storage=1, messages=1)
    direct.apply(CopyMessages(1, 1, UidSet([(1, 2)]), 6, move=True, now=START))
    direct.apply(StoreFlags(1, 1, ALL, STORE_ADD, 8, (), None))
    direct.apply(ExpungeMessages(1, 1, ALL, START))
    assert quota(direct).used[MESSAGE] == 2
    direct.apply(DeleteMailbox(1, 6, START))
    direct.apply(append(sized(1024)))
    assert direct.check() == []


def test_multiappend_over_the_limit_stores_nothing(direct):
    set_limits(direct, messages=2)
    with pytest.raises(OverQuotaError):
        direct.apply(append(*(sized(20) for _ in range(3))))
    assert quota(direct).used[MESSAGE] == 0
    direct.apply(append(sized(20), sized(20)))


def test_copy_counts_only_the_messages_that_are_copied(direct):
    direct.apply(append(*(sized(1024) for _ in range(4))))
    set_limits(direct, storage=6)
    with pytest.raises(OverQuotaError):
        direct.apply(CopyMessages(1, 1, UidSet([(1, 3)]), 2, move=False, now=START))
    direct.apply(CopyMessages(1, 1, UidSet([(1, 2)]), 2, move=False, now=START))
    with pytest.raises(OverQuotaError):
        direct.apply(CopyMessages(1, 2, uids(1), 2, move=False, now=START))
    assert quota(direct).used[STORAGE] == 6


def test_staged_copies_are_checked_when_they_are_committed(direct):
    direct.apply(append(*(sized(1024) for _ in range(80))))
    set_limits(direct, storage=159)
    staged = direct.apply(StageCopies(1, 1, ALL, 2, START, False, None))
    with pytest.raises(OverQuotaError):
        direct.apply(CommitCopies(1, 2, staged))
    set_limits(direct, storage=160)
    direct.apply(CommitCopies(1, 2, staged))
    assert quota(direct).used[STORAGE] == 160


def test_limit_set_in_a_batch_holds_for_the_operations_after_it(direct):
    one = SetLimits(1, ((MESSAGE, 1),), (), replace=False)
    with pytest.raises(OverQuotaError):
        direct.apply(append(sized(20)), one, append(sized(20)))
    direct.apply(append(sized(20)), one)
    direct.apply(SetLimits(1, (), (MESSAGE,), replace=False), append(sized(20)))


def test_operations_of_one_batch_share_the_remaining_quota(direct):
    set_limits(direct, messages=2)
    with pytest.raises(OverQuotaError):
        direct.apply(append(sized(20)), append(sized(20)), append(sized(20)))
    direct.apply(append(sized(20)), append(sized(20)))


def test_delivery_is_refused_for_the_recipient_over_quota_only(direct):
    bob = direct.enroll("bob")
    set_limits(direct, messages=0)
    results = direct.apply(
        DeliverMessage(b"d" * 16, ((1, "INBOX"), (bob.id, "INBOX")), sized(20), START)
    )
    assert isinstance(results[bob.id], Delivered)
    assert isinstance(results[1], DeliveryRefused)
    assert isinstance(results[1].reason, OverQuotaError)
    set_limits(direct, messages=None)
    results = direct.apply(
        DeliverMessage(b"d" * 16, ((1, "INBOX"), (bob.id, "INBOX")), sized(20), START)
    )
    assert isinstance(results[1], Delivered)
    assert isinstance(results[bob.id], AlreadyDelivered)


def test_annotations_are_counted_and_limited(direct):
    def add(more, account=1):
        def apply(txn):
            add_annotations(txn, account, more)

        direct.apply(type("Add", (), {"apply": staticmethod(apply)}))

    direct.apply(SetLimits(1, ((ANNOTATION_STORAGE, 1),), (), replace=False))
    add(1000)
    assert quota(direct).used[ANNOTATION_STORAGE] == 1
    with pytest.raises(OverQuotaError):
        add(25)
    add(24)
    add(-1024)
    assert quota(direct).used[ANNOTATION_STORAGE] == 0
    add(5, direct.enroll("bob").id)
    assert quota(direct).used[ANNOTATION_STORAGE] == 0


def test_limits_end_with_the_account(direct):
    bob = direct.enroll("bob")
    set_limits(direct, bob.id, messages=1)
    while not direct.apply(ClearAccount(bob.id, START)):
        pass
    with direct.group.env.begin() as txn:
        assert txn.stat(direct.group.tables.quotas)["entries"] == 0


async def test_store_of_an_account_reads_and_changes_its_quota(path):
    async with open_filepool(path, quota={MESSAGE: 1}) as pool:
        store = pool.account(await pool.accounts.enroll("alice", "x"))
        with store.reading() as reader:
            inbox = reader.mailbox("INBOX").id
        await store.append(inbox, [received(store, message_bytes(1))])
        with pytest.raises(OverQuotaError):
            await store.append(inbox, [received(store, message_bytes(2))])
        assert await store.set_quota({MESSAGE: 2}) == {MESSAGE: 2}
        await store.append(inbox, [received(store, message_bytes(2))])
        recounted = await store.recount_usage()
        assert recounted.before == recounted.after


# --- check and recount ----------------------------------------------------------------------------


def test_check_finds_limits_without_an_account_and_repairs_them(direct):
    group = direct.group
    with group.env.begin(write=True) as txn:
        row = quotas.pack_limits({MESSAGE: 1})
        txn.put((99).to_bytes(8, "big"), row, db=group.tables.quotas)
        txn.put((1).to_bytes(8, "big"), row[:-1], db=group.tables.quotas)
    with pytest.raises(CorruptDataError):
        direct.apply(append(sized(20)))
    assert direct.check() == [
        "cannot read the quota row of account 1; with a repair, the default applies",
        "limits exist for account 99, which does not exist",
    ]
    assert all(finding.repaired for finding in direct.pool.check(repair=True).findings)
    assert direct.check() == []
    direct.apply(append(sized(20)))


def test_recount_corrects_the_counters(direct):
    direct.apply(append(sized(500), sized(24)))
    assert direct.apply(RecountUsage(1)).before == direct.apply(RecountUsage(1)).after
    with direct.group.env.begin(write=True) as raw:
        txn = direct.group.write_txn(raw)
        for row in (txn.usage(1), txn.mailbox(1, 1)):
            txn.edit(row)
            row.messages, row.size = 7, 7_000
        txn.flush()
    assert len(direct.check()) == 2
    recounted = direct.apply(RecountUsage(1))
    assert recounted.before == {"messages": 7, "size": 7_000, "mailboxes": 6}
    assert recounted.after == {"messages": 2, "size": 524, "mailboxes": 6}
    assert direct.check() == []


# --- filepools of version 0.1.0 -------------------------------------------------------------------


async def test_filepool_of_version_0_1_0_gets_the_table_when_it_is_opened(path):
    environment = lmdb.open(str(path / "group-000"), max_dbs=32, map_size=1 << 30)
    with environment as env, env.begin(write=True) as txn:
        txn.drop(env.open_db(b"quotas", txn=txn))
    async with open_filepool(path) as pool:
        store = pool.account(await pool.accounts.enroll("alice", "x"))
        await store.set_quota({MESSAGE: 0})
        with store.reading() as reader, pytest.raises(OverQuotaError):
            await store.append(reader.mailbox("INBOX").id, [received(store, b"\r\n")])
        assert pool.check().findings == ()


def test_table_is_empty_in_a_filepool_that_has_never_had_a_limit(tmp_path):
    with Direct(tmp_path / "pool") as direct:
        direct.apply(append(sized(20)))
        with direct.group.env.begin() as txn:
            assert txn.stat(direct.group.tables.quotas)["entries"] == 0


# --- any history ----------------------------------------------------------------------------------

FAST = Path("/dev/shm")
sizes = st.sampled_from([20, 500, 1024, 3000])
limits = st.one_of(st.none(), st.integers(0, 12))
numbers = st.integers(1, 8)


class Quotas(RuleBasedStateMachine):
    """Usage equals a slow recount, and an operation is refused if and only if it would exceed."""

    @initialize(default=st.dictionaries(st.sampled_from([STORAGE, MESSAGE]), st.integers(3, 12)))
    def begin(self, default):
        self.home = Path(tempfile.mkdtemp(dir=FAST if FAST.is_dir() else None))
        self.direct = Direct(self.home / "filepool", quota=default)
        self.default, self.own = default, {}
        self.deliveries = 0

    def teardown(self):
        if hasattr(self, "direct"):
            try:
                assert self.direct.check() == []
            finally:
                self.direct.close()
                shutil.rmtree(self.home)

    def recount(self) -> dict[str, int]:
        """Count everything, record by record."""
        with self.direct.reading() as reader:
            mailboxes = reader.mailboxes()
            found = [record for mailbox in mailboxes for record in records(reader, mailbox)]
        return {MESSAGE: len(found), "bytes": sum(r.size for r in found), MAILBOX: len(mailboxes)}

    def fits(self, *, messages=0, size=0, mailboxes=0) -> bool:
        before = self.recount()
        caps = {**self.default, **self.own}
        rooms = (
            (STORAGE, before["bytes"], size, 1024),
            (MESSAGE, before[MESSAGE], messages, 1),
            (MAILBOX, before[MAILBOX], mailboxes, 1),
        )
        return all(
            more == 0 or caps.get(resource) is None or used + more <= caps[resource] * unit
            for resource, used, more, unit in rooms
        )

    def attempt(self, operation, *, fits: bool):
        self.direct.clock.now += 1
        before = self.recount()
        if fits:
            self.direct.apply(operation)
        else:
            with pytest.raises(OverQuotaError):
                self.direct.apply(operation)
            assert self.recount() == before

    def box(self, number: int):
        with self.direct.reading() as reader:
            found = reader.mailboxes()
        return found[number % len(found)]

    def chosen(self, mailbox, runs):
        with self.direct.reading() as reader:
            return records(reader, mailbox, runs)

    @rule(number=numbers, what=st.lists(sizes, min_size=1, max_size=3))
    def append(self, number, what):
        operation = append(*map(sized, what), mailbox=self.box(number).id)
        self.attempt(operation, fits=self.fits(messages=len(what), size=sum(what)))

    @rule(size=sizes)
    def deliver(self, size):
        self.deliveries += 1
        fits = self.fits(messages=1, size=size)
        identity = self.deliveries.to_bytes(16, "big")
        operation = DeliverMessage(identity, ((1, "INBOX"),), sized(size), START)
        assert isinstance(self.direct.apply(operation)[1], Delivered) == fits

    @rule(a=numbers, b=numbers, first=numbers, more=numbers, staged=st.booleans())
    def copy(self, a, b, first, more, staged):
        source, target = self.box(a), self.box(b)
        runs = UidSet([(first, first + more)])
        copied = self.chosen(source, runs)
        fits = self.fits(messages=len(copied), size=sum(record.size for record in copied))
        if staged and copied:
            copies = self.direct.apply(
                StageCopies(1, source.id, runs, target.id, START, False, None)
            )
            self.attempt(CommitCopies(1, target.id, copies), fits=fits)
        else:
            operation = CopyMessages(1, source.id, runs, target.id, move=False, now=START)
            self.attempt(operation, fits=fits)

    @rule(a=numbers, b=numbers, first=numbers, more=numbers)
    def move(self, a, b, first, more):
        runs = UidSet([(first, first + more)])
        operation = CopyMessages(1, self.box(a).id, runs, self.box(b).id, move=True, now=START)
        self.attempt(operation, fits=True)

    @rule(number=numbers, first=numbers, more=numbers)
    def expunge(self, number, first, more):
        runs, mailbox = UidSet([(first, first + more)]), self.box(number).id
        self.direct.apply(StoreFlags(1, mailbox, runs, STORE_ADD, 8, (), None))
        self.direct.apply(ExpungeMessages(1, mailbox, runs, START))

    @rule(name=st.sampled_from(["a", "a/b", "c/d/e"]))
    def create(self, name):
        with self.direct.reading() as reader:
            have = {mailbox.name for mailbox in reader.mailboxes()}
        levels = name.split("/")
        needed = {"/".join(levels[:depth]) for depth in range(1, len(levels) + 1)} - have
        if name not in have:
            operation = CreateMailbox(1, name, (), subscribe=False, now=START)
            self.attempt(operation, fits=self.fits(mailboxes=len(needed)))

    @rule(number=numbers)
    def delete(self, number):
        mailbox = self.box(number)
        if mailbox.name != "INBOX":
            self.direct.apply(DeleteMailbox(1, mailbox.id, START))

    @rule(number=numbers, new=st.sampled_from(["x", "y/z"]))
    def rename(self, number, new):
        before = self.recount()
        try:
            self.direct.apply(RenameMailbox(1, self.box(number).name, new, START))
        except FilepoolError:
            assert self.recount() == before
        caps = {**self.default, **self.own}
        after = self.recount()
        assert (after[MESSAGE], after["bytes"]) == (before[MESSAGE], before["bytes"])
        if after[MAILBOX] > before[MAILBOX] and caps.get(MAILBOX) is not None:
            assert after[MAILBOX] <= caps[MAILBOX]

    @rule(resource=st.sampled_from([STORAGE, MESSAGE, MAILBOX]), limit=limits)
    def limit(self, resource, limit):
        self.own[resource] = limit
        self.direct.apply(SetLimits(1, ((resource, limit),), (), replace=False))

    @rule(resource=st.sampled_from([STORAGE, MESSAGE, MAILBOX]))
    def unset(self, resource):
        self.own.pop(resource, None)
        self.direct.apply(SetLimits(1, (), (resource,), replace=False))

    @invariant()
    def usage_is_what_a_recount_finds(self):
        if hasattr(self, "direct"):
            found, counted = quota(self.direct), self.recount()
            assert found.used[STORAGE] == in_units(STORAGE, counted["bytes"])
            assert found.used[MESSAGE] == counted[MESSAGE]
            assert found.used[MAILBOX] == counted[MAILBOX]
            assert found.limits == effective(self.own, self.default)


TestQuotas = Quotas.TestCase
TestQuotas.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
