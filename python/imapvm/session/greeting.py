"""The first line (RFC 9051 section 7.1)."""

from imapvm._core import ResponseWriter


def greet(out: ResponseWriter, capabilities: str) -> None:
    """`* OK`, with what the client would ask for next."""
    out.condition("OK", "imapvm ready", f"CAPABILITY {capabilities}")
