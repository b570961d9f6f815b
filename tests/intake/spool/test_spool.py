"""Spool watcher: each file is delivered once and in order, also after errors and crashes."""

import functools
import os
import stat
from time import sleep

import pytest
import trio
from tests.intake.conftest import inbox_of
from tests.intake.fakes import FakePool, message_of
from tests.intake.spooling import emptied, message, names, subjects, until, watching
from tests.owners import set_owner

from imapvm.filepool.errors import CorruptDataError, LimitError, OverQuotaError
from imapvm.intake.deliver import Deliverer
from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.intake.spool import watcher
from imapvm.intake.spool.delivered import DeliveryRecord
from imapvm.intake.spool.directory import SpoolDirectory
from imapvm.intake.spool.file import as_owner, submit, submit_file, write_bsmtp
from imapvm.intake.spool.layout import PARTS, SpoolAccessError, SpoolInUseError, create_spool
from imapvm.intake.spool.watcher import watch_spool
from imapvm.model.limits import (
    SPOOL_COMMANDS_MAX,
    SPOOL_IN_FLIGHT_BYTES_MAX,
    SPOOL_IN_FLIGHT_MAX,
    SPOOL_TRIES_MAX,
)

pytestmark = pytest.mark.usefixtures("dropped_at_once")


def test_the_directories_are_private(spool):
    assert names(spool, ".") == sorted(PARTS)
    for part in (".", *PARTS):
        assert stat.S_IMODE((spool / part).stat().st_mode) == 0o700


@pytest.mark.parametrize("part", ["", *PARTS, "attempts"])
def test_spool_of_another_user_is_refused_with_the_command_that_mends_it(spool, monkeypatch, part):
    (spool / "attempts").touch()
    set_owner(monkeypatch, spool / part, 65432)
    monkeypatch.setattr(os, "geteuid", lambda: 65431)
    monkeypatch.setattr(os, "access", lambda path, mode, **_: path != spool / part)
    subject = str(spool / part) if part else "it"
    with pytest.raises(SpoolAccessError) as refused:
        create_spool(spool)
    assert str(refused.value) == (
        f"cannot use spool {spool} as user 65431: {subject} belongs to user 65432;"
        f" to change the owner, as root: chown -R 65431: {spool}"
    )


def test_root_does_not_create_parts_in_the_spool_of_another_user(tmp_path, monkeypatch):
    (tmp_path / "spool").mkdir()
    set_owner(monkeypatch, tmp_path / "spool", 65432)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SpoolAccessError) as refused:
        create_spool(tmp_path / "spool")
    assert str(refused.value).endswith("run imapvm as that user: runuser -u 65432 -- imapvm")
    assert names(tmp_path, "spool") == []


def test_spool_whose_mode_forbids_the_access_is_refused(spool, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode, **_: path != spool / "cur")
    with pytest.raises(SpoolAccessError, match=f"chmod u.rwX {spool}/cur$"):
        create_spool(spool)


def test_part_of_another_user_that_this_user_can_use_is_accepted(spool, monkeypatch):
    set_owner(monkeypatch, spool / "new", 65432)
    monkeypatch.setattr(os, "geteuid", lambda: 65431)
    create_spool(spool)


def test_root_submits_as_the_owner_of_the_spool(spool, monkeypatch):
    calls = []
    for name in ("setgroups", "setegid", "seteuid"):
        monkeypatch.setattr(os, name, lambda value, name=name: calls.append((name, value)))
    monkeypatch.setattr(os, "geteuid", lambda: 65431)
    with as_owner(spool):
        assert calls == []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        os, "stat", lambda path: os.stat_result((0, 0, 0, 0, 65432, 65433, *[0] * 4))
    )
    with as_owner(spool):
        assert calls == [("setgroups", []), ("setegid", 65433), ("seteuid", 65432)]
    assert calls[3:] == [
        ("seteuid", 0),
        ("setegid", os.getegid()),
        ("setgroups", os.getgroups()),
    ]


def test_root_submits_to_its_own_spool_as_root(spool, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "stat", lambda path: os.stat_result((0,) * 10))
    monkeypatch.setattr(os, "seteuid", pytest.fail)
    with as_owner(spool):
        pass


async def test_a_file_in_new_is_delivered_and_removed(spool, deliverer, fake):
    submit(spool, "ada@x.example", ["bob", "cyn@h"], message("a"))
    async with watching(spool, deliverer):
        await emptied(spool)
    assert subjects(fake) == subjects(fake, "cyn") == ["a"]
    assert message_of(fake.bodies_of("bob")[0]) == b"Subject: a\r\n\r\n.\r\nhi\r\n"
    assert fake.bodies_of("bob")[0].startswith(b"Return-Path: <ada@x.example>\r\nReceived: from ")
    assert b" with BSMTP id " in fake.bodies_of("bob")[0]


