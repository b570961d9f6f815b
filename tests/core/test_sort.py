"""SORT and THREAD through the extension: keys from metadata, columns, order, responses."""

import re
from email.utils import formatdate
from struct import Struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.group import StoredGroup
from tests.core.sort_model import Address, Message, base_subject, casemap, sort, thread
from tests.core.test_search import MAILBOX, Mailbox, metadata_of
from tests.dialogues.responses.grammar import Reader

from imapvm._core import (
    CommandReader,
    CorruptError,
    KeyColumns,
    Record,
    ResponseWriter,
    Sort,
    Thread,
    UidMap,
    UidSet,
    segment_append,
)

PLENTY = 1 << 20
KEY_COLUMN_BYTES = 256
"""Counted for each column besides its contents."""


def arrangement(text):
    reader = CommandReader()
    reader.feed(b"a " + text.encode() + b"\r\n")
    command = reader.next()
    assert isinstance(command, Sort | Thread), command
    return command.arrangement


def arrange(
    mailbox, text, columns=None, *, found=None, uid=False, parts=2, step=PLENTY, room=PLENTY, **also
):
    """Return the response, as the handler makes it, and the number of metadata read."""
    columns = columns or KeyColumns(PLENTY)
    found = mailbox.numbers.uids if found is None else found
    arranger = arrangement(text + " UTF-8 ALL").arranger(
        found=found, numbers=mailbox.numbers, columns=columns, mailbox=MAILBOX
    )
    remaining = arranger.wanted
    while remaining:
        batch, remaining = remaining.split(3)
        with mailbox.group.snapshot() as snapshot:
            arranger.read_index(snapshot, batch)
    builders = arranger.key_builders(parts, room)
    for builder in builders:
        done = False
        while not done:
            with mailbox.group.snapshot() as snapshot:
                done = builder.step(snapshot, step)
    arranged = arranger.arrange(builders, numbers=None if uid else mailbox.numbers, **also)
    out, response, done = ResponseWriter(), b"", False
    while not done:
        done = arranged.write(out, 5)
        response += out.take()
    return response.decode().removesuffix("\r\n"), sum(map(len, builders))


@pytest.fixture
def group(tmp_path):
    group = StoredGroup(tmp_path)
    with group.env:
        yield group


def stored(group, messages):
    """Return a mailbox of messages of the model."""
    return Mailbox(
        group,
        [source(message) for message in messages],
        date=[message.arrival for message in messages],
    )


def source(message):
    """Return the header of a message of the model."""
    lines = [f"Subject: {message.subject}"]
    if message.sent is not None:
        lines.append(f"Date: {formatdate(message.sent)}")
    for name, address in (("From", message.senders), ("To", message.to), ("Cc", message.cc)):
        if address is not None:
            spec = f"<{address.local}@{address.host}>"
            lines.append(f'{name}: "{address.name or ""}" {spec}, other@x.example')
    if message.message_id is not None:
        lines.append(f"Message-ID: <{message.message_id}>")
    for name, ids in (("References", message.references), ("In-Reply-To", message.in_reply_to)):
        if ids:
            lines.append(f"{name}: " + " ".join(f"<{one}>" for one in ids))
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


# --- against the model ----------------------------------------------------------------------------

TEXTS = st.lists(
    st.sampled_from(["a", "B", "_", "é", "E\u0301", "ß", "SS", "ﬁ", "Σ", "ς", "日", "ǆ", "ა"]),
    max_size=3,
).map("".join)
SUBJECTS = st.lists(
    st.sampled_from(
        [
            "Re:",
            "fwd :",
            "FW",
            "re",
            ":",
            "[x]",
            "[",
            "]",
            "[fwd:",
            "(fwd)",
            " ",
            "  ",
            "a",
            "É",
            "b",
        ]
    ),
    max_size=7,
).map("".join)
ADDRESSES = st.none() | st.builds(
    Address,
    name=st.none() | TEXTS.filter(bool),
    local=st.sampled_from(["a", "B", "a_b", "ab", "é"]),
    host=st.sampled_from(["x.example", "y.example"]),
)
DATES = st.integers(0, 5).map(lambda n: n * 86400)
IDS = st.sampled_from([f"{n}@x" for n in range(8)])
MESSAGES = st.builds(
    Message,
    number=st.just(0),
    arrival=DATES,
    sent=st.none() | DATES,
    subject=SUBJECTS,
    senders=ADDRESSES,
    to=ADDRESSES,
    cc=ADDRESSES,
    message_id=st.none() | IDS,
    references=st.lists(IDS, max_size=4),
    in_reply_to=st.lists(IDS, max_size=2),
)
CRITERIA = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from(
            ["ARRIVAL", "CC", "DATE", "DISPLAYFROM", "DISPLAYTO", "FROM", "SIZE", "SUBJECT", "TO"]
        ),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda criterion: criterion[1],
)
ALGORITHMS = ("ORDEREDSUBJECT", "REFERENCES", "REFS")


