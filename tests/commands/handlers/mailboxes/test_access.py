"""Two users and random rights: commands succeed with their rights, and nothing else is revealed."""

import random
import re
from types import SimpleNamespace

import pytest
import trio
import trio.testing
from tests.commands.fakes import FakeChannel, send
from tests.commands.handlers.mailboxes.users import signed_in

from imapvm.filepool.tables.acl import put_entry
from imapvm.model.limits import ACL_ENTRIES_MAX, COPIED_BETWEEN_ACCOUNTS_MAX
from imapvm.model.rights import (
    ANY_RIGHT,
    ANYONE,
    NO_RIGHTS,
    AclEntry,
    Grantee,
    GranteeKind,
    Rights,
    RightsChange,
)
from imapvm.model.stepping import suspend
from imapvm.server.imap.notifier import Notifier

MAILBOXES = ("Work", "Work/Deep", "Other", "INBOX")
ABSENT = "Wurk"
OWNER = "Other Users/alice/"
GONE = "* BYE [NONEXISTENT] selected mailbox was deleted"
LETTERS = "lrswipkxtea"
MESSAGE = b"Subject: secret-subject\r\n\r\nsecret-text\r\n"


@pytest.fixture
async def alice(pool):
    ctx = await signed_in(pool, "alice")
    for name in MAILBOXES:
        if name != "INBOX":
            await send(ctx, b"a CREATE %b\r\n" % name.encode())
        for _ in range(3):
            await send(ctx, b"a APPEND %b {%d+}\r\n%b\r\n" % (name.encode(), len(MESSAGE), MESSAGE))
    return ctx


@pytest.fixture
async def bob(pool, alice):
    """Connection of a user in another storage group."""
    ctx = await signed_in(pool, "bob")
    assert ctx.session.store.account.group != alice.session.store.account.group
    return ctx


def mailbox_id(alice, name):
    with alice.session.store.reading() as reader:
        return reader.mailbox(name).id


class Acls:
    """Model of the rights that bob has."""

    def __init__(self, pool, alice, bob, group):
        self.store = alice.session.store
        self.grantees = [
            ANYONE,
            Grantee(GranteeKind.USER, bob.session.store.account.id),
            Grantee(GranteeKind.GROUP, group),
        ]
        self.ids = {name: mailbox_id(alice, name) for name in MAILBOXES}
        self.rights = dict.fromkeys(MAILBOXES, NO_RIGHTS)

    async def change(self, dice):
        """Set random rights on all mailboxes, positive and negative, by all grantees."""
        for name, mailbox in self.ids.items():
            granted = removed = NO_RIGHTS
            for grantee in self.grantees:
                for negative in (False, True):
                    few = dice.random() < (0.8 if negative else 0.4)
                    letters = [] if few else dice.sample(LETTERS, dice.randint(1, 6))
                    named = Rights.parse("".join(letters))
                    await self.store.set_rights(
                        mailbox, grantee, RightsChange.REPLACE, named, negative=negative
                    )
                    if negative:
                        removed |= named
                    else:
                        granted |= named
            self.rights[name] = granted & ~removed


COMMANDS = {
    "SELECT {}": Rights.READ,
    "EXAMINE {}": Rights.READ,
    "STATUS {} (MESSAGES UIDNEXT UNSEEN SIZE)": Rights.READ,
    "GETACL {}": Rights.ADMINISTER,
    "LISTRIGHTS {} bob": Rights.ADMINISTER,
    "SETACL {} zoe lr": Rights.ADMINISTER,
    "SETACL {} alice lr": Rights.ADMINISTER,
    "DELETEACL {} nouser": Rights.ADMINISTER,
    "APPEND {} {{1+}}\r\nx": Rights.INSERT,
}


