"""Self-signed certificates for demonstrations."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

DAYS: Final = 3650
OPENSSL_SECONDS: Final = 30
"""`openssl` takes 0.1 s; it may block if there is no random source, and must not block us."""


class NoCertificateError(Exception):
    """No certificate could be made; the text gives the reason."""


def self_signed(directory: Path, *, hostname: str = "localhost") -> tuple[Path, Path]:
    """Make a certificate and a key (ECDSA P-256) with the `openssl` command, once.

    Args:
        directory: gets `certificate.pem` and `key.pem` (mode 0600); existing files stay.
        hostname: subject, beside `localhost` and the loopback addresses.

    Returns:
        Paths of certificate and key.

    Raises:
        NoCertificateError: `openssl` is missing or failed.
    """
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    if certificate.exists() and key.exists():
        return certificate, key
    program = shutil.which("openssl")
    if program is None:
        raise NoCertificateError("cannot make a certificate: openssl not found; install openssl")
    directory.mkdir(parents=True, exist_ok=True)
    new_certificate, new_key = directory / "certificate.new", directory / "key.new"
    os.close(os.open(new_key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    names = ",".join(dict.fromkeys((f"DNS:{hostname}", "DNS:localhost", "IP:127.0.0.1", "IP:::1")))
    command = [
        program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", str(DAYS), "-subj", f"/CN={hostname}", "-addext", f"subjectAltName={names}",
        "-keyout", str(new_key), "-out", str(new_certificate),
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603  # no shell; the program was found, the rest is ours
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=OPENSSL_SECONDS,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoCertificateError(f"cannot make a certificate: {error}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise NoCertificateError(f"cannot make a certificate: openssl: {(lines or ['failed'])[-1]}")
    # The key first: a certificate without a key would look complete.
    new_key.replace(key)
    new_certificate.replace(certificate)
    return certificate, key
