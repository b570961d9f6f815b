"""SEARCH through the extension: bind, scan, decide by metadata, then by text."""

from struct import Struct

import pytest
from tests.core.group import StoredGroup

from imapvm._core import (
    CommandReader,
    CorruptError,
    Record,
    Scanner,
    Search,
    UidMap,
    UidSet,
    segment_append,
)
from imapvm.model.flags import SystemFlag

DAY = 24 * 60 * 60
NOW = 100 * DAY
EMPTY = UidSet()


def program(text):
    reader = CommandReader()
    reader.feed(b"a SEARCH " + text + b"\r\n")
    command = reader.next()
    assert isinstance(command, Search), command
    assert command.program is not None
    return command.program


def fields(record):
    names = [name for name in dir(record) if not name.startswith("_")]
    return {name: getattr(record, name) for name in names}


def metadata_of(message):
    scanner = Scanner()
    scanner.feed(message)
    return scanner.finish()


MAILBOX = 7


@pytest.fixture
def group(tmp_path):
    group = StoredGroup(tmp_path)
    with group.env:
        yield group


class Mailbox:
    """Messages with UIDs 10, 20, 30 … and body ids 1010 …; all in the client's view."""

    def __init__(self, group, messages, **columns):
        self.group = group
        self.messages = dict(zip(range(10, 10 * len(messages) + 10, 10), messages, strict=True))
        self.records = []
        for at, (uid, message) in enumerate(self.messages.items()):
            fields = {
                "flags": 0,
                "keyword_set": 0,
                "modseq": uid,
                "date": 0,
                "zone": 0,
                "saved": 0,
                "thread": 1,
            }
            fields |= {name: values[at] for name, values in columns.items()}
            self.records.append(Record(uid=uid, size=len(message), body=uid + 1000, **fields))
            group.put_segment(MAILBOX, segment_append(b"", self.records[-1:]))
            group.put_body(uid + 1000, message)
            group.put_metadata(uid + 1000, metadata_of(message))
        self.numbers = UidMap(UidSet.of(self.messages))

    def bind(self, text, *, saved=EMPTY, recent=EMPTY, keyword_sets=0):
        with self.group.snapshot() as snapshot:
            return program(text).bind(
                numbers=self.numbers,
                saved=saved,
                recent=recent,
                keywords=(snapshot, MAILBOX, keyword_sets) if keyword_sets else None,
                now=NOW,
            )

    def search(self, text, *, max_bytes=7, parts=2, **also):
        """The message numbers that match, the way SEARCH goes."""
        bound = self.bind(text, **also)
        with self.group.snapshot() as snapshot:
            found, undecided = bound.scan(snapshot, MAILBOX, bound.candidates)
        assert found & bound.candidates == found
        for part in undecided.search_tasks(parts):
            assert found & part.found == EMPTY
            decided = False
            while not decided:
                with self.group.snapshot() as snapshot:
                    decided = part.step(snapshot, max_bytes)
            found |= part.found
        return list(self.numbers.numbers(found))


def test_flags(group):
    mailbox = Mailbox(
        group, [b""] * 4, flags=[SystemFlag.SEEN, SystemFlag.SEEN | SystemFlag.DELETED, 0, 16]
    )
    recent = UidSet.of([20, 30])
    for text, expected in {
        b"ALL": [1, 2, 3, 4],
        b"SEEN": [1, 2],
        b"UNSEEN": [3, 4],
        b"SEEN UNDELETED": [1],
        b"OR DELETED DRAFT": [2, 4],
        b"NOT (OR DELETED DRAFT)": [1, 3],
        b"RECENT": [2, 3],
        b"NEW": [3],
        b"OLD": [1, 4],
    }.items():
        assert mailbox.search(text, recent=recent) == expected, text


def test_keywords_are_compared_without_case(group):
    mailbox = Mailbox(group, [b""] * 3, keyword_set=[0, 1, 2])
    group.put_keywords(MAILBOX, 1, ("$Forwarded", "Work"))
    group.put_keywords(MAILBOX, 2, ("WORK",))
    for text, found in {
        b"KEYWORD work": [2, 3],
        b"UNKEYWORD $FORWARDED": [1, 3],
        b"KEYWORD none": [],
        b"KEYWORD wor": [],
        b"NOT OR KEYWORD none KEYWORD $forwarded": [1, 3],
    }.items():
        assert mailbox.search(text, keyword_sets=2) == found
    assert mailbox.search(b"KEYWORD work", keyword_sets=1) == [2]
    assert mailbox.search(b"KEYWORD work") == []
    with pytest.raises(CorruptError, match="a keyword set is missing"):
        mailbox.search(b"KEYWORD work", keyword_sets=3)
    assert mailbox.search(b"ALL", keyword_sets=3) == [1, 2, 3]  # reads none