@pytest.mark.parametrize("seed", range(12))
async def test_commands_succeed_with_the_right_and_reveal_nothing_without_lookup(
    pool, alice, bob, seed
):
    dice = random.Random(seed)
    group = await pool.accounts.add_user_group("team")
    await pool.accounts.set_member(group, bob.session.store.account.id, member=True)
    acls = Acls(pool, alice, bob, group)
    for _ in range(3):
        await acls.change(dice)
        for name, rights in acls.rights.items():
            for command, needed in COMMANDS.items():
                answer = await send_as(bob, command, name)
                absent = await send_as(bob, command, ABSENT)
                assert answer[-1].startswith("t "), answer
                if needed in rights:
                    assert not answer[-1].startswith(("t NO [NOPERM]", "t NO [NONEXISTENT]"))
                    assert "[TRYCREATE]" not in answer[-1]
                elif Rights.LOOKUP in rights:
                    assert answer == ["t NO [NOPERM] permission denied"]
                else:
                    assert answer == absent
            mine = await send_as(bob, "MYRIGHTS {}", name)
            if rights & ANY_RIGHT:
                assert mine[0] == f'* MYRIGHTS "{OWNER}{name}" {rights}'
            else:
                assert mine == await send_as(bob, "MYRIGHTS {}", ABSENT)
            await check_text(bob, name, rights)
        await check_listed(bob, acls.rights)


async def send_as(ctx, command, name):
    """Send a command about a mailbox of alice, with nothing selected before or afterwards."""
    line = "t " + command.format(f'"{OWNER}{name}"')
    answer = await send(ctx, line.encode() + b"\r\n")
    if ctx.session.view is not None:
        await send(ctx, b"u UNSELECT\r\n")
    return answer


async def check_text(bob, name, rights):
    """Messages can be copied only by a user who can read them, and their text read."""
    opened = await send(bob, f't EXAMINE "{OWNER}{name}"\r\n'.encode())
    if opened[-1].startswith("t OK"):
        assert Rights.READ in rights
        text = await send(bob, b"t UID FETCH 1 BODY.PEEK[]\r\n")
        assert any("secret-text" in line for line in text)
        await send(bob, b"u UNSELECT\r\n")
    else:
        assert not any("secret" in line for line in opened)
        assert bob.session.view is None


async def check_listed(bob, rights):
    lines = await send(bob, b't LIST "" * RETURN (MYRIGHTS STATUS (MESSAGES))\r\n')
    listed = {m[1] for line in lines if (m := re.fullmatch(rf'\* LIST .*"{OWNER}(.*)"', line))}
    assert listed == {name for name, mine in rights.items() if Rights.LOOKUP in mine}
    status = {m[1] for line in lines if (m := re.match(rf'\* STATUS "{OWNER}(.*)" ', line))}
    both = Rights.LOOKUP | Rights.READ
    assert status == {name for name, mine in rights.items() if both in mine}
    for line in lines:
        if match := re.fullmatch(rf'\* MYRIGHTS "{OWNER}(.*)" (\w+)', line):
            assert match[2] == str(rights[match[1]])


class CountedTxn:
    """Transaction of LMDB whose look-ups are counted."""

    def __init__(self, txn, count):
        self._txn, self._count = txn, count

    def get(self, *arguments):
        self._count[0] += 1
        return self._txn.get(*arguments)

    def __getattr__(self, name):
        return getattr(self._txn, name)


@pytest.mark.parametrize("command", ["STATUS {} (MESSAGES)", "SELECT {}", "GETACL {}", "DELETE {}"])
async def test_a_mailbox_that_cannot_be_seen_takes_as_many_look_ups_as_none(
    pool, alice, bob, monkeypatch, command
):
    """The time of NO does not tell whether a mailbox exists."""
    from imapvm.filepool.reading import Reader

    count = [0]
    enter = Reader.__enter__

    def counting(self):
        enter(self)
        self._txn = CountedTxn(self._txn, count)
        return self

    monkeypatch.setattr(Reader, "__enter__", counting)
    counts = set()
    for name in (*MAILBOXES, ABSENT, "Work/None"):
        count[0] = 0
        assert (await send_as(bob, command, name))[-1].startswith("t NO [NONEXISTENT]")
        counts.add(count[0])
    assert len(counts) == 1


async def test_rights_are_checked_again_for_each_command_on_a_selected_mailbox(alice, bob):
    work = mailbox_id(alice, "Work")
    mine = Grantee(GranteeKind.USER, bob.session.store.account.id)
    set_rights = alice.session.store.set_rights
    await set_rights(work, mine, RightsChange.REPLACE, Rights.parse("lrswte"))
    await send(bob, f't SELECT "{OWNER}Work"\r\n'.encode())
    assert (await send(bob, b"t STORE 1 +FLAGS (\\Deleted \\Flagged)\r\n"))[-1] == (
        "t OK STORE completed"
    )
    await set_rights(work, mine, RightsChange.REPLACE, Rights.parse("lr"))
    for line in (b"t STORE 1 +FLAGS (\\Flagged)", b"t EXPUNGE", b"t MOVE 1 INBOX"):
        answer = await send(bob, line + b"\r\n")
        assert answer[-1] == "t NO [NOPERM] permission denied"
    await set_rights(work, mine, RightsChange.REPLACE, NO_RIGHTS)
    assert await send(bob, b"t FETCH 1 FLAGS\r\n") == [GONE]


