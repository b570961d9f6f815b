"""The check finds each kind of corruption, and repairs derived data."""

import re
from dataclasses import replace
from random import Random

import pytest
from tests.filepool.direct import START, Direct, message, message_bytes

from imapvm._core import METADATA_VERSION, Record, UidSet, segment_append, segment_records
from imapvm.filepool.check.run import Finding
from imapvm.filepool.operations.append import AppendMessages
from imapvm.filepool.operations.copy import CopyMessages
from imapvm.filepool.operations.deliver import DeliverMessage
from imapvm.filepool.operations.mailboxes.mailboxes import (
    CreateMailbox,
    DeleteMailbox,
    SetSubscription,
)
from imapvm.filepool.operations.store_flags import ExpungeMessages
from imapvm.filepool.operations.sweep import SweepStep
from imapvm.filepool.tables.messages.bodies import SweepKind, sweep_key
from imapvm.filepool.tables.messages.changes import Change
from imapvm.filepool.tables.schema import (
    CHANGE_KEY,
    CHUNK_KEY,
    COUNTER,
    ID_KEY,
    INDEX_KEY,
    JOURNAL_ROW,
    KEYWORDS_KEY,
    NAME_ROW,
    PAIR_KEY,
    SWEEP_KEY,
    MailboxRow,
    UsageRow,
    name_key,
)


@pytest.fixture
def populated(tmp_path):
    """A filepool with rows in every table: alice, account 1, has INBOX, mailbox 1."""
    with Direct(tmp_path / "filepool") as direct:
        inbox = tuple(message(n, n % 16, (f"k{n % 3}",)) for n in range(1, 51))
        direct.apply(AppendMessages(1, 1, inbox, START))
        direct.apply(
            AppendMessages(1, 1, (message(message_bytes(99, size=20_000)),), START)
        )  # UID 51
        direct.apply(CopyMessages(1, 1, UidSet([(1, 3)]), 2, move=False, now=START))
        direct.apply(DeliverMessage(b"d" * 16, ((1, "INBOX"),), message(100), START))  # UID 52
        direct.apply(ExpungeMessages(1, 1, UidSet([(8, 8)]), START))
        direct.apply(SetSubscription(1, "only/subscribed", subscribed=True))
        direct.apply(CreateMailbox(1, "deleted", (), subscribe=False, now=START))  # mailbox 7
        direct.apply(AppendMessages(1, 7, (message(200),), START))
        direct.apply(DeleteMailbox(1, 7, START))
        assert direct.check() == []
        yield direct


class Surgery:
    """Changes rows directly, without operations."""

    def __init__(self, env, tables) -> None:
        self.env, self.tables = env, tables

    def put(self, table, key, value):
        with self.env.begin(write=True) as txn:
            txn.put(key, value, db=getattr(self.tables, table))

    def delete(self, table, key):
        with self.env.begin(write=True) as txn:
            assert txn.delete(key, db=getattr(self.tables, table)), "no such row"

    def get(self, table, key):
        with self.env.begin() as txn:
            found = txn.get(key, db=getattr(self.tables, table))
        assert found is not None
        return found

    def change(self, table, key, make):
        self.put(table, key, make(self.get(table, key)))

    def mailbox(self, number=1, **changes):
        key = PAIR_KEY.pack(1, number)
        self.change(
            "mailboxes",
            key,
            lambda stored: bytes(replace(MailboxRow.from_bytes(key, stored), **changes)),
        )

    def usage(self, **changes):
        key = ID_KEY.pack(1)
        self.change(
            "usage", key, lambda stored: bytes(replace(UsageRow.from_bytes(key, stored), **changes))
        )

    def record(self, at, **changes):
        """Change the first record of a segment."""
        names = [
            "uid",
            "size",
            "flags",
            "keyword_set",
            "modseq",
            "date",
            "zone",
            "saved",
            "body",
            "thread",
        ]

        def make(stored):
            first, *others = segment_records(stored)
            whole = {name: getattr(first, name) for name in names} | changes
            return segment_append(b"", [Record(**whole), *others])

        self.change("index", INDEX_KEY.pack(1, at), make)


