"""A mailbox that a user cannot see is like one that does not exist, for every command.

`NAMED` has the commands with a mailbox name, `UNNAMED` all others: a command that is added to the
table fails the test until it is in one of them. Compared are whole responses, and how often the
filepool is read, as the time of a command depends on it.
"""

import random
import re
from collections import Counter

import pytest
from tests.commands.fakes import send
from tests.commands.handlers.mailboxes.users import signed_in

from imapvm.commands.table import TABLE
from imapvm.filepool.accounts import Accounts
from imapvm.filepool.engine.transactions import WriteTxn
from imapvm.filepool.reading import Reader
from imapvm.model.rights import (
    ANNOTATION_RIGHTS,
    ANY_RIGHT,
    ANYONE,
    NO_RIGHTS,
    Grantee,
    GranteeKind,
    Rights,
    RightsChange,
)

OWNER = "Other Users/alice/"
MAILBOXES = {"Work": "Wurk", "Work/Deep": "Work/Deap", "Other": "Othar", "INBOX": "INBAX"}
"""Mailboxes of alice, each with a name that does not exist."""
LETTERS = "lrswipkxtea"
SECRET = "secret-subject"
MESSAGE = f"Subject: {SECRET}\r\n\r\nsecret-text\r\n".encode()

READ, LOOKUP, INSERT = Rights.READ, Rights.LOOKUP, Rights.INSERT
NOTHING = NO_RIGHTS
"""The response is the same with any rights."""

NAMED = {
    "SELECT": [("SELECT {}", READ), ("SELECT {} (QRESYNC (1 1))", READ)],
    "EXAMINE": [("EXAMINE {}", READ)],
    "CREATE": [],  # by the parent's rights: a test of its own
    "DELETE": [("DELETE {}", Rights.DELETE_MAILBOX)],
    "RENAME": [("RENAME {} New", Rights.DELETE_MAILBOX), ("RENAME INBOX {}", NOTHING)],
    "SUBSCRIBE": [("SUBSCRIBE {}", NOTHING)],
    "UNSUBSCRIBE": [("UNSUBSCRIBE {}", NOTHING)],
    "SETACL": [("SETACL {} bob lr", Rights.ADMINISTER), ("SETACL {} none lr", Rights.ADMINISTER)],
    "DELETEACL": [("DELETEACL {} bob", Rights.ADMINISTER)],
    "GETACL": [("GETACL {}", Rights.ADMINISTER)],
    "LISTRIGHTS": [("LISTRIGHTS {} bob", Rights.ADMINISTER)],
    "MYRIGHTS": [("MYRIGHTS {}", ANY_RIGHT)],
    "LIST": [
        ('LIST "" {}', LOOKUP),
        ('LIST "" {} RETURN (SUBSCRIBED CHILDREN MYRIGHTS STATUS (MESSAGES UNSEEN))', LOOKUP),
        ('LIST "" {} RETURN (METADATA (/shared/comment /private/comment))', LOOKUP),
        ("LIST {} *", LOOKUP),
    ],
    "LSUB": [('LSUB "" {}', NOTHING)],
    "GETMETADATA": [
        ("GETMETADATA {} /shared/comment", LOOKUP),
        ("GETMETADATA (DEPTH infinity) {} (/shared /private)", LOOKUP),
    ],
    "SETMETADATA": [('SETMETADATA {} (/shared/comment "x" /private/comment NIL)', LOOKUP)],
    "STATUS": [
        ("STATUS {} (MESSAGES UNSEEN SIZE HIGHESTMODSEQ MAILBOXID)", READ),
        ("STATUS {} (DELETED-STORAGE)", READ),
    ],
    "GETQUOTAROOT": [("GETQUOTAROOT {}", NOTHING)],
    "ESEARCH": [
        ("ESEARCH IN (MAILBOXES {}) RETURN (COUNT) ALL", READ),
        ("ESEARCH IN (SUBTREE {}) ALL", LOOKUP),
        ("ESEARCH IN (SUBTREE-ONE {} SUBSCRIBED) ALL", LOOKUP),
    ],
    "APPEND": [
        ("APPEND {} {{1+}}\r\nx", INSERT),
        ('APPEND {} CATENATE (URL "/INBOX;UID=1")', INSERT),
        ('APPEND INBOX CATENATE (URL "/{url};UID=1")', READ),
        ('APPEND INBOX CATENATE (URL "/{url};UIDVALIDITY=1/;UID=1/;SECTION=1")', READ),
    ],
    "COPY": [("COPY 1 {}", INSERT), ("COPY 77 {}", INSERT)],
    "UID COPY": [("UID COPY 1 {}", INSERT), ("UID COPY 77 {}", INSERT)],
    "MOVE": [("MOVE 1 {}", INSERT)],
    "UID MOVE": [("UID MOVE 1 {}", INSERT), ("UID MOVE 77 {}", INSERT)],
    "REPLACE": [("REPLACE 1 {} {{1+}}\r\nx", INSERT)],
    "UID REPLACE": [
        ("UID REPLACE 1 {} {{1+}}\r\nx", INSERT),
        ('UID REPLACE 1 INBOX CATENATE (URL "/{url};UID=1")', READ),
    ],
    # Sets: only status responses of named mailboxes follow at once (RFC 5465 section 3.1).
    "NOTIFY": [
        ("NOTIFY SET STATUS (mailboxes {} (MessageNew MessageExpunge))", READ),
        ("NOTIFY SET (subtree {} (MessageNew MessageExpunge MailboxName))", LOOKUP),
        ("NOTIFY NONE", NOTHING),
    ],
}
"""Command → forms with a name at `{}`, each with rights of which one lets it succeed."""

