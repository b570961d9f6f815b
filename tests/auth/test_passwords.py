"""Password hashing and verification."""

import argon2
import pytest

from imapvm.auth import passwords
from imapvm.auth.passwords import hash_password, is_credential, prepared, verify
from imapvm.model.limits import PASSWORD_MAX

CHEAP = argon2.profiles.CHEAPEST


def test_only_the_right_password_is_verified():
    credential = hash_password(b"secret")
    assert verify(credential, b"secret")
    for wrong in (b"", b"Secret", b"secret ", b"secre", b"secret\0"):
        assert not verify(credential, wrong)


def test_a_credential_names_argon2id_and_the_parameters_of_rfc_9106():
    assert hash_password(b"secret").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_equal_passwords_have_different_credentials():
    assert hash_password(b"x", parameters=CHEAP) != hash_password(b"x", parameters=CHEAP)


def test_credentials_made_with_other_parameters_stay_valid():
    credential = hash_password(b"secret", parameters=CHEAP)
    assert "m=8," in credential
    assert verify(credential, b"secret")
    assert not verify(credential, b"other")


@pytest.mark.parametrize(("salt", "length"), [(8, 16), (16, 32), (32, 64)])
def test_credentials_made_by_other_programs_are_verified(salt, length):
    hasher = argon2.PasswordHasher(
        time_cost=2, memory_cost=64, parallelism=3, hash_len=length, salt_len=salt
    )
    credential = hasher.hash("secret")
    assert verify(credential, b"secret")
    assert not verify(credential, b"Secret")


@pytest.mark.parametrize("absent", [None, "", "{PLAIN}secret", "$argon2id$broken", "secret"])
def test_no_password_is_right_without_a_credential(absent):
    assert not verify(absent, b"secret")
    assert not verify(absent, b"")


def test_missing_credential_costs_a_hash_too(monkeypatch):
    verified = []
    real = passwords.sodium.verify

    def noted(credential, password):
        verified.append(argon2.extract_parameters(credential.decode()))
        return real(credential, password)

    monkeypatch.setattr(passwords.sodium, "verify", noted)
    verify(None, b"secret")
    verify("", b"secret")
    verify("rubbish", b"x" * (PASSWORD_MAX + 1))
    assert verified == [passwords.PARAMETERS] * 3


def test_placeholder_has_no_known_password():
    assert not verify(passwords.PLACEHOLDER, b"")
    assert not verify(passwords.PLACEHOLDER, b"\0")


@pytest.mark.at_limit("PASSWORD_MAX")
def test_password_may_be_as_long_as_the_limit():
    longest = b"x" * PASSWORD_MAX
    assert verify(hash_password(longest, parameters=CHEAP), longest)


@pytest.mark.past_limit("PASSWORD_MAX")
def test_longer_password_is_refused_and_not_truncated():
    longest = b"x" * PASSWORD_MAX
    with pytest.raises(ValueError, match="1 to 1024"):
        hash_password(longest + b"x", parameters=CHEAP)
    assert not verify(hash_password(longest, parameters=CHEAP), longest + b"x")


@pytest.mark.parametrize("bad", [b"", b"a\0b"])
def test_passwords_that_sasl_cannot_carry_are_refused(bad):
    with pytest.raises(ValueError, match="password"):
        hash_password(bad, parameters=CHEAP)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (b"plain ascii", b"plain ascii"),
        ("e\u0301te\u0301".encode(), "\u00e9t\u00e9".encode()),  # form C
        ("a\u00a0b\u3000c".encode(), b"a b c"),  # other spaces
        ("\u00e9".encode("latin-1"), b"\xe9"),  # no UTF-8: as it is
    ],
)
def test_passwords_are_prepared_as_opaque_strings(typed, kept):
    assert prepared(typed) == kept


def test_composed_and_decomposed_letters_are_one_password():
    credential = hash_password("caf\u00e9".encode(), parameters=CHEAP)
    assert verify(credential, "cafe\u0301".encode())


def test_is_credential():
    assert is_credential(hash_password(b"x", parameters=CHEAP))
    assert is_credential(passwords.PLACEHOLDER)
    argon2i = argon2.PasswordHasher(type=argon2.Type.I, memory_cost=8, time_cost=1, parallelism=1)
    for other in ("", "x", "$argon2id$", argon2i.hash("x")):
        assert not is_credential(other)
