"""Password hashing and verification. Pure CPU: call it from a bounded thread pool.

A credential is a PHC string of argon2id with the second recommended parameters of RFC 9106 section
4 (64 MiB, 3 passes, 4 lanes), meant for machines whose memory is needed for other things. The
string contains the parameters, so credentials made with other parameters stay valid. libsodium
verifies them, in three fifths of the time of libargon2 (docs/decisions/0006-libsodium.md).
"""

import unicodedata
from typing import Final

import argon2
import nacl.exceptions
from nacl.pwhash import argon2id as sodium

from imapvm.model.limits import PASSWORD_MAX

PARAMETERS: Final = argon2.profiles.RFC_9106_LOW_MEMORY

PLACEHOLDER: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA"
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""Verified in place of a missing credential, so that unknown names take as long."""

SODIUM_BYTES: Final = 128
"""`crypto_pwhash_STRBYTES`: libsodium reads credentials shorter than this."""

SODIUM_HASH_BYTES: Final = 16
"""`crypto_pwhash_BYTES_MIN`: libsodium reads no shorter hash."""

PREFIX: Final = "$argon2id$"


def prepared(password: bytes) -> bytes:
    """Return a password as it is hashed: OpaqueString (RFC 8265 section 4.2) if it is UTF-8.

    Keyboards compose an accented letter in different ways; form C makes them equal. Bytes that are
    not UTF-8 (old clients send ISO 8859-1) are not changed.
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
    """Return a credential with a random salt.

    Raises:
        ValueError: empty, over PASSWORD_MAX bytes, or with a NUL, which SASL PLAIN cannot carry.
    """
    if not 0 < len(password) <= PASSWORD_MAX:
        raise ValueError(f"a password has 1 to {PASSWORD_MAX} bytes")
    if b"\0" in password:
        raise ValueError("a password must not contain NUL")
    return argon2.PasswordHasher.from_parameters(parameters).hash(prepared(password))


def is_credential(text: str) -> bool:
    """Return True if `verify` can check it; an account with the credential "" cannot log in."""
    try:
        argon2.extract_parameters(text)
    except argon2.exceptions.InvalidHashError:
        return False
    return text.startswith(PREFIX)


def verify(credential: str | None, password: bytes) -> bool:
    """Return True if the password is right. Takes the time of one hash in any case.

    Args:
        credential: from `hash_password`; None if there is no such account.
        password: as the client sent it.
    """
    known = credential is not None and is_credential(credential) and len(password) <= PASSWORD_MAX
    against = credential if known and credential is not None else PLACEHOLDER
    return _matches(against, prepared(password[:PASSWORD_MAX])) and known


def _matches(credential: str, password: bytes) -> bool:
    try:
        hash_bytes = argon2.extract_parameters(credential).hash_len
        if hash_bytes >= SODIUM_HASH_BYTES and len(credential) < SODIUM_BYTES:
            return sodium.verify(credential.encode(), password)
        # Made by another program, with a shorter or longer hash than libsodium reads.
        return argon2.PasswordHasher().verify(credential, password)
    except (nacl.exceptions.InvalidkeyError, argon2.exceptions.VerificationError):
        return False
