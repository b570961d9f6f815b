"""Sets of UIDs, message numbers and index segments, as Python sees them."""

import random
from dataclasses import dataclass

import pytest

from imapvm._core import (
    SEGMENT_RECORDS,
    STORE_ADD,
    STORE_REMOVE,
    STORE_REPLACE,
    CorruptError,
    Record,
    SequenceSet,
    UidMap,
    UidSet,
    keyword_sets,
    segment_append,
    segment_counts,
    segment_records,
    segment_remove,
    segment_uids,
    segments_store,
    uids_modified,
    uids_with_flags,
)
from imapvm.model.flags import SystemFlag
from imapvm.model.ids import UID_MAX

EMPTY = UidSet()


def record(uid, **fields):
    """A record; what is not named is plain."""
    plain = {
        "size": 100,
        "flags": 0,
        "keyword_set": 0,
        "modseq": uid,
        "date": 0,
        "zone": 0,
        "saved": 0,
        "body": uid + 1000,
        "thread": 1,
    }
    return Record(uid=uid, **(plain | fields))


def sequence(text):
    parsed = SequenceSet.parse(text)
    assert parsed is not None
    return parsed


def test_order_of_input_does_not_matter_to_a_set():
    made = UidSet([(5, 9), (1, 3), (3, 4), (20, 20)])
    assert made == UidSet.of([20, *range(9, 0, -1), 9]) == UidSet([(1, 9), (20, 20)])
    assert hash(made) == hash(UidSet([(1, 9), (20, 20)]))
    assert made != UidSet([(1, 9)])
    assert list(made) == [*range(1, 10), 20]
    assert len(made) == 10
    assert made.runs() == [(1, 9), (20, 20)]
    assert (made.first, made.last) == (1, 20)
    assert 9 in made
    assert 10 not in made
    assert -1 not in made
    assert UID_MAX + 1 not in made
    assert made.to_imap() == b"1:9,20"
    assert repr(made) == "UidSet(1:9,20)"


def test_the_empty_set():
    assert not EMPTY
    assert len(EMPTY) == 0
    assert (EMPTY.first, EMPTY.last) == (None, None)
    assert bytes(EMPTY) == EMPTY.to_imap() == b""
    assert list(EMPTY) == EMPTY.runs() == []
    assert UidSet.of([]) == UidSet([]) == UidSet.from_bytes(b"") == EMPTY


@pytest.mark.parametrize(
    "runs", [[(0, 1)], [(2, 1)], [(1, UID_MAX + 1)], [(-1, 1)], [(1, 2), (0, 0)]]
)
def test_runs_that_name_no_uids_are_refused(runs):
    with pytest.raises(ValueError, match="UID"):
        UidSet(runs)


@pytest.mark.parametrize("uid", [0, -1, UID_MAX + 1])
def test_numbers_that_are_no_uids_are_refused(uid):
    with pytest.raises(ValueError, match="UID"):
        UidSet.of([1, uid])


def test_highest_uid():
    everything = UidSet([(1, UID_MAX)])
    assert len(everything) == UID_MAX
    assert len(UidMap(everything)) == UID_MAX
    assert UidMap(everything).number(UID_MAX) == UID_MAX
    assert everything - UidSet([(2, UID_MAX)]) == UidSet.of([1])


def test_set_algebra_agrees_with_sets_of_python():
    dice = random.Random(5)
    for _ in range(300):
        left, right = ({dice.randint(1, 60) for _ in range(dice.randint(0, 40))} for _ in "lr")
        one, other = UidSet.of(left), UidSet.of(right)
        assert set(one | other) == left | right
        assert set(one & other) == left & right
        assert set(one - other) == left - right
        assert UidSet.from_bytes(bytes(one)) == one
        count = dice.randint(0, 45)
        low, high = one.split(count)
        assert [*low, *high] == sorted(left)
        assert len(low) == min(count, len(left))


def test_operators_refuse_other_types():
    with pytest.raises(TypeError):
        EMPTY | {1}
    assert set() != EMPTY


