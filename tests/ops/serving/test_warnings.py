"""Warnings at start."""

import os

import pytest

from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.ops.serving.warnings import log_warnings
from imapvm.server.settings import Settings


@pytest.fixture
def warned(tmp_path, caplog):
    (tmp_path / "pool").mkdir(mode=0o700)

    def run(**delivery):
        caplog.clear()
        log_warnings(Settings(filepool=tmp_path / "pool", delivery=DeliverySettings(**delivery)))
        return [(record.message, vars(record)) for record in caplog.records]

    return run


def test_default_settings_have_no_warning(warned):
    assert warned() == []


@pytest.mark.parametrize(
    "domain", ["example.org", "localhost", "xn--bcher-kva.example", "bücher.example", "[192.0.2.1]"]
)
def test_domains(warned, domain):
    assert warned(domains=(domain,)) == []


@pytest.mark.parametrize(
    "domain",
    ["", "@example.org", "ada@example.org", "*.example.org", "example..org", ".example.org",
     "example.org.", "example .org", "a/b", "x" * 64 + ".org", "-x.org"],
)  # fmt: skip
def test_entry_that_is_no_domain(warned, domain):
    ((event, fields),) = warned(domains=("example.org", domain))
    assert event == "delivery.domains has an entry that is no domain"
    assert fields["entry"] == domain


def test_sendmail_that_does_not_exist_matters_if_it_is_used(warned, tmp_path):
    missing = (str(tmp_path / "sendmail"), "-i")
    assert warned(sendmail=missing) == []
    ((event, fields),) = warned(sendmail=missing, unknown="bounce")
    assert event == "delivery.sendmail does not exist or is not executable"
    assert fields["command"] == missing[0]
    assert warned(sendmail=("sh",), unknown="bounce") == []


def test_filepool_that_others_can_access(warned, tmp_path):
    (tmp_path / "pool").chmod(0o750)
    ((event, fields),) = warned()
    assert event.startswith("filepool was accessible to other users")
    assert (fields["path"], fields["mode"]) == (str(tmp_path / "pool"), "0750")


def test_missing_filepool_is_not_a_warning(warned, tmp_path):
    (tmp_path / "pool").rmdir()
    assert warned() == []


@pytest.mark.parametrize(
    ("umask", "unsafe"),
    [(0o022, False), (0o027, False), (0o077, False), (0o002, True), (0, True), (0o777, True)],
)
def test_umask(warned, umask, unsafe):
    before = os.umask(umask)
    try:
        events = warned()
    finally:
        os.umask(before)
    assert [(event, fields["umask"]) for event, fields in events] == (
        [("unsafe umask; use 0077", f"{umask:04o}")] if unsafe else []
    )
