"""Directory for servers whose processes run as several users."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch(directory: Path | None = None) -> Iterator[Path]:
    """Yield a directory that other users may enter: a temporary one unless `directory` is given."""
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="imapvm-bench-") as made:
        Path(made).chmod(0o755)
        yield Path(made)