def test_stored_bytes_that_are_no_set_are_corrupt():
    stored = memoryview(bytes(UidSet([(300, 400), (900, 900)])))
    assert UidSet.from_bytes(stored) == UidSet([(300, 400), (900, 900)])
    assert UidSet.from_bytes(stored[:3]) == UidSet([(300, 400)])
    for end in (1, 2, 4, 5):
        with pytest.raises(CorruptError):
            UidSet.from_bytes(stored[:end])


def test_message_numbers_are_positions():
    numbers = UidMap(UidSet([(11, 13), (20, 20)]))
    assert len(numbers) == 4
    assert numbers.last_uid == 20
    assert [numbers.uid(number) for number in range(6)] == [None, 11, 12, 13, 20, None]
    assert [numbers.number(uid) for uid in (10, 11, 13, 14, 20, 21, -1)] == [
        None, 1, 3, None, 4, None, None,
    ]  # fmt: skip
    assert numbers.numbers(UidSet.of([5, 12, 13, 20])) == UidSet([(2, 4)])
    assert numbers == UidMap(UidSet.of([11, 12, 13, 20]))
    assert hash(numbers) == hash(UidMap(numbers.uids))
    assert len(UidMap()) == 0
    assert UidMap().last_uid is None


def test_expunges_are_announced_highest_first():
    numbers = UidMap(UidSet([(11, 20)]))
    left, announced = numbers.without(UidSet.of([11, 13, 20, 99]))
    assert announced == [10, 3, 1]
    client = list(numbers.uids)
    for number in announced:
        del client[number - 1]
    assert client == list(left.uids)


def test_only_uids_above_the_last_are_appended():
    numbers = UidMap(UidSet([(1, 3)]))
    assert numbers.appended(UidSet([(4, 5), (9, 9)])) == UidMap(UidSet([(1, 5), (9, 9)]))
    assert numbers.appended(EMPTY) == numbers
    with pytest.raises(ValueError, match="not above the last"):
        numbers.appended(UidSet([(3, 4)]))


@pytest.mark.parametrize(
    ("text", "uid", "expected"),
    [
        (b"1:3,7", False, None),
        (b"2:3", False, UidSet.of([12, 20])),
        (b"*", False, UidSet.of([20])),
        (b"*:1", False, UidSet.of([11, 12, 20])),
        (b"4", False, None),
        (b"4:*", False, None),
        # 559:* always includes the last message (RFC 9051 section 6.4.8).
        (b"559:*", True, UidSet.of([20])),
        (b"1:12,4294967295", True, UidSet.of([11, 12])),
        (b"13:19", True, EMPTY),
        (b"$", True, UidSet.of([12])),
        (b"$", False, UidSet.of([12])),
    ],
)
def test_sequence_sets_are_resolved(text, uid, expected):
    numbers = UidMap(UidSet.of([11, 12, 20]))
    assert numbers.select(sequence(text), uid=uid, saved=UidSet.of([12, 15])) == expected


def test_nothing_in_an_empty_mailbox_has_a_number():
    assert UidMap().select(sequence(b"*"), uid=False, saved=EMPTY) is None
    assert UidMap().select(sequence(b"1:*"), uid=True, saved=EMPTY) == EMPTY


def test_segment_holds_at_most_its_limit_of_records():
    records = [record(uid) for uid in range(1, SEGMENT_RECORDS + 2)]
    full = segment_append(b"", records[:-1])
    assert len(full) <= 2000
    assert segment_records(memoryview(full)) == records[:-1]
    with pytest.raises(ValueError, match="SEGMENT_RECORDS"):
        segment_append(full, records[-1:])