async def test_a_submitted_file_is_delivered_at_once(spool, deliverer, fake):
    async with watching(spool, deliverer):
        for text in "abc":
            submit(spool, "", ["bob"], message(text))
            with trio.fail_after(5):  # a scan would be half a minute later
                await until(lambda text=text: subjects(fake)[-1:] == [text])
        await emptied(spool)
    assert subjects(fake) == ["a", "b", "c"]


async def test_a_file_written_in_place_is_delivered_when_it_is_closed(spool, deliverer, fake):
    data = b"".join(write_bsmtp("", ["bob"], message("slow")))
    async with watching(spool, deliverer):
        with (spool / "new" / "slow").open("wb") as file:
            for at in range(len(data)):
                file.write(data[at : at + 1])
                file.flush()
                if not at % 40:
                    await trio.lowlevel.checkpoint()
        with trio.fail_after(5):
            await emptied(spool)
    assert subjects(fake) == ["slow"]


async def test_a_file_without_carriage_returns_is_delivered(spool, deliverer, fake):
    (spool / "new" / "x").write_text("MAIL FROM:<>\nRCPT TO:<bob>\nDATA\nSubject: sh\n\n..\n.\n")
    async with watching(spool, deliverer):
        await emptied(spool)
    assert message_of(fake.bodies_of("bob")[0]) == b"Subject: sh\r\n\r\n.\r\n"


async def test_files_are_delivered_in_the_order_of_their_times(spool, deliverer, fake):
    count = 3 * SPOOL_IN_FLIGHT_MAX
    for number in range(count):
        name = submit(spool, "", ["bob"], message(str(number)), name=f"{-number % 97:02}-{number}")
        os.utime(spool / "new" / name, ns=(number, number * 10**9))
    async with watching(spool, deliverer):
        await emptied(spool)
    assert subjects(fake) == [str(number) for number in range(count)]


async def test_a_burst_of_five_hundred_is_delivered_in_few_commits(spool, pool, settings):
    commits = 0

    def committed(_mailboxes):
        nonlocal commits
        commits += 1

    pool.on_changes = committed
    slow_disk = functools.partial(sleep, 0.02)  # in the writer's thread, after each commit
    pool.set_commit_hooks(slow_disk, slow_disk)
    async with watching(spool, Deliverer(pool, settings)):
        for number in range(500):
            submit(spool, "", ["bob"], message(str(number)))
        await emptied(spool)
    found = [message_of(o).split(b"\r\n")[0] for o in inbox_of(pool, "bob")]
    assert sorted(found) == sorted(b"Subject: %d" % n for n in range(500))
    assert commits < 125


@pytest.mark.at_limit("SPOOL_IN_FLIGHT_MAX")
@pytest.mark.past_limit("SPOOL_IN_FLIGHT_MAX")
async def test_the_number_of_concurrent_deliveries_is_limited(spool, settings):
    gate = trio.Event()

    async def stop(_pool, _delivery):
        await gate.wait()

    fake = FakePool(on_deliver=stop)
    for number in range(SPOOL_IN_FLIGHT_MAX + 1):
        submit(spool, "", ["bob"], message(str(number)))
    async with watching(spool, Deliverer(fake, settings)):
        await until(lambda: fake.attempts == SPOOL_IN_FLIGHT_MAX)
        await trio.testing.wait_all_tasks_blocked()
        assert fake.attempts == SPOOL_IN_FLIGHT_MAX
        gate.set()
        await emptied(spool)
    assert len(fake.stored) == SPOOL_IN_FLIGHT_MAX + 1


@pytest.mark.at_limit("SPOOL_IN_FLIGHT_BYTES_MAX")
@pytest.mark.past_limit("SPOOL_IN_FLIGHT_BYTES_MAX")
async def test_the_size_of_files_in_delivery_is_limited(spool, settings):
    gate = trio.Event()

    async def stop(_pool, _delivery):
        await gate.wait()

    fake = FakePool(on_deliver=stop)
    count = SPOOL_IN_FLIGHT_BYTES_MAX // SPOOL_COMMANDS_MAX
    for number in range(count + 1):
        text = [b"x" * (SPOOL_COMMANDS_MAX + number)]
        os.utime(spool / "new" / submit(spool, "", ["bob"], text, name=str(number)), (number, 1))
    async with watching(spool, Deliverer(fake, settings)):
        await until(lambda: fake.attempts == count)
        await trio.sleep(0.1)
        assert fake.attempts == count
        gate.set()
        await emptied(spool)
    assert len(fake.stored) == count + 1


