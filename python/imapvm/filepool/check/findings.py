"""Findings of a check, and their repair."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from imapvm.filepool.engine.transactions import LmdbTxn, Table, WriteTxn

Txn = TypeVar("Txn", bound=WriteTxn)

FINDINGS_MAX: Final = 10_000
"""Findings that are reported for one environment; repair these to see more."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Violated invariant."""

    sentence: str
    repaired: bool = False

    def __str__(self) -> str:
        return f"{self.sentence} (repaired)" if self.repaired else self.sentence


class Findings(Generic[Txn]):
    """Findings in one environment, each with its repair, if there is one.

    Args:
        wrap: makes the transaction for repairs.
    """

    def __init__(self, wrap: Callable[[LmdbTxn], Txn]) -> None:
        self._wrap = wrap
        self._found: list[tuple[str, Callable[[Txn], object] | None]] = []

    def add(self, sentence: str, fix: Callable[[Txn], object] | None = None) -> None:
        """Add a finding."""
        if len(self._found) < FINDINGS_MAX:
            self._found.append((sentence, fix))

    def report(self) -> list[Finding]:
        """Return the findings."""
        return [Finding(sentence) for sentence, _ in self._found]

    def repair(self, raw: LmdbTxn) -> list[Finding]:
        """Repair in the transaction of the check; return the findings."""
        txn = self._wrap(raw)
        findings = []
        for sentence, fix in self._found:
            if fix is not None:
                fix(txn)
            findings.append(Finding(sentence, repaired=fix is not None))
        txn.flush()
        return findings


def put_row(table: Table, key: bytes, value: bytes) -> Callable[[WriteTxn], object]:
    """Return a repair that writes a row."""

    def repair(txn: WriteTxn) -> None:
        txn.put(key, value, table)

    return repair


def delete_row(table: Table, key: bytes) -> Callable[[WriteTxn], object]:
    """Return a repair that deletes a row."""

    def repair(txn: WriteTxn) -> None:
        txn.delete(key, table)

    return repair
