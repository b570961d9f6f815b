"""Repetition of UIDBATCHES (RFC 10022 section 3.1)."""

import pytest

from imapvm._core import UidMap, UidSet
from imapvm.model.limits import UIDBATCHES_REPEATS_MAX
from imapvm.session.served_batches import ServedBatches


def mailbox(first: int, last: int) -> UidMap:
    return UidMap(UidSet([(first, last)]))


@pytest.mark.at_limit("UIDBATCHES_REPEATS_MAX")
@pytest.mark.past_limit("UIDBATCHES_REPEATS_MAX")
def test_the_same_batches_are_served_again_so_many_times():
    served, numbers = ServedBatches(), mailbox(1, 10_000)
    assert served.serve(numbers, 500, 1, 10)
    for _ in range(UIDBATCHES_REPEATS_MAX):
        assert served.serve(numbers, 500, 1, 10)
    assert not served.serve(numbers, 500, 1, 10)
    assert not served.serve(numbers, 500, 3, 4)
    assert served.serve(numbers, 500, 10, 11)  # one of them is new
    assert served.serve(numbers, 1000, 1, 10)  # so are others of another size


def test_pages_that_overlap_are_never_refused():
    served, numbers = ServedBatches(), mailbox(1, 1_000_000)
    for page in range(1, 2000, 10):
        assert served.serve(numbers, 500, page, page + 10)


@pytest.mark.parametrize(
    ("after", "allowed"),
    [
        ((251, 10_000), False),  # expunged: half a batch
        ((252, 10_000), True),
        ((1, 10_250), False),  # arrived
        ((1, 10_251), True),
        ((201, 10_200), False),
        ((1, 10_000), False),
    ],
)
def test_after_more_than_half_a_batch_has_changed_they_are_served_again(after, allowed):
    served, numbers = ServedBatches(), mailbox(1, 10_000)
    while served.serve(numbers, 500, 1, 20):
        pass
    assert served.serve(mailbox(*after), 500, 1, 20) == allowed