REPAIRED = [
    # change, expected finding
    (lambda s: s.mailbox(messages=7), "mailbox 1 has 51 messages"),
    (lambda s: s.mailbox(unseen=0), "mailbox 1 has 51 messages, 26 unseen"),
    (lambda s: s.mailbox(deleted=0), "mailbox 1 has 51 messages"),
    (lambda s: s.mailbox(size=0), "mailbox 1 has 51 messages"),
    (lambda s: s.mailbox(uid_next=52), "its UIDNEXT is 52"),
    (lambda s: s.mailbox(highest_modseq=1), "its highest is 1"),
    (lambda s: s.mailbox(recent_from=99), "recent messages from UID 99"),
    (lambda s: s.mailbox(changes_from=99), "starts after its highest"),
    (lambda s: s.mailbox(changes_from=2), "should have been swept"),
    (
        lambda s: s.put("changes", CHANGE_KEY.pack(1, 99, 0), b"\x01" + bytes(UidSet([(1, 1)]))),
        "change 99 of mailbox 1 is above",
    ),
    (lambda s: s.usage(messages=1), "its usage row has 1,"),
    (lambda s: s.usage(size=1), "its usage row has"),
    (lambda s: s.usage(mailboxes=1), "its usage row has"),
    (lambda s: s.usage(names=1), "its usage row has"),
    (lambda s: s.usage(uid_validity=5), "UIDVALIDITY 17989514.., which was not allocated"),
    (lambda s: s.delete("names", name_key(1, "Sent")), "mailbox 3, Sent, does not lead to it"),
    (lambda s: s.put("names", name_key(1, "Sent"), NAME_ROW.pack(0, 1)), "does not lead to it"),
    (lambda s: s.put("names", name_key(1, "x"), NAME_ROW.pack(77, 1)), "leads to mailbox 77"),
    (lambda s: s.put("names", name_key(1, "x"), NAME_ROW.pack(2, 0)), "leads to mailbox 2"),
    (
        lambda s: s.put("names", name_key(1, "x"), NAME_ROW.pack(0, 0)),
        "no mailbox and no subscription",
    ),
    (lambda s: s.put("names", name_key(9, "x"), NAME_ROW.pack(0, 1)), "names exist for account 9"),
    (
        lambda s: s.put("threads", PAIR_KEY.pack(9, 5), COUNTER.pack(1)),
        "threads exist for account 9",
    ),
    (lambda s: s.put("keywords", KEYWORDS_KEY.pack(77, 1), b"x"), "keywords exist in mailbox 77"),
    (
        lambda s: s.put("changes", CHANGE_KEY.pack(77, 1, 0), b"\x01" + bytes(UidSet([(1, 1)]))),
        "changes exist in mailbox 77",
    ),
    (lambda s: s.delete("references", ID_KEY.pack(1)), "body 1 has no reference count"),
    (
        lambda s: s.put("references", ID_KEY.pack(1), COUNTER.pack(1)),
        "has 1 references; .* have it: 2",
    ),
    (
        lambda s: s.put("references", ID_KEY.pack(999), COUNTER.pack(1)),
        "references of body 999 exist",
    ),
    (lambda s: s.put("metadata", CHUNK_KEY.pack(999, 0), b"x"), "metadata exists for body 999"),
    (lambda s: s.delete("metadata", CHUNK_KEY.pack(5, 0)), "body 5 has no metadata"),
    (lambda s: s.put("metadata", CHUNK_KEY.pack(5, 0), b"x"), "metadata of body 5 is corrupt"),
    (
        lambda s: s.put("metadata", CHUNK_KEY.pack(5, 0), s.get("metadata", CHUNK_KEY.pack(51, 0))),
        "its metadata has",
    ),
    (
        lambda s: s.change("bodies", CHUNK_KEY.pack(5, 0), lambda v: v.replace(b"Alice", b"Alicd")),
        r"text of body 5 does not agree with its metadata \(envelope\)",
    ),
    (
        lambda s: s.change("bodies", CHUNK_KEY.pack(5, 0), lambda v: v.replace(b"Body", b"Bodx")),
        r"text of body 5 does not agree with its metadata \(preview\)",
    ),
    (
        lambda s: s.change("bodies", CHUNK_KEY.pack(5, 0), lambda v: v[:-2] + b"\n\n"),
        r"text of body 5 does not agree with its metadata \(.*bodystructure",
    ),
    (
        lambda s: s.put("sweep", sweep_key(5, SweepKind.BODY, 1), b""),
        "body 1 is in use and would be swept",
    ),
    (lambda s: s.put("sweep", sweep_key(5, SweepKind.MAILBOX, 1), b""), "mailbox 1 exists and"),
    (lambda s: s.put("sweep", sweep_key(5, SweepKind.ACCOUNT, 1), b""), "account 1 exists and"),
    (lambda s: s.put("sweep", SWEEP_KEY.pack(5, 99) + b"x", b""), "sweep table cannot be read"),
    (
        lambda s: s.put("sweep", SWEEP_KEY.pack(5, SweepKind.DELIVERY) + b"x" * 24, b""),
        "delivery that does not exist",
    ),
    (lambda s: s.put("deliveries", b"x" * 24, COUNTER.pack(5)), "never be swept"),
    (
        lambda s: s.put("counters", b"body", COUNTER.pack(3)),
        "body 53 exists, but was not allocated",
    ),
    (lambda s: s.put("counters", b"mailbox", COUNTER.pack(3)), "mailbox 7 exists"),
    (lambda s: s.put("counters", b"thread", COUNTER.pack(3)), "thread .* was not allocated"),
    (lambda s: s.put("counters", b"ring", COUNTER.pack(3)), "ring .* was not allocated"),
    (
        lambda s: s.put(
            "mailboxes",
            PAIR_KEY.pack(9, 50),
            bytes(MailboxRow(9, 50, "x", 0, 1)),
        ),
        "mailbox 50 is of account 9, which does not exist",
    ),
    (
        lambda s: s.put("index", INDEX_KEY.pack(77, 1), s.get("index", INDEX_KEY.pack(2, 1))),
        "messages exist in mailbox 77",
    ),
    (
        lambda s: s.put("bodies", CHUNK_KEY.pack(70, 0), s.get("bodies", CHUNK_KEY.pack(1, 0))),
        "no message has body 70",
    ),
    (
        lambda s: s.put("usage", ID_KEY.pack(9), bytes(UsageRow(9))),
        "account 9, which is not enrolled",
    ),
    (lambda s: s.put("usage", ID_KEY.pack(1), b"x"), "cannot read the usage row"),
]
NOT_REPAIRED = [
    (
        lambda s: s.change("bodies", CHUNK_KEY.pack(5, 0), lambda v: v[:6] + b"\1" + v[7:]),
        "body 5 is corrupt: a byte of its header is not zero",
    ),
    (
        lambda s: s.change(
            "bodies", CHUNK_KEY.pack(5, 0), lambda v: v[:16] + bytes([v[16] ^ 1]) + v[17:]
        ),
        "body 5 is corrupt: frame 0 has",
    ),
    (lambda s: s.change("index", INDEX_KEY.pack(1, 1), lambda v: v[:-1] + b"?"), "is corrupt"),
    (
        lambda s: s.change(
            "index", INDEX_KEY.pack(1, 1), lambda v: s.get("index", INDEX_KEY.pack(1, 36))
        ),
        "does not start with that UID",
    ),
    (lambda s: s.record(36, uid=35), "does not start with that UID"),
    (lambda s: s.record(36, size=5), "its index records have 5"),
    (lambda s: s.record(1, size=5), "have different sizes"),
    (lambda s: s.record(36, keyword_set=77), "keyword sets that do not exist"),
    (lambda s: s.record(36, body=777), "body 777 is missing; messages that have it: 1"),
    (lambda s: s.delete("bodies", CHUNK_KEY.pack(5, 0)), "body 5 is missing"),
    (
        lambda s: s.delete("bodies", CHUNK_KEY.pack(51, 0)),
        "body 51 is missing",
    ),
    (
        lambda s: s.change("bodies", CHUNK_KEY.pack(5, 0), lambda v: v[:-1]),
        "body 5: the header row of a message is corrupt",
    ),
    (
        lambda s: s.change("bodies", CHUNK_KEY.pack(51, 0), lambda v: v[:40] + b"????" + v[44:]),
        "cannot read body 51",
    ),
    (
        lambda s: s.put("bodies", CHUNK_KEY.pack(5, 1), b"more"),
        "body 5 has 2 rows instead of 1",
    ),
    (lambda s: s.put("bodies", CHUNK_KEY.pack(5, 1), b"x" * 4081), "more than 4080 bytes"),
    (lambda s: s.delete("keywords", KEYWORDS_KEY.pack(1, 2)), "keyword set 2 of mailbox 1 is mis"),
    (lambda s: s.put("keywords", KEYWORDS_KEY.pack(1, 2), b""), "keyword set 2 of mailbox 1 can"),
    (lambda s: s.put("keywords", KEYWORDS_KEY.pack(1, 2), b"k1"), "exists twice"),
    (
        lambda s: s.put("keywords", KEYWORDS_KEY.pack(1, 9), b"x"),
        "keyword set 9 .* was not allocated",
    ),
    (
        lambda s: s.put("changes", CHANGE_KEY.pack(1, 2, 1), b"\x01" + bytes(UidSet([(900, 900)]))),
        "messages that never existed",
    ),
    (lambda s: s.put("changes", CHANGE_KEY.pack(1, 2, 1), b"\x09"), "change 2 .* cannot be read"),
    (lambda s: s.put("changes", CHANGE_KEY.pack(1, 2, 1), b"\x01\xff"), "change 2 .* cannot be"),
    (lambda s: s.put("changes", CHANGE_KEY.pack(1, 2, 1), b""), "change 2 .* cannot be"),
    (lambda s: s.delete("journal", ID_KEY.pack(5)), "no rows between 4 and 6"),
    (
        lambda s: s.put("journal", ID_KEY.pack(5), b"x"),
        "row 5 of the change journal cannot be read",
    ),
    (
        lambda s: s.put("journal", ID_KEY.pack(5), JOURNAL_ROW.pack(1, 99, Change.APPENDED)),
        "row 5 of the change journal has MODSEQ 99",
    ),
    (lambda s: s.put("mailboxes", PAIR_KEY.pack(1, 3), b"x"), "cannot read the row of a mailbox"),
    (lambda s: s.mailbox(2, uid_validity=0), "mailboxes with UIDVALIDITY 0"),
    (lambda s: s.mailbox(2, uid_validity=s_validity(s)), "2 mailboxes with UIDVALIDITY"),
    (lambda s: s.mailbox(2, uses=32), r"2 mailboxes with the special use \\Sent"),
    (lambda s: s.mailbox(1, name="Post"), "account 1 has no INBOX"),
    (lambda s: s.put("names", name_key(1, "a*"), NAME_ROW.pack(0, 1)), "is not valid: 'a"),
]


