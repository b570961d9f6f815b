"""Command blocks of docs/operations.md."""

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
HANDBOOK = ROOT / "docs/operations.md"


def blocks(section: str) -> list[str]:
    """Return the indented blocks of a `## ` section or after a `**bold**` term, in order."""
    text = HANDBOOK.read_text()
    if section.startswith("**"):
        start = text.index(f"\n{section}")
        end = re.search(r"\n(\*\*|## )", text[start + len(section) :])
    else:
        start = text.index(f"\n## {section}\n")
        end = re.search(r"\n(## |\*\*)", text[start + 4 :])
    stop = start + len(section) + end.start() if end else len(text)
    found = re.findall(
        r"(?:(?<=\n\n)|(?<=\A))(?: {4}.*\n(?:\n(?= {4}))?)+", text[start:stop] + "\n"
    )
    return [textwrap.dedent(block) for block in found]
