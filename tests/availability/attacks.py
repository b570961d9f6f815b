"""Hostile and expensive commands and pipelines.

Each is a generator: it prepares, yields once, then attacks and checks the responses, so that an
attack that the server refuses fails.
"""

import itertools
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.availability.probe import Attack, Client
from tests.demo import Demo

from imapvm.model.limits import CATENATE_PARTS_MAX, LIST_PATTERNS_MAX, LIST_WILDCARDS_MAX

MAILBOXES = 9_900
MESSAGES = 50_000
MANY = 200_000
SLOW_READERS = 40
CROWD = 200


def unused(kind: str) -> str:
    """Return a name of a mailbox or a user that no attack has used before."""
    return f"{kind}-{time.time_ns()}"


def literal(text: bytes) -> bytes:
    return b"{%d+}\r\n%s" % (len(text), text)


def message(number: int) -> bytes:
    return b"Subject: %d\r\nMessage-ID: <%d@example.org>\r\n\r\nText.\r\n" % (number, number)


def prepare(server: Demo) -> None:
    """Fill the account `load`: 9,900 mailboxes, and mailboxes of 50,000 and 200,000 messages."""
    client = Client(server.imap, "load")
    create_many(client)
    for name in ("big", "long", "many"):
        client.done(f"CREATE {name}")
    text = literal(b"Subject: long\r\n\r\n" + b"abaabbab aab\r\n" * 1000)
    client.done(b"APPEND long" + (b" " + text) * 50)
    fill(client, "big", MESSAGES)
    client.done(r"STORE 2:25000 +FLAGS.SILENT (\Seen)")
    for _ in range(MANY // MESSAGES):
        client.done("COPY 1:* many")
    assert client.number("many") == MANY
    client.close()


def create_many(client: Client) -> None:
    """Create a mailbox with MAILBOXES mailboxes below it."""
    client.done("CREATE top")
    for start in range(0, MAILBOXES, 300):
        client.pipeline([b"CREATE top/m%05d" % n for n in range(start, start + 300)])


def fill(client: Client, mailbox: str, messages: int) -> None:
    """Append 1,000 messages, copy them until there are enough, and select the mailbox."""
    append(client, mailbox, 1000)
    client.done(f"SELECT {mailbox}")
    count = 1000
    while count < messages:
        more = min(count, messages - count)
        client.done(f"COPY 1:{more} {mailbox}")
        client.done("NOOP")
        count += more


def append(client: Client, mailbox: str, count: int) -> None:
    """Append messages by MULTIAPPEND, 100 at a time."""
    for start in range(0, count, 100):
        messages = b"".join(b" " + literal(message(n)) for n in range(start, start + 100))
        client.done(f"APPEND {mailbox}".encode() + messages)


def list_too_many(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    yield
    limit = b"LIMIT"
    client.refused(b'LIST "" (' + b" ".join(b"x%d" % n for n in range(8192)) + b")", limit)
    client.refused(b'LIST "" (' + b" ".join(b"x%d*" % n for n in range(500)) + b")", limit)
    client.refused(b'LIST "" "' + b"*a" * 200 + b'"', limit)


def list_patterns(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    yield
    count = min(LIST_PATTERNS_MAX, LIST_WILDCARDS_MAX)
    client.done(b'LIST "" (' + b" ".join(b"*x%d" % n for n in range(count)) + b")")


def list_wildcards(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    yield
    client.pipeline([b'LIST "" "' + b"*0" * LIST_WILDCARDS_MAX + b'"'] * 8)


def list_pipeline(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    yield
    client.pipeline([b'LIST "" "nothing*here"'] * 64)


def lsub_pipeline(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    yield
    client.pipeline([b'LSUB "" "nothing*here"'] * 64)


def list_status(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    yield
    client.done(b'LIST "" * RETURN (STATUS (MESSAGES UNSEEN SIZE RECENT))')


def list_slow_readers(server: Demo) -> Iterator[None]:
    clients = [Client(server.imap, "load") for _ in range(SLOW_READERS)]
    yield
    for client in clients:
        client.send(b't LIST "" * RETURN (STATUS (MESSAGES UNSEEN SIZE))\r\n')
    time.sleep(2)
    for client in clients:
        assert client.until(b"t ").startswith(b"t OK")


def status_pipeline(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    yield
    client.pipeline([b"STATUS many (MESSAGES RECENT)"] * 300)


def status_deleted(server: Demo) -> Iterator[None]:
    """Sizes of deleted messages, which are counted in the index of 200,000."""
    client = Client(server.imap, "load")
    client.done("SELECT many")
    client.done(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    yield
    client.pipeline([b"STATUS many (DELETED-STORAGE)"] * 100)
    client.done(b'LIST "" * RETURN (STATUS (DELETED-STORAGE))')


def select_pipeline(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    client.done("ENABLE IMAP4rev2")
    yield
    client.pipeline([b"SELECT top"] * 100)


def search(server: Demo, mailbox: str, commands: int, keys: list[bytes]) -> Iterator[None]:
    """Send so many SEARCH commands in one piece, each with all these keys."""
    client = Client(server.imap, "load")
    client.done(f"SELECT {mailbox}")
    yield
    client.pipeline([b"SEARCH RETURN (COUNT) " + b" ".join(keys)] * commands)


def search_keys(server: Demo) -> Iterator[None]:
    yield from search(server, "big", 1, [b"UNSEEN"] * 7000)


def search_pipeline(server: Demo) -> Iterator[None]:
    yield from search(server, "big", 16, [b"NOT SEEN"] * 3500)


def search_sets(server: Demo) -> Iterator[None]:
    yield from search(server, "big", 4, [b"UID 1:*"] * 7000)


def search_windows(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    client.done("SELECT many")
    yield
    client.pipeline([b"UID SEARCH RETURN (PARTIAL -1:-4294967295) SEEN"] * 16)
    client.pipeline([b"UID FETCH 1:* UID (PARTIAL -1:-50)"] * 500)


def search_mailboxes(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    client.done("SELECT big")
    yield
    client.done("ESEARCH IN (selected personal) RETURN (COUNT) UNSEEN")
    client.pipeline([b"ESEARCH IN (personal) RETURN (COUNT) DRAFT"] * 4)
    client.pipeline([b"UIDBATCHES %d" % n for n in range(500, 1000)])


def search_fuzzy(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    client.done("SELECT long")
    yield
    words = b" ".join(b"aaabba%d" % n for n in range(16))
    client.done(b"SEARCH RETURN (RELEVANCY)" + b' FUZZY BODY "%b"' % words * 32)
    client.done(b"ESEARCH IN (mailboxes (big many)) RETURN (RELEVANCY) FUZZY SUBJECT 1234")


def search_headers(server: Demo) -> Iterator[None]:
    yield from search(server, "big", 1, [b"1:5000"] + [b"NOT SUBJECT x"] * 3000)


def search_bodies(server: Demo) -> Iterator[None]:
    yield from search(server, "long", 1, [b"NOT BODY ab%d" % n for n in range(3000)])


def sort_all(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    client.done("SELECT many")
    yield
    client.pipeline([b"SORT (SUBJECT REVERSE DATE DISPLAYFROM) UTF-8 ALL"] * 8)
    client.pipeline([b"UID SORT RETURN (COUNT ALL) (SUBJECT) UTF-8 UNSEEN"] * 8)


def sort_by_comparators(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    client.done("SELECT many")
    yield
    patterns = b" ".join([b'"%b"' % b"*".join([b"x"] * 120)] * 100)
    for name in (b"i;octet", b"i;ascii-casemap", b"-i;unicode-casemap") * 2:
        client.done(b"COMPARATOR %b %b" % (name, patterns))
        client.pipeline([b"SORT (SUBJECT DISPLAYFROM) UTF-8 ALL", b"SEARCH SUBJECT 1 FROM x"] * 2)


def thread_all(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    client.done("SELECT many")
    yield
    client.pipeline([b"THREAD REFERENCES UTF-8 ALL", b"UID THREAD REFS UTF-8 ALL"] * 4)
    client.pipeline([b"THREAD ORDEREDSUBJECT UTF-8 ALL"] * 4)


def thread_circle(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    client.done("CREATE circle")
    append_circle(client, 20_000)
    client.done("SELECT circle")
    yield
    client.pipeline([b"THREAD REFERENCES UTF-8 ALL", b"THREAD REFS UTF-8 ALL"] * 4)


def append_circle(client: Client, count: int) -> None:
    """Append messages that each refer to the next, the last one to the first."""
    for start in range(0, count, 1000):
        texts = (
            b"Message-ID: <%d@x>\r\nReferences: <%d@x>\r\n\r\n" % (n, (n + 1) % count)
            for n in range(start, start + 1000)
        )
        client.done(b"APPEND circle" + b"".join(b" " + literal(text) for text in texts))


def store_all(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    client.done("SELECT many")
    yield
    client.done(rb"STORE 1:* +FLAGS.SILENT (\Flagged)")
    client.done(rb"STORE 1:* -FLAGS (\Flagged)")


def store_seen_by_others(server: Demo) -> Iterator[None]:
    client, other = Client(server.imap, "load"), Client(server.imap, "load")
    client.done("SELECT many")
    other.done("SELECT many")
    idle = Client(server.imap, "load")
    idle.done("SELECT many")
    idle.send(b"t IDLE\r\n")
    idle.until(b"+")
    yield
    client.done(rb"STORE 1:* +FLAGS.SILENT (\Draft)")
    other.done("NOOP")
    idle.until(b"* %d FETCH" % MANY)


def store_seen_by_searches(server: Demo) -> Iterator[None]:
    """All messages enter and leave results that two sessions keep up to date (RFC 5267)."""
    client, other = Client(server.imap, "load"), Client(server.imap, "load")
    client.done("SELECT many")
    for watching in (other, idle := Client(server.imap, "load")):
        watching.done("SELECT many")
        for tag, search in enumerate(
            (
                "UID SEARCH RETURN (UPDATE COUNT) FLAGGED",
                "UID SORT RETURN (UPDATE COUNT) (REVERSE SUBJECT ARRIVAL) UTF-8 FLAGGED",
                "SEARCH RETURN (UPDATE COUNT) FLAGGED BODY needle",
            )
        ):
            watching.send(f"u{tag} {search}\r\n".encode())
            watching.until(b"u%d OK" % tag)
    idle.send(b"t IDLE\r\n")
    idle.until(b"+")
    yield
    for sign in "+-":
        client.done(rf"STORE 1:* {sign}FLAGS.SILENT (\Flagged)")
        other.done("NOOP")
        idle.until(b"* %d FETCH" % MANY)


def store_seen_by_a_crowd(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    client.done("SELECT big")
    crowd = [idling(server, "big") for _ in range(CROWD)]
    flag = unused("flag")
    yield
    client.done(f"STORE 1:16000 +FLAGS.SILENT ({flag})")
    for idle in crowd:
        idle.until(b"* 16000 FETCH")
    client.done(f"STORE 1:16000 -FLAGS.SILENT ({flag})")
    for idle in crowd:
        idle.until(b"* 16000 FETCH")


def store_unread_by_a_crowd(server: Demo) -> Iterator[None]:
    """Sessions in IDLE that do not read: their updates wait in the store, not in memory."""
    client = Client(server.imap, "load")
    client.done("SELECT many")
    crowd = [idling(server, "many") for _ in range(CROWD)]
    yield
    for sign in "+-+-":
        client.done(f"STORE 1:* {sign}FLAGS.SILENT ($Unread)")
    time.sleep(2)  # the notifier tries again each second
    for idle in crowd:
        idle.close()


def store_scattered(server: Demo) -> Iterator[None]:
    """Every other message, so that sets of UIDs have 100,000 runs; another client idles."""
    client = Client(server.imap, "load")
    client.done("SELECT many")
    for start in range(1, MANY, 10_000):
        numbers = b",".join(b"%d" % n for n in range(start, start + 10_000, 2))
        client.done(b"STORE " + numbers + rb" +FLAGS.SILENT (\Answered)")
    client.done("SEARCH RETURN (SAVE) ANSWERED")
    client.done(r"STORE 1:* -FLAGS.SILENT (\Draft)")
    idle = idling(server, "many")
    other = Client(server.imap, "load")
    other.done("SELECT many")
    yield
    client.done(rb"STORE $ +FLAGS.SILENT (\Draft)")
    other.done("NOOP")
    idle.until(b"* %d FETCH" % (MANY - 1))


def store_conditionally(server: Demo) -> Iterator[None]:
    """All messages fail the test, then every other one, by MODSEQ and by keyword."""
    client, name = copy_of_many(server)
    modseq = client.number(name, "HIGHESTMODSEQ")
    for start in range(1, MANY, 10_000):
        numbers = b",".join(b"%d" % n for n in range(start, start + 10_000, 2))
        client.done(b"STORE " + numbers + b" +FLAGS.SILENT ($Forwarded)")  # set by no other attack
    yield
    for since in (1, modseq):
        line = client.command(rb"STORE 1:* (UNCHANGEDSINCE %d) FLAGS (\Flagged)" % since)
        assert line.startswith(b"t OK [MODIFIED 1"), line[:80]
    line = client.command(b"STORE 1:* (UNCHANGEDSINCE 1) +FLAGS.SILENT ($Forwarded)")
    assert line.startswith(b"t OK [MODIFIED 1,3,5"), line[:80]


def resynchronise(server: Demo) -> Iterator[None]:
    """Everything has changed; message numbers and known UIDs are tested, and all sets are large."""
    client, name = copy_of_many(server)
    client.done("UNSELECT")
    client.done("ENABLE QRESYNC")
    client.done(f"SELECT {name}")
    validity = client.number(name, "UIDVALIDITY")
    client.done(rb"UID STORE 1:100000 +FLAGS.SILENT (\Deleted)")
    client.done("UID EXPUNGE 1:100000")
    scattered = b",".join(b"%d" % n for n in range(1, 10_000, 2))
    sets = (
        b"1:4294967295 (1:4294967295 1:4294967295)",
        b"1:4294967295 (" + scattered + b" " + scattered + b")",
        scattered,
    )
    yield
    for known in sets:
        state = b"(QRESYNC (%d 1 %b))" % (validity, known)
        client.pipeline([b"SELECT " + name.encode() + b" " + state] * 4)
    client.pipeline([b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)"] * 4)


def resynchronise_from_the_log(server: Demo) -> Iterator[None]:
    """Six thousand changes, each with a row of its own."""
    client = Client(server.imap, "load")
    name = unused("log")
    client.done(f"CREATE {name}")
    append(client, name, 1000)
    client.done("ENABLE QRESYNC")
    client.done(f"SELECT {name}")
    for sign in b"+-+-+-":
        client.pipeline([rb"STORE %d %cFLAGS.SILENT (\Seen)" % (n, sign) for n in range(1, 1001)])
    validity = client.number(name, "UIDVALIDITY")
    yield
    client.pipeline([b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)"] * 32)
    client.pipeline([f"SELECT {name} (QRESYNC ({validity} 1))".encode()] * 32)


def search_modseq(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    client.done("SELECT many")
    yield
    client.pipeline([b"SEARCH RETURN (COUNT MIN ALL) MODSEQ 1"] * 16)
    client.pipeline([b'UID SEARCH MODSEQ "/flags/\\\\seen" all 1'] * 4)


def idling(server: Demo, mailbox: str) -> Client:
    """Return a client in IDLE."""
    client = Client(server.imap, "load")
    client.done(f"SELECT {mailbox}")
    client.send(b"t IDLE\r\n")
    client.until(b"+")
    return client


NOTIFY_EVENTS = "(MessageNew MessageExpunge FlagChange MailboxName)"


def notified(server: Demo, words: str, *, selected: str = "") -> Client:
    """Return a client that uses NOTIFY."""
    client = Client(server.imap, "load")
    if selected:
        client.done(f"EXAMINE {selected}")
    client.done(f"NOTIFY SET {words}")
    return client


def notify_status_of_many(server: Demo) -> Iterator[None]:
    """STATUS of 10,000 mailboxes."""
    client = Client(server.imap, "load")
    yield
    for _ in range(4):
        client.done(f"NOTIFY SET STATUS (PERSONAL {NOTIFY_EVENTS})")


def notify_a_crowd(server: Demo) -> Iterator[None]:
    """400 commits, of which 200 sessions are sent 200, by STATUS and FETCH."""
    client = Client(server.imap, "load")
    name = unused("watched")
    client.done(f"CREATE {name}")
    selected = "(SELECTED (MessageNew (UID FLAGS ENVELOPE) MessageExpunge))"
    words = f"{selected} (PERSONAL {NOTIFY_EVENTS})"
    crowd = [notified(server, words, selected=name) for _ in range(CROWD)]
    yield
    for number in range(100):
        client.done(b"APPEND top " + literal(message(number)))
        client.done(b"APPEND %s " % name.encode() + literal(message(number)))
        client.done(f"SUBSCRIBE {name}/{number}")
        client.done(f"UNSUBSCRIBE {name}/{number}")
    for one in crowd:
        one.until(b"* 100 FETCH")
        one.close()
    client.done(f"DELETE {name}")


def notify_a_crowd_that_does_not_read(server: Demo) -> Iterator[None]:
    """Changes of 500 mailboxes for 200 sessions: they wait in the store, not in memory."""
    client = Client(server.imap, "load")
    crowd = [notified(server, f"(PERSONAL {NOTIFY_EVENTS})") for _ in range(CROWD)]
    yield
    for start in range(0, 500, 100):
        numbers = range(start, start + 100)
        client.pipeline([b"APPEND top/m%05d " % n + literal(message(n)) for n in numbers])
    for one in crowd:
        one.close()


def copy_of_many(server: Demo) -> tuple[Client, str]:
    """Return a client and a new mailbox, which the client has selected, of 200,000 messages."""
    client = Client(server.imap, "load")
    name = unused("copy")
    client.done(f"CREATE {name}")
    client.done("SELECT many")
    client.done(f"COPY 1:* {name}")
    client.done(f"SELECT {name}")
    return client, name


def copy_all(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    name = unused("copy")
    client.done(f"CREATE {name}")
    client.done("SELECT many")
    idle = idling(server, name)
    yield
    client.done(f"COPY 1:* {name}")
    assert client.number(name) == MANY
    idle.until(b"* %d EXISTS" % MANY)


def move_all(server: Demo) -> Iterator[None]:
    client, name = copy_of_many(server)
    target = unused("moved")
    client.done(f"CREATE {target}")
    yield
    client.done(f"MOVE 1:* {target}")
    assert client.number(name) == 0
    assert client.number(target) == MANY


def expunge_all(server: Demo) -> Iterator[None]:
    client, name = copy_of_many(server)
    client.done(rb"STORE 1:* +FLAGS.SILENT (\Deleted)")
    idle = idling(server, name)
    other = Client(server.imap, "load")
    other.done(f"SELECT {name}")
    yield
    client.done("EXPUNGE")
    other.done("NOOP")
    for _ in range(MANY):
        idle.until(b"* ")
    assert client.number(name) == 0


def delete_mailbox(server: Demo) -> Iterator[None]:
    client, name = copy_of_many(server)
    client.done("UNSELECT")
    yield
    client.done(f"DELETE {name}")


def user_of(server: Demo) -> tuple[Client, str]:
    """Return a client of a new user."""
    name = unused("user")
    imapvm(server, "user", "enroll", name, "--password-stdin", stdin="secret\n")
    return Client(server.imap, name), name


def imapvm(server: Demo, *words: str, stdin: str = "") -> None:
    """Run a command line of the server's version on its filepool."""
    command = [server.program, *words, "--filepool", str(server.filepool)]
    subprocess.run(command, input=stdin, text=True, check=True, capture_output=True)


def delete_user_with_messages(server: Demo) -> Iterator[None]:
    client, name = user_of(server)
    client.done("CREATE many")
    fill(client, "INBOX", MESSAGES)
    for _ in range(MANY // MESSAGES):
        client.done("COPY 1:* many")
    client.close()
    yield
    imapvm(server, "user", "delete", name, "--yes")


def delete_user_with_mailboxes(server: Demo) -> Iterator[None]:
    client, name = user_of(server)
    create_many(client)
    client.close()
    yield
    imapvm(server, "user", "delete", name, "--yes")


SWEEP = """
import sys, time, trio
from pathlib import Path
from imapvm.filepool.pool import open_filepool

async def sweep():
    async with open_filepool(Path(sys.argv[1]), clock=lambda: time.time() + 7200) as pool:
        while (await pool.sweep()).more:
            pass

trio.run(sweep)
"""
"""Sweep without pauses, as it is due in two hours."""


def sweep(server: Demo) -> Iterator[None]:
    """Messages of a deleted mailbox, and the text of expunged ones."""
    client, name = copy_of_many(server)
    client.done(f"CREATE expunged-{name}")
    append(client, f"expunged-{name}", 10_000)
    client.done(f"SELECT expunged-{name}")
    client.done(rb"STORE 1:* +FLAGS.SILENT (\Deleted)")
    client.done("EXPUNGE")
    client.done(f"DELETE {name}")
    yield
    run_script(server, SWEEP)


def keywords(server: Demo) -> Iterator[None]:
    """Ten thousand messages with 64 new keywords each: 640,000 of them, or NO [LIMIT]."""
    client = Client(server.imap, "load")
    name = unused("keywords")
    client.done(f"CREATE {name}")
    yield
    new = itertools.count()
    for _ in range(100):
        data = b""
        for number in range(100):
            flags = b" ".join(b"keyword-%08d" % next(new) for _ in range(64))
            data += b" (" + flags + b") " + literal(message(number))
        line = client.command(b"APPEND " + name.encode() + data)
        assert line.startswith((b"t OK", b"t NO [LIMIT]")), line
    client.pipeline([b"SELECT " + name.encode()] * 5)


def rename_top(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    yield
    client.done("RENAME top other")
    client.done("RENAME other top")


def rename_inbox(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    client.done("SELECT many")
    client.done("COPY 1:* INBOX")
    name = unused("inbox")
    yield
    client.done(f"RENAME INBOX {name}")
    assert client.number(name) >= MANY


def catenate(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    name = unused("parts")
    client.done(f"CREATE {name}")
    text = b"Subject: part\r\n\r\n" + b"Some words of a text.\r\n" * 2600
    client.done(f"APPEND {name} ".encode() + literal(text))
    yield
    url = f"URL /{name}/;UID=1".encode()
    parts = b" ".join([url] * CATENATE_PARTS_MAX)
    client.done(f"APPEND {name} CATENATE (".encode() + parts + b")")
    client.refused(f"APPEND {name} CATENATE (".encode() + parts + b" " + url + b")", b"LIMIT")


def multiappend(server: Demo) -> Iterator[None]:
    client = Client(server.imap, "load")
    before = client.number("INBOX")
    yield
    data = b"".join(b" " + literal(message(n)) for n in range(1000))
    client.done(b"APPEND INBOX" + data)
    assert client.number("INBOX") == before + 1000


def annotations(server: Demo) -> Iterator[None]:
    """Ten thousand annotations; commands that name all of them many times, and a crowd in IDLE."""
    client = Client(server.imap, "load")
    name = unused("annotated")
    for number in range(10):
        client.done(f"CREATE {name}/{number}")
    crowd = [Client(server.imap, "load") for _ in range(CROWD)]
    for one in crowd:
        one.done("ENABLE METADATA")
        one.send(b"t IDLE\r\n")
        one.until(b"+")
    yield
    for number in range(10):
        for start in range(0, 1000, 100):
            numbers = range(start, start + 100)
            values = b" ".join(b'/private/x/%d "%b"' % (n, b"v" * 500) for n in numbers)
            client.done(b"SETMETADATA %b/%d (%b)" % (name.encode(), number, values))
    line = client.command(b'SETMETADATA %b/0 (/private/y "")' % name.encode())
    assert line.startswith(b"t NO [METADATA TOOMANY]"), line
    names = b" ".join([b"/private"] * 255 + [b"/shared"])
    client.done(b"GETMETADATA (DEPTH infinity) %b/0 (%b)" % (name.encode(), names))
    client.done(b"GETMETADATA (DEPTH 1 MAXSIZE 1) %b/0 (%b)" % (name.encode(), names))
    names = b" ".join(b"/private/x/%d" % n for n in range(64))
    client.done(b'LIST "" * RETURN (METADATA (%b))' % names)
    for number in range(10):
        client.done(f"DELETE {name}/{number}")
    for one in crowd:
        one.close()


GROUPS = """
import sys, time, trio
from functools import partial
from pathlib import Path
from imapvm.filepool.pool import open_filepool

async def main(prefix, count, members):
    async with open_filepool(Path(sys.argv[1]), clock=time.time) as pool:
        accounts = pool.accounts
        for start in range(0, count, 200):
            async with trio.open_nursery() as nursery:
                for number in range(start, start + 200):
                    nursery.start_soon(accounts.add_user_group, f"{prefix}{number}")
        first = accounts.group_id(prefix + "0")
        for start in range(0, members, 200):
            async with trio.open_nursery() as nursery:
                for number in range(start, start + 200):
                    add = partial(accounts.set_member, first, 1_000_000 + number, member=True)
                    nursery.start_soon(add)

trio.run(main, sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
"""
"""Groups of users; the first has members."""


def run_script(server: Demo, script: str, *arguments: str) -> None:
    """Run a Python program of the server's version on its filepool."""
    python = Path(server.program).with_name("python")
    subprocess.run([python, "-c", script, server.filepool, *arguments], check=True)


def acl_entries(server: Demo) -> Iterator[None]:
    """ACL with all entries that it can have, set while a crowd has the mailbox selected."""
    client = Client(server.imap, "load")
    reader, user = user_of(server)
    name, prefix = unused("acl"), unused("g")
    run_script(server, GROUPS, prefix, "1000", "0")
    client.done(f"CREATE {name}")
    client.done(f"SETACL {name} {user} lrs")
    crowd = [Client(server.imap, user) for _ in range(CROWD)]
    for one in crowd:
        one.done(f'SELECT "Other Users/load/{name}"')
        one.send(b"t IDLE\r\n")
        one.until(b"+")
    yield
    client.pipeline(
        [b"SETACL %b $%b%d lr" % (name.encode(), prefix.encode(), n) for n in range(999)]
    )
    client.refused(f"SETACL {name} ${prefix}999 lr", b"LIMIT")
    client.done(f"SETACL {name} {user} lrsw")
    for one in crowd:
        one.until(b"* OK [PERMANENTFLAGS")
    client.pipeline([b"GETACL %b" % name.encode()] * 8)
    client.pipeline([b'LISTRIGHTS %b "$%b1"' % (name.encode(), prefix.encode())] * 100)
    client.done(f"CREATE {name}/below")
    client.done(f"DELETE {name}/below")
    reader.pipeline([b'MYRIGHTS "Other Users/load/%b"' % name.encode()] * 300)
    client.done(f"DELETE {name}")
    for one in crowd:
        one.close()


def store_private_seen(server: Demo) -> Iterator[None]:
    r"""\Seen of a reader of 200,000 messages of another user, every other one at the end."""
    client = Client(server.imap, "load")
    reader, user = user_of(server)
    client.done(f"SETACL many {user} lrs")
    reader.done('SELECT "Other Users/load/many"')
    yield
    reader.done(rb"UID STORE 1:* +FLAGS.SILENT (\Seen)")
    for start in range(1, MANY, 10_000):
        numbers = b",".join(b"%d" % n for n in range(start, start + 10_000, 2))
        reader.done(b"STORE " + numbers + rb" -FLAGS.SILENT (\Seen)")
    for number in range(1, 11):  # each change makes the server read all of \Seen again
        reader.done(rb"STORE %d +FLAGS (\Seen)" % number)
        reader.pipeline([b'STATUS "Other Users/load/many" (UNSEEN)'] * 20)
    client.done(f"DELETEACL many {user}")


def list_my_rights(server: Demo) -> Iterator[None]:
    """LIST of 10,000 mailboxes of another user, with the rights on each."""
    client = Client(server.imap, "load")
    reader, _ = user_of(server)
    client.pipeline([b"SETACL top/m%05d anyone lr" % n for n in range(MAILBOXES)])
    yield
    reader.done('LIST "" * RETURN (MYRIGHTS STATUS (MESSAGES UNSEEN) SUBSCRIBED)')
    reader.pipeline([b'LIST "" "Other Users/nothing*here"'] * 16)
    reader.done('ESEARCH IN (SUBTREE "Other Users") RETURN (COUNT) UNSEEN')
    client.done('LIST "" * RETURN (MYRIGHTS)')


def delete_group(server: Demo) -> Iterator[None]:
    """Group with 10,000 members."""
    prefix = unused("team")
    run_script(server, GROUPS, prefix, "200", "10000")
    yield
    imapvm(server, "group", "delete", f"{prefix}0")


@dataclass(frozen=True, slots=True)
class Row:
    """Row of the table of attacks."""

    command: str
    attack: Attack
    clients: int = 1
    """Concurrent ones."""

    @property
    def name(self) -> str:
        return self.attack.__name__


ATTACKS = (
    Row("LIST with 8,192 patterns, with 200 wildcards: refused", list_too_many),
    Row(f"LIST with {LIST_PATTERNS_MAX} patterns of 10,000 mailboxes", list_patterns),
    Row(f"8 x LIST with {LIST_WILDCARDS_MAX} wildcards of 10,000 mailboxes", list_wildcards),
    Row("64 x LIST of 10,000 mailboxes that matches nothing", list_pipeline),
    Row("64 x LSUB of 10,000 mailboxes that matches nothing", lsub_pipeline),
    Row("LIST RETURN (STATUS) of 10,000 mailboxes, 4 clients", list_status, 4),
    Row(f"LIST RETURN (STATUS), {SLOW_READERS} slow readers", list_slow_readers),
    Row("300 x STATUS of 200,000 messages", status_pipeline),
    Row("4 x NOTIFY SET STATUS of 10,000 mailboxes", notify_status_of_many),
    Row(f"400 commits, {CROWD} sessions with NOTIFY", notify_a_crowd),
    Row(
        f"500 commits, {CROWD} sessions with NOTIFY that do not read",
        notify_a_crowd_that_does_not_read,
    ),
    Row("100 x STATUS (DELETED-STORAGE) of 200,000 messages", status_deleted),
    Row("100 x SELECT, IMAP4rev2", select_pipeline),
    Row("SEARCH with 7,000 keys of 50,000 messages, 4 clients", search_keys, 4),
    Row("16 x SEARCH with 3,500 NOT keys of 50,000 messages", search_pipeline),
    Row("4 x SEARCH with 7,000 sets of 50,000 messages", search_sets),
    Row("16 x SEARCH and 500 x FETCH with PARTIAL of 200,000 messages", search_windows),
    Row("5 x ESEARCH of 10,000 mailboxes, 500 x UIDBATCHES", search_mailboxes),
    Row("SEARCH with 32 FUZZY keys of 16 words, of 250,000 messages", search_fuzzy),
    Row("SEARCH with 3,000 header keys of 5,000 messages", search_headers),
    Row("SEARCH with 3,000 BODY keys", search_bodies),
    Row(f"10,000 annotations, LIST and DEPTH of all, {CROWD} sessions notified", annotations),
    Row(f"ACL of 1,000 entries, SETACL while {CROWD} sessions are in IDLE", acl_entries),
    Row(r"STORE of \Seen by a reader of 200,000, 200 x STATUS (UNSEEN)", store_private_seen),
    Row("LIST and ESEARCH of 9,900 mailboxes of another user, MYRIGHTS", list_my_rights),
    Row("deletion of a group of 10,000 users", delete_group),
    Row("APPEND of 1,000 messages", multiappend),
    Row(f"{CATENATE_PARTS_MAX} URLs of a message of 60 KiB, 2 clients", catenate, 2),
    Row("10,000 messages with 64 new keywords each, 5 x SELECT", keywords),
    Row("RENAME with 9,900 mailboxes below, twice", rename_top),
    Row("RENAME INBOX of 200,000 messages", rename_inbox),
    Row("16 x SORT of 200,000 messages, 2 clients", sort_all, 2),
    Row("12 x SORT and SEARCH of 200,000 messages by three comparators", sort_by_comparators),
    Row("12 x THREAD of 200,000 messages, 2 clients", thread_all, 2),
    Row("8 x THREAD of 20,000 messages that refer to each other in a circle", thread_circle),
    Row("STORE of 200,000 messages, SILENT and with responses", store_all),
    Row("STORE of 200,000 messages, two other sessions, one in IDLE", store_seen_by_others),
    Row("2 x STORE of 200,000, two sessions with 3 UPDATE searches each", store_seen_by_searches),
    Row(f"2 x STORE of 16,000 messages, {CROWD} other sessions in IDLE", store_seen_by_a_crowd),
    Row(f"4 x STORE of 200,000, {CROWD} sessions in IDLE do not read", store_unread_by_a_crowd),
    Row("STORE of every other message of 200,000, two other sessions", store_scattered),
    Row("3 x STORE of 200,000 messages if unchanged: MODIFIED", store_conditionally),
    Row("12 x SELECT with QRESYNC, 4 x FETCH with VANISHED, 200,000 changes", resynchronise),
    Row("32 x SELECT with QRESYNC, 32 x FETCH, 6,000 rows", resynchronise_from_the_log),
    Row("20 x SEARCH MODSEQ of 200,000 messages", search_modseq),
    Row("COPY of 200,000 messages to a mailbox with a session in IDLE", copy_all),
    Row("MOVE of 200,000 messages", move_all),
    Row("EXPUNGE of 200,000 messages, two other sessions, one in IDLE", expunge_all),
    Row("DELETE of a mailbox of 200,000 messages", delete_mailbox),
    Row("sweep of 200,000 messages and 10,000 message texts", sweep),
    Row("deletion of a user with 200,000 messages", delete_user_with_messages),
    Row("deletion of a user with 9,900 mailboxes", delete_user_with_mailboxes),
)
