"""What the commands of the selected state have in common."""

from imapvm._core import SequenceSet, UidSet
from imapvm.commands.context import Context, Refusal
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import AccountStore, Mailbox
from imapvm.session.view import View


def selected(ctx: Context) -> tuple[View, AccountStore]:
    """The selected mailbox as the client knows it, and the store; TABLE let nobody else through."""
    view, store = ctx.session.view, ctx.session.store
    assert view is not None
    assert store is not None
    return view, store


def wanted_uids(ctx: Context, wanted: SequenceSet, *, uid: bool) -> UidSet:
    """Look up a client's sequence-set in what the client knows.

    Raises:
        Refusal: BAD, for a message number that does not exist (RFC 9051 section 9, `seq-number`).
    """
    view, _ = selected(ctx)
    uids = view.numbers.select(wanted, uid=uid, saved=view.saved)
    if uids is None:
        raise Refusal(f"there are only {len(view.numbers)} messages", bad=True)
    return uids


def selected_row(view: View, reader: Reader) -> Mailbox:
    """The mailbox as it is in this transaction.

    Raises:
        Refusal: somebody deleted it; the BYE follows with the announcements.
    """
    mailbox = reader.mailbox_by_id(view.mailbox)
    if mailbox is None:
        raise Refusal("the selected mailbox was deleted", code="NONEXISTENT")
    return mailbox


def writable(view: View) -> None:
    """Refuse what changes a mailbox that was opened with EXAMINE (RFC 9051 section 6.3.3)."""
    if view.read_only:
        raise Refusal("the mailbox is selected read-only", code="READ-ONLY")


def gone() -> Refusal:
    """What a command that names message numbers says at its end where some are no more."""
    return Refusal("some of the messages have been expunged", code="EXPUNGEISSUED")
