"""Compression of a connection (RFC 4978), without commands."""

import os
import zlib

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from imapvm.model.limits import DEFLATERS_MAX, INFLATED_MAX, OUTPUT_WAITING_MAX, RECEIVE_MAX
from imapvm.server.net.compression import (
    INFLATE_TRANSITIONS,
    Codecs,
    Compression,
    CorruptInputError,
    InflateState,
)

RESPONSE = b"* 1 FETCH (UID 11 FLAGS (\\Seen))\r\n"


def deflated(*pieces: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return b"".join(deflater.compress(piece) + deflater.flush(flush) for piece in pieces)


def inflate_all(compression: Compression, received: bytes) -> bytes:
    data = compression.inflate(received)
    while compression.has_more:
        data += compression.inflate()
    return data


@pytest.fixture
def compression() -> Compression:
    return Compression(Codecs())


@pytest.fixture
def client() -> "zlib._Decompress":
    return zlib.decompressobj(-15)


# --- output -----------------------------------------------------------------------------------


def test_each_response_can_be_read_at_once(compression, client):
    for _ in range(3):
        assert client.decompress(compression.deflate(RESPONSE)) == RESPONSE
        assert not client.unused_data


def test_stream_continues_after_the_deflater_was_dropped(compression, client):
    sizes = []
    for _ in range(2):
        for _ in range(2):
            sent = compression.deflate(RESPONSE)
            sizes.append(len(sent))
            assert client.decompress(sent) == RESPONSE
        compression.drop_deflater()
        assert not compression.has_deflater
    assert not client.eof
    assert sizes[1] < sizes[0]
    assert sizes[2:] == sizes[:2]


@pytest.mark.at_limit("DEFLATERS_MAX")
@pytest.mark.past_limit("DEFLATERS_MAX")
def test_least_recently_used_deflater_is_dropped_past_the_limit():
    codecs = Codecs()
    all_ = [Compression(codecs) for _ in range(DEFLATERS_MAX + 1)]
    for compression in all_[:DEFLATERS_MAX]:
        compression.deflate(RESPONSE)
    assert all(compression.has_deflater for compression in all_[:DEFLATERS_MAX])
    all_[0].deflate(RESPONSE)
    all_[-1].deflate(RESPONSE)
    assert [number for number, one in enumerate(all_) if not one.has_deflater] == [1]
    assert codecs.deflaters == DEFLATERS_MAX


async def test_sweep_drops_deflaters_that_were_not_used_since_the_last_one():
    codecs = Codecs()
    idle, busy = Compression(codecs), Compression(codecs)
    idle.deflate(RESPONSE)
    busy.deflate(RESPONSE)
    await codecs.sweep()
    assert idle.has_deflater
    busy.deflate(RESPONSE)
    await codecs.sweep()
    assert (idle.has_deflater, busy.has_deflater, codecs.deflaters) == (False, True, 1)


def test_closed_connection_has_no_codecs():
    codecs = Codecs()
    compression = Compression(codecs)
    compression.deflate(RESPONSE)
    compression.inflate(deflated(RESPONSE))
    compression.close()
    assert not compression.has_deflater
    assert not compression.has_inflater
    assert (codecs.deflaters, codecs.inflaters) == (0, 0)


# --- input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH])
def test_input_divided_at_any_byte_is_inflated(flush):
    commands = (b"a1 NOOP\r\n", b"a2 FETCH 1:* (FLAGS)\r\n", os.urandom(50))
    stream = deflated(*commands, flush=flush)
    for at in range(len(stream) + 1):
        compression = Compression(Codecs())
        data = inflate_all(compression, stream[:at]) + inflate_all(compression, stream[at:])
        assert data == b"".join(commands)
    compression = Compression(Codecs())
    data = b"".join(inflate_all(compression, bytes([byte])) for byte in stream)
    assert data == b"".join(commands)


def test_stored_and_fixed_blocks_are_inflated(compression):
    deflater = zlib.compressobj(0, wbits=-15)
    stored = deflater.compress(RESPONSE) + deflater.flush(zlib.Z_FULL_FLUSH)
    fixed = zlib.compressobj(wbits=-15, strategy=zlib.Z_FIXED)
    stream = stored + fixed.compress(RESPONSE) + fixed.flush(zlib.Z_SYNC_FLUSH)
    assert inflate_all(compression, stream) == RESPONSE * 2


async def swept(codecs: Codecs) -> None:
    """Let two sweeps pass, after which nothing has been used."""
    await codecs.sweep()
    await codecs.sweep()


def test_client_that_sends_nothing_has_no_inflater(compression):
    assert not compression.has_inflater
    compression.inflate(deflated(RESPONSE))
    assert compression.has_inflater


@pytest.mark.parametrize("size", [10, 1000, 16 * 1024, 40 * 1024, 200_000])
async def test_stream_continues_after_the_inflater_was_dropped(size):
    codecs = Codecs()
    compression, client = Compression(codecs), zlib.compressobj(wbits=-15)
    text = os.urandom(size)
    for turn in range(4):
        command = text + str(turn).encode()
        sent = client.compress(command) + client.flush(zlib.Z_SYNC_FLUSH)
        assert turn == 0 or size > 32 * 1024 or len(sent) < 300  # the client uses its history
        assert inflate_all(compression, sent) == command
        assert (compression.has_inflater, codecs.inflaters) == (True, 1)
        await swept(codecs)
        assert (compression.has_inflater, codecs.inflaters) == (False, 0)
        assert compression.has_packed_history is (size > 4096)


async def test_inflater_is_kept_while_the_client_sends():
    codecs = Codecs()
    compression = Compression(codecs)
    for _ in range(3):
        compression.inflate(deflated(RESPONSE))
        await codecs.sweep()
        assert compression.has_inflater


@pytest.mark.parametrize("level", [0, 6])
@pytest.mark.parametrize("marker", [b"", b"\x00\x00\xff\xff"])
async def test_inflater_is_dropped_between_two_blocks_only(level, marker):
    """The bytes of a flush may also occur within a block."""
    codecs = Codecs()
    client = zlib.compressobj(level, wbits=-15)
    command = os.urandom(700) + marker + os.urandom(700)
    stream = client.compress(command) + client.flush(zlib.Z_SYNC_FLUSH)
    stream += client.compress(RESPONSE) + client.flush(zlib.Z_SYNC_FLUSH)
    places = {*range(0, len(stream), 37), len(stream)}
    if marker in stream:
        places |= {stream.index(marker) + more for more in range(-1, 6)}
    for at in sorted(place for place in places if place >= 0):
        compression = Compression(codecs)
        data = inflate_all(compression, stream[:at]) if at else b""
        await swept(codecs)
        if at < len(stream):
            data += inflate_all(compression, stream[at:])
        assert data == command + RESPONSE
        await swept(codecs)
        assert not compression.has_inflater


async def test_inflater_is_kept_after_the_end_of_the_stream():
    codecs = Codecs()
    compression = Compression(codecs)
    compression.inflate(deflated(RESPONSE, flush=zlib.Z_FINISH))
    await swept(codecs)
    with pytest.raises(CorruptInputError, match="after the end"):
        compression.inflate(RESPONSE)


async def test_compression_ends_after_the_inflater_was_dropped():
    codecs = Codecs()
    compression = Compression(codecs)
    client = zlib.compressobj(wbits=-15)
    first = client.compress(RESPONSE) + client.flush(zlib.Z_SYNC_FLUSH)
    assert compression.inflate(first) == RESPONSE
    await swept(codecs)
    compression.stop()
    assert compression.inflate(client.flush(zlib.Z_FINISH) + b"a NOOP\r\n") == b"a NOOP\r\n"
    assert compression.is_plain


@pytest.mark.at_limit("INFLATED_MAX")
def test_input_of_the_limit_is_inflated_in_one_step(compression):
    data = os.urandom(1000) + bytes(INFLATED_MAX - 1000)
    assert compression.inflate(deflated(data)) == data
    assert compression.inflate() == b""
    assert not compression.has_more


@pytest.mark.past_limit("INFLATED_MAX")
@pytest.mark.parametrize("size", [INFLATED_MAX + 1, 10 * INFLATED_MAX, 64 * 1024 * 1024])
def test_no_step_returns_more_than_the_limit(compression, size):
    bomb = deflated(bytes(size))
    largest = total = 0
    data = compression.inflate(bomb[:RECEIVE_MAX])
    while data or compression.has_more:
        largest, total = max(largest, len(data)), total + len(data)
        data = compression.inflate() if compression.has_more else b""
    assert largest == INFLATED_MAX
    assert total >= min(size, 1000 * RECEIVE_MAX)


@pytest.mark.parametrize(
    "received",
    [
        b"\xff\xff\xff",  # block type 3
        b"a2 NOOP\r\na3 NOOP\r\n",
        deflated(b"a1 NOOP\r\n")[:-4] + b"\x00\x00\x00\x00",  # LEN is not the complement of NLEN
        deflated(b"a1 NOOP\r\n", flush=zlib.Z_FINISH) + b"a",
    ],
)
def test_corrupt_input_is_refused_and_nothing_is_read_after_it(compression, received):
    with pytest.raises(CorruptInputError, match="DEFLATE stream"):
        inflate_all(compression, received)
    assert not compression.has_more


def test_bytes_after_the_end_of_the_stream_are_refused(compression):
    assert inflate_all(compression, deflated(b"a1 LOGOUT\r\n", flush=zlib.Z_FINISH)) == (
        b"a1 LOGOUT\r\n"
    )
    with pytest.raises(CorruptInputError, match="after the end"):
        compression.inflate(b"a")


def test_corrupt_is_final():
    assert not INFLATE_TRANSITIONS[InflateState.CORRUPT]


# --- the end of compression (RFC 8437 section 4.1) ------------------------------------------------

LAST, NEXT = b"a1 UNAUTHENTICATE\r\n", b"a2 LOGIN ada secret\r\n"
STREAMS = {
    "flush": deflated(LAST),
    "last block": deflated(LAST, flush=zlib.Z_FINISH),
    "flush and fixed last block": deflated(LAST) + b"\x03\x00",
    "flush and stored last block": deflated(LAST) + b"\x01\x00\x00\xff\xff",
}


@pytest.mark.parametrize("kind", STREAMS)
def test_input_is_plain_after_the_end_wherever_it_is_cut(kind):
    stream = STREAMS[kind] + NEXT
    for cut in range(len(stream) + 1):
        compression = Compression(Codecs())
        data, stopped = b"", False
        for received in (stream[:cut], stream[cut:]):
            while received or compression.has_more:
                data += compression.inflate(received)
                received = b""
                if data == LAST and not stopped:
                    compression.stop()
                    stopped = True
        assert data == LAST + NEXT, cut
        assert compression.is_plain


def test_compressed_bytes_after_stop_are_refused(compression):
    more = zlib.compressobj(wbits=-15)
    stream = more.compress(LAST) + more.flush(zlib.Z_PARTIAL_FLUSH)
    assert inflate_all(compression, stream) == LAST
    compression.stop()
    with pytest.raises(CorruptInputError, match="after UNAUTHENTICATE"):
        compression.inflate(more.compress(NEXT) + more.flush(zlib.Z_SYNC_FLUSH))


def test_output_ends_with_the_stream(compression, client):
    sent = compression.deflate(RESPONSE) + compression.finish(b"a1 OK\r\n")
    assert client.decompress(sent) == RESPONSE + b"a1 OK\r\n"
    assert client.eof
    assert not client.unused_data
    assert not compression.has_deflater


# --- transport --------------------------------------------------------------------------------


async def test_bytes_are_compressed_both_ways_from_the_call_on(connected):
    transport, client = connected
    inflater, deflater = zlib.decompressobj(-15), zlib.compressobj(wbits=-15)
    await transport.write(b"a1 OK COMPRESS completed\r\n")
    transport.start_compression()
    assert transport.is_compressed
    assert await client.receive_some(26) == b"a1 OK COMPRESS completed\r\n"
    for number in range(3):
        await client.send_all(
            deflater.compress(b"a%d NOOP\r\n" % number) + deflater.flush(zlib.Z_SYNC_FLUSH)
        )
        data = b""
        while len(data) < 9:
            data += await transport.read()
        assert data == b"a%d NOOP\r\n" % number
        await transport.write(RESPONSE)
        received = b""
        while len(received) < len(RESPONSE):
            received += inflater.decompress(await client.receive_some())
        assert received == RESPONSE


async def test_served_bytes_are_inflated_at_any_division(connected):
    transport, client = connected
    transport.start_compression()
    commands = b"".join(b"a%d NOOP\r\n" % number for number in range(5))
    taken = bytearray()

    def take(data: bytes) -> bool:
        taken.extend(data)
        return len(taken) < len(commands)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.serve, take)
        for byte in deflated(commands):
            await wait_all_tasks_blocked()
            await client.send_all(bytes([byte]))
    assert taken == commands


