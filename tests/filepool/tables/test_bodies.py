"""Bodies: exact text, reading of any part, bounded memory, no leaks."""

import os
import random

import pytest
import trio
from tests.filepool.direct import (
    START,
    Direct,
    look,
    message_bytes,
    packed,
    received,
    uids,
)

from imapvm._core import (
    BODY_MAX,
    STORE_ADD,
    VALUE_BYTES,
    MessageEncoder,
    MessageMetadata,
    body_rows,
)
from imapvm.filepool import staging
from imapvm.filepool.errors import (
    BodyGoneError,
    CorruptDataError,
    LimitError,
    StagedExpiredError,
    StoreUnavailableError,
)
from imapvm.filepool.operations.append import AppendMessages, NewMessage
from imapvm.filepool.staging import BodyWriter
from imapvm.filepool.tables.messages.bodies import (
    GRACE_SECONDS,
    STAGED_SECONDS,
    NewBody,
)
from imapvm.filepool.tables.schema import CHUNK_KEY
from imapvm.model.flags import SystemFlag
from imapvm.model.limits import MESSAGE_MAX, THREAD_REFERENCES_MAX

LARGE_FRAME = 128 * 1024
WORDS = b"the quick brown fox jumps over the lazy dog. "


def text(size: int) -> bytes:
    return (b"Subject: long\r\n\r\n" + WORDS * (size // len(WORDS) + 1))[:size]


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


async def write(writer: BodyWriter, data: bytes, piece: int = 50_000):
    for at in range(0, len(data), piece):
        if writer.feed(data[at : at + piece]):
            await writer.spill()
    return NewMessage(writer.finish(), 0, (), START, 0)


async def store(alice, data: bytes, piece: int = 50_000) -> int:
    """Store a message; return its body id."""
    done = await alice.append(look(alice).id, [await write(alice.new_body(), data, piece)])
    return look(alice).records[done.uids.last].body


SIZES = [0, 1, 255, 256, 1999, 4056, 4057, 4080, 8160, 65_535, 65_536, 65_537, 200_000, 700_001]


@pytest.mark.parametrize("make", [text, noise], ids=["text", "noise"])
@pytest.mark.parametrize("size", SIZES)
async def test_stored_text_is_read_back(alice, size, make):
    data = make(size)
    body = await store(alice, data)
    with alice.reading() as reader:
        assert reader.body(body, 0, size) == data
        assert reader.body(body, 0, size + 10_000) == data
        assert reader.body(body, size, 10) == b""
        assert MessageMetadata(reader.snapshot.metadata(body)).size == size


@pytest.mark.parametrize("make", [text, noise], ids=["text", "noise"])
async def test_any_part_can_be_read(alice, make):
    data = make(400_000)
    body = await store(alice, data)
    dice = random.Random(3)
    edges = [0, 1, 4055, 4056, 65_535, 65_536, 131_072, 399_999]
    with alice.reading() as reader:
        for _ in range(300):
            offset = dice.choice([*edges, dice.randrange(400_000)])
            length = dice.choice([1, 2, 4080, 65_536, 65_537, dice.randrange(400_000)])
            assert reader.body(body, offset, length) == data[offset : offset + length]


async def test_text_is_compressed_and_noise_is_not(alice):
    async def rows(data):
        body = await store(alice, data)
        with alice.reading() as reader:
            size, found, error = reader.snapshot.body_layout(body)
        assert (size, error) == (len(data), None)
        return found

    assert await rows(text(300_000)) < 8
    assert await rows(noise(300_000)) == 1 + -(-300_000 // VALUE_BYTES)


def test_rows_fit_one_overflow_page(direct):
    for size in (100, 5000, 5_000_000):
        rows = packed(noise(size)).rows
        assert max(len(value) for _, value in rows) <= VALUE_BYTES
        assert [number for number, _ in rows] == list(range(len(rows)))


def test_largest_message_fits_a_body():
    assert BODY_MAX == 80 << 20 >= MESSAGE_MAX


@pytest.mark.slow
def test_rows_of_the_largest_body_are_read_back(direct):
    """Frames of both sizes, and a table of frames that fills row 0."""
    piece = noise(1 << 20)
    encoder = MessageEncoder()
    for _ in range(80):
        encoder.feed(piece)
    rows, metadata, threads = encoder.finish(1, THREAD_REFERENCES_MAX)
    assert body_rows(rows[0][1]) == len(rows)
    body = NewBody(BODY_MAX, tuple(rows), metadata, threads)
    new = NewMessage(body, 0, (), START, 0)
    direct.apply(AppendMessages(direct.account.id, direct.mailbox().id, (new,), START))
    with direct.reading() as reader:
        assert reader.snapshot.body_layout(1) == (BODY_MAX, len(rows), None)
        for at in (0, (16 << 20) - 5, 40 << 20, BODY_MAX - 10):
            expected = (piece * 2)[at % (1 << 20) :][: min(10, BODY_MAX - at)]
            assert reader.body(1, at, 10) == expected


def test_reading_a_part_reads_only_its_frames(direct):
    data = noise(500_000).hex().encode()  # compressed to a half
    new = NewMessage(packed(data), 0, (), START, 0)
    direct.apply(AppendMessages(direct.account.id, direct.mailbox().id, (new,), START))
    _, rows, _ = direct_layout(direct)
    with direct.group.env.begin(write=True) as txn:
        for row in (1, rows - 1):  # of the first frames, and of the last ones
            txn.delete(CHUNK_KEY.pack(1, row), db=direct.group.tables.bodies)
    with direct.reading() as reader:
        assert reader.body(1, 500_000, 10) == data[500_000:500_010]
        with pytest.raises(CorruptDataError):
            reader.body(1, 999_990, 10)


def direct_layout(direct):
    with direct.reading() as reader:
        return reader.snapshot.body_layout(1)


@pytest.mark.parametrize("piece", [1, 7, 4080, 65_536, 1_000_000])
def test_packed_body_does_not_depend_on_the_pieces_fed(piece):
    data = text(3000) + noise(150_000 if piece > 10 else 70_000)
    whole, cut = MessageEncoder(), MessageEncoder()
    whole.feed(data)
    for at in range(0, len(data), piece):
        cut.feed(data[at : at + piece])
    assert cut.finish(1, 20) == whole.finish(1, 20)


# --- staging ----------------------------------------------------------------------------------


async def test_large_message_is_staged_while_it_arrives(alice, pool):
    writer = alice.new_body()
    data = noise(2_000_000)
    held = 0
    for at in range(0, len(data), 65_536):
        if writer.feed(data[at : at + 65_536]):
            await writer.spill()
        held = max(held, writer._encoder.held)
    assert held <= staging.SPILL_BYTES + 2 * LARGE_FRAME
    assert writer.size == len(data)
    new = writer.finish()
    assert sum(len(value) for _, value in new.rows) < staging.SPILL_BYTES + LARGE_FRAME
    done = await alice.append(look(alice).id, [NewMessage(new, 0, (), START, 0)])
    await writer.discard()
    with alice.reading() as reader:
        assert reader.body(look(alice).records[done.uids.first].body, 0, len(data)) == data


async def test_unused_staged_message_is_swept(alice, pool, clock):
    await write(alice.new_body(), noise(1_000_000))
    assert pool.check().bodies == 1
    clock.now += STAGED_SECONDS - 1
    assert (await pool.sweep()).bodies == 0
    clock.now += 1
    assert (await pool.sweep()).bodies == 1
    assert pool.check().bodies == 0


async def test_discarded_staged_message_is_swept_at_once(alice, pool):
    writer = alice.new_body()
    await write(writer, noise(1_000_000))
    await writer.discard()
    await writer.discard()
    assert (await pool.sweep()).bodies == 1
    assert pool.check().bodies == 0
    with pool.groups[0].env.begin() as txn:
        assert txn.stat(pool.groups[0].tables.sweep)["entries"] == 0


async def test_message_can_be_discarded_after_cancellation(alice, pool):
    writer = alice.new_body()
    with trio.CancelScope() as scope:
        try:
            await write(writer, noise(500_000))
            scope.cancel()
            await trio.lowlevel.checkpoint()
        finally:
            await writer.discard()
    assert (await pool.sweep()).bodies == 1


async def test_discarding_a_used_message_changes_nothing(alice, pool):
    writer = alice.new_body()
    data = noise(600_000)
    await alice.append(look(alice).id, [await write(writer, data)])
    await writer.discard()
    await pool.sweep()
    with alice.reading() as reader:
        assert reader.body(look(alice).records[1].body, 0, len(data)) == data


async def test_staged_message_can_be_stored_twice(alice, pool):
    new = await write(alice.new_body(), noise(600_000))
    inbox = look(alice).id
    await alice.append(inbox, [new, new])
    await alice.append(inbox, [new])
    found = [record.body for record in look(alice).records.values()]
    assert len(set(found)) == 1
    await alice.store_flags(
        inbox, uids(1, 2, 3), mode=STORE_ADD, flags=SystemFlag.DELETED.value, keywords=()
    )
    await alice.expunge(inbox, uids(1, 2))
    assert pool.check().findings == ()


async def test_message_that_took_too_long_to_arrive_is_refused(alice, pool, clock):
    writer = alice.new_body()
    data = noise(1_000_000)
    for at in range(0, 500_000, 50_000):
        if writer.feed(data[at : at + 50_000]):
            await writer.spill()
    clock.now += STAGED_SECONDS
    await pool.sweep()
    new = NewMessage(writer.finish(), 0, (), START, 0)
    with pytest.raises(StagedExpiredError):
        await alice.append(look(alice).id, [new])
    again = alice.new_body()
    while not again.feed(data[:100_000]):
        pass
    await again.spill()
    clock.now += STAGED_SECONDS
    await pool.sweep()
    while not again.feed(data[:100_000]):
        pass
    with pytest.raises(StagedExpiredError):
        await again.spill()


# --- limits -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.at_limit("MESSAGE_MAX")
async def test_message_at_the_limit_is_accepted(alice):
    data = os.urandom(1 << 20) * (MESSAGE_MAX >> 20)
    assert len(data) == MESSAGE_MAX
    body = await store(alice, data, piece=256 * 1024)
    with alice.reading() as reader:
        assert reader.body(body, MESSAGE_MAX - 100_000, 200_000) == data[-100_000:]
        assert reader.body(body, 40 << 20, 300_000) == data[40 << 20 : (40 << 20) + 300_000]


@pytest.mark.past_limit("MESSAGE_MAX")
async def test_message_past_the_limit_is_refused(alice, monkeypatch):
    monkeypatch.setattr(staging, "MESSAGE_MAX", 1000)
    writer = alice.new_body()
    writer.feed(b"x" * 1000)
    with pytest.raises(LimitError, match="1000"):
        writer.feed(b"x")
    assert writer.finish().size == 1000


@pytest.mark.at_limit("THREAD_REFERENCES_MAX")
async def test_references_at_the_limit_are_stored(alice):
    inbox = look(alice).id
    answers = tuple(range(100, 100 + THREAD_REFERENCES_MAX))
    await alice.append(inbox, [received(alice, message_bytes(1, answers=answers))])
    await alice.append(inbox, [received(alice, message_bytes(number)) for number in answers])
    assert len({record.thread for record in look(alice).records.values()}) == 1


@pytest.mark.past_limit("THREAD_REFERENCES_MAX")
async def test_of_references_past_the_limit_the_first_and_the_nearest_are_stored(alice):
    inbox = look(alice).id
    answers = tuple(range(100, 101 + THREAD_REFERENCES_MAX))
    await alice.append(inbox, [received(alice, message_bytes(1, answers=answers))])
    await alice.append(inbox, [received(alice, message_bytes(number)) for number in answers])
    thread, *others = (record.thread for record in look(alice).records.values())
    assert [other == thread for other in others] == [True, False] + [True] * (len(others) - 2)


# --- the end ----------------------------------------------------------------------------------


async def delete(store, mailbox: str, *numbers: int) -> None:
    found = look(store, mailbox).id
    await store.store_flags(
        found, uids(*numbers), mode=STORE_ADD, flags=SystemFlag.DELETED.value, keywords=()
    )
    await store.expunge(found, uids(*numbers))


async def test_expunged_message_can_be_read_for_an_hour(alice, pool, clock):
    body = await store(alice, text(100_000))
    await delete(alice, "INBOX", 1)
    clock.now += GRACE_SECONDS - 1
    assert (await pool.sweep()).bodies == 0
    with alice.reading() as reader:
        assert reader.body(body, 0, 10) == text(10)
        assert reader.snapshot.metadata(body)
    clock.now += 1
    assert (await pool.sweep()).bodies == 1
    with alice.reading() as reader:
        with pytest.raises(BodyGoneError):
            reader.body(body, 0, 10)
        assert reader.snapshot.metadata(body) is None


async def test_body_is_kept_until_its_last_copy_is_expunged(alice, pool, clock):
    body = await store(alice, text(10_000))
    await alice.copy(look(alice).id, uids(1), look(alice, "Archive").id)
    await delete(alice, "INBOX", 1)
    clock.now += 2 * GRACE_SECONDS
    assert (await pool.sweep()).bodies == 0
    await delete(alice, "Archive", 1)
    clock.now += GRACE_SECONDS
    assert (await pool.sweep()).bodies == 1
    assert pool.check().bodies == 0
    assert body


async def test_body_ids_are_never_reused(alice, pool, clock):
    first = await store(alice, b"one")
    await delete(alice, "INBOX", 1)
    clock.now += GRACE_SECONDS
    await pool.sweep()
    assert await store(alice, b"two") > first


def test_body_with_a_missing_row_is_an_error_and_not_the_text_of_another(tmp_path):
    with Direct(tmp_path / "x") as direct:
        for data in (noise(20_000), noise(20_000, seed=2)):
            new = NewMessage(packed(data), 0, (), START, 0)
            direct.apply(AppendMessages(direct.account.id, direct.mailbox().id, (new,), START))
        with direct.group.env.begin(write=True) as txn:
            txn.delete(CHUNK_KEY.pack(1, 4), db=direct.group.tables.bodies)
        with direct.reading() as reader:
            assert reader.body(1, 0, 4000) == noise(20_000)[:4000]
            with pytest.raises(CorruptDataError):
                reader.body(1, 0, 20_000)
            assert reader.body(2, 0, 20_000) == noise(20_000, seed=2)


async def test_metadata_of_any_length_is_read_back(alice):
    """A message with many parts has metadata of several rows."""
    part = b"--b\r\nContent-Type: text/plain; name=part\r\nContent-ID: <x>\r\n\r\nx\r\n"
    for count in (1, 150, 400):
        data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * count + b"--b--\r\n"
        body = await store(alice, data)
        with alice.reading() as reader:
            digest = reader.snapshot.metadata(body)
        assert MessageMetadata(digest).size == len(data)
        assert MessageMetadata(digest).bodystructure.count(b'"part"') == count
        assert (len(digest) > VALUE_BYTES) == (count > 1)


async def test_discarding_on_a_full_disk_leaves_removal_to_the_sweep(alice, pool, clock):
    writer = alice.new_body()
    await write(writer, noise(600_000))
    real = alice._group.submit

    async def full(operation):
        raise StoreUnavailableError("full")

    alice._group.submit = full
    await writer.discard()
    alice._group.submit = real
    clock.now += STAGED_SECONDS
    assert (await pool.sweep()).bodies == 1


async def test_spilling_without_packed_rows_does_nothing(alice, pool):
    writer = alice.new_body()
    writer.feed(b"x" * 100)
    before = pool.groups[0].env.info()["last_txnid"]
    await writer.spill()
    await writer.discard()
    assert pool.groups[0].env.info()["last_txnid"] == before
    assert writer.finish() is writer.finish()