def test_sets(group):
    mailbox = Mailbox(group, [b""] * 4)
    assert mailbox.search(b"2:3") == [2, 3]
    assert mailbox.search(b"*") == [4]
    assert mailbox.search(b"UID 15:*") == [2, 3, 4]
    assert mailbox.search(b"UID 999:*") == [4]
    assert mailbox.search(b"NOT 1") == [2, 3, 4]
    assert mailbox.search(b"$", saved=UidSet.of([30, 99])) == [3]
    assert mailbox.search(b"5") == []
    assert mailbox.search(b"3:5") == [3, 4]
    assert mailbox.search(b"5:*") == [4]
    assert mailbox.search(b"NOT 5") == [1, 2, 3, 4]
    assert mailbox.bind(b"2:3 BODY x").candidates == UidSet.of([20, 30])


def test_message_unknown_to_the_client_never_matches(group):
    mailbox = Mailbox(group, [b"Subject: x\r\n\r\n"] * 3)
    mailbox.numbers = UidMap(UidSet.of([10, 30]))
    assert mailbox.search(b"ALL") == [1, 2]
    assert mailbox.search(b"UID 20") == []
    assert mailbox.search(b"SUBJECT x") == [1, 2]


def test_dates_disregard_time_and_zone(group):
    # The last minute of 1 February 1970 in zones 12 hours apart, and noon of the next day.
    local = 32 * DAY - 60
    mailbox = Mailbox(
        group, [b""] * 3, date=[local, local - 720 * 60, 32 * DAY + DAY // 2], zone=[0, 720, 0]
    )
    assert mailbox.search(b"ON 1-Feb-1970") == [1, 2]
    assert mailbox.search(b"BEFORE 2-Feb-1970") == [1, 2]
    assert mailbox.search(b"SINCE 2-Feb-1970") == [3]
    assert mailbox.search(b"BEFORE 1-Feb-1970") == []


def test_saved_dates_and_ages(group):
    mailbox = Mailbox(group, [b""] * 2, saved=[DAY - 1, DAY], date=[NOW - 3600, NOW - 3601])
    assert mailbox.search(b"SAVEDBEFORE 2-Jan-1970") == [1]
    assert mailbox.search(b"SAVEDON 2-Jan-1970") == [2]
    assert mailbox.search(b"SAVEDSINCE 1-Jan-1970") == [1, 2]
    assert mailbox.search(b"SAVEDATESUPPORTED") == [1, 2]
    assert mailbox.search(b"YOUNGER 3600") == [1]
    assert mailbox.search(b"OLDER 3600") == [1, 2]
    assert mailbox.search(b"OLDER 3601") == [2]


def test_sizes_modseqs_and_ids(group):
    mailbox = Mailbox(group, [b"x" * 9, b"x" * 10, b"x" * 11], thread=[1, 2, 2])
    assert mailbox.search(b"LARGER 10") == [3]
    assert mailbox.search(b"SMALLER 10") == [1]
    assert mailbox.search(b"MODSEQ 20") == [2, 3]
    assert mailbox.search(b"EMAILID M0000000000000406") == [3]
    assert mailbox.search(b"EMAILID elsewhere") == []
    assert mailbox.search(b"THREADID T0000000000000002") == [2, 3]


def test_needs_of_a_program():
    assert not program(b"UNSEEN SINCE 1-Feb-1994").needs_metadata
    assert program(b"UNSEEN (OR 1 NOT SUBJECT x)").needs_metadata
    assert program(b"SENTON 1-Feb-1994").needs_metadata
    assert not program(b'SUBJECT ""').needs_metadata
    assert program(b"NOT MODSEQ 7").needs_modseq
    assert not program(b"ALL").needs_modseq


def test_program_with_message_numbers():
    for text in (b"1", b"NOT 1:3", b"OR SEEN (2 DELETED)", b"*"):
        assert program(text).has_numbers
    for text in (b"ALL", b"UID 1:3", b"$", b"NOT $", b"LARGER 1"):
        assert not program(text).has_numbers


def test_highest_modseq_of_messages(group):
    Mailbox(group, [b""] * 3, modseq=[7, 9, 8])
    with group.snapshot() as snapshot:
        assert snapshot.highest_modseq(MAILBOX, UidSet([(1, 99)])) == 9
        assert snapshot.highest_modseq(MAILBOX, UidSet.of([10, 30])) == 8
        assert snapshot.highest_modseq(MAILBOX, UidSet.of([11])) == 0
        assert snapshot.highest_modseq(MAILBOX, EMPTY) == 0


MAIL = [
    b"Date: Tue, 1 Feb 1994 23:59:00 -0800\r\nFrom: Fred Foobar <fred@owl.example>\r\n"
    b"To: Joe <joe@owl.example>\r\nSubject: =?ISO-8859-1?Q?Gr=FC=DFe?=\r\n\r\nHello Joe\r\n",
    b"Date: Wed, 2 Feb 1994 00:01:00 -0800\r\nFrom: mooch@owl.example\r\nCc: fred@owl.example\r\n"
    b"Subject: weekly\r\n  report\r\nX-Spam: =?UTF-8?Q?n=C3=B6?= thanks\r\n\r\nwhat Fred said\r\n",
    b'Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"R3LDvMOfZSBhdXMgS8O2bG4=\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n"
    b"Hello from no text\r\n--b--\r\n",
]


@pytest.mark.parametrize("max_bytes", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"FROM FRED", [1]),
        (b"FROM owl.example", [1, 2]),
        (b"CC fred", [2]),
        (b"TO carol", []),
        (b'SUBJECT "WEEKLY REPORT"', [2]),
        (b"CHARSET UTF-8 SUBJECT {7+}\r\ngr\xc3\xbc\xc3\x9fe", [1]),
        (b'SUBJECT ""', [1, 2, 3]),
        (b'HEADER Subject "parts"', [3]),
        (b'HEADER X-Spam ""', [2]),
        (b"HEADER x-spam THANKS", [2]),
        (b"CHARSET UTF-8 HEADER x-spam {3+}\r\nN\xc3\x96", [2]),
        (b"NOT HEADER X-Spam nothing", [1, 2, 3]),
        (b"BODY hello", [1]),
        (b"BODY weekly", []),
        (b"TEXT weekly", [2]),
        (b"TEXT fred", [1, 2]),
        (b"BODY fred", [2]),
        (b'TEXT "owl.example" NOT BODY said', [1]),
        (b"CHARSET UTF-8 BODY {5+}\r\nK\xc3\xb6ln", [3]),
        (b"OR BODY said SUBJECT parts", [2, 3]),
        (b"SENTON 1-Feb-1994", [1]),
        (b"SENTSINCE 2-Feb-1994", [2]),
        # A message without a Date was sent when it came: here 1970.
        (b"SENTBEFORE 1-Jan-1990", [3]),
    ],
)
def test_metadata_and_text_decide(group, text, expected, max_bytes):
    assert Mailbox(group, MAIL).search(text, max_bytes=max_bytes) == expected


