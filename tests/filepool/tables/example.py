"""The example of docs/storage.md: a small filepool, row by row.

Run `python -m tests.filepool.tables.example` to update the example in the document.
"""

import re
import tempfile
from pathlib import Path

from tests.filepool.direct import START, Direct, dump, message

from imapvm._core import STORE_ADD, UidSet
from imapvm.filepool.operations.append import AppendMessages
from imapvm.filepool.operations.copy import CopyMessages
from imapvm.filepool.operations.deliver import DeliverMessage
from imapvm.filepool.operations.mailboxes.annotations import Annotation, SetAnnotations
from imapvm.filepool.operations.store_flags import ExpungeMessages, StoreFlags

DOCUMENT = Path(__file__).parents[3] / "docs" / "storage.md"
MESSAGE = b"Message-ID: <1@a>\r\nSubject: Hi\r\n\r\nHello.\r\n"
MARK = "<!-- example -->\n```\n"
WIDTH = 48
"""Bytes of a value in one line."""


def example() -> str:
    """Return all rows in hexadecimal, without the content of message metadata."""
    lines = []
    with tempfile.TemporaryDirectory() as home, Direct(Path(home) / "filepool") as direct:
        accounts = direct.pool.accounts
        direct.apply(AppendMessages(1, 1, (message(MESSAGE, 1, ("$Forwarded",)),), START + 10))
        direct.apply(StoreFlags(1, 1, UidSet([(1, 1)]), STORE_ADD, 8, (), None))
        direct.apply(CopyMessages(1, 1, UidSet([(1, 1)]), 6, move=False, now=START + 20))
        direct.apply(ExpungeMessages(1, 1, UidSet([(1, 1)]), START + 30))
        direct.apply(
            DeliverMessage(b"delivery-0000001", ((1, "INBOX"),), message(b"\r\n"), START + 40)
        )
        direct.apply(
            SetAnnotations(1, 1, 1, (Annotation(b"/comment", b"Family", shared=True),), b"sess-1")
        )
        for title, rows in (
            ("accounts", dump(accounts.env, accounts.tables)),
            ("group-000", dump(direct.group.env, direct.group.tables)),
        ):
            for table, found in rows.items():
                lines += [f"{title}/{table}", *rendered(table, found)]
    return "\n".join(lines)


def rendered(table, rows):
    if not rows:
        yield "  (no rows)"
    for key, value in rows:
        yield f"  {key.hex()}{readable(key)}"
        if table == "digests":
            yield "    message metadata"
            continue
        for at in range(0, len(value), WIDTH):
            yield f"    {value[at : at + WIDTH].hex()}"
        if not value:
            yield "    (empty)"


def readable(key: bytes) -> str:
    """Return the text at the end of a key, if there is any."""
    text = re.search(rb"[ -~]{3,}$", key)
    return f"   …{text[0].decode()}" if text else ""


def documented() -> str:
    """Return the example in the document."""
    _, _, rest = DOCUMENT.read_text().partition(MARK)
    return rest.partition("\n```")[0]


if __name__ == "__main__":
    head, _, rest = DOCUMENT.read_text().partition(MARK)
    _, _, tail = rest.partition("\n```")
    DOCUMENT.write_text(f"{head}{MARK}{example()}\n```{tail}")
