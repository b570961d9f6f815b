"""A certificate of one's own making, for demonstrations: nobody trusts it, everything works."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

DAYS: Final = 3650
SECONDS: Final = 30
"""`openssl` takes a tenth of one; it could wait for a broken random source, and we not for it."""


class NoCertificateError(Exception):
    """None could be made; the sentence says why."""


def self_signed(directory: Path, *, hostname: str = "localhost") -> tuple[Path, Path]:
    """Make a certificate and a key (ECDSA P-256) with the `openssl` command, once.

    Args:
        directory: gets `certificate.pem` and `key.pem` (mode 0600); those that are there stay.
        hostname: what it is made out to, beside `localhost` and the loopback addresses.

    Returns:
        Paths of certificate and key.

    Raises:
        NoCertificateError: `openssl` is missing, or did not do it.
    """
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    if certificate.exists() and key.exists():
        return certificate, key
    program = shutil.which("openssl")
    if program is None:
        raise NoCertificateError("a certificate cannot be made: there is no openssl command here")
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
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise NoCertificateError(f"a certificate cannot be made: {fault}") from fault
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise NoCertificateError(
            f"a certificate cannot be made: openssl: {(said or ['failed'])[-1]}"
        )
    # The key first: a certificate without one would look as if it were all there.
    new_key.replace(key)
    new_certificate.replace(certificate)
    return certificate, key
