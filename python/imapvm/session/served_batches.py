"""Batches of UIDs that a client has got by UIDBATCHES, to refuse endless repetition."""

from imapvm._core import UidMap, UidSet
from imapvm.model.limits import UIDBATCHES_REPEATS_MAX


class ServedBatches:
    """Batches that one client has got of the selected mailbox, by number (RFC 10022 section 3.1).

    A client has no reason to ask again before more than half a batch of messages has been expunged
    or has arrived. It may do so UIDBATCHES_REPEATS_MAX times: a client that pages through a mailbox
    asks for some batches twice.
    """

    __slots__ = ("_numbers", "_size", "_times")

    def __init__(self) -> None:
        self._size = 0
        self._numbers = UidMap()
        """The mailbox when the first of the batches was sent."""
        self._times: list[UidSet] = []
        """Batches that were sent more than 0, 1, 2 … times."""

    def serve(self, numbers: UidMap, size: int, first: int, last: int) -> bool:
        """Record a request for some batches.

        Args:
            numbers: the mailbox as the client has counted it.
            size: messages in a batch.
            first: the first batch.
            last: the last batch.

        Returns:
            False if all of them were sent too often.
        """
        now, before = numbers.uids, self._numbers.uids
        changed = max(len(before - now), len(now - before)) > size // 2
        if size != self._size or changed:
            self._size, self._numbers = size, numbers
            self._times = [UidSet() for _ in range(UIDBATCHES_REPEATS_MAX + 1)]
        asked = UidSet([(first, last)])
        if not asked - self._times[-1]:
            return False
        for time in range(len(self._times) - 1, 0, -1):
            self._times[time] |= self._times[time - 1] & asked
        self._times[0] |= asked
        return True