def s_validity(surgery):
    key = PAIR_KEY.pack(1, 3)
    return MailboxRow.from_bytes(key, surgery.get("mailboxes", key)).uid_validity


def ids(cases):
    return [re.sub(r"\W+", "-", found) for _, found in cases]


@pytest.mark.parametrize(("corrupt", "found"), REPAIRED, ids=ids(REPAIRED))
def test_corruption_is_found_and_repaired(populated, corrupt, found):
    corrupt(Surgery(populated.group.env, populated.group.tables))
    report = populated.pool.check()
    assert any(re.search(found, finding.sentence) for finding in report.findings), report.findings
    assert all(re.fullmatch(r"[a-z][^\n]*[^.\n]", f.sentence) for f in report.findings)
    assert not any(finding.repaired for finding in report.findings)
    assert populated.pool.check() == report  # a check changes nothing
    repaired = populated.pool.check(repair=True)
    assert [finding.sentence for finding in repaired.findings] == texts_of(report)
    assert any(finding.repaired for finding in repaired.findings)
    assert populated.check() == []
    for seconds in (0, 10_000, 20_000):
        while populated.apply(SweepStep(START + seconds))[0].more:
            pass
    assert populated.check() == []
    with populated.reading() as reader:
        inbox = reader.mailbox("INBOX")
        assert (inbox.messages, reader.mailbox("Sent").name) == (51, "Sent")


