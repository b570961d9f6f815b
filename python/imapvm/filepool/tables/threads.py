"""Which messages belong together: THREADID (RFC 8474 section 5.2), found when a message comes.

Every Message-ID that a message has or refers to is recorded under the message's thread. The first
of them that is known already decides the thread; two threads are never joined afterwards, because
THREADID may not change.
"""

from collections.abc import Sequence

from imapvm.filepool.tables.schema import COUNTER, PAIR_KEY
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, ThreadId


def thread_of(txn: GroupTxn, account: AccountId, hashes: Sequence[int]) -> ThreadId:
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