UNNAMED = {
    "ANY": ("CAPABILITY", "NOOP", "LOGOUT", "ID", "ENABLE", "COMPRESS", "IDLE", "NAMESPACE"),
    "not signed in": ("STARTTLS", "AUTHENTICATE", "LOGIN", "UNAUTHENTICATE"),
    "the user's own": ("GETQUOTA", "SETQUOTA", "LANGUAGE", "COMPARATOR"),
    "in the selected mailbox": (
        *("CHECK", "CLOSE", "UNSELECT", "EXPUNGE", "UID EXPUNGE", "SEARCH", "UID SEARCH", "SORT"),
        *("UID SORT", "THREAD", "UID THREAD", "UIDBATCHES", "FETCH", "UID FETCH", "STORE"),
        *("UID STORE", "CANCELUPDATE"),
    ),
}


def test_every_command_is_covered():
    without = {name for names in UNNAMED.values() for name in names}
    assert {row.name for row in TABLE} <= NAMED.keys() | without
    assert not NAMED.keys() & without


@pytest.fixture
async def alice(pool):
    ctx = await signed_in(pool, "alice")
    for name in MAILBOXES:
        await send(ctx, b'a CREATE "%b"\r\n' % name.encode())
        for _ in range(2):
            await send(
                ctx, b'a APPEND "%b" {%d+}\r\n%b\r\n' % (name.encode(), len(MESSAGE), MESSAGE)
            )
        await send(ctx, b'a SETMETADATA "%b" (/shared/comment "secret-note")\r\n' % name.encode())
    return ctx


@pytest.fixture
async def bob(pool, alice):
    """Connection of a user in another storage group, with messages of its own."""
    ctx = await signed_in(pool, "bob")
    await send(ctx, b"b ENABLE CONDSTORE QRESYNC\r\n")
    for _ in range(3):
        await send(ctx, b"b APPEND INBOX {6+}\r\nA: b\r\n\r\n")
    return ctx


class Acls:
    """Model of the rights that bob has."""

    def __init__(self, alice, bob, group):
        self.store = alice.session.store
        self.grantees = [
            ANYONE,
            Grantee(GranteeKind.USER, bob.session.store.account.id),
            Grantee(GranteeKind.GROUP, group),
        ]
        with self.store.reading() as reader:
            self.ids = {name: reader.mailbox(name).id for name in MAILBOXES}
        self.rights = dict.fromkeys(MAILBOXES, NO_RIGHTS)

    async def set(self, name, granted, removed):
        """Set rights of each grantee."""
        for grantee, positive, negative in zip(self.grantees, granted, removed, strict=True):
            for rights, sign in ((positive, False), (negative, True)):
                await self.store.set_rights(
                    self.ids[name], grantee, RightsChange.REPLACE, rights, negative=sign
                )
        self.rights[name] = union(granted) & ~union(removed)

    async def draw(self, dice):
        """Set random rights on all mailboxes, half of them without `l`."""

        def some(likely):
            few = dice.random() > likely
            return Rights.parse("".join([] if few else dice.sample(LETTERS, dice.randint(1, 4))))

        for name in MAILBOXES:
            granted = [some(0.5) for _ in self.grantees]
            removed = [some(0.2) for _ in self.grantees]
            if dice.random() < 0.5:
                removed[0] |= LOOKUP
            await self.set(name, granted, removed)


def is_tree(form):
    """Return True for a form that reads names below the name, too."""
    return form.startswith("LIST") or "subtree" in form.lower()


def union(several):
    return Rights(sum({right for rights in several for right in rights}))