@given(
    messages=st.lists(MESSAGES, max_size=14),
    criteria=CRITERIA,
    chosen=st.sets(st.integers(1, 14)),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_order_and_threads_agree_with_the_model(tmp_path_factory, messages, criteria, chosen, data):
    group = StoredGroup(tmp_path_factory.mktemp("group"))
    for number, message in enumerate(messages, 1):
        message.number = number
        message.size = len(source(message))
    columns = KeyColumns(data.draw(st.sampled_from([0, 1000, PLENTY])))
    with group.env:
        mailbox = stored(group, messages)
        for subset in (chosen, set(range(1, 15))):
            found = UidSet.of(10 * n for n in subset if n <= len(messages))
            wanted = [message for message in messages if message.number in subset]
            also = {
                "found": found,
                "parts": data.draw(st.integers(1, 3)),
                "step": data.draw(st.sampled_from([1, PLENTY])),
            }
            text = " ".join("REVERSE " * reverse + name for reverse, name in criteria)
            response, _ = arrange(mailbox, f"SORT ({text})", columns, **also)
            assert response == " ".join(["* SORT", *map(str, sort(wanted, criteria))])
            for algorithm in ALGORITHMS:
                response, _ = arrange(mailbox, f"THREAD {algorithm}", columns, **also)
                expected = thread(wanted, algorithm)
                assert response == "* THREAD" + f" {expected}" * bool(expected)


def test_characters_are_compared_by_i_unicode_casemap(group):
    chars = [chr(code) for code in range(0x20, 0x2200) if chr(code).isprintable()]
    chars = [
        char
        for char in chars
        if char not in '"\\()[]:;,.@<>= ' and (ord(char) < 0x80 or len(casemap(char)) > 1)
    ][::3]
    mailbox = Mailbox(group, [f"Subject: x{char}y\r\n\r\n".encode() for char in chars])
    expected = sorted(range(len(chars)), key=lambda at: (casemap(f"x{chars[at]}y"), at))
    response, _ = arrange(mailbox, "SORT (SUBJECT)")
    assert response == " ".join(["* SORT", *(str(at + 1) for at in expected)])


@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        ("Re: a", "a", True),
        ("[x] Re: [y] a (fwd)", "a", True),
        ("[x]", "[x]", False),
        ("Re[2]: a", "a", True),
        ("[Fwd: [Fwd: a]]", "a", True),
        ("a [fwd: b]", "a [fwd: b]", False),
    ],
)
def test_base_subjects_of_the_model(subject, base, is_reply):
    assert base_subject(subject) == (base, is_reply)


# --- examples of RFC 5256 -------------------------------------------------------------------------

SUBJECT_EXAMPLE = (
    "(166)(167)(168)(169)(172)(170)(171)(173)(174 (175)(176)(178)(181)(180))(179)(177 "
    "(183)(182)(188)(184)(185)(186)(187)(189))(190)(191)(192)(193)(194 195)(196 (197)(198))(199)"
    "(200 202)(201)(203)(204)(205)(206 207)(208)"
)
REFERENCES_EXAMPLE = (
    "(166)(167)(168)(169)(172)((170)(179))(171)(173)((174)(175)(176)(178)(181)(180))"
    "((177)(183)(182)(188 (184)(189))(185 186)(187))(190)(191)(192)(193)((194)(195 196))(197 198)"
    "(199)(200 202)(201)(203)(204)(205 206 207)(208)"
)


def parsed(threads):
    """Return nested lists of a THREAD response."""
    return Reader(b"* THREAD " + threads.encode() + b"\r\n").response().value


def examples(threads, *, by_subject):
    """Return messages that have these threads."""
    messages = {}
    order = 0

    def add(number, parent, subject):
        nonlocal order
        order += 1
        messages[number] = Message(
            number=number,
            sent=order * 60,
            subject=subject,
            message_id=f"{number}@x",
            references=[parent] if parent else [],
        )

    def walk(thread, parent, subject):
        for member in thread:
            if isinstance(member, list):
                walk(member, parent, subject)
            else:
                add(member, None if by_subject else parent, subject)
                parent = f"{member}@x"

    for at, one in enumerate(parsed(threads)):
        first = one[0]
        dummy = f"missing-{at}@x" if isinstance(first, list) else None
        walk(one, dummy, f"Re: subject {at}" if dummy else f"subject {at}")
    return [messages[number] for number in sorted(messages)]


