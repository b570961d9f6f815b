"""Least interval between log events."""

from imapvm.model.logs import LogInterval


def test_events_within_the_interval_are_skipped_and_counted():
    interval = LogInterval(60)
    assert [interval.skipped(now) for now in (5, 5, 64.9, 65, 66, 124.9, 125)] == [
        0, None, None, 2, None, None, 2,
    ]  # fmt: skip