async def ask(ctx, form, name):
    """Send a command with a name; return the responses, with the name replaced.

    INBOX of the user is selected before, and what the command changed is undone.
    """
    before = await send(ctx, b"u SELECT INBOX\r\n")
    assert before[-1].startswith("u OK"), before
    full = OWNER + name
    text = form.format(f'"{full}"', url=full.replace(" ", "%20"))
    lines = await send(ctx, b"t " + text.encode() + b"\r\n")
    url = full.replace(" ", "%20")
    return [line.replace(full, "NAME").replace(url, "URL") for line in lines]


@pytest.mark.parametrize("seed", range(8))
async def test_a_mailbox_that_cannot_be_seen_is_like_one_that_does_not_exist(
    pool, alice, bob, seed
):
    dice = random.Random(seed)
    group = await pool.accounts.add_user_group("team")
    await pool.accounts.set_member(group, bob.session.store.account.id, member=True)
    acls = Acls(alice, bob, group)
    offered = {row.name for row in TABLE}
    compared = Counter()
    for number in range(3):
        await acls.draw(dice)
        if number == 0:
            await acls.set("Other", [NO_RIGHTS] * 3, [NO_RIGHTS] * 3)
        hidden = [name for name in MAILBOXES if LOOKUP not in acls.rights[name]]
        for command, forms in NAMED.items():
            for form, needed in forms if command in offered else ():
                for name in hidden:
                    if acls.rights[name] & needed:
                        continue
                    if is_tree(form) and name == "Work" and "Work/Deep" not in hidden:
                        continue  # there is a mailbox below it that can be seen
                    theirs = await ask(bob, form, name)
                    absent = await ask(bob, form, MAILBOXES[name])
                    assert theirs == absent, (form, name, acls.rights[name])
                    assert theirs[-1].startswith("t "), theirs
                    assert not any("secret" in line for line in theirs)
                    compared[command] += 1
        await check_lists(bob, acls.rights)
    assert compared.keys() == {name for name in NAMED if NAMED[name] and name in offered}


async def check_lists(bob, rights):
    """No list of all names has one that cannot be seen."""
    hidden = [OWNER + name for name, mine in rights.items() if LOOKUP not in mine]
    for command in (
        'LIST "" * RETURN (SUBSCRIBED MYRIGHTS CHILDREN STATUS (MESSAGES))',
        'LIST (SUBSCRIBED RECURSIVEMATCH) "" "Other Users/%"',
        'LIST "" "Other Users/%" RETURN (METADATA (/shared/comment))',
        'LSUB "" *',
        'ESEARCH IN (SUBTREE "Other Users" SUBSCRIBED PERSONAL) RETURN (COUNT) ALL',
    ):
        lines = await send(bob, f"t {command}\r\n".encode())
        assert lines[-1].startswith("t OK"), lines
        for name in hidden:
            assert not any(re.search(f'"{re.escape(name)}"', line) for line in lines), lines


@pytest.mark.parametrize("seed", range(6))
async def test_create_below_a_mailbox_without_k_tells_nothing(pool, alice, bob, seed):
    dice = random.Random(seed)
    acls = Acls(alice, bob, await pool.accounts.add_user_group("team"))
    for _ in range(3):
        await acls.draw(dice)
        for name, mine in acls.rights.items():
            above = acls.rights["Work"] if "/" in name else NO_RIGHTS
            if LOOKUP in mine or Rights.CREATE in above:
                continue  # with `k`, CREATE cannot succeed if the name is taken
            for form in ("CREATE {}", 'RENAME "Other Users/alice/Work" {}'):
                if "RENAME" in form and Rights.DELETE_MAILBOX in acls.rights["Work"]:
                    continue
                assert await ask(bob, form, name) == await ask(bob, form, MAILBOXES[name])


# --- reads ------------------------------------------------------------------------------------


class Counting:
    """Transaction or cursor of LMDB whose calls are counted."""

    def __init__(self, inner, count):
        self._inner, self._count = inner, count

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name in {"get", "set_range", "next", "prev", "first", "last", "iternext"}:
            self._count[name] += 1
        if name == "cursor":
            return lambda *arguments: Counting(found(*arguments), self._count)
        return found

    def __enter__(self):
        self._inner.__enter__()
        return self

    def __exit__(self, *error):
        return self._inner.__exit__(*error)

    def __iter__(self):
        self._count["iternext"] += 1
        return iter(self._inner)


@pytest.fixture
def reads(monkeypatch):
    """Counter of the calls that read rows, of all transactions."""
    count = Counter()
    enter, begin, write = Reader.__enter__, Accounts._begin, WriteTxn.__init__

    def counting_reader(self):
        enter(self)
        self._txn = Counting(self._txn, count)
        return self

    def counting_write(self, txn, table):
        write(self, Counting(txn, count), table)

    monkeypatch.setattr(Reader, "__enter__", counting_reader)
    monkeypatch.setattr(Accounts, "_begin", lambda self: Counting(begin(self), count))
    monkeypatch.setattr(WriteTxn, "__init__", counting_write)
    return count