async def test_large_output_is_compressed_and_complete(connected):
    transport, client = connected
    transport.start_compression()
    data = os.urandom(OUTPUT_WAITING_MAX * 4)
    inflater, received = zlib.decompressobj(-15), bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.write, data)
        while len(received) < len(data):
            received += inflater.decompress(await client.receive_some())
    assert received == data


async def test_bomb_lets_other_tasks_run(connected):
    transport, client = connected
    transport.start_compression()
    size, turns = 64 * 1024 * 1024, 0
    received = 0

    async def count() -> None:
        nonlocal turns
        while received < size:
            await trio.lowlevel.checkpoint()
            turns += 1

    def take(data: bytes) -> bool:
        nonlocal received
        assert len(data) <= INFLATED_MAX
        received += len(data)
        return received < size

    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.serve, take)
        nursery.start_soon(client.send_all, deflated(bytes(size)))
        nursery.start_soon(count)
    assert received == size
    assert turns > 10


async def test_corrupt_input_fails_the_connection_with_a_reason(connected):
    transport, client = connected
    transport.start_compression()
    await client.send_all(b"\xff\xff\xff")
    with pytest.raises(trio.BrokenResourceError, match="corrupt DEFLATE stream"):
        await transport.read()
    assert transport.error is not None
    assert "corrupt DEFLATE stream" in transport.error
    transport.write_nowait(RESPONSE)
    with pytest.raises(trio.BrokenResourceError):
        await transport.read()


