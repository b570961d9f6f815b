"""Changes of a mailbox, as a session needs them."""

from dataclasses import dataclass

from imapvm._core import UidSet
from imapvm.model.ids import ModSeq


@dataclass(frozen=True, slots=True)
class MailboxChanges:
    """All changes of a mailbox after a mod-sequence.

    A UID is in `appended` even if it was expunged since, and in `flagged` whether it was appended
    or changed: the caller subtracts.
    """

    modseq: ModSeq
    """The mailbox's highest mod-sequence now."""
    appended: UidSet
    expunged: UidSet
    flagged: UidSet
    """UIDs whose flags may have changed, those of new messages excepted."""
    complete: bool
    """False if the change log no longer reaches back so far: compare with the index instead."""