@pytest.mark.parametrize(
    ("algorithm", "threads"),
    [
        ("ORDEREDSUBJECT", SUBJECT_EXAMPLE),
        ("REFERENCES", REFERENCES_EXAMPLE),
        ("REFERENCES", "(2)(3 6 (4 23)(44 7 96))"),
        ("REFERENCES", "((3)(5))"),
    ],
)
def test_examples_of_rfc_5256(group, algorithm, threads):
    messages = examples(threads, by_subject=algorithm == "ORDEREDSUBJECT")
    numbers = {10 * at: message.number for at, message in enumerate(messages, 1)}
    response, _ = arrange(stored(group, messages), f"THREAD {algorithm}", uid=True)
    shown = re.sub(r"\d+", lambda uid: str(numbers[int(uid[0])]), response)
    assert shown == f"* THREAD {threads}"
    assert thread(messages, algorithm) == threads, "the model has the example, too"


# --- hostile messages -----------------------------------------------------------------------------


def many(group, headers):
    """Return a mailbox of many messages; UIDs 1, 2, 3 …."""
    records = []
    with group.env.begin(write=True) as txn:
        for uid, header in enumerate(headers, 1):
            txn.put(
                Struct(">QI").pack(uid, 0),
                metadata_of(header.encode()),
                db=group.tables["digests"],
            )
            records.append(
                Record(
                    uid=uid, size=1, flags=0, keyword_set=0, modseq=1, date=uid, zone=0, saved=0,
                    body=uid, thread=1,
                )
            )  # fmt: skip
        for at in range(0, len(records), 32):
            segment = segment_append(b"", records[at : at + 32])
            key = Struct(">QI").pack(MAILBOX, at + 1)
            txn.put(key, segment, db=group.tables["index"])
    mailbox = Mailbox(group, [])
    mailbox.numbers = UidMap(UidSet([(1, len(records))]))
    return mailbox


CHAIN = 100_000


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, -1], ids=["answers follow", "answers precede"])
def test_chain_of_100_000_messages(group, step):
    numbers = range(1, CHAIN + 1)[::step]
    headers = [f"Message-ID: <{n}@x>\r\nReferences: <{n - 1}@x>\r\n\r\n" for n in numbers]
    mailbox = many(group, headers)
    for algorithm in ("REFERENCES", "REFS"):
        response, _ = arrange_all(mailbox, f"THREAD {algorithm}")
        order = " ".join(map(str, range(1, CHAIN + 1)[::step]))
        assert response == f"* THREAD ({order})"


@pytest.mark.slow
def test_100_000_messages_that_refer_to_each_other(group):
    headers = [
        f"Message-ID: <{n}@x>\r\n"
        f"References: <{(n * 7 + 1) % CHAIN}@x> <{(n + 1) % CHAIN}@x>\r\n\r\n"
        for n in range(CHAIN)
    ]
    mailbox = many(group, headers)
    for algorithm in ("REFERENCES", "REFS"):
        response, _ = arrange_all(mailbox, f"THREAD {algorithm}")
        assert sorted(map(int, re.findall(r"\d+", response))) == list(range(1, CHAIN + 1))


def arrange_all(mailbox, text):
    """Arrange a large mailbox, in one batch."""
    arranger = arrangement(text + " UTF-8 ALL").arranger(
        found=mailbox.numbers.uids,
        numbers=mailbox.numbers,
        columns=KeyColumns(1 << 26),
        mailbox=MAILBOX,
    )
    with mailbox.group.snapshot() as snapshot:
        arranger.read_index(snapshot, arranger.wanted)
        builders = arranger.key_builders(2, 1 << 28)
        for builder in builders:
            assert builder.step(snapshot, 1 << 40)
    out = ResponseWriter()
    assert arranger.arrange(builders, numbers=mailbox.numbers).write(out, 1 << 30)
    return out.take().decode().removesuffix("\r\n"), len(builders)


def test_references_in_a_circle(group):
    messages = [
        Message(number=n, sent=n, message_id=f"{n}@x", references=[f"{n % 3 + 1}@x"])
        for n in (1, 2, 3)
    ]
    messages.append(Message(number=4, sent=4, message_id="4@x", references=["4@x", "4@x"]))
    response, _ = arrange(stored(group, messages), "THREAD REFS")
    assert response == f"* THREAD {thread(messages, 'REFS')}"