async def test_compression_starts_once_and_not_before_tls(connected):
    transport, _ = connected
    transport.start_compression()
    with pytest.raises(ValueError, match="already active"):
        transport.start_compression()
    assert not transport.can_start_tls
    with pytest.raises(ValueError, match="TLS is not available"):
        await transport.start_tls()


async def test_compression_stops_and_starts_again(connected, reactor):
    transport, client = connected
    for _ in range(2):
        transport.start_compression()
        await client.send_all(deflated(LAST) + NEXT)
        assert await transport.read() == LAST
        transport.stop_compression(RESPONSE)
        assert reactor.codecs.deflaters == 0
        assert not transport.is_compressed
        with pytest.raises(ValueError, match="end has not arrived"):
            transport.start_compression()
        assert await transport.read() == NEXT
        assert zlib.decompress(await client.receive_some(), -15) == RESPONSE
        transport.write_nowait(RESPONSE)
        assert await client.receive_some() == RESPONSE
    with pytest.raises(ValueError, match="not active"):
        transport.stop_compression(b"")


async def test_close_frees_the_deflater(connected, reactor):
    transport, _ = connected
    transport.start_compression()
    transport.write_nowait(RESPONSE)
    assert reactor.codecs.deflaters == 1
    transport.close()
    assert reactor.codecs.deflaters == 0
    with pytest.raises(trio.ClosedResourceError):
        await transport.read()


async def test_sweep_runs_every_ten_seconds(autojump_clock):
    codecs = Codecs()
    compression = Compression(codecs)
    compression.deflate(RESPONSE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(codecs.sweep_forever)
        await trio.sleep(19)
        assert compression.has_deflater
        await trio.sleep(2)
        assert not compression.has_deflater
        nursery.cancel_scope.cancel()
