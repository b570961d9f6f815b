"""A private server for a test: `imapvm demo` in a directory of its own, on free ports."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("imapvm"))


class Demo:
    """A server that runs, by what it printed."""

    def __init__(self, process: subprocess.Popen, said: dict[str, str]) -> None:
        self.process = process
        self.program = PROGRAM
        self.spool = Path(said["spool"])
        self.filepool = Path(said["filepool"])
        self.imap = _address(said["imap"])
        self.imaps = _address(said["imaps"]) if "imaps" in said else None
        self.lmtp = _address(said["lmtp"])


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


@contextmanager
def started(directory: Path, *options: str, samples: bool = False) -> Iterator[Demo]:
    """Serve until the block ends; a server that the block killed is just collected."""
    command = [
        PROGRAM, "demo", "--dir", str(directory),
        "--imap-port", "0", "--imaps-port", "0", "--lmtp-port", "0",
        *([] if samples else ["--no-samples"]), *options,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = {}
        try:
            for line in process.stdout:
                key, _, value = line.strip().partition("=")
                said[key] = value
                if line.strip() == "ready":
                    break
            else:
                raise AssertionError(f"the server ended with {process.wait()} before it was ready")
            yield Demo(process, said)
        finally:
            process.terminate()
