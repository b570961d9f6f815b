"""NAMESPACE (RFC 2342, RFC 9051 section 6.3.10)."""

from imapvm._core import Namespace
from imapvm.commands.context import Context
from imapvm.commands.outcome import Done
from imapvm.model.names import DELIMITER


def namespace(ctx: Context, _command: Namespace) -> Done:
    """One personal namespace; no other users', no shared ones."""
    ctx.out.untagged(f'NAMESPACE (("" "{DELIMITER}")) NIL NIL'.encode())
    return Done("that is all")
