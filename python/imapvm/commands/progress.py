"""Progress of long commands: untagged OK with INPROGRESS (RFC 9585)."""

from typing import Final, final

import trio

from imapvm._core import ResponseWriter
from imapvm.commands.idlers import Channel

INPROGRESS_SECONDS: Final = 10.0
"""Between two responses, and before the first one; RFC 9585 section 4 recommends 10 to 15."""
LARGEST_GOAL: Final = 2**32 - 1
"""Largest number of the grammar."""


@final
class Progress:
    """Progress of one command, in messages.

    Handlers call `report` between two steps, while no response is half written. It never waits: to
    a client that does not read, nothing is sent.
    """

    __slots__ = ("_channel", "_goal", "_out", "_sent_at", "_tag", "done")

    def __init__(self, channel: Channel, out: ResponseWriter, tag: bytes, goal: int) -> None:
        """Start to measure the time.

        Args:
            channel: the client's.
            out: is sent with the response.
            tag: of the command.
            goal: messages that the command works on.
        """
        self._channel = channel
        self._out = out
        # A tag with "]" would end the response code (RFC 9585 section 4).
        self._tag = "NIL" if b"]" in tag else f'"{tag.decode("ascii")}"'
        self._goal = min(goal, LARGEST_GOAL)
        self._sent_at = trio.current_time()
        self.done = 0
        """Messages that the command has worked on."""

    def report(self, done: int) -> None:
        """Note the messages done; send INPROGRESS if INPROGRESS_SECONDS have passed."""
        self.done = done
        if trio.current_time() - self._sent_at < INPROGRESS_SECONDS:
            return
        self._sent_at = trio.current_time()
        if self._channel.waiting:
            return
        state = f"{done} {self._goal}" if done < self._goal else "NIL NIL"
        self._out.condition("OK", "in progress", f"INPROGRESS ({self._tag} {state})")
        self._channel.write_nowait(self._out.take())

    async def report_forever(self) -> None:
        """Report while the command waits for other threads, until cancelled."""
        while True:
            await trio.sleep_until(self._sent_at + INPROGRESS_SECONDS)
            self.report(self.done)