@pytest.mark.parametrize(
    "command", ["FETCH 1:* BODY.PEEK[]", "SEARCH TEXT x", "SORT (SUBJECT) UTF-8 ALL"]
)
async def test_a_command_ends_when_the_right_to_read_is_lost_in_the_middle(
    alice, bob, monkeypatch, command
):
    """RFC 4314 section 5.1.1: no message is sent after that, and the connection is closed."""
    for number in range(6):
        text = b"Subject: %d\r\n\r\n" % number + b"secret-body\r\n" * 20_000
        await send(alice, b"a APPEND Work {%d+}\r\n%b\r\n" % (len(text), text))
    mine = Grantee(GranteeKind.USER, bob.session.store.account.id)
    set_rights, work = alice.session.store.set_rights, mailbox_id(alice, "Work")
    await set_rights(work, mine, RightsChange.REPLACE, Rights.parse("lrs"))
    await send(bob, f't SELECT "{OWNER}Work"\r\n'.encode())
    lost = []

    async def lose():
        if not lost:
            lost.append(True)
            await set_rights(work, mine, RightsChange.REPLACE, Rights.parse("l"))

    write, step = bob.channel.write, type(bob).yield_control

    async def losing_write(data):
        await lose()
        await write(data)

    async def losing_step(self):
        await lose()
        await step(self)

    monkeypatch.setattr(bob.channel, "write", losing_write)
    monkeypatch.setattr(type(bob), "yield_control", losing_step)
    monkeypatch.setattr("imapvm.commands.handlers.search.search.SCAN_BATCH_MIN", 1)
    monkeypatch.setattr("imapvm.commands.handlers.search.search.SCAN_BATCH", 1)
    lines = await send(bob, f"t {command}\r\n".encode())
    assert lost
    assert lines[-1] == GONE, lines[-3:]
    assert sum("FETCH (BODY[]" in line for line in lines) < 9
    assert not any(line.startswith(("* SEARCH", "* SORT")) for line in lines)


async def test_a_group_that_a_user_leaves_ends_the_selected_state(pool, alice, bob):
    group = await pool.accounts.add_user_group("team")
    me = bob.session.store.account.id
    await pool.accounts.set_member(group, me, member=True)
    await alice.session.store.set_rights(
        mailbox_id(alice, "Work"),
        Grantee(GranteeKind.GROUP, group),
        RightsChange.REPLACE,
        Rights.parse("lr"),
    )
    assert (await send(bob, f't SELECT "{OWNER}Work"\r\n'.encode()))[-1].startswith("t OK")
    assert (await send(bob, b"t NOOP\r\n")) == ["t OK NOOP completed"]
    await pool.accounts.set_member(group, me, member=False)
    assert await send(bob, b"t NOOP\r\n") == [GONE]


async def test_ids_of_messages_in_another_storage_group_are_different(alice, bob):
    await send(alice, b"a SETACL Work bob lr\r\n")
    await send(bob, f't EXAMINE "{OWNER}Work"\r\n'.encode())
    theirs = await send(bob, b"t FETCH 1 (EMAILID THREADID)\r\n")
    found = re.search(r"EMAILID \((M\w+)\) THREADID \((T\w+)\)", theirs[0])
    assert found, theirs
    assert await send(bob, f"t SEARCH EMAILID {found[1]}\r\n".encode()) == [
        "* SEARCH 1",
        "t OK SEARCH completed",
    ]
    await send(bob, b"a APPEND INBOX {1+}\r\nx\r\n")
    await send(bob, b"t EXAMINE INBOX\r\n")
    mine = await send(bob, b"t FETCH 1 (EMAILID)\r\n")
    assert found[1] not in mine[0]
    assert await send(bob, f"t SEARCH EMAILID {found[1]}\r\n".encode()) == [
        "* SEARCH",
        "t OK SEARCH completed",
    ]


