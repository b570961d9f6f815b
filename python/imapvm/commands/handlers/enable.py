"""ENABLE (RFC 5161, RFC 9051 section 6.3.1)."""

from imapvm._core import Enable
from imapvm.commands.context import Context
from imapvm.commands.outcome import Done
from imapvm.session.enabling import ENABLEABLE, newly_enabled


def enable(ctx: Context, command: Enable) -> Done:
    """Turn on what is known and was not on; say what that was."""
    session = ctx.session
    names = newly_enabled(command.names, session.enabled)
    session.enabled.update(names)
    ctx.reader.utf8 = session.utf8
    ctx.out.untagged(" ".join(["ENABLED", *(ENABLEABLE[name] for name in names)]).encode())
    return Done("enabled")
