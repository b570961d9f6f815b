"""Self-signed certificates for demonstrations."""

import ssl
import stat

import pytest

from imapvm.server.net.certificate import NoCertificateError, self_signed
from imapvm.server.net.tls import TlsServer


def test_certificate_is_valid_for_localhost_and_the_hostname(tmp_path):
    certificate, key = self_signed(tmp_path / "tls", hostname="mail.example.org")
    TlsServer(certificate, key)
    decoded = ssl._ssl._test_decode_cert(str(certificate))
    names = {value for _, value in decoded["subjectAltName"]}
    assert {"mail.example.org", "localhost", "127.0.0.1"} <= names


def test_key_is_readable_by_its_owner_only(tmp_path):
    _, key = self_signed(tmp_path)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["certificate.pem", "key.pem"]


def test_existing_certificate_is_not_replaced(tmp_path):
    certificate, _ = self_signed(tmp_path)
    before = certificate.read_bytes()
    self_signed(tmp_path)
    assert certificate.read_bytes() == before


def test_missing_openssl_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoCertificateError, match="openssl not found"):
        self_signed(tmp_path)


def test_error_of_openssl_is_reported(tmp_path, monkeypatch):
    program = tmp_path / "openssl"
    program.write_text("#!/bin/sh\necho 'cannot do that' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(NoCertificateError, match="cannot do that"):
        self_signed(tmp_path / "tls")
    assert not (tmp_path / "tls" / "certificate.pem").exists()
