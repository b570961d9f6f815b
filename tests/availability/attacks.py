"""Hostile and expensive commands and pipelines.

Each is a generator: it prepares, yields once, then attacks and checks the responses, so that an
attack that the server refuses fails.
"""

import time
from collections.abc import Iterator

from tests.availability.probe import Address, Client

from imapvm.model.limits import LIST_PATTERNS_MAX, LIST_WILDCARDS_MAX

MAILBOXES = 9_900
MESSAGES = 50_000
MANY = 200_000
SLOW_READERS = 40


def literal(text: bytes) -> bytes:
    return b"{%d+}\r\n%s" % (len(text), text)


def message(number: int) -> bytes:
    return b"Subject: %d\r\nMessage-ID: <%d@example.org>\r\n\r\nText.\r\n" % (number, number)


def prepare(address: Address) -> None:
    """Fill the account `load`: 9,900 mailboxes, and mailboxes of 50,000 and 200,000 messages."""
    client = Client(address, "load")
    client.done("CREATE top")
    for start in range(0, MAILBOXES, 300):
        client.pipeline([b"CREATE top/m%05d" % n for n in range(start, start + 300)])
    for name in ("big", "long", "many", "target", "copies"):
        client.done(f"CREATE {name}")
    append(client, "big", 1000)
    text = literal(b"Subject: long\r\n\r\n" + b"abaabbab aab\r\n" * 1000)
    client.done(b"APPEND long" + (b" " + text) * 50)
    client.done("SELECT big")
    count = 1000
    while count < MESSAGES:
        more = min(count, MESSAGES - count)
        client.done(f"COPY 1:{more} big")
        client.done("NOOP")
        count += more
    client.done(r"STORE 2:25000 +FLAGS.SILENT (\Seen)")
    for _ in range(MANY // MESSAGES):
        client.done("COPY 1:* many")
    assert client.number("many") == MANY
    client.close()


def append(client: Client, mailbox: str, count: int) -> None:
    """Append messages by MULTIAPPEND, 100 at a time."""
    for start in range(0, count, 100):
        messages = b"".join(b" " + literal(message(n)) for n in range(start, start + 100))
        client.done(f"APPEND {mailbox}".encode() + messages)


def list_too_many(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    yield
    limit = b"LIMIT"
    client.refused(b'LIST "" (' + b" ".join(b"x%d" % n for n in range(8192)) + b")", limit)
    client.refused(b'LIST "" (' + b" ".join(b"x%d*" % n for n in range(500)) + b")", limit)
    client.refused(b'LIST "" "' + b"*a" * 200 + b'"', limit)


def list_patterns(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    yield
    count = min(LIST_PATTERNS_MAX, LIST_WILDCARDS_MAX)
    client.done(b'LIST "" (' + b" ".join(b"*x%d" % n for n in range(count)) + b")")


def list_wildcards(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    yield
    client.pipeline([b'LIST "" "' + b"*0" * LIST_WILDCARDS_MAX + b'"'] * 8)


def list_pipeline(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    yield
    client.pipeline([b'LIST "" "nothing*here"'] * 64)


def lsub_pipeline(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    yield
    client.pipeline([b'LSUB "" "nothing*here"'] * 64)


def list_status(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    yield
    client.done(b'LIST "" * RETURN (STATUS (MESSAGES UNSEEN SIZE RECENT))')


def list_slow_readers(address: Address) -> Iterator[None]:
    clients = [Client(address, "load") for _ in range(SLOW_READERS)]
    yield
    for client in clients:
        client.send(b't LIST "" * RETURN (STATUS (MESSAGES UNSEEN SIZE))\r\n')
    time.sleep(2)
    for client in clients:
        assert client.until(b"t ").startswith(b"t OK")


def status_pipeline(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    yield
    client.pipeline([b"STATUS many (MESSAGES RECENT)"] * 300)


def select_pipeline(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    client.done("ENABLE IMAP4rev2")
    yield
    client.pipeline([b"SELECT top"] * 100)


def search_keys(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    client.done("SELECT big")
    yield
    client.done(b"SEARCH RETURN (COUNT) " + b" ".join([b"UNSEEN"] * 7000))


def search_pipeline(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    client.done("SELECT big")
    yield
    client.pipeline([b"SEARCH RETURN (COUNT) " + b" ".join([b"NOT SEEN"] * 3500)] * 16)


def search_sets(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    client.done("SELECT big")
    yield
    client.pipeline([b"SEARCH RETURN (COUNT) " + b" ".join([b"UID 1:*"] * 7000)] * 4)


def search_headers(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    client.done("SELECT big")
    yield
    client.done(b"SEARCH RETURN (COUNT) 1:5000 " + b" ".join([b"NOT SUBJECT x"] * 3000))


def search_bodies(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    client.done("SELECT long")
    yield
    client.done(b"SEARCH RETURN (COUNT) " + b" ".join([b"NOT BODY ab%d" % n for n in range(3000)]))


def store_all(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    client.done("SELECT many")
    yield
    client.done(rb"STORE 1:* +FLAGS.SILENT (\Flagged)")
    client.done(rb"STORE 1:* -FLAGS (\Flagged)")


def store_seen_by_others(address: Address) -> Iterator[None]:
    client, other = Client(address, "load"), Client(address, "load")
    client.done("SELECT many")
    other.done("SELECT many")
    idle = Client(address, "load")
    idle.done("SELECT many")
    idle.send(b"t IDLE\r\n")
    idle.until(b"+")
    yield
    client.done(rb"STORE 1:* +FLAGS.SILENT (\Draft)")
    other.done("NOOP")
    idle.until(b"* %d FETCH" % MANY)


def copy_all(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    client.done("SELECT many")
    before = client.number("target")
    yield
    client.done("COPY 1:* target")
    assert client.number("target") == before + MANY


def move_all(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    client.done("SELECT target")
    yield
    client.done("MOVE 1:* copies")
    assert client.number("target") == 0
    assert client.number("copies") >= MANY


def expunge_all(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    client.done("SELECT copies")
    client.done(rb"STORE 1:* +FLAGS.SILENT (\Deleted)")
    yield
    client.done("EXPUNGE")
    assert client.number("copies") == 0


def delete_big(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    yield
    client.done("DELETE many")


def rename_top(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    yield
    client.done("RENAME top other")
    client.done("RENAME other top")


def rename_inbox(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    client.done("SELECT big")
    client.done("COPY 1:* INBOX")
    yield
    client.done("RENAME INBOX archive")
    assert client.number("archive") >= MESSAGES


def multiappend(address: Address) -> Iterator[None]:
    client = Client(address, "load")
    before = client.number("INBOX")
    yield
    data = b"".join(b" " + literal(message(n)) for n in range(1000))
    client.done(b"APPEND INBOX" + data)
    assert client.number("INBOX") == before + 1000


ATTACKS = (
    (list_too_many, 1),
    (list_patterns, 1),
    (list_wildcards, 1),
    (list_pipeline, 1),
    (lsub_pipeline, 1),
    (list_status, 4),
    (list_slow_readers, 1),
    (status_pipeline, 1),
    (select_pipeline, 1),
    (search_keys, 4),
    (search_pipeline, 1),
    (search_sets, 1),
    (search_headers, 1),
    (search_bodies, 1),
    (multiappend, 1),
    (rename_top, 1),
    (rename_inbox, 1),
    (store_all, 1),
    (store_seen_by_others, 1),
    (copy_all, 1),
    (move_all, 1),
    (expunge_all, 1),
    (delete_big, 1),
)
"""Attack and number of clients, in an order in which each finds what it needs."""
