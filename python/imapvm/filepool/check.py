"""Proof of the filepool's invariants; repairs only when told to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imapvm.filepool.accounts import Accounts
    from imapvm.filepool.group import Group


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold."""

    sentence: str
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check has found."""

    findings: tuple[Finding, ...]


def check_filepool(accounts: "Accounts", groups: "Sequence[Group]", *, repair: bool) -> CheckReport:
    return CheckReport(())