@pytest.mark.at_limit("SPOOL_WAITING_MAX")
@pytest.mark.past_limit("SPOOL_WAITING_MAX")
@pytest.mark.parametrize("more", [0, 1, 150])
async def test_the_number_of_names_in_memory_is_limited_and_all_files_are_delivered_in_order(
    spool, deliverer, fake, monkeypatch, more
):
    limit = 70
    monkeypatch.setattr(watcher, "SPOOL_WAITING_MAX", limit)
    scans = 0
    scan_new = SpoolDirectory.scan_new

    def counted(self):
        nonlocal scans
        scans += 1
        return scan_new(self)

    monkeypatch.setattr(SpoolDirectory, "scan_new", counted)
    for number in range(limit + more):
        name = submit(spool, "", ["bob"], message(str(number)), name=f"{-number % 97:02}-{number}")
        os.utime(spool / "new" / name, ns=(number, number * 10**9))
    async with watching(spool, deliverer):
        await emptied(spool)
    assert subjects(fake) == [str(number) for number in range(limit + more)]
    assert scans == 1 + -(-more // limit)


@pytest.mark.at_limit("SPOOL_CLAIMED_MAX")
@pytest.mark.past_limit("SPOOL_CLAIMED_MAX")
async def test_the_number_of_claimed_files_is_limited(
    spool, deliverer, fake, autojump_clock, monkeypatch
):
    monkeypatch.setattr(watcher, "SPOOL_CLAIMED_MAX", 10)
    fake.refuses["bob"] = CorruptDataError("corrupt")
    for number in range(11):
        submit(spool, "", ["bob"], message(str(number)))
    async with watching(spool, deliverer):
        await until(lambda: fake.attempts > 30)
        assert len(names(spool, "cur")) == 10
        assert len(names(spool, "new")) == 1
        fake.refuses.clear()
        await emptied(spool, 200)
    assert len(fake.stored) == 11
    for name in map(str, range(11)):  # left by an earlier process
        submit(spool, "", ["bob"], message(name), name=name)
        (spool / "new" / name).rename(spool / "cur" / name)
    async with watching(spool, deliverer):
        await emptied(spool, 200)
    assert len(fake.stored) == 22


@pytest.mark.slow
async def test_a_file_that_is_read_slowly_does_not_delay_others(spool, deliverer, fake):
    submit(spool, "", ["bob"], [b"x" * 1000] * 60_000, name="a")
    os.utime(spool / "new" / "a", (0, 0))
    submit(spool, "", ["cyn"], message("small"))
    async with watching(spool, deliverer):
        with trio.fail_after(20):
            await until(lambda: subjects(fake, "cyn") == ["small"])
        await emptied(spool)


async def test_names_with_a_leading_dot_and_other_subdirectories_are_ignored(
    spool, deliverer, fake
):
    data = b"".join(write_bsmtp("", ["bob"], message("x")))
    for path in ("new/.hidden", "tmp/x", "failed/x", "undeliverable/x"):
        (spool / path).write_bytes(data)
    async with watching(spool, deliverer):
        submit(spool, "", ["bob"], message("seen"))
        await until(lambda: fake.stored)
    assert subjects(fake) == ["seen"]
    assert names(spool, "new") == [".hidden"]
    assert names(spool, "tmp") == names(spool, "failed") == names(spool, "undeliverable") == ["x"]


async def test_a_file_name_may_be_any_bytes(spool, deliverer, fake):
    data = b"".join(write_bsmtp("", ["bob"], message("x")))
    (spool / "new" / os.fsdecode(b"\xff \n;name")).write_bytes(data)
    async with watching(spool, deliverer):
        await emptied(spool)
    assert subjects(fake) == ["x"]
    assert b"id _udcff__" in fake.bodies_of("bob")[0] or b"id _xff__" in fake.bodies_of("bob")[0]


# --- exactly once ---------------------------------------------------------------------------------


async def test_a_crash_between_commit_and_unlink_delivers_once(spool, pool, settings, monkeypatch):
    submit(spool, "", ["bob", "ada"], message("once"), name="x")

    class CrashError(BaseException):
        """Crash of the process."""

    def crash(*_):
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(SpoolDirectory, "remove", crash)
        with pytest.raises(BaseExceptionGroup) as caught:
            async with watching(spool, Deliverer(pool, settings)):
                await trio.sleep_forever()
    assert caught.group_contains(CrashError)
    assert len(inbox_of(pool, "bob")) == 1
    assert names(spool, "cur") == ["x"]
    async with watching(spool, Deliverer(pool, settings)):
        await emptied(spool)
    assert len(inbox_of(pool, "bob")) == len(inbox_of(pool, "ada")) == 1


async def test_files_left_in_cur_are_delivered_before_newer_files(spool, deliverer, fake):
    old = submit_file(spool, write_bsmtp("", ["bob"], message("old")))
    os.utime(spool / "new" / old, ns=(0, 0))
    (spool / "new" / old).rename(spool / "cur" / old)
    submit(spool, "", ["bob"], message("new"))
    async with watching(spool, deliverer):
        await emptied(spool)
    assert subjects(fake) == ["old", "new"]


async def test_the_same_content_submitted_twice_is_two_messages(spool, deliverer, fake):
    for name, time in (("x", 1), ("y", 1), ("x", 2), ("x", 2 + 1)):
        submit(spool, "", ["bob"], message("nothing to report"), name=name)
        os.utime(spool / "new" / name, ns=(time, time))
        async with watching(spool, deliverer):
            await emptied(spool)
    assert len(fake.stored) == 4


async def test_a_new_message_under_a_used_name_is_delivered(spool, deliverer, fake):
    for text in ("a", "b"):
        submit(spool, "", ["bob"], message(text), name="x")
        os.utime(spool / "new" / "x", ns=(1, 1))
        async with watching(spool, deliverer):
            await emptied(spool)
    assert subjects(fake) == ["a", "b"]


async def test_a_file_moved_back_by_an_operator_is_recognised(spool, deliverer, fake):
    submit(spool, "", ["bob", "dan"], message("x"), name="x")
    async with watching(spool, deliverer):
        await until(lambda: names(spool, "undeliverable") == ["x", "x.reason"])
        fake.accounts.names["dan"] = fake.accounts.names["cyn"]
        (spool / "undeliverable" / "x").rename(spool / "new" / "x")
        await emptied(spool)
    assert [user for user, _, _ in fake.stored] == ["bob", "cyn"]


async def test_several_messages_of_a_file_are_each_delivered_once(spool, settings):
    class CrashError(BaseException):
        """Crash of the process."""

    async def crash_at_second(pool, _delivery):
        if pool.attempts == 2:
            raise CrashError

    fake = FakePool(on_deliver=crash_at_second)
    one, two = (b"".join(write_bsmtp("", ["bob"], message(t)))[:-6] for t in ("one", "two"))
    submit_file(spool, [one, two, one])
    with pytest.raises(BaseExceptionGroup):
        async with watching(spool, Deliverer(fake, settings)):
            await trio.sleep_forever()
    assert subjects(fake) == ["one"]
    async with watching(spool, Deliverer(fake, settings)):
        await emptied(spool)
    assert subjects(fake) == ["one", "two", "one"]


async def forget_deliveries(pool, monkeypatch):
    """Sweep as after 31 days."""
    later = pool.clock() + 31 * 24 * 60 * 60
    with monkeypatch.context() as patch:
        patch.setattr(pool, "clock", lambda: later)
        while (await pool.sweep()).more:
            pass
    for group in pool.groups:
        with group.env.begin(db=group.tables.deliveries) as txn:
            assert txn.stat(group.tables.deliveries)["entries"] == 0


async def test_a_held_file_delivers_to_the_others_alone_after_the_ids_were_swept(
    spool, pool, settings, monkeypatch
):
    two = [b"".join(write_bsmtp("", [to, "dan"], message(to)))[:-6] for to in ("ada", "bob")]
    submit_file(spool, two, name="x")
    async with watching(spool, Deliverer(pool, settings)):
        await until(lambda: names(spool, "undeliverable") == ["x", "x.reason"])
    assert len(names(spool, "delivered")) == 1
    await forget_deliveries(pool, monkeypatch)
    for _ in range(2):  # dan is unknown still
        (spool / "undeliverable" / "x").rename(spool / "new" / "x")
        async with watching(spool, Deliverer(pool, settings)):
            await until(lambda: "x" in names(spool, "undeliverable"))
        (spool / "undeliverable" / "x.reason").unlink()
    await pool.accounts.enroll("dan", "secret")
    (spool / "undeliverable" / "x").rename(spool / "new" / "x")
    async with watching(spool, Deliverer(pool, settings)):
        await emptied(spool)
    assert [len(inbox_of(pool, name)) for name in ("ada", "bob", "dan")] == [1, 1, 2]
    assert names(spool, "delivered") == []


async def test_a_deferred_file_has_a_record_of_its_deliveries(
    spool, deliverer, fake, autojump_clock
):
    fake.refuses["bob"] = CorruptDataError("corrupt")
    submit(spool, "", ["bob", "cyn"], message("x"))
    async with watching(spool, deliverer):
        await until(lambda: names(spool, "delivered"))
        fake.known.clear()  # the filepool has forgotten the ids
        await until(lambda: fake.attempts >= 4)
        del fake.refuses["bob"]
        await emptied(spool, 100)
    assert subjects(fake) == subjects(fake, "cyn") == ["x"]
    assert names(spool, "delivered") == []


async def test_a_file_that_fails_after_a_delivery_has_a_record(spool, settings, autojump_clock):
    async def break_at_poison(_pool, delivery):
        if b"poison" in delivery.body:
            raise ZeroDivisionError

    fake = FakePool(on_deliver=break_at_poison)
    two = [b"".join(write_bsmtp("", ["bob"], message(t)))[:-6] for t in ("good", "poison")]
    submit_file(spool, two, name="x")
    async with watching(spool, Deliverer(fake, settings)):
        await until(lambda: names(spool, "failed") == ["x", "x.reason"])
    fake.known.clear()
    fake.on_deliver = None
    (spool / "failed" / "x").rename(spool / "new" / "x")
    async with watching(spool, Deliverer(fake, settings)):
        await emptied(spool)
    assert subjects(fake) == ["good", "poison"]


async def test_a_file_is_not_held_before_its_deliveries_are_recorded(
    spool, deliverer, fake, autojump_clock, monkeypatch
):
    monkeypatch.setattr(DeliveryRecord, "_write", failing(3, DeliveryRecord._write))
    submit(spool, "", ["bob", "dan"], message("x"), name="x")
    async with watching(spool, deliverer):
        await until(lambda: fake.attempts == 3)
        assert names(spool, "undeliverable") == []
        await until(lambda: names(spool, "undeliverable") == ["x", "x.reason"])
    assert len(names(spool, "delivered")) == 1
    assert subjects(fake) == ["x"]


def test_a_torn_record_has_its_whole_rows(spool):
    record = DeliveryRecord(spool, b"id")
    record.add(0, [1, 2**40])
    record.add(7, [3])
    record._write()
    assert DeliveryRecord(spool, b"id").accounts(0) == {1, 2**40}
    (path,) = (spool / "delivered").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert DeliveryRecord(spool, b"id").accounts(0) == {1, 2**40}
    assert DeliveryRecord(spool, b"id").accounts(7) == frozenset()


async def test_nothing_is_delivered_from_a_file_with_a_syntax_error(
    spool, deliverer, fake, autojump_clock
):
    good = b"".join(write_bsmtp("", ["bob"], message("good")))[:-6]
    submit_file(spool, [good, b"nonsense\r\n"], name="x")
    async with watching(spool, deliverer):
        await until(lambda: names(spool, "failed"))
    assert fake.stored == []


async def test_a_new_file_does_not_replace_a_claimed_file_of_its_name(spool, settings):
    gate = trio.Event()

    async def stop(pool, _delivery):
        if pool.attempts == 1:
            await gate.wait()

    fake = FakePool(on_deliver=stop)
    async with watching(spool, Deliverer(fake, settings)):
        submit(spool, "", ["bob"], message("first"), name="x")
        await until(lambda: fake.attempts == 1)
        submit(spool, "", ["bob"], message("second"), name="x")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert names(spool, "new") == names(spool, "cur") == ["x"]
        gate.set()
        with trio.fail_after(5):
            await emptied(spool)
    assert subjects(fake) == ["first", "second"]


async def test_a_spool_has_one_watcher(spool, deliverer):
    async with watching(spool, deliverer):
        with pytest.raises(SpoolInUseError, match="in use by another"):
            await watch_spool(spool, deliverer)
    async with watching(spool, deliverer):
        await trio.lowlevel.checkpoint()


# --- unknown recipients -----------------------------------------------------------------


async def test_unknown_recipients_are_held_with_the_reason_and_known_ones_get_the_message(
    spool, deliverer, fake
):
    data = b"".join(write_bsmtp("ada@x.example", ["bob", "dan@h", "eve"], message("x")))
    submit_file(spool, [data], name="x")
    async with watching(spool, deliverer):
        await until(lambda: names(spool, "undeliverable") == ["x", "x.reason"])
        await emptied(spool)
    assert subjects(fake) == ["x"]
    assert (spool / "undeliverable" / "x").read_bytes() == data
    reason = (spool / "undeliverable" / "x.reason").read_text()
    assert "From <ada@x.example> to <dan@h>: 550 5.1.1 no such user here\n" in reason
    assert "to <eve>: 550" in reason
    assert "bob" not in reason


async def test_a_held_file_does_not_replace_another(spool, deliverer):
    for text in "abc":
        submit(spool, "", ["dan"], message(text), name="x")
        async with watching(spool, deliverer):
            await emptied(spool)
    assert [n for n in names(spool, "undeliverable") if "reason" not in n] == ["x", "x~2", "x~3"]
    assert (spool / "undeliverable" / "x~2.reason").exists()


async def test_unknown_recipients_may_be_discarded(spool, fake):
    deliverer = Deliverer(fake, DeliverySettings(hostname="h", unknown="discard"))
    submit(spool, "ada", ["bob", "dan"], message("x"))
    async with watching(spool, deliverer):
        await emptied(spool)
    assert subjects(fake) == ["x"]
    assert names(spool, "undeliverable") == []


async def test_mail_for_a_full_mailbox_is_held_also_if_unknown_is_discard(spool, fake):
    fake.refuses["bob"] = LimitError("full")
    deliverer = Deliverer(fake, DeliverySettings(hostname="h", unknown="discard"))
    submit(spool, "ada", ["bob", "dan"], message("x"), name="x")
    async with watching(spool, deliverer):
        await emptied(spool)
    reason = (spool / "undeliverable" / "x.reason").read_text()
    assert "<bob>: 552 5.2.2" in reason
    assert "dan" not in reason


@pytest.mark.parametrize("over_quota", ["defer", "refuse"])
async def test_mail_over_quota_is_held_and_not_tried_again_without_end(spool, fake, over_quota):
    fake.refuses["bob"] = OverQuotaError("STORAGE", 10)
    deliverer = Deliverer(fake, DeliverySettings(hostname="h", over_quota=over_quota))
    submit(spool, "ada", ["bob", "cyn"], message("x"), name="x")
    async with watching(spool, deliverer):
        await emptied(spool)
    reason = (spool / "undeliverable" / "x.reason").read_text()
    assert "<bob>: 552 5.2.2 mailbox is full" in reason
    assert "cyn" not in reason
    fake.refuses.clear()
    (spool / "undeliverable" / "x").rename(spool / "new" / "x")
    async with watching(spool, deliverer):
        await emptied(spool)
    assert len(fake.bodies_of("bob")) == len(fake.bodies_of("cyn")) == 1


async def test_a_message_without_recipients_is_held(spool, deliverer):
    submit_file(spool, [b"MAIL FROM:<ada>\r\nDATA\r\nx\r\n.\r\n"], name="x")
    async with watching(spool, deliverer):
        await emptied(spool)
    assert "no recipient" in (spool / "undeliverable" / "x.reason").read_text()


# --- errors --------------------------------------------------------------------------------------


async def test_files_wait_for_a_full_disk_and_are_delivered_later(
    spool, deliverer, fake, autojump_clock
):
    fake.full = True
    for text in "abc":
        submit(spool, "", ["bob"], message(text))
    async with watching(spool, deliverer):
        start = trio.current_time()
        await until(lambda: fake.attempts >= 3)
        attempts = fake.attempts
        await trio.sleep(600)
        assert len(names(spool, "cur")) == 3
        # From one second to a minute, doubled: about a dozen rounds of at most all files.
        assert 9 <= fake.attempts - attempts <= 3 * 15
        fake.full = False
        await emptied(spool, 100)
        assert trio.current_time() - start < 600 + 70
    assert sorted(subjects(fake)) == ["a", "b", "c"]
    assert names(spool, "failed") == []


async def test_new_files_are_not_tried_while_the_disk_is_full(
    spool, deliverer, fake, autojump_clock
):
    fake.full = True
    async with watching(spool, deliverer):
        submit(spool, "", ["bob"], message("a"))
        await until(lambda: fake.attempts == 6)  # the pauses were 1 to 16 s, 32 s are next
        for number in range(50):
            submit(spool, "", ["bob"], message(str(number)))
            await trio.sleep(0.1)
        assert fake.attempts == 6
        fake.full = False
        await emptied(spool)
    assert len(fake.stored) == 51


async def test_a_full_disk_while_a_large_message_is_staged_defers_the_file(
    spool, settings, autojump_clock
):
    fake = FakePool(full=True, spill_above=1000)
    submit(spool, "", ["bob"], [b"x" * 5000])
    async with watching(spool, Deliverer(fake, settings)):
        await until(lambda: fake.spilled >= 3)
        assert len(names(spool, "cur")) == 1
        fake.full = False
        await emptied(spool)
    assert len(fake.stored) == 1
    assert all(body.discarded for body in fake.bodies)


async def test_an_error_for_one_recipient_delays_only_its_file(
    spool, deliverer, fake, autojump_clock
):
    fake.refuses["bob"] = CorruptDataError("corrupt")
    submit(spool, "", ["bob", "cyn"], message("x"))
    async with watching(spool, deliverer):
        await until(lambda: fake.attempts >= 4)
        submit(spool, "", ["cyn"], message("y"))
        await until(lambda: subjects(fake, "cyn") == ["x", "y"])
        assert len(names(spool, "cur")) == 1
        del fake.refuses["bob"]
        await emptied(spool)
    assert subjects(fake) == ["x"]
    assert subjects(fake, "cyn") == ["x", "y"]


@pytest.mark.at_limit("SPOOL_TRIES_MAX")
@pytest.mark.past_limit("SPOOL_TRIES_MAX")
@pytest.mark.parametrize("breaks", [SPOOL_TRIES_MAX - 1, SPOOL_TRIES_MAX])
async def test_the_number_of_failed_attempts_is_limited_and_other_files_are_delivered(
    spool, settings, autojump_clock, breaks
):
    tries = 0

    async def break_at_poison(_pool, delivery):
        nonlocal tries
        if b"poison" in delivery.body and tries < breaks:
            tries += 1
            raise ZeroDivisionError("poison")

    fake = FakePool(on_deliver=break_at_poison)
    submit(spool, "", ["bob"], message("poison"), name="x")
    submit(spool, "", ["bob"], message("good"))
    async with watching(spool, Deliverer(fake, settings)):
        await emptied(spool)
    assert tries == breaks
    if breaks < SPOOL_TRIES_MAX:
        assert subjects(fake) == ["good", "poison"]
        assert names(spool, "failed") == []
    else:
        assert subjects(fake) == ["good"]
        assert names(spool, "failed") == ["x", "x.reason"]
        assert "ZeroDivisionError: poison" in (spool / "failed" / "x.reason").read_text()


async def test_a_panic_of_the_extension_counts_as_a_failed_attempt(spool, settings, autojump_clock):
    panic = type("PanicException", (BaseException,), {})

    async def break_at_poison(_pool, delivery):
        if b"poison" in delivery.body:
            raise panic("index out of bounds")

    fake = FakePool(on_deliver=break_at_poison)
    submit(spool, "", ["bob"], message("poison"), name="x")
    async with watching(spool, Deliverer(fake, settings)):
        await until(lambda: names(spool, "failed") == ["x", "x.reason"])
        submit(spool, "", ["bob"], message("good"))
        await emptied(spool)
    assert subjects(fake) == ["good"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "line 1: no message in the file\n"),
        (b"From: x\r\n\r\nhi\r\n", "line 1: not a command of batch SMTP\n"),
        (
            b"MAIL FROM:<>\nRCPT TO:<bob>\nDATA\nhi\n",
            "line 3: message does not end with a dot on its own line\n",
        ),
    ],
)
async def test_a_malformed_file_fails_with_line_and_reason(
    spool, deliverer, autojump_clock, data, reason
):
    submit_file(spool, [data], name="x")
    async with watching(spool, deliverer):
        await emptied(spool)
    assert (spool / "failed" / "x").read_bytes() == data
    assert (spool / "failed" / "x.reason").read_text() == reason