async def test_mail_is_copied_and_moved_between_storage_groups(alice, bob):
    await send(alice, b"a SETACL Work bob lrswite\r\n")
    await send(bob, b"a APPEND INBOX (\\Flagged $x) {6+}\r\nA: b\r\n\r\n")
    await send(bob, b"t SELECT INBOX\r\n")
    answer = await send(bob, f't COPY 1 "{OWNER}Work"\r\n'.encode())
    assert re.fullmatch(r"t OK \[COPYUID \d+ 1 4\] COPY completed", answer[-1])
    answer = await send(bob, f't MOVE 1 "{OWNER}Work"\r\n'.encode())
    assert re.fullmatch(r"\* OK \[COPYUID \d+ 1 5\] messages moved", answer[0])
    assert "* 1 EXPUNGE" in answer
    await send(alice, b"a EXAMINE Work\r\n")
    lines = await send(alice, b"a FETCH 5 (FLAGS BODY.PEEK[])\r\n")
    assert r"\Flagged" in lines[0]
    assert "$x" in lines[0]
    assert lines[1] == "A: b"


@pytest.mark.at_limit("COPIED_BETWEEN_ACCOUNTS_MAX")
@pytest.mark.past_limit("COPIED_BETWEEN_ACCOUNTS_MAX")
async def test_a_bounded_number_of_messages_is_copied_to_another_account(alice, bob, monkeypatch):
    assert COPIED_BETWEEN_ACCOUNTS_MAX == 1000
    monkeypatch.setattr("imapvm.commands.handlers.transfer.COPIED_BETWEEN_ACCOUNTS_MAX", 3)
    await send(alice, b"a SETACL Work bob li\r\n")
    for _ in range(4):
        await send(bob, b"a APPEND INBOX {1+}\r\nx\r\n")
    await send(bob, b"t SELECT INBOX\r\n")
    assert await send(bob, f't COPY 1:4 "{OWNER}Work"\r\n'.encode()) == [
        "t NO [LIMIT] more than 3 messages to copy to another account"
    ]
    # Without the right r, COPYUID would show how many messages there are.
    assert await send(bob, f't COPY 1:3 "{OWNER}Work"\r\n'.encode()) == ["t OK COPY completed"]


class SilentChannel(FakeChannel):
    """Client that sends nothing."""

    async def read(self) -> bytes:
        await suspend()
        await trio.sleep_forever()
        raise AssertionError


async def test_a_session_in_idle_ends_when_a_group_is_left(pool, alice, bob, nursery):
    group = await pool.accounts.add_user_group("team")
    me = bob.session.store.account.id
    await pool.accounts.set_member(group, me, member=True)
    await alice.session.store.set_rights(
        mailbox_id(alice, "Work"),
        Grantee(GranteeKind.GROUP, group),
        RightsChange.REPLACE,
        Rights.parse("lr"),
    )
    await send(bob, f't SELECT "{OWNER}Work"\r\n'.encode())
    bob.channel = SilentChannel()
    notifier = Notifier(bob.services, [SimpleNamespace(context=bob)])
    answers = []

    async def idle():
        answers.append(await send(bob, b"t IDLE\r\n"))

    nursery.start_soon(idle)
    await trio.testing.wait_all_tasks_blocked()
    await pool.accounts.set_member(group, me, member=False)
    await notifier.poll()
    await trio.testing.wait_all_tasks_blocked()
    assert answers == [["+ idling", GONE]]


async def test_a_shared_message_is_replaced(alice, bob):
    await send(alice, b"a SETACL Work bob lrite\r\n")
    await send(bob, f't SELECT "{OWNER}Work"\r\n'.encode())
    answer = await send(bob, f't UID REPLACE 1 "{OWNER}Work" {{1+}}\r\nx\r\n'.encode())
    assert re.fullmatch(r"\* OK \[APPENDUID \d+ 4\] replacement appended", answer[0]), answer
    assert "* 1 EXPUNGE" in answer
    answer = await send(bob, b"t UID REPLACE 2 INBOX {1+}\r\nx\r\n")
    assert re.fullmatch(r"\* OK \[APPENDUID \d+ 1\] replacement appended", answer[0]), answer
    assert "* 1 EXPUNGE" in answer
    await send(alice, b"a SETACL Work bob lri\r\n")
    assert (await send(bob, b"t UID REPLACE 3 INBOX {1+}\r\nx\r\n"))[-1].startswith("t NO [")
    assert (await send(bob, b"t STATUS INBOX (MESSAGES)\r\n"))[0] == "* STATUS INBOX (MESSAGES 1)"