def test_long_fields_are_compared_up_to_a_limit(group):
    long = "Subject: " + "x" * 1_000_000 + "\r\n\r\n"
    refs = "References: " + " ".join(f"<{n}@x>" for n in range(100_000)) + "\r\n\r\n"
    people = "From: " + ", ".join(f"n{n} <p{n}@x.example>" for n in range(10_000)) + "\r\n\r\n"
    mailbox = many(group, ["Subject: y\r\n\r\n", long, refs, people])
    assert arrange(mailbox, "SORT (SUBJECT)")[0] == "* SORT 3 4 2 1"
    assert arrange(mailbox, "SORT (FROM DISPLAYTO)")[0] == "* SORT 1 2 3 4"
    assert arrange(mailbox, "THREAD REFERENCES")[0] == "* THREAD (1)(2)(3)(4)"


# --- columns --------------------------------------------------------------------------------------


def mail(number):
    return f"From: a{number % 3}@x.example\r\nSubject: letter {-number % 100:02}\r\n\r\n".encode()


@pytest.fixture
def mailbox(group):
    return Mailbox(group, [mail(number) for number in range(20)])


def test_metadata_is_read_once(group, mailbox):
    columns = KeyColumns(PLENTY)
    expected, read = arrange(mailbox, "SORT (SUBJECT)", columns)
    assert read == 20
    for uid in mailbox.messages:
        group.drop("digests", Struct(">QI").pack(uid + 1000, 0))
    assert arrange(mailbox, "SORT (SUBJECT)", columns) == (expected, 0)


def test_only_new_messages_are_read(mailbox):
    columns = KeyColumns(PLENTY)
    known = mailbox.numbers
    mailbox.numbers = UidMap(UidSet([(10, 100)]))
    assert arrange(mailbox, "SORT (SUBJECT)", columns)[1] == 10
    mailbox.numbers = known
    assert arrange(mailbox, "SORT (SUBJECT)", columns) == (
        arrange(mailbox, "SORT (SUBJECT)")[0],
        10,
    )


def test_few_messages_are_read_alone(mailbox):
    columns = KeyColumns(PLENTY)
    few, quarter = UidSet.of([160, 170, 180, 190]), UidSet.of([160, 170, 180, 190, 200])
    assert arrange(mailbox, "SORT (SUBJECT)", columns, found=few) == ("* SORT 19 18 17 16", 4)
    assert columns.memory_bytes == 0
    assert arrange(mailbox, "SORT (SUBJECT)", columns, found=quarter)[1] == 20
    assert columns.memory_bytes > 0


def test_column_of_expunged_messages_is_built_again(group):
    count = 3000
    mailbox = many(group, [f"Subject: {n % 7}\r\n\r\n" for n in range(count)])
    columns = KeyColumns(PLENTY)
    arrange(mailbox, "SORT (SUBJECT)", columns)
    before = columns.memory_bytes
    mailbox.numbers = UidMap(UidSet([(count - 99, count)]))
    response, read = arrange(mailbox, "SORT (SUBJECT)", columns)
    assert (len(response.split()), read) == (102, 100)
    assert columns.memory_bytes < before / 10


def test_expunged_message_is_left_out(group, mailbox):
    mailbox.numbers = UidMap(UidSet.of([5, *mailbox.messages]))
    response, _ = arrange(mailbox, "SORT (ARRIVAL)", uid=True)
    assert response.split()[2:4] == ["10", "20"]


@pytest.mark.parametrize("text", ["SORT (SUBJECT)", "THREAD REFERENCES"])
def test_corrupt_metadata_is_an_error_if_it_is_needed(group, mailbox, text):
    group.put_metadata(1050, b"damage")
    columns = KeyColumns(PLENTY)
    with pytest.raises(CorruptError):
        arrange(mailbox, text, columns)
    with pytest.raises(CorruptError):
        arrange(mailbox, text, columns)
    others = mailbox.numbers.uids - UidSet.of([50])
    assert arrange(mailbox, text, columns, found=others)[0].count("1") > 0


def test_least_recently_used_column_is_dropped(mailbox):
    one = KeyColumns(PLENTY)
    arrange(mailbox, "SORT (SUBJECT)", one)
    room = one.memory_bytes
    columns = KeyColumns(room)
    for _ in range(2):
        assert arrange(mailbox, "SORT (SUBJECT)", columns)[1] == 20
        assert arrange(mailbox, "SORT (FROM)", columns)[1] == 20
        assert arrange(mailbox, "SORT (FROM)", columns)[1] == 0
        assert columns.memory_bytes <= room