def texts_of(report):
    return [finding.sentence for finding in report.findings]


@pytest.mark.parametrize(("corrupt", "found"), NOT_REPAIRED, ids=ids(NOT_REPAIRED))
def test_corruption_with_data_loss_is_found_and_not_hidden_by_a_repair(populated, corrupt, found):
    corrupt(Surgery(populated.group.env, populated.group.tables))
    report = populated.pool.check()
    assert any(re.search(found, finding.sentence) for finding in report.findings), report.findings
    assert all(re.fullmatch(r"[a-z][^\n]*[^.\n]", f.sentence) for f in report.findings)
    populated.pool.check(repair=True)
    left = populated.pool.check().findings
    assert any(re.search(found, finding.sentence) for finding in left), left


def test_row_of_a_body_with_a_wrong_length_is_found(populated):
    text = message_bytes(98) + Random(1).randbytes(10_000)
    populated.apply(AppendMessages(1, 1, (message(text),), START))
    surgery = Surgery(populated.group.env, populated.group.tables)
    (body,) = (n for n in range(50, 70) if has_row(surgery, CHUNK_KEY.pack(n, 1)))
    for row, make in ((1, lambda v: v[:-1]), (2, lambda v: v + b"x")):
        key = CHUNK_KEY.pack(body, row)
        before = surgery.get("bodies", key)
        surgery.change("bodies", key, make)
        found = texts_of(populated.pool.check())
        assert f"body {body} is corrupt: row {row} is missing or has a wrong length" in found
        surgery.put("bodies", key, before)
    assert populated.check() == []


