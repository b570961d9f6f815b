"""Other processes that serve some of a dialogue's clients."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import trio
import trio.testing
from trio.lowlevel import wait_readable

from imapvm.server.shared.memory import SharedMemory
from imapvm.server.shared.wakeup import WorkerWakeup, new_eventfd

MESSAGE_MAX = 4096


class OtherProcess:
    """One other process, controlled by the test."""

    def __init__(self, index: int, memory: int, eventfds: list[int]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = json.dumps({"index": index, "memory": memory, "eventfds": eventfds})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.dialogues.processes", str(theirs.fileno()), words],
            pass_fds=[theirs.fileno(), memory, *eventfds],
            cwd=Path(__file__).parents[2],
        )
        theirs.close()
        self._socket = ours

    async def request(
        self, verb: str, *words: object, hand_over: socket.socket | None = None
    ) -> None:
        """Send a request to the process; return when it is done."""
        fds = [] if hand_over is None else [hand_over.fileno()]
        socket.send_fds(self._socket, [json.dumps([verb, *words]).encode()], fds)
        if hand_over is not None:
            hand_over.close()
        await wait_readable(self._socket)
        reply = self._socket.recv(MESSAGE_MAX)
        assert reply == b"done", reply

    def end(self) -> None:
        self._socket.close()
        self.process.wait(30)


class Processes:
    """Two other processes, and the memory and eventfds that they share with this one."""

    def __init__(self) -> None:
        self.memory = SharedMemory.create(3)
        self.fds = [new_eventfd() for _ in range(3)]
        self.others = [OtherProcess(index, self.memory.fd, self.fds) for index in (1, 2)]

    def wakeup(self) -> WorkerWakeup:
        """Return the wakeups of this process."""
        return WorkerWakeup(self.fds, self.memory.wakeup_states, 0)

    def end(self) -> None:
        for other in self.others:
            other.end()
        for fd in (self.memory.fd, *self.fds):
            os.close(fd)


# --- in the other process -----------------------------------------------------------------------


async def serve(control: socket.socket, wakeup: WorkerWakeup) -> None:
    """Serve one dialogue after the other, until the test closes the socket."""
    from tests.dialogues.host import ServerFiles, running

    while (request := await receive(control)) is not None:
        (verb, folder, certificate, key), _ = request
        assert verb == "open"
        files = ServerFiles(Path(folder), Path(certificate), Path(key))
        async with running(files, wakeup=wakeup, create=False) as host:
            control.send(b"done")
            while (request := await receive(control)) is not None:
                (verb, *words), fds = request
                if verb == "close":
                    break
                if verb == "administrators":
                    host.services.administrators = frozenset(words[0])
                elif verb == "connect":
                    host.serve(socket.socket(fileno=fds[0]), **words[0])
                else:
                    await trio.testing.wait_all_tasks_blocked(words[0])
                control.send(b"done")
        control.send(b"done")


async def receive(control: socket.socket) -> tuple[list, list[int]] | None:
    await wait_readable(control)
    data, fds, _, _ = socket.recv_fds(control, MESSAGE_MAX, 1)
    return (json.loads(data), fds) if data else None


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    words = json.loads(sys.argv[2])
    memory = SharedMemory(words["memory"], len(words["eventfds"]))
    trio.run(serve, control, WorkerWakeup(words["eventfds"], memory.wakeup_states, words["index"]))


if __name__ == "__main__":
    main()
