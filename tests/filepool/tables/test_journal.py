"""Sequence numbers of the change journal."""

from tests.filepool.direct import START, message

from imapvm.filepool.operations.append import AppendMessages
from imapvm.filepool.tables.schema import COUNTER, ID_KEY
from imapvm.filepool.tables.transactions import SEQUENCE, SEQUENCE_STEP


def test_rows_are_numbered_without_gaps(direct):
    """Version 0.1.0 numbers the next row by the counter, which is never below the last number."""
    account, inbox, tables = direct.account.id, direct.mailbox().id, direct.group.tables

    def append(number):
        direct.apply(AppendMessages(account, inbox, (message(number),), START))

    def numbers():
        with direct.group.env.begin() as txn, txn.cursor(tables.journal) as cursor:
            found = [ID_KEY.unpack(key)[0] for key in cursor.iternext(keys=True, values=False)]
            return found, COUNTER.unpack(txn.get(SEQUENCE, db=tables.counters))[0]

    found, counter = numbers()
    assert found == list(range(1, len(found) + 1))
    assert counter == 1 + SEQUENCE_STEP
    with direct.group.env.begin(write=True) as txn:  # as version 0.1.0 writes it
        txn.put(SEQUENCE, COUNTER.pack(found[-1]), db=tables.counters)
    append(0)
    expected = len(found) + 1
    assert numbers() == (list(range(1, expected + 1)), expected + SEQUENCE_STEP)
    for number in range(1, SEQUENCE_STEP + 1):
        append(number)
        found, counter = numbers()
        assert counter == expected + SEQUENCE_STEP
        assert found[-1] <= counter
    append(0)
    found, counter = numbers()
    assert found == list(range(1, expected + SEQUENCE_STEP + 2))
    assert counter == found[-1] + SEQUENCE_STEP
    assert direct.check() == []
