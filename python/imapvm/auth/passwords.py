"""Passwords as they are kept, and whether one is right. Pure CPU: call from a bounded thread pool.

A credential is a PHC string of argon2id with the second choice of parameters of RFC 9106 section 4
(64 MiB, 3 passes, 4 lanes), the one for machines that have other things to do with their memory.
The parameters stand in the string: those made with others stay valid. libsodium checks them, in
three fifths of the time that libargon2 takes (docs/decisions/0006-libsodium.md).
"""

import unicodedata
from typing import Final

import argon2
import nacl.exceptions
from nacl.pwhash import argon2id as sodium

from imapvm.model.limits import PASSWORD_MAX

PARAMETERS: Final = argon2.profiles.RFC_9106_LOW_MEMORY

NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA"
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""Checked in place of a credential that is not there, so that unknown names take as long."""

SODIUM_OCTETS: Final = 128
"""`crypto_pwhash_STRBYTES`: libsodium reads shorter credentials."""

SODIUM_HASH_OCTETS: Final = 16
"""`crypto_pwhash_BYTES_MIN`: and none with a shorter hash."""

PREFIX: Final = "$argon2id$"


def prepared(password: bytes) -> bytes:
    """A password as it is hashed: RFC 8265 section 4.2, OpaqueString, where it is UTF-8.

    Keyboards disagree on how an accented letter is put together; form C does not. Octets that are
    not UTF-8 (old clients send ISO 8859-1) are taken as they are.
    """
    if password.isascii():
        return password
    try:
        text = password.decode()
    except UnicodeDecodeError:
        return password
    spaced = "".join(" " if unicodedata.category(char) == "Zs" else char for char in text)
    return unicodedata.normalize("NFC", spaced).encode()


def hash_password(password: bytes, *, parameters: argon2.Parameters = PARAMETERS) -> str:
    """Make a credential, with a salt of its own.

    Raises:
        ValueError: empty, over PASSWORD_MAX octets, or with a NUL (SASL PLAIN cannot carry it).
    """
    if not 0 < len(password) <= PASSWORD_MAX:
        raise ValueError(f"a password has 1 to {PASSWORD_MAX} octets")
    if b"\0" in password:
        raise ValueError("a password cannot hold NUL")
    return argon2.PasswordHasher.from_parameters(parameters).hash(prepared(password))


def is_credential(text: str) -> bool:
    """True where `verify` can say yes; an account whose credential is "" cannot sign in."""
    try:
        argon2.extract_parameters(text)
    except argon2.exceptions.InvalidHashError:
        return False
    return text.startswith(PREFIX)


def verify(credential: str | None, password: bytes) -> bool:
    """Return whether it is the password; takes the time of one hash in any case.

    Args:
        credential: from `hash_password`; None where there is no such account.
        password: as the client sent it.
    """
    known = credential is not None and is_credential(credential) and len(password) <= PASSWORD_MAX
    against = credential if known and credential is not None else NOBODY
    return _matches(against, prepared(password[:PASSWORD_MAX])) and known


def _matches(credential: str, password: bytes) -> bool:
    try:
        hash_octets = argon2.extract_parameters(credential).hash_len
        if hash_octets >= SODIUM_HASH_OCTETS and len(credential) < SODIUM_OCTETS:
            return sodium.verify(credential.encode(), password)
        # A shorter or longer hash than libsodium reads: another program has made it.
        return argon2.PasswordHasher().verify(credential, password)
    except (nacl.exceptions.InvalidkeyError, argon2.exceptions.VerificationError):
        return False