async def test_a_growing_file_does_not_fail(spool, deliverer, fake, autojump_clock):
    data = b"".join(write_bsmtp("", ["bob"], message("slow" + "x" * 300)))
    (spool / "new" / "x").write_bytes(data[:10])
    async with watching(spool, deliverer):
        await until(lambda: names(spool, "cur") == ["x"])
        with (spool / "cur" / "x").open("ab") as file:
            for at in range(10, len(data), 20):
                file.write(data[at : at + 20])
                file.flush()
                await trio.sleep(10)
        await emptied(spool)
    assert names(spool, "failed") == []
    assert len(fake.stored) == 1


@pytest.mark.parametrize("kind", ["link", "directory", "pipe"])
async def test_links_directories_and_pipes_are_not_opened(
    spool, deliverer, fake, autojump_clock, kind, tmp_path
):
    secret = tmp_path / "secret"
    secret.write_bytes(b"".join(write_bsmtp("", ["bob"], message("secret"))))
    match kind:
        case "link":
            (spool / "new" / "x").symlink_to(secret)
        case "directory":
            (spool / "new" / "x").mkdir()
        case "pipe":
            os.mkfifo(spool / "new" / "x")
    async with watching(spool, deliverer):
        await until(lambda: names(spool, "failed") == ["x", "x.reason"])
    assert fake.stored == []
    assert secret.exists()