async def test_esearch_in_the_selected_mailbox_searches_that_of_the_other_account(alice, bob):
    await send(alice, b"a SETACL Work bob lr\r\n")
    await send(bob, f't EXAMINE "{OWNER}Work"\r\n'.encode())
    answer = await send(bob, b"t ESEARCH IN (SELECTED) RETURN (COUNT) TEXT secret-text\r\n")
    assert f'MAILBOX "{OWNER}Work"' in answer[0]
    assert answer[0].endswith("COUNT 3")


async def test_a_large_acl_is_inherited_in_bounded_time(pool, alice):
    store = alice.session.store
    work = mailbox_id(alice, "Work")

    class Fill:
        def apply(self, txn):
            row = txn.mailbox(store.account.id, work)
            for number in range(ACL_ENTRIES_MAX):
                grantee = Grantee(GranteeKind.USER, 1000 + number)
                put_entry(txn, row, AclEntry(grantee, Rights.READ, NO_RIGHTS))

    await store._group.submit(Fill())
    await send(alice, b"a CREATE Work/New\r\n")
    with store.reading() as reader:
        assert len(reader.acl(mailbox_id(alice, "Work/New"))) == ACL_ENTRIES_MAX
    assert (await send(alice, b"a DELETE Work/New\r\n"))[-1] == "a OK DELETE completed"


async def test_changed_rights_are_written_by_store_of_unchanged_flags(alice, bob):
    await send(alice, b"a SETACL Work bob lrsw\r\n")
    await send(bob, f't SELECT "{OWNER}Work"\r\n'.encode())
    await send(alice, b"a SETACL Work bob lrw\r\n")
    answer = await send(bob, b"t UID STORE 1 -FLAGS (\\Flagged)\r\n")
    assert r"* OK [PERMANENTFLAGS (\Answered \Flagged \Draft \*)] rights have changed" in answer


@pytest.mark.parametrize("command", [r"+FLAGS.SILENT (\Flagged \Deleted)", "FLAGS.SILENT ($x)"])
async def test_flags_are_sent_after_silent_if_some_may_not_be_changed(alice, bob, command):
    r"""The right t was lost meanwhile: the client would take \Deleted as set, or as removed."""
    await send(alice, b"a SETACL Work bob lrwt\r\n")
    await send(bob, f't SELECT "{OWNER}Work"\r\n'.encode())
    silent = await send(bob, b"t UID STORE 2 +FLAGS.SILENT (\\Flagged \\Deleted)\r\n")
    assert silent == ["t OK STORE completed"]
    await send(alice, b"a SETACL Work bob lrw\r\n")
    answer = await send(bob, f"t UID STORE 1 {command}\r\n".encode())
    flags = r"\Flagged" if "Flagged" in command else "$x"
    assert f"* 1 FETCH (UID 1 FLAGS ({flags}))" in answer


async def test_readers_are_sent_their_flags_when_seen_becomes_shared(alice, bob):
    await send(alice, b"a SETACL Work bob lrs\r\n")
    await send(alice, b"a SELECT Work\r\n")
    await send(alice, b"a STORE 1:2 +FLAGS (\\Seen)\r\n")
    await send(bob, f't SELECT "{OWNER}Work" (CONDSTORE)\r\n'.encode())
    await send(bob, b"t STORE 2:3 +FLAGS (\\Seen)\r\n")
    store, work = alice.session.store, mailbox_id(alice, "Work")
    for shared, seen in ((True, (1, 2)), (False, (2, 3))):
        await store.set_shared_seen(work, shared=shared)
        answer = await send(bob, b"t NOOP\r\n")
        fetched = {
            m[1]: m[2] for line in answer if (m := re.match(r"\* (\d) FETCH .*\((.*)\)\)$", line))
        }
        assert fetched == {str(n): r"\Seen" if n in seen else "" for n in (1, 2, 3)}
    await store.set_shared_seen(mailbox_id(alice, "Work/Deep"), shared=True)
