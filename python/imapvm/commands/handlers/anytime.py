"""CAPABILITY, NOOP, LOGOUT, ID, ENABLE, COMPRESS, IDLE: commands without a mailbox."""

import logging
from collections.abc import Mapping
from typing import Final

from imapvm._core import (
    Capability,
    Compress,
    Enable,
    Id,
    Idle,
    IdleDone,
    Logout,
    Malformed,
    Noop,
    imap_string,
)
from imapvm.commands.annotations import watch_annotations
from imapvm.commands.context import AccountContext, Context
from imapvm.commands.outcome import DONE, Done, Refusal
from imapvm.session.capabilities import ENABLEABLE, Facts, capabilities, newly_enabled

LOG: Final = logging.getLogger(__name__)

CLIENT_CHARS: Final = 100
"""Characters of a client's name and version that are kept; a client may send thousands."""


def offered(ctx: Context) -> str:
    """Return the capabilities that are offered to this client now."""
    session = ctx.session
    return capabilities(
        Facts(
            state=session.state,
            can_start_tls=ctx.channel.can_start_tls,
            password_allowed=session.password_allowed,
            compressed=ctx.channel.is_compressed,
            administrator=ctx.is_administrator,
            message_limit=ctx.services.message_limit.messages,
            save_limit=ctx.services.message_limit.saved,
        ),
        session.disabled.names,
    )


def capability(ctx: Context, _command: Capability) -> Done:
    """Write CAPABILITY, which changes with TLS and with login (RFC 9051 section 6.1.1)."""
    ctx.out.untagged(f"CAPABILITY {offered(ctx)}".encode())
    return DONE


def noop(_ctx: Context, _command: Noop) -> Done:
    """Do nothing; dispatch writes the updates (RFC 9051 section 6.1.2)."""
    return DONE


def logout(ctx: Context, _command: Logout) -> Done:
    """Write BYE; the connection closes after the tagged OK (RFC 9051 section 6.1.3)."""
    ctx.out.condition("BYE", "logging out")
    ctx.session.end()
    return DONE


def identify(ctx: Context, command: Id) -> Done:
    """Write ID (RFC 2971 section 3.1), and CAPABILITY if a rule for the client changes it.

    The client's own ID is used for logs and for these rules only. CAPABILITY may be sent at any
    time (RFC 9051 section 7.2.2).
    """
    session = ctx.session
    fields = {name.lower(): value or "" for name, value in command.params}
    if session.client is None:
        session.client = _client_of(fields)
        if session.client is not None and session.user is not None:  # else `login` has it
            LOG.info("client identified", extra={**session.log_fields(), "client": session.client})
    version = imap_string(ctx.services.version.encode())
    ctx.out.untagged(b'ID ("name" "imapvm" "version" %b)' % version)
    if "name" in fields:
        _apply_rules(ctx, fields)
    return DONE


def _apply_rules(ctx: Context, fields: Mapping[str, str]) -> None:
    """Disable what the rules for this client say; write CAPABILITY if that changes it."""
    rules = ctx.services.capability_rules
    disabled = rules.for_client(fields["name"], fields.get("version", ""))
    if disabled.names != ctx.session.disabled.names:
        before = offered(ctx)
        ctx.disable(disabled)
        if (after := offered(ctx)) != before:
            ctx.out.untagged(f"CAPABILITY {after}".encode())


def _client_of(fields: Mapping[str, str]) -> str | None:
    """Return name and version of a mail program; None if it sent neither."""
    words = [value for name in ("name", "version") if (value := fields.get(name))]
    return " ".join(words)[:CLIENT_CHARS] or None


def enable(ctx: AccountContext, command: Enable) -> Done:
    """Turn on extensions, and list those that were off (RFC 5161, RFC 9051 section 6.3.1)."""
    session = ctx.session
    names = newly_enabled(command.names, session.enabled, session.disabled.names)
    session.enabled.update(names)
    if not session.enabled.isdisjoint(("CONDSTORE", "QRESYNC")):
        ctx.enable_condstore()
    if not session.enabled.isdisjoint(("METADATA", "METADATA-SERVER")):
        watch_annotations(session, ctx.store)
    ctx.reader.utf8 = session.utf8
    if "UTF8=ACCEPT" in names:
        ctx.update_syntax()
    ctx.out.untagged(" ".join(["ENABLED", *(ENABLEABLE[name] for name in names)]).encode())
    return DONE


def compress(ctx: Context, _command: Compress) -> Done:
    """Write OK as it is; all that follows is compressed, in both directions (RFC 4978 section 3).

    Commands received together with COMPRESS are not compressed. The client must not send them, and
    they are run, so COMPRESS is refused.
    """
    if ctx.channel.is_compressed:
        text = "cannot COMPRESS: DEFLATE is already active"
        raise Refusal(text, code="COMPRESSIONACTIVE", bad=True)
    if ctx.reader.buffered:
        raise Refusal("cannot COMPRESS: commands follow before its response", bad=True)
    return Done(afterwards=ctx.start_compression)


async def idle(ctx: Context, _command: Idle) -> Done:
    """Send updates as they occur, until DONE (RFC 2177, RFC 9051 section 6.3.13).

    Without a selected mailbox there are no updates, and the connection stays open.
    """
    ctx.out.prompt("idling")
    await ctx.flush()
    match await ctx.idle():
        case IdleDone():
            return DONE
        case Malformed() as malformed:
            raise Refusal(f"DONE ends IDLE: {malformed.message}", malformed.code, bad=True)
        case other:
            raise AssertionError(f"{other!r} inside IDLE")
