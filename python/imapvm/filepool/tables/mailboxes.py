"""A mailbox as readers see it, and the table `names`."""

from typing import NamedTuple

from imapvm.filepool.tables.schema import NAME_ROW, MailboxRow, UsageRow, name_key, special_uses
from imapvm.filepool.tables.transactions import GroupTxn
from imapvm.model.ids import AccountId, MailboxId, ModSeq, Uid


class Mailbox(NamedTuple):
    """Mailbox as of one transaction."""

    id: MailboxId
    name: str
    special_use: tuple[str, ...]
    uid_validity: int
    uid_next: Uid
    highest_modseq: ModSeq
    messages: int
    unseen: int
    deleted: int
    size: int
    """Bytes of all messages."""
    recent_from: Uid
    """Messages from this UID on are recent for the next session that selects the mailbox."""
    keyword_sets: int
    """Number of combinations of keywords that were ever used in the mailbox."""
    changes_from: ModSeq
    """The change log is complete for changes after this MODSEQ."""
    shared_by: int = 0
    """Account that has the mailbox, if it is not the user's own; else 0."""


def mailbox_of(row: MailboxRow) -> Mailbox:
    """Return the mailbox of a row."""
    return Mailbox(
        row.id,
        row.name,
        special_uses(row.uses),
        row.uid_validity,
        Uid(row.uid_next),
        ModSeq(row.highest_modseq),
        row.messages,
        row.unseen,
        row.deleted,
        row.size,
        Uid(row.recent_from),
        row.keyword_sets,
        ModSeq(row.changes_from),
    )


def name_row(txn: GroupTxn, account: AccountId, name: str) -> tuple[MailboxId, bool]:
    """Return the mailbox of a name, or 0, and True if the name is subscribed."""
    stored = txn.get(name_key(account, name), txn.tables.names)
    mailbox, subscribed = NAME_ROW.unpack(stored) if stored else (0, 0)
    return MailboxId(mailbox), bool(subscribed)


def set_name(
    txn: GroupTxn, usage: UsageRow, name: str, mailbox: MailboxId | None, *, subscribed: bool
) -> None:
    """Set the row of a name; delete it if the name has no mailbox and no subscription."""
    key = name_key(usage.account, name)
    txn.edit(usage)
    usage.names -= txn.get(key, txn.tables.names) is not None
    if mailbox or subscribed:
        usage.names += 1
        txn.put(key, NAME_ROW.pack(mailbox or 0, subscribed), txn.tables.names)
    else:
        txn.delete(key, txn.tables.names)
