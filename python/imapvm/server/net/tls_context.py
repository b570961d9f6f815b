"""TLS contexts of OpenSSL. Needs no event loop: the master process checks certificates too."""

import ssl
from pathlib import Path

from imapvm.server.settings import CertificateError


def server_context() -> ssl.SSLContext:
    """Return a server context without a certificate (RFC 8314, 9325)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996: nothing older
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.num_tickets = 1  # two are the default, each one more encryption and send
    context.set_alpn_protocols(["imap"])
    return context


def load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Load a PEM chain and its key, for handshakes from now on.

    Raises:
        CertificateError: not readable, not PEM, or key and certificate do not match; the
            certificate in use stays.
    """
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise CertificateError(
            f"cannot load certificate {certificate} with key {key}: {_reason(error)}"
        ) from error


def _no_password() -> str:
    raise ValueError("the key is encrypted; store it without a password")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not a PEM certificate and key"
    return getattr(error, "strerror", None) or str(error)