def has_row(surgery, key):
    with surgery.env.begin() as txn:
        return txn.get(key, db=surgery.tables.bodies) is not None


ACCOUNTS = [
    (lambda s: s.delete("names", b"alice"), "name of account 1 does not lead to it", True),
    (lambda s: s.put("names", b"ghost", COUNTER.pack(1)), "ghost leads to no account", True),
    (lambda s: s.put("aliases", b"x@y", COUNTER.pack(9)), "x@y leads to no account", True),
    (lambda s: s.put("aliases", b"x@y", COUNTER.pack(1)), "x@y is not listed", True),
    (lambda s: s.put("addresses", ID_KEY.pack(1) + b"x@y", b""), "x@y is listed with", True),
    (lambda s: s.put("counters", b"account", COUNTER.pack(0)), "not allocated", True),
    (lambda s: s.put("unfinished", ID_KEY.pack(1), b""), "listed as unfinished", True),
    (lambda s: s.put("accounts", ID_KEY.pack(1), b"x"), "cannot read the row of an account", False),
    (
        lambda s: s.change("accounts", ID_KEY.pack(1), lambda v: v[:2] + b"\7" + v[3:]),
        "group 7",
        False,
    ),
    (
        lambda s: s.put("accounts", ID_KEY.pack(2), s.get("accounts", ID_KEY.pack(1))),
        "have the same name",
        False,
    ),
]


@pytest.mark.parametrize(
    ("corrupt", "found", "can_be_repaired"), ACCOUNTS, ids=[case[1] for case in ACCOUNTS]
)
def test_corruption_of_accounts_is_found(populated, corrupt, found, can_be_repaired):
    accounts = populated.pool.accounts
    corrupt(Surgery(accounts.env, accounts.tables))
    texts = populated.check()
    assert any(re.search(found, text) for text in texts), texts
    assert all(re.fullmatch(r"[a-z][^\n]*[^.\n]", text) for text in texts)
    if can_be_repaired:
        populated.pool.check(repair=True)
        assert populated.check() == []


def test_repair_creates_missing_default_mailboxes(populated):
    account = populated.enroll("bob")
    surgery = Surgery(populated.group.env, populated.group.tables)
    surgery.delete("usage", ID_KEY.pack(account.id))
    assert any("enrolled and has no usage row" in text for text in populated.check())
    populated.pool.check(repair=True)
    for seconds in (0, 1):
        populated.apply(SweepStep(START + seconds))
    assert populated.pool.accounts.by_id(account.id) == account


def test_report_counts_checked_items(populated):
    report = populated.pool.check()
    assert (report.accounts, report.mailboxes, report.messages) == (1, 6, 54)
    assert report.bodies == 53  # one of them is not swept yet
    assert str(Finding("no INBOX", repaired=True)) == "no INBOX (repaired)"


