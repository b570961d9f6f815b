"""Changes of mailboxes and accounts, as sessions need them."""

from typing import TypeAlias

from imapvm._core import UidSet
from imapvm.model.ids import AccountId, MailboxId, ModSeq
from imapvm.model.values import frozen


@frozen
class AccountChange:
    """Annotations, names, subscriptions or rights of an account have changed; 0: of any account."""

    account: AccountId


Changed: TypeAlias = MailboxId | AccountChange
"""Subject of a change: sessions that concern it read the store."""


@frozen
class MailboxChanges:
    """Changes of a mailbox after a mod-sequence: all, or the first ones.

    A UID is in `appended` even if it was expunged since, and in `flagged` whether it was appended
    or changed: the caller subtracts.
    """

    modseq: ModSeq
    """Mod-sequence up to which these are all changes: less than the mailbox's if there are more
    than one call reads."""
    appended: UidSet
    expunged: UidSet
    flagged: UidSet
    """UIDs whose flags may have changed, those of new messages excepted."""
    complete: bool
    """False if the change log no longer reaches back so far: compare with the index instead. Only
    `expunged` has all changes then, if `expunges_complete`."""
    expunges_complete: bool = True
    """False if older expunges are no longer logged: any UID without a message may be one."""