def test_records_keep_every_field():
    extreme = Record(
        uid=UID_MAX,
        size=UID_MAX,
        flags=31,
        keyword_set=UID_MAX,
        modseq=2**63 - 1,
        date=-(2**40),
        zone=-720,
        saved=2**40,
        body=2**64 - 1,
        thread=2**64 - 1,
    )
    stored = segment_append(segment_append(b"", [record(1)]), [extreme])
    assert segment_records(stored) == [record(1), extreme]
    assert segment_records(stored, UidSet.of([UID_MAX])) == [extreme]
    assert hash(segment_records(stored)[1]) == hash(extreme)
    read = segment_records(stored)[1]
    assert (read.size, read.flags, read.keyword_set) == (UID_MAX, 31, UID_MAX)
    assert (read.modseq, read.date, read.zone) == (2**63 - 1, -(2**40), -720)
    assert (read.saved, read.body, read.thread) == (2**40, 2**64 - 1, 2**64 - 1)


def test_uids_in_a_segment_ascend():
    stored = segment_append(b"", [record(5)])
    for records in ([record(5)], [record(7), record(6)], [record(4)]):
        with pytest.raises(ValueError, match="not above"):
            segment_append(stored, records)


def test_segment_without_records_is_empty_bytes():
    stored = segment_append(b"", [record(1), record(3)])
    assert segment_uids(stored) == UidSet.of([1, 3])
    left, taken = segment_remove(stored, UidSet([(2, 9)]))
    assert taken == [record(3)]
    assert segment_uids(left) == UidSet.of([1])
    assert segment_remove(left, UidSet.of([1])) == (b"", [record(1)])
    assert segment_remove(left, UidSet.of([2])) == (left, [])
    assert segment_append(b"", []) == b""
    assert segment_records(b"") == []


def test_store_returns_the_uids_that_changed():
    seen, deleted = SystemFlag.SEEN, SystemFlag.DELETED
    stored = segment_append(
        b"", [record(1, flags=seen), record(2), record(3, keyword_set=4), record(4, flags=deleted)]
    )

    def store(mode, flags, keyword_map, uids):
        [new], *changes = segments_store(
            [stored], UidSet.of(uids), mode=mode, flags=flags, keyword_map=keyword_map, modseq=99
        )
        return (new, *changes)

    added, changed, unseen, gone = store(STORE_ADD, seen, {}, [1, 2, 3, 9])
    assert (changed, unseen, gone) == (UidSet.of([2, 3]), -2, 0)
    assert [(one.flags, one.modseq) for one in segment_records(added)] == [
        (seen, 1), (seen, 99), (seen, 99), (deleted, 4),
    ]  # fmt: skip
    _, changed, unseen, gone = store(STORE_REMOVE, seen | deleted, {}, [1, 2, 3, 4])
    assert (changed, unseen, gone) == (UidSet.of([1, 4]), 1, -1)
    _, changed, unseen, gone = store(STORE_REPLACE, deleted, {}, [1, 2, 3, 4])
    assert (changed, unseen, gone) == (UidSet.of([1, 2, 3]), 1, 3)
    named, changed, unseen, gone = store(STORE_ADD, 0, {4: 5, 0: 6}, [2, 3])
    assert (changed, unseen, gone) == (UidSet.of([2, 3]), 0, 0)
    assert [one.keyword_set for one in segment_records(named)] == [0, 6, 5, 0]
    same, changed, unseen, gone = store(STORE_ADD, 0, {7: 8}, [1, 2, 3, 4])
    assert (same, changed, unseen, gone) == (None, EMPTY, 0, 0)
    with pytest.raises(ValueError, match="STORE_"):
        store(77, 0, {}, [1])


def test_store_changes_several_segments():
    seen = SystemFlag.SEEN
    segments = [
        segment_append(b"", [record(1), record(2, flags=seen)]),
        segment_append(b"", [record(5, flags=seen)]),
        segment_append(b"", [record(8), record(9)]),
        b"",
    ]

    def store(segments, uids):
        return segments_store(segments, uids, mode=STORE_ADD, flags=seen, keyword_map={}, modseq=99)

    stored, changed, unseen, deleted = store(segments, UidSet([(1, 8)]))
    assert (changed, unseen, deleted) == (UidSet.of([1, 8]), -2, 0)
    assert [segment is None for segment in stored] == [False, True, False, True]
    assert segment_records(stored[2])[0].modseq == 99
    assert segment_records(stored[2])[1] == record(9)
    assert store([], UidSet([(1, 8)])) == ([], EMPTY, 0, 0)
    with pytest.raises(CorruptError, match="ascend"):
        store(segments[::-1], UidSet([(1, 9)]))


