"""STARTTLS (RFC 9051 section 6.2.1)."""

from imapvm._core import StartTls
from imapvm.commands.context import Context
from imapvm.commands.outcome import Done, Refusal


def starttls(ctx: Context, _command: StartTls) -> Done:
    """Answer OK in the clear, then shake hands.

    What the client sent behind STARTTLS without waiting for the OK was not encrypted, whoever
    wrote it: it is forgotten, never carried out.
    """
    if ctx.session.tls:
        raise Refusal("TLS is already in use", bad=True)
    if not ctx.channel.can_start_tls:
        raise Refusal("this server has no certificate", code="CANNOT")
    return Done("begin TLS now", afterwards=ctx.start_tls)
