r"""URLs of CATENATE (RFC 4469, RFC 5092): bytes of messages that the user can read.

They are read as FETCH of BODY.PEEK[…] reads them, in steps, and written to the new message: no part
is in memory as a whole, and `\Seen` is not set. NUL is copied as it is.
"""

from typing import Final

from imapvm._core import AppendUrl, SectionStream
from imapvm.commands.context import AccountContext
from imapvm.commands.outcome import Refusal
from imapvm.filepool.store import AccountStore, BodyWriter
from imapvm.model.limits import MESSAGE_MAX, URL_MAX

STEP_BYTES: Final = 64 * 1024
"""Read and packed at a time, in a millisecond or two."""
SAFE: Final = frozenset(range(0x21, 0x7F)) - frozenset(b'"\\]')
"""Characters of a URL that a quoted response code can include."""


async def catenate_url(ctx: AccountContext, writer: BodyWriter, url: AppendUrl) -> None:
    """Add the bytes that a URL names to a message.

    Raises:
        Refusal: BADURL, or TOOBIG (RFC 4469 section 4).
        BodyGoneError: the message was expunged while it was read, and the grace period is over.
    """
    store, stream = _open(ctx, url)
    if writer.size + stream.length > MESSAGE_MAX:
        raise Refusal(f"message is larger than {MESSAGE_MAX} bytes", code="TOOBIG")
    left = stream.length
    while left:
        with store.reading() as reader:
            data = reader.read_section(stream, STEP_BYTES)
        left -= len(data)
        if writer.feed(data):
            await writer.spill()
        await ctx.yield_control()
    await ctx.yield_control()


def _open(ctx: AccountContext, url: AppendUrl) -> tuple[AccountStore, SectionStream]:
    if len(url.received) > URL_MAX:
        raise Refusal(f"URL over {URL_MAX} bytes", code="LIMIT")
    target = url.target
    if target is None:
        raise _bad_url(url, "not the URL of a message on this server")
    store = ctx.session.shared or ctx.store
    name = ""
    if target.mailbox is not None:
        store, name = ctx.locate(target.mailbox)
    with store.reading() as reader:
        if target.mailbox is not None:
            mailbox = reader.mailbox(name)
        elif ctx.session.view is not None:
            mailbox = reader.mailbox_by_id(ctx.session.view.mailbox)
        else:
            raise _bad_url(url, "no mailbox is selected")
        if mailbox is None:
            raise _bad_url(url, "mailbox does not exist")
        if target.uid_validity not in (None, mailbox.uid_validity):
            raise _bad_url(url, "UIDVALIDITY has changed")
        stream = reader.section(mailbox, target)
    if stream is None:
        raise _bad_url(url, "no such message or part")
    return store, stream


def _bad_url(url: AppendUrl, reason: str) -> Refusal:
    """Return the NO with the URL as it was sent; other characters are percent-encoded."""
    sent = "".join(chr(byte) if byte in SAFE else f"%{byte:02X}" for byte in url.received)
    return Refusal(f"cannot resolve URL: {reason}", code=f'BADURL "{sent}"')
