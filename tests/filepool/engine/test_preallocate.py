"""The data file is longer than its pages in use, and never longer than its limit."""

from tests.filepool.direct import look, message, message_bytes

from imapvm.filepool.engine.preallocate import HEADROOM_MIN_BYTES, STEP_BYTES, Preallocator


def end_of_file(path):
    return (path / "data.mdb").stat().st_size


async def test_few_commits_extend_the_file(alice, pool):
    group = pool.path / "group-000"
    sizes = set()
    for number in range(60):
        await alice.append(look(alice).id, [message(message_bytes(number, size=15_000))])
        sizes.add(end_of_file(group))
    used = (pool.groups[0].env.info()["last_pgno"] + 1) * pool.groups[0].env.stat()["psize"]
    assert used > 60 * 15_000  # too small to be compressed
    assert len(sizes) <= 3
    assert used <= end_of_file(group)


def test_file_is_extended_when_too_little_is_left(tmp_path):
    (tmp_path / "data.mdb").write_bytes(b"mail" * 1024)
    preallocator = Preallocator(tmp_path, 4096 + 2 * STEP_BYTES)
    try:
        preallocator.preallocate(4096)
        assert end_of_file(tmp_path) == 4096 + STEP_BYTES
        assert (tmp_path / "data.mdb").read_bytes() == b"mail" * 1024 + bytes(STEP_BYTES)
        preallocator.preallocate(4096 + STEP_BYTES - HEADROOM_MIN_BYTES)
        assert end_of_file(tmp_path) == 4096 + STEP_BYTES
        preallocator.preallocate(4097 + STEP_BYTES - HEADROOM_MIN_BYTES)
        assert end_of_file(tmp_path) == 4096 + 2 * STEP_BYTES
        preallocator.preallocate(4096 + 2 * STEP_BYTES)  # already at the limit
        assert end_of_file(tmp_path) == 4096 + 2 * STEP_BYTES
    finally:
        preallocator.close()


def test_extension_by_another_process_is_noticed(tmp_path):
    (tmp_path / "data.mdb").write_bytes(bytes(4096))
    ours, theirs = Preallocator(tmp_path, 1 << 30), Preallocator(tmp_path, 1 << 30)
    try:
        theirs.preallocate(4096)
        ours.preallocate(4096)
        assert end_of_file(tmp_path) == 4096 + STEP_BYTES
    finally:
        ours.close()
        theirs.close()


def test_full_disk_is_ignored(tmp_path):
    (tmp_path / "data.mdb").symlink_to("/dev/full")
    preallocator = Preallocator(tmp_path, 1 << 30)
    try:
        preallocator.preallocate(4096)
    finally:
        preallocator.close()