def test_column_is_kept_up_to_the_limit(mailbox):
    one = KeyColumns(PLENTY)
    arrange(mailbox, "SORT (SUBJECT)", one)
    for max_bytes, read in ((one.memory_bytes, 0), (one.memory_bytes - 1, 20)):
        columns = KeyColumns(max_bytes)
        arrange(mailbox, "SORT (SUBJECT)", columns)
        assert arrange(mailbox, "SORT (SUBJECT)", columns)[1] == read


def test_groups_share_the_memory(mailbox):
    columns = KeyColumns(PLENTY)
    other = columns.of_group(1)
    arrange(mailbox, "SORT (SUBJECT)", columns)
    assert arrange(mailbox, "SORT (SUBJECT)", other)[1] == 20
    assert other.memory_bytes == columns.memory_bytes > 2 * KEY_COLUMN_BYTES


@pytest.mark.parametrize(
    ("returns", "data"),
    [
        ({"ALL"}, "ALL 3,2,1 MODSEQ 9"),
        ({"MIN"}, "MIN 3 MODSEQ 8"),
        ({"MAX"}, "MAX 1 MODSEQ 7"),
        ({"MIN", "MAX"}, "MIN 3 MAX 1 MODSEQ 8"),
        ({"MIN", "COUNT"}, "MIN 3 COUNT 3 MODSEQ 9"),
    ],
)
def test_modseq_of_esearch(group, returns, data):
    """RFC 4731 section 3.2."""
    mailbox = Mailbox(group, [b""] * 3, date=[1, 2, 3], modseq=[7, 9, 8])
    options = {"esearch": b"ESEARCH", "returns": returns}
    found = arrange(mailbox, "SORT (REVERSE ARRIVAL)", modseq=100, **options)
    assert found == (f"* ESEARCH {data}", 0)


@pytest.mark.parametrize(
    ("returns", "window", "data"),
    [
        ({"PARTIAL"}, (1, 2), "PARTIAL (1:2 3,2) MODSEQ 9"),
        ({"PARTIAL"}, (-1, -1), "PARTIAL (-1:-1 1) MODSEQ 7"),
        ({"PARTIAL"}, (3, 2), "PARTIAL (3:2 2,1) MODSEQ 9"),
        ({"PARTIAL"}, (4, 5), "PARTIAL (4:5 NIL)"),
        ({"PARTIAL", "MIN"}, (-1, -1), "MIN 3 PARTIAL (-1:-1 1) MODSEQ 8"),
        ({"PARTIAL", "MAX", "COUNT"}, (4, 5), "MAX 1 COUNT 3 PARTIAL (4:5 NIL) MODSEQ 9"),
    ],
)
def test_windows_are_in_the_order_of_sort(group, returns, window, data):
    """RFC 5267 section 4.4, RFC 9394."""
    mailbox = Mailbox(group, [b""] * 3, date=[1, 2, 3], modseq=[7, 9, 8])
    options = {"esearch": b"ESEARCH", "returns": returns, "window": window}
    found = arrange(mailbox, "SORT (REVERSE ARRIVAL)", modseq=100, **options)
    assert found == (f"* ESEARCH {data}", 0)


def test_modseq_of_sort_is_bounded_and_left_out_without_messages(group):
    """RFC 7162 section 3.1.9."""
    mailbox = Mailbox(group, [b""] * 3, date=[1, 2, 3], modseq=[7, 9, 8])
    for modseq, end in ((None, ""), (9, " (MODSEQ 9)"), (8, " (MODSEQ 8)")):
        response, _ = arrange(mailbox, "SORT (ARRIVAL)", modseq=modseq)
        assert response == f"* SORT 1 2 3{end}"
    assert arrange(mailbox, "SORT (ARRIVAL)", found=UidSet(), modseq=9)[0] == "* SORT"
    also = {"found": UidSet(), "esearch": b"ESEARCH", "returns": {"MIN", "COUNT"}}
    assert arrange(mailbox, "SORT (ARRIVAL)", modseq=9, **also)[0] == "* ESEARCH COUNT 0"
    assert arrange(mailbox, "THREAD REFS", modseq=9)[0] == "* THREAD (1)(2)(3)"


def test_arranging_twice_is_an_error(mailbox):
    arranger = arrangement("SORT (ARRIVAL) UTF-8 ALL").arranger(
        found=UidSet(), numbers=mailbox.numbers, columns=KeyColumns(0), mailbox=MAILBOX
    )
    arranger.arrange([])
    with pytest.raises(ValueError, match="already arranged"):
        arranger.arrange([])