async def test_a_claimed_file_may_be_removed_by_an_operator(spool, deliverer, fake, autojump_clock):
    submit_file(spool, [b"nonsense"], name="x")
    async with watching(spool, deliverer):
        await until(lambda: names(spool, "cur") == ["x"])
        (spool / "cur" / "x").unlink()
        await trio.sleep(100)
        submit(spool, "", ["bob"], message("x"), name="x")
        await emptied(spool)
    assert len(fake.stored) == 1
    assert names(spool, "failed") == []


async def test_stale_files_in_tmp_are_removed_after_a_day_and_a_half(
    spool, deliverer, autojump_clock
):
    for name, hours in (("old", 37), ("young", 35)):
        (spool / "tmp" / name).write_bytes(b"half")
        then = os.stat(spool / "tmp" / name).st_mtime - hours * 3600
        os.utime(spool / "tmp" / name, (then, then))
    async with watching(spool, deliverer):
        await trio.lowlevel.checkpoint()
        assert names(spool, "tmp") == ["young"]
        then = os.stat(spool / "tmp" / "young").st_mtime - 2 * 3600
        os.utime(spool / "tmp" / "young", (then, then))
        await trio.sleep(3700)
        assert names(spool, "tmp") == []


def failing(times, method):
    """A method that fails so often before it works."""
    left = [OSError(28, "No space left on device")] * times

    def call(*arguments):
        if left:
            raise left.pop()
        return method(*arguments)

    return call


