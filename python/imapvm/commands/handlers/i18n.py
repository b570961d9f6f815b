"""COMPARATOR and LANGUAGE (RFC 5255)."""

from imapvm._core import Comparator, Language
from imapvm.commands.context import AccountContext, Context
from imapvm.commands.handlers.mailboxes.mailboxes import write_namespaces
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.session.comparators import InvalidOrderError, matching
from imapvm.session.languages import LANGUAGES, InvalidRangeError, find_language


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


def language(ctx: Context, command: Language) -> Done:
    """Choose the language of human-readable text, or list the languages (section 3.2).

    A language that translates namespaces is followed by NAMESPACE, and so is the return from it.
    """
    if not command.ranges:
        ctx.out.untagged(f"LANGUAGE ({' '.join(one.tag for one in LANGUAGES)})".encode())
        return DONE
    try:
        found = find_language(command.ranges)
    except InvalidRangeError as error:
        raise Refusal(f"invalid language range {error}", bad=True) from error
    if found is None:
        raise Refusal(f"unsupported language {' '.join(command.ranges)}", code="CANNOT")
    before = ctx.session.language
    ctx.session.language = found
    ctx.out.set_translation(None if found.is_english else found.translate)
    ctx.out.untagged(f"LANGUAGE ({found.tag})".encode())
    if ctx.session.store is not None and found.namespaces is not before.namespaces:
        write_namespaces(ctx)
    return DONE
