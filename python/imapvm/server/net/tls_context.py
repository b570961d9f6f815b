"""Certificate and key as OpenSSL wants them. Needs no event loop: the master looks at them too."""

import ssl
from pathlib import Path

from imapvm.server.settings import CertificateError


def server_context() -> ssl.SSLContext:
    """TLS of the server's side, without a certificate yet (RFC 8314, 9325)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996: nothing older
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.num_tickets = 1  # two are the default, each one more encryption and send
    context.set_alpn_protocols(["imap"])
    return context


def load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Have handshakes from now on use a PEM chain and its key.

    Raises:
        CertificateError: not readable, not PEM, or they do not belong together; what was in use
            stays.
    """
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as fault:  # SSLError is an OSError
        raise CertificateError(f"certificate {certificate} with key {key}: {_reason(fault)}") from (
            fault
        )


def _no_password() -> str:
    raise ValueError("the key is encrypted, and nobody can be asked for its password")


def _reason(fault: Exception) -> str:
    if isinstance(fault, ssl.SSLError):
        return fault.reason or "not a PEM certificate and key"
    return getattr(fault, "strerror", None) or str(fault)
