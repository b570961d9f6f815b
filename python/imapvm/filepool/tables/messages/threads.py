"""The table `threads`: THREADID (RFC 8474 section 5.2), assigned when a message is stored.

Every Message-ID that a message has or refers to is stored with the message's thread. The first of
them that is already stored decides the thread. Threads are never joined, because a message's
THREADID must not change.
"""

from collections.abc import Sequence

from imapvm.filepool.tables.schema import COUNTER, PAIR_KEY
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, ThreadId


def thread_of(txn: GroupTxn, account: AccountId, hashes: Sequence[int]) -> ThreadId:
    """Return the thread of a new message; store all its Message-IDs.

    Args:
        txn: the transaction.
        account: whose threads.
        hashes: of Message-IDs, the one that decides first.
    """
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