def test_removed_message_does_not_match(group):
    mailbox = Mailbox(group, MAIL)
    assert mailbox.search(b"BODY hello") == [1]
    group.drop("bodies", Struct(">QI").pack(1010, 0))
    assert mailbox.search(b"BODY hello") == []
    assert mailbox.search(b"FROM fred") == [1]
    group.drop("digests", Struct(">QI").pack(1010, 0))
    assert mailbox.search(b"FROM fred") == []


def test_corrupt_data_is_an_error(group):
    mailbox = Mailbox(group, MAIL)
    group.put_metadata(1020, b"damage")
    with pytest.raises(CorruptError):
        mailbox.search(b"SUBJECT x")
    group.put("index", Struct(">QI").pack(MAILBOX, 20), b"damage")
    with pytest.raises(CorruptError):
        mailbox.search(b"SEEN")


def test_search_of_some_messages_reads_no_others(group):
    mailbox = Mailbox(group, MAIL * 2)
    bound = mailbox.bind(b"SUBJECT x")
    with group.snapshot() as snapshot:
        found, undecided = bound.scan(snapshot, MAILBOX, UidSet([(20, 49), (60, 60)]))
    assert found == EMPTY
    assert len(undecided) == 4
    assert [len(undecided.search_tasks(count)) for count in (0, 1, 2, 3, 4, 9)] == [
        1,
        1,
        2,
        2,
        4,
        4,
    ]


def test_no_undecided_messages_no_tasks(group):
    mailbox = Mailbox(group, MAIL)
    bound = mailbox.bind(b"ALL")
    with group.snapshot() as snapshot:
        found, undecided = bound.scan(snapshot, MAILBOX, bound.candidates)
    assert len(found) == len(MAIL)
    assert (len(undecided), undecided.search_tasks(4)) == (0, [])


def test_messages_may_share_a_body(group):
    mailbox = Mailbox(group, MAIL[:2])
    records = [Record(**fields(one) | {"body": 1010}) for one in mailbox.records]
    for record in records:
        group.put_segment(MAILBOX, segment_append(b"", [record]))
    assert mailbox.search(b"FROM fred") == [1, 2]


def test_text_is_read_only_if_it_decides(group):
    mailbox = Mailbox(group, MAIL, flags=[1, 0, 0])
    for body in (1020, 1030):
        group.drop("digests", Struct(">QI").pack(body, 0))
        group.put("bodies", Struct(">QI").pack(body, 0), b"damage")
    assert mailbox.search(b"SEEN BODY hello") == [1]


def test_cached_header_fields_need_no_text(group):
    mailbox = Mailbox(group, [b"List-Id: a\r\n talk\r\nX-Odd: talk\r\n\r\n"])
    group.put("bodies", Struct(">QI").pack(1010, 0), b"damage")
    assert mailbox.search(b'HEADER list-id "A TALK"') == [1]
    with pytest.raises(CorruptError):
        mailbox.search(b"HEADER x-odd talk")