def checksum(data: bytes) -> bytes:
    """Return the checksum of metadata, as rust/src/message/metadata/codec.rs computes it."""
    mask, factor = (1 << 64) - 1, 0x9E3779B97F4A7C15
    lanes = [len(data), factor, factor, factor]
    for start in range(0, len(data) // 32 * 32 + 1, 32):
        block = data[start : start + 32].ljust(32, b"\0")
        for at in range(4):
            word = int.from_bytes(block[8 * at : 8 * at + 8], "little")
            mixed = ((lanes[at] ^ word) * factor) & mask
            lanes[at] = (mixed << 29 | mixed >> 35) & mask
    total = 0
    for lane in lanes:
        total = ((total ^ lane) * factor) & mask
        total ^= total >> 32
    return (total & 0xFFFFFFFF).to_bytes(4, "little")


def as_version_3(stored: bytes) -> bytes:
    """Return metadata in the layout of version 3: folded texts and keys are empty."""
    at = 5

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = stored[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def chunks(count: int) -> None:
        nonlocal at
        for _ in range(count):
            size = number()  # changes `at`
            at += size

    def excerpt() -> None:
        nonlocal at
        head = number()
        if head & 1:
            number()
        else:
            at += head >> 1

    number()  # size
    flags = stored[at]
    at += 1
    if flags & 1:
        number()
        number()
    chunks(1)  # header cache
    excerpt()  # subject
    chunks(9)  # from ENVELOPE to the last text of SEARCH
    excerpt()  # base subject
    contents = stored[5:at] + bytes(6) + stored[at:]
    return b"\x03" + checksum(contents) + contents


def test_metadata_of_an_older_version_is_valid_and_made_again_by_a_repair(populated):
    surgery = Surgery(populated.pool.groups[0].env, populated.pool.groups[0].tables)
    key = CHUNK_KEY.pack(5, 0)
    made = surgery.get("metadata", key)
    surgery.change("metadata", key, as_version_3)
    report = populated.pool.check()
    assert (report.findings, report.outdated) == ((), 1)
    report = populated.pool.check(repair=True)
    assert (report.findings, report.outdated) == ((), 1)
    assert surgery.get("metadata", key) == made
    report = populated.pool.check()
    assert (report.findings, report.outdated) == ((), 0)


@pytest.mark.parametrize("version", [0, 1, METADATA_VERSION + 1])
def test_metadata_of_an_unknown_version_is_an_error(populated, version):
    surgery = Surgery(populated.pool.groups[0].env, populated.pool.groups[0].tables)
    key = CHUNK_KEY.pack(5, 0)
    surgery.change("metadata", key, lambda stored: bytes([version]) + stored[1:])
    report = populated.pool.check()
    assert len(report.findings) == 1
    assert "another version" in report.findings[0].sentence
    assert report.outdated == 0


def test_corrupt_segment_of_a_deleted_mailbox_does_not_stop_the_sweep(populated):
    surgery = Surgery(populated.group.env, populated.group.tables)
    surgery.change("index", INDEX_KEY.pack(2, 1), lambda stored: stored[:-1] + b"?")
    populated.apply(DeleteMailbox(1, 2, START))
    report, _ = populated.apply(SweepStep(START))
    assert report.mailboxes == 2
    assert any("references" in text for text in populated.check())
    populated.pool.check(repair=True)
    assert populated.check() == []


def test_repair_keeps_messages_of_a_row_that_cannot_be_read(populated):
    surgery = Surgery(populated.group.env, populated.group.tables)
    segment = surgery.get("index", INDEX_KEY.pack(1, 36))
    row = surgery.get("mailboxes", PAIR_KEY.pack(1, 1))
    surgery.put("index", INDEX_KEY.pack(1, 36), segment[:-1] + b"?")
    surgery.put("mailboxes", PAIR_KEY.pack(1, 1), b"unreadable")
    surgery.delete("usage", ID_KEY.pack(1))
    populated.pool.check(repair=True)
    for seconds in (0, 10_000, 20_000):
        populated.apply(SweepStep(START + seconds))
    surgery.put("index", INDEX_KEY.pack(1, 36), segment)
    surgery.put("mailboxes", PAIR_KEY.pack(1, 1), row)
    populated.pool.check(repair=True)
    assert populated.check() == []
    with populated.reading() as reader:
        inbox = reader.mailbox("INBOX")
        assert inbox.messages == 51
        for segment in reader.segments(inbox):
            for record in segment_records(segment):
                assert len(reader.body(record.body, 0, record.size)) == record.size
