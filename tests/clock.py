"""Clock that a test sets."""


class Clock:
    """Clock that stays at `now` until the test changes it."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
