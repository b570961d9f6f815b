"""Which messages belong together: THREADID (RFC 8474 section 5.2), found when a message comes.

Every Message-ID that a message has or refers to is recorded under the message's thread. The first
of them that is known already decides the thread; two threads are never joined afterwards, because
THREADID may not change.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imapvm._core import Digest, thread_hash
from imapvm.filepool.tables import COUNTER, PAIR_KEY
from imapvm.model.ids import AccountId, ThreadId
from imapvm.model.limits import THREAD_REFERENCES_MAX

if TYPE_CHECKING:
    from imapvm.filepool.operations import GroupTxn


def thread_hashes(digest: Digest) -> tuple[int, ...]:
    """Hashes of the Message-IDs that tell a message's thread, the most telling first.

    Its own (an answer may have come before it), then what it refers to, nearest first. Of many
    references the nearest count, and the first, which began the thread.
    """
    references = digest.references
    if len(references) > THREAD_REFERENCES_MAX:
        references = references[:1] + references[1 - THREAD_REFERENCES_MAX :]
    own = [digest.message_id] if digest.message_id else []
    return tuple(dict.fromkeys(thread_hash(found) for found in [*own, *reversed(references)]))


def thread_of(txn: "GroupTxn", account: AccountId, hashes: Sequence[int]) -> ThreadId:
    """The thread of a message that comes now; all its Message-IDs are recorded."""
    table = txn.tables.threads
    keys = [PAIR_KEY.pack(account, number) for number in hashes]
    thread = 0
    unknown = []
    for key in keys:
        stored = txn.get(key, table)
        if stored is None:
            unknown.append(key)
        elif not thread:
            (thread,) = COUNTER.unpack(stored)
    if not thread:
        thread = txn.allocate(b"thread")
    value = COUNTER.pack(thread)
    for key in unknown:
        txn.put(key, value, table)
    return ThreadId(thread)
