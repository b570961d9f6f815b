"""LIST, basic and extended, and LSUB (RFC 9051 section 6.3.9, RFC 3501 section 6.3.9)."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Final, NamedTuple

from imapvm._core import List, Lsub
from imapvm.commands.context import SEND_BYTES, AccountContext, Context
from imapvm.commands.handlers.mailboxes.acl import write_my_rights
from imapvm.commands.handlers.mailboxes.hierarchy import (
    SHARED_MAILBOX,
    Listed,
    Selection,
    list_matcher,
    may_match_shared,
    select_names,
)
from imapvm.commands.handlers.mailboxes.metadata import (
    Answer,
    Requested,
    requested,
    write_annotations,
)
from imapvm.commands.handlers.mailboxes.names import encoded
from imapvm.commands.handlers.mailboxes.status import (
    DELETED_STORAGE,
    check_items,
    deleted_size,
    write_status,
)
from imapvm.commands.list_lines import attributes_of, list_line
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.filepool.errors import PermissionDeniedError
from imapvm.filepool.reading import Reader
from imapvm.filepool.store import Mailbox
from imapvm.model.ids import MailboxId
from imapvm.model.names import DELIMITER
from imapvm.model.rights import Rights

CRITERIA: Final = ("SUBSCRIBED", "SPECIAL-USE")
"""Selection options that are criteria of a name, as CHILDINFO lists them."""
KNOWN_SELECTION: Final = frozenset({*CRITERIA, "REMOTE", "RECURSIVEMATCH"})
"""REMOTE adds remote mailboxes; there are none (RFC 9051 section 6.3.9.1)."""
KNOWN_RETURNS: Final = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "MYRIGHTS"})


async def list_(ctx: AccountContext, command: List) -> Done:
    """List names; with RETURN (STATUS …) and (METADATA …) also those of each mailbox."""
    _check_options(ctx, command)
    entries = None if command.metadata is None else requested(command.metadata)
    if not command.extended and command.patterns == ("",):
        # The delimiter, and an empty root: no reference is rooted (section 6.3.9).
        ctx.out.untagged(rb'LIST (\Noselect) "%b" ""' % DELIMITER.encode())
        return DONE
    matcher = list_matcher(ctx, command.reference, command.patterns)
    criteria: list[str] = [option for option in CRITERIA if option in command.selection]
    recursive = "RECURSIVEMATCH" in command.selection
    names = await select_names(
        ctx,
        matcher,
        Selection(
            subscribed="SUBSCRIBED" in criteria,
            special_use="SPECIAL-USE" in criteria,
            recursive=recursive,
        ),
        shared=may_match_shared(command.reference, command.patterns),
    )
    options = _Options(
        rev1=not command.extended and not ctx.session.rev2,
        subscribed="SUBSCRIBED" in command.selection | command.returns,
        child_criteria=criteria if recursive else [],
        status=command.status,
        my_rights="MYRIGHTS" in command.returns,
        children="CHILDREN" in command.returns or ctx.session.offers("CHILDREN"),
        special_use=ctx.session.offers("SPECIAL-USE"),
    )
    for chunk in names.chunks():
        if entries is not None:
            for listed in chunk:
                await _write_with_metadata(ctx, listed, options, entries)
            continue
        sizes = await _deleted_sizes(ctx, chunk, options)
        for is_shared, some in groupby(chunk, lambda listed: listed.mailbox == SHARED_MAILBOX):
            if is_shared:  # UNSEEN of each may take a millisecond
                for listed in some:
                    _write_shared(ctx, listed, options, sizes)
                    await ctx.yield_control()
            else:
                with ctx.store.reading() as reader:
                    for listed in some:
                        _write_listed(ctx, reader, listed, options, sizes)
        await _send(ctx)
    return DONE


class _Options(NamedTuple):
    """Options that are the same for all names of a LIST."""

    rev1: bool
    subscribed: bool
    child_criteria: list[str]
    status: tuple[str, ...] | None
    my_rights: bool
    children: bool
    special_use: bool


async def _deleted_sizes(
    ctx: AccountContext, chunk: Sequence[Listed], options: _Options
) -> dict[str, int]:
    """Return name → value of DELETED-STORAGE, if it was requested."""
    if options.status is None or DELETED_STORAGE not in options.status:
        return {}
    sizes: dict[str, int] = {}
    for listed in chunk:
        if not listed.mailbox or not listed.meets_criteria:
            continue
        store, mailbox = ctx.store, MailboxId(listed.mailbox)
        if listed.mailbox == SHARED_MAILBOX:
            store, name = ctx.locate(listed.name)
            with store.reading() as reader:
                mailbox = reader.mailbox_id(name) or MailboxId(0)
        sizes[listed.name] = await deleted_size(ctx, store, mailbox)
        await ctx.yield_control()
    return sizes


async def _write_with_metadata(
    ctx: AccountContext, listed: Listed, options: _Options, entries: Sequence[Requested]
) -> None:
    """Write LIST of a name, and METADATA of its mailbox (RFC 9590 section 4).

    A mailbox that is deleted meanwhile, or whose annotations the user may not read, has none.
    """
    store = ctx.store
    if listed.mailbox == SHARED_MAILBOX:
        store, _ = ctx.locate(listed.name)
    sizes = await _deleted_sizes(ctx, [listed], options)
    with ctx.store.reading() as reader:
        mailbox = _write_listed(ctx, reader, listed, options, sizes)
    if mailbox is not None and listed.meets_criteria:
        answer = Answer(ctx, mailbox.name)
        with suppress(Refusal, PermissionDeniedError):
            await write_annotations(ctx, answer, store, mailbox.id, entries)
    await _send(ctx)


def _write_listed(
    ctx: AccountContext,
    reader: Reader,
    listed: Listed,
    options: _Options,
    sizes: Mapping[str, int],
    shared: Mailbox | None = None,
) -> Mailbox | None:
    """Write LIST of a name, with STATUS and MYRIGHTS; return the mailbox.

    Args:
        ctx: gets the responses.
        reader: of the user's own account, or of that of `shared`.
        listed: the name.
        options: of the command.
        sizes: name → value of DELETED-STORAGE.
        shared: the mailbox, if it is of another user and has been found.
    """
    if shared is not None:
        mailbox: Mailbox | None = shared
    elif listed.mailbox == SHARED_MAILBOX:
        return _write_shared(ctx, listed, options, sizes)
    else:
        mailbox = reader.mailbox_by_id(MailboxId(listed.mailbox)) if listed.mailbox else None
        if listed.mailbox and (mailbox is None or mailbox.name != listed.name):
            return None  # deleted or renamed since it was selected
    attributes = attributes_of(
        mailbox,
        rev1=options.rev1,
        subscribed=listed.subscribed and options.subscribed,
        has_children=listed.has_children if options.children else None,
        special_use=options.special_use,
    )
    child_criteria = options.child_criteria if listed.child_meets_criteria else ()
    line = list_line(b"LIST", attributes, encoded(ctx, listed.name))
    if child_criteria:
        quoted = " ".join(f'"{option}"' for option in child_criteria)
        line += b' ("CHILDINFO" (%b))' % quoted.encode()
    ctx.out.untagged(line)
    if mailbox is None or not listed.meets_criteria:
        return mailbox
    if options.status is not None and Rights.READ in reader.rights(mailbox.id):
        size = sizes.get(listed.name, 0)
        write_status(ctx, reader, mailbox, options.status, deleted_size=size)
    if options.my_rights:
        write_my_rights(ctx, mailbox, reader.rights(mailbox.id))
    return mailbox


def _write_shared(
    ctx: AccountContext, listed: Listed, options: _Options, sizes: Mapping[str, int]
) -> Mailbox | None:
    """Write LIST of a mailbox of another user, unless it is gone or cannot be seen any more."""
    store, name = ctx.locate(listed.name)
    with store.reading() as reader:
        mailbox = reader.find(name, Rights.LOOKUP)
        if mailbox is None or mailbox.name != listed.name:
            return None
        return _write_listed(ctx, reader, listed, options, sizes, mailbox)


def _check_options(ctx: AccountContext, command: List) -> None:
    unknown = (command.selection - KNOWN_SELECTION) | (command.returns - KNOWN_RETURNS)
    if unknown:
        raise Refusal(f"unknown LIST option {' '.join(sorted(unknown))}", bad=True)
    if "RECURSIVEMATCH" in command.selection and not command.selection & set(CRITERIA):
        raise Refusal("cannot LIST RECURSIVEMATCH without another selection option", bad=True)
    if command.status is not None:
        check_items(ctx, command.status)


async def lsub(ctx: AccountContext, command: Lsub) -> Done:
    r"""List subscribed names.

    A name that is not subscribed is listed, as \Noselect, if a name below it is subscribed and "%"
    in the pattern ends before that (RFC 3501 section 6.3.9).
    """
    if not command.pattern:
        ctx.out.untagged(rb'LSUB (\Noselect) "%b" ""' % DELIMITER.encode())
        return DONE
    matcher = list_matcher(ctx, command.reference, (command.pattern,))
    # Subscriptions are the user's own, and LSUB says nothing of the mailboxes.
    selection = Selection(subscribed=True, recursive=True)
    names = await select_names(ctx, matcher, selection, shared=False)
    for chunk in names.chunks():
        for listed in chunk:
            attributes = [] if listed.meets_criteria else [r"\Noselect"]
            ctx.out.untagged(list_line(b"LSUB", attributes, encoded(ctx, listed.name)))
        await _send(ctx)
    return DONE


async def _send(ctx: Context) -> None:
    """Send what is in `out` if it is much; let other tasks run if the turn is over."""
    if len(ctx.out) >= SEND_BYTES:
        await ctx.flush()
    await ctx.yield_control()


def write_list(ctx: AccountContext, reader: Reader, mailbox: Mailbox) -> None:
    """Write LIST of one mailbox, for SELECT in IMAP4rev2 (RFC 9051 section 6.3.2)."""
    attributes = attributes_of(
        mailbox,
        rev1=False,
        subscribed=reader.is_subscribed(mailbox.name),
        has_children=reader.has_children(mailbox.name),
    )
    ctx.out.untagged(list_line(b"LIST", attributes, encoded(ctx, mailbox.name)))
