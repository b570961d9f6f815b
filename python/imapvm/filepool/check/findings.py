"""What a check finds, and how it can be mended."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from imapvm.filepool.engine.transactions import LmdbTxn, Table, WriteTxn

Txn = TypeVar("Txn", bound=WriteTxn)

FINDINGS_MAX: Final = 10_000
"""Findings that are kept of one environment; what is beyond is found when these are repaired."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold."""

    sentence: str
    repaired: bool = False

    def __str__(self) -> str:
        return f"{self.sentence} (repaired)" if self.repaired else self.sentence


class Findings(Generic[Txn]):
    """Findings about one environment, each with what mends it, if something can.

    Args:
        wrap: makes the transaction in which things are mended.
    """

    def __init__(self, wrap: Callable[[LmdbTxn], Txn]) -> None:
        self._wrap = wrap
        self._found: list[tuple[str, Callable[[Txn], object] | None]] = []

    def add(self, sentence: str, fix: Callable[[Txn], object] | None = None) -> None:
        """Something does not hold."""
        if len(self._found) < FINDINGS_MAX:
            self._found.append((sentence, fix))

    def report(self) -> list[Finding]:
        """What was found."""
        return [Finding(sentence) for sentence, _ in self._found]

    def repair(self, raw: LmdbTxn) -> list[Finding]:
        """Mend what can be mended, in the transaction in which it was found."""
        txn = self._wrap(raw)
        findings = []
        for sentence, fix in self._found:
            if fix is not None:
                fix(txn)
            findings.append(Finding(sentence, repaired=fix is not None))
        txn.flush()
        return findings


def put_row(table: Table, key: bytes, value: bytes) -> Callable[[WriteTxn], object]:
    """Mends by writing a row."""

    def fix(txn: WriteTxn) -> None:
        txn.put(key, value, table)

    return fix


def delete_row(table: Table, key: bytes) -> Callable[[WriteTxn], object]:
    """Mends by removing a row."""

    def fix(txn: WriteTxn) -> None:
        txn.delete(key, table)

    return fix