def test_columns():
    segments = [
        segment_append(
            b"", [record(1, flags=1, size=10), record(2, keyword_set=3, size=2**32 - 1)]
        ),
        segment_append(b"", [record(8, flags=9, keyword_set=3), record(9, keyword_set=5)]),
    ]
    assert segment_counts(segments[0]) == (2, 1, 0, 2**32 + 9)
    assert segment_counts(segments[1]) == (2, 1, 1, 200)
    assert segment_counts(b"") == (0, 0, 0, 0)
    assert keyword_sets(segments) == {0, 3, 5}
    assert keyword_sets(iter(segments), UidSet.of([2, 8])) == {3}
    assert uids_with_flags(segments, SystemFlag.SEEN, 0) == UidSet.of([2, 9])
    assert uids_with_flags(iter(segments), SystemFlag.DELETED, SystemFlag.DELETED) == UidSet.of([8])
    assert uids_modified(segments, 2) == UidSet.of([8, 9])
    assert UidMap.from_segments(memoryview(one) for one in segments).uids == UidSet.of([1, 2, 8, 9])
    for out_of_order in (UidMap.from_segments, lambda them: uids_modified(them, 0)):
        with pytest.raises(CorruptError, match="ascend"):
            out_of_order(segments[::-1])


def test_exception_of_an_iterable_is_passed_on():
    class StoreClosedError(Exception):
        pass

    def broken():
        yield segment_append(b"", [record(1)])
        raise StoreClosedError

    with pytest.raises(StoreClosedError):
        UidMap.from_segments(broken())


def test_every_changed_byte_is_detected():
    stored = segment_append(b"", [record(uid) for uid in (1, 2, 9)])
    for at in range(len(stored)):
        corrupt = bytearray(stored)
        corrupt[at] ^= 0x10
        for read in (
            segment_records,
            segment_uids,
            segment_counts,
            lambda one: segment_append(one, []),
            lambda one: segment_remove(one, EMPTY),
            lambda one: UidMap.from_segments([one]),
            lambda one: uids_with_flags([one], 1, 1),
            lambda one: keyword_sets([one]),
        ):
            with pytest.raises(CorruptError):
                read(bytes(corrupt))


def test_writable_buffer_is_refused():
    with pytest.raises(BufferError):
        segment_counts(bytearray(segment_append(b"", [record(1)])))


@dataclass
class Model:
    """A mailbox as a list."""

    records: list[Record]

    def segments(self, dice):
        cut, out = 0, []
        while cut < len(self.records):
            step = dice.randint(1, SEGMENT_RECORDS)
            out.append(segment_append(b"", self.records[cut : cut + step]))
            cut += step
        return out


def test_columns_agree_with_a_list_of_records():
    dice = random.Random(7)
    for _ in range(50):
        uids = sorted(dice.sample(range(1, 400), dice.randint(0, 150)))
        model = Model([
            record(
                uid,
                flags=dice.randint(0, 31),
                keyword_set=dice.randint(0, 3),
                modseq=dice.randint(1, 9),
            )
            for uid in uids
        ])  # fmt: skip
        segments = model.segments(dice)
        assert list(UidMap.from_segments(segments).uids) == uids
        assert list(uids_with_flags(segments, 5, 4)) == [
            one.uid for one in model.records if one.flags & 5 == 4
        ]
        assert list(uids_modified(segments, 4)) == [
            one.uid for one in model.records if one.modseq > 4
        ]
        some = UidSet.of(dice.sample(range(1, 400), 100))
        assert keyword_sets(segments, some) == {
            one.keyword_set for one in model.records if one.uid in some
        }