async def test_a_failed_claim_is_retried(spool, deliverer, fake, autojump_clock, monkeypatch):
    monkeypatch.setattr(SpoolDirectory, "claim", failing(2, SpoolDirectory.claim))
    submit(spool, "", ["bob"], message("x"))
    async with watching(spool, deliverer):
        await emptied(spool, 100)
    assert subjects(fake) == ["x"]


async def test_a_file_that_cannot_be_held_on_a_full_disk_is_held_later(
    spool, deliverer, autojump_clock, monkeypatch
):
    times = 2 * SPOOL_TRIES_MAX
    monkeypatch.setattr(SpoolDirectory, "set_aside", failing(times, SpoolDirectory.set_aside))
    submit(spool, "", ["dan"], message("x"), name="x")
    async with watching(spool, deliverer):
        await emptied(spool, 1000)
    assert names(spool, "undeliverable") == ["x", "x.reason"]
    assert names(spool, "failed") == []


async def test_a_file_that_cannot_be_set_aside_stays_and_others_are_delivered(
    spool, deliverer, fake, autojump_clock, monkeypatch
):
    monkeypatch.setattr(SpoolDirectory, "set_aside", failing(3, SpoolDirectory.set_aside))
    submit_file(spool, [b"nonsense"], name="x")
    async with watching(spool, deliverer):
        await trio.sleep(20)
        assert names(spool, "cur") == ["x"]
        submit(spool, "", ["bob"], message("y"))
        await until(lambda: subjects(fake) == ["y"])
        await emptied(spool, 1000)
    assert names(spool, "failed") == ["x", "x.reason"]


async def test_a_spool_that_is_replaced_is_watched_again(spool, deliverer, fake, autojump_clock):
    async with watching(spool, deliverer):
        await trio.sleep(1)
        spool.rename(spool.with_name("away"))
        await trio.sleep(100)
        spool.with_name("away").rename(spool)
        submit(spool, "", ["bob"], message("x"))
        await emptied(spool, 100)
    assert subjects(fake) == ["x"]


async def test_a_file_that_changes_while_it_is_read_is_retried(
    spool, fake, settings, autojump_clock
):
    new_body = fake.new_body
    times = iter([5, 6])

    def touch_and_begin(*, group):
        if time := next(times, None):
            os.utime(spool / "cur" / "x", ns=(time, time))
        return new_body(group=group)

    fake.new_body = touch_and_begin
    submit(spool, "", ["bob"], message("x"), name="x")
    async with watching(spool, Deliverer(fake, settings)):
        await emptied(spool)
    assert subjects(fake) == ["x"]
    assert len(fake.bodies) == 3
