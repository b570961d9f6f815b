"""Server for a test: `imapvm demo` in its own directory, on free ports."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("imapvm"))


class Demo:
    """Running server, with the addresses and directories that it printed."""

    def __init__(self, process: subprocess.Popen, printed: dict[str, str], program: str) -> None:
        self.process = process
        self.program = program
        self.spool = Path(printed["spool"])
        self.filepool = Path(printed["filepool"])
        self.imap = _address(printed["imap"])
        self.imaps = _address(printed["imaps"]) if "imaps" in printed else None
        self.lmtp = _address(printed["lmtp"])


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


@contextmanager
def started(
    directory: Path, *options: str, samples: bool = False, program: str = PROGRAM
) -> Iterator[Demo]:
    """Run a server until the block ends; the block may kill it."""
    command = [
        program, "demo", "--dir", str(directory),
        "--imap-port", "0", "--imaps-port", "0", "--lmtp-port", "0",
        *([] if samples else ["--no-samples"]), *options,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = {}
        try:
            for line in process.stdout:
                key, _, value = line.strip().partition("=")
                printed[key] = value
                if line.strip() == "ready":
                    break
            else:
                raise AssertionError(f"the server ended with {process.wait()} before it was ready")
            yield Demo(process, printed, program)
        finally:
            process.terminate()