@pytest.mark.parametrize("letters", ["", "sp", "swte"])
async def test_a_mailbox_that_cannot_be_seen_takes_as_many_reads_as_none(
    pool, alice, bob, reads, letters
):
    """The time of NO tells neither whether a mailbox exists nor whether its owner does."""
    acls = Acls(alice, bob, await pool.accounts.add_user_group("team"))
    for name in MAILBOXES:
        await acls.set(name, [NO_RIGHTS, Rights.parse(letters), NO_RIGHTS], [NO_RIGHTS] * 3)
    offered = {row.name for row in TABLE}
    forms = {form for name in NAMED.keys() & offered for form, _ in NAMED[name]} | {"CREATE {}"}
    forms -= {"RENAME INBOX {}", "SUBSCRIBE {}", "UNSUBSCRIBE {}"}  # change the user's own account
    for form in sorted(forms):
        counts = {}
        for name in (*MAILBOXES, *MAILBOXES.values()):
            if name != "INBOX" or "DELETE" not in form:
                counts[name] = await counted(bob, reads, form, OWNER + name)
        for name, other in MAILBOXES.items():
            assert counts.get(name, counts[other]) == counts[other], (form, name)
        # Of a user who does not exist, with a name as long.
        unknown = await counted(bob, reads, form, "Other Users/alise/Other")
        assert unknown == counts["Other"], form


@pytest.mark.parametrize(
    "form", ["STATUS {} (MESSAGES)", "SELECT {}", "SUBSCRIBE {}", "CREATE {}/x"]
)
async def test_names_in_utf7_tell_nothing_of_decoded_ones(alice, bob, reads, form):
    """After ENABLE UTF8=ACCEPT, a name is decoded if that exists: hidden ones do not."""
    for name in (b"&AOk-", b"&AOk-/Deep", b"&AOo-/Deep/Deeper"):
        await send(alice, b'a CREATE "%b"\r\n' % name)
    await send(bob, b"b ENABLE UTF8=ACCEPT\r\n")
    names = ["&AOk-", "&AOo-", "&AOs-"]  # hidden, with hidden ones below it; absent
    answers = [await ask(bob, form, name) for name in names]
    assert answers[0] == answers[1] == answers[2]
    counts = [await counted(bob, reads, form, OWNER + name) for name in names]
    assert counts[0] == counts[1] == counts[2]


async def counted(ctx, reads, form, full):
    await send(ctx, b"u NOTIFY NONE\r\nu SELECT INBOX\r\n")
    reads.clear()
    text = form.format(f'"{full}"', url=full.replace(" ", "%20"))
    await send(ctx, b"t " + text.encode() + b"\r\n")
    return dict(reads)


def test_annotation_rights_are_those_of_the_rfc():
    assert str(ANNOTATION_RIGHTS) == "rswip"


@pytest.mark.parametrize("letters", ["", "s", "wte"])
@pytest.mark.parametrize(
    "events",
    [
        f'(mailboxes ("{OWNER}Work" "{OWNER}Other") {{}})',
        f'(subtree "{OWNER}Work" {{}})',
        '(subtree "Other Users" {})',
        "(subscribed {})",
    ],
)
async def test_notify_sends_nothing_about_what_cannot_be_seen(pool, alice, bob, letters, events):
    acls = Acls(alice, bob, await pool.accounts.add_user_group("team"))
    for name in MAILBOXES:
        await acls.set(name, [NO_RIGHTS, Rights.parse(letters), NO_RIGHTS], [NO_RIGHTS] * 3)
        await send(bob, f'b SUBSCRIBE "{OWNER}{name}"\r\n'.encode())
    kinds = (
        "(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange"
        " MailboxMetadataChange)"
    )
    text = f"b NOTIFY SET STATUS {events.format(kinds)}\r\n"
    lines = await send(bob, text.encode())
    assert lines[-1] == "b OK NOTIFY completed"
    assert not any(OWNER in line for line in lines)
    for line in (
        b"APPEND Work {1+}\r\nx",
        b"SELECT Other",
        rb"STORE 1:* +FLAGS (\Seen \Deleted)",
        b"EXPUNGE",
        b'SETMETADATA Work (/shared/comment "secret-note")',
        b"CREATE Work/New",
        b"RENAME Work/New Work/Newer",
        b"DELETE Work/Newer",
        b"SETACL Other bob -lr",
    ):
        assert (await send(alice, b"a " + line + b"\r\n"))[-1].startswith("a OK"), line
        bob.push()
        assert await send(bob, b"b NOOP\r\n") == ["b OK NOOP completed"], line
