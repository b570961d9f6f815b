"""COMPARATOR (RFC 5255 section 4)."""

from imapvm._core import Comparator
from imapvm.commands.context import AccountContext
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.session.comparators import InvalidOrderError, matching


def comparator(ctx: AccountContext, command: Comparator) -> Done:
    """Choose the comparator of SEARCH, SORT and THREAD, or write the active one (section 4.7)."""
    words = []
    if command.orders:
        try:
            found = matching(command.orders)
        except InvalidOrderError as error:
            raise Refusal(f"invalid comparator {error}", bad=True) from error
        if not found:
            raise Refusal("no comparator matches", code="BADCOMPARATOR")
        ctx.session.comparator = found[0]
        if len(found) > 1:
            words = [f"({' '.join(one.name for one in found)})"]
    ctx.out.untagged(" ".join(["COMPARATOR", ctx.session.comparator.selected, *words]).encode())
    return DONE
