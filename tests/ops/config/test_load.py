"""Settings loaded from the configuration; wrong values are reported with file, line and key."""

from pathlib import Path

import pytest

from imapvm.ops.config.file import ConfigFile
from imapvm.ops.config.load import settings_from
from imapvm.ops.errors import CONFIGURATION, OperatorError


@pytest.fixture
def settings(tmp_path):
    def of(text):
        return settings_from(ConfigFile(tmp_path / "c.toml", text))

    return of


def test_every_key_reaches_the_settings(settings, tmp_path):
    (tmp_path / "c.pem").write_text("c")
    (tmp_path / "k.pem").write_text("k")
    loaded = settings(
        """
        filepool = "pool"
        spool = "/spool"
        hostname = "mail.example.org"
        listen.imap = ["127.0.0.1:0", "[::1]:143"]
        listen.imaps = ["localhost:993"]
        listen.lmtp = ["unix:/run/lmtp"]
        tls.certificate = "c.pem"
        tls.key = "k.pem"
        login.plaintext = "never"
        login.administrators = ["ada"]
        quota = { storage_mib = 2, messages = 3, mailboxes = 4, annotation_storage_kib = 5 }
        [limits]
        connections_per_peer = 1
        reload_seconds = 7
        remembered_expunges = 10000
        messages_per_command = 1000
        [annotations]
        comment = "Märchen"
        admin = "mailto:ada@example.org"
        [delivery]
        domains = ["example.org"]
        detail_delimiter = "-"
        detail_mailboxes = true
        postmaster = "ada"
        unknown = "bounce"
        over_quota = "refuse"
        sendmail = ["/bin/mail"]
        [log]
        format = "json"
        level = "debug"
        """
    )
    assert loaded.filepool == tmp_path / "pool"
    assert loaded.spool == Path("/spool")
    assert loaded.administrators == ("ada",)
    assert (loaded.messages_per_command, loaded.saved_per_command) == (1000, 0)
    assert loaded.quota == {
        "STORAGE": 2048,
        "MESSAGE": 3,
        "MAILBOX": 4,
        "ANNOTATION-STORAGE": 5,
    }
    assert loaded.delivery.over_quota == "refuse"
    assert loaded.delivery.hostname == "mail.example.org"
    assert loaded.imap == ("127.0.0.1:0", "[::1]:143")
    assert loaded.imaps == ("localhost:993",)
    assert loaded.lmtp == ("unix:/run/lmtp",)
    assert (loaded.certificate, loaded.key) == (tmp_path / "c.pem", tmp_path / "k.pem")
    assert loaded.plaintext == "never"
    assert loaded.connections_per_peer == 1
    assert loaded.reload_seconds == 7
    assert loaded.remembered_expunges == 10_000
    assert loaded.annotations() == {
        b"/comment": "Märchen".encode(),
        b"/admin": b"mailto:ada@example.org",
    }
    assert loaded.delivery.domains == ("example.org",)
    assert loaded.delivery.detail_delimiter == "-"
    assert loaded.delivery.detail_mailboxes
    assert loaded.delivery.postmaster == "ada"
    assert loaded.delivery.unknown == "bounce"
    assert loaded.delivery.sendmail == ("/bin/mail",)
    assert (loaded.log_format, loaded.log_level) == ("json", "debug")


def test_empty_file_is_a_valid_configuration(settings):
    loaded = settings("")
    assert loaded.imap == ("127.0.0.1:143",)
    assert loaded.certificate is None
    assert loaded.delivery.hostname
    assert loaded.annotations() == {}


def test_empty_spool_means_no_spool(settings):
    assert settings('spool = ""').spool is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[listen]\nimap = ['143']", 'c.toml:2: listen.imap: "143" is not "HOST:PORT"'),
        ("[listen]\nlmtp = ['unix:x']", 'c.toml:2: listen.lmtp: "unix:x" is not'),
        ("[listen]\nlmtp = ['::1:24']", 'c.toml:2: listen.lmtp: "::1:24" is not'),
        (
            "[listen]\nimap = ['a:65536']",
            'listen.imap: "a:65536": port number is greater than 65535',
        ),
        (
            "[annotations]\nadmin = 'ada@example.org'",
            'c.toml:2: annotations.admin: "ada@example.org" is not a URI',
        ),
        (
            "limits.messages_per_command = 999",
            "c.toml:1: limits.messages_per_command: is below 1000",
        ),
        (
            "[limits]\nmessages_per_command = 1000\nsaved_per_command = 1000",
            "c.toml:3: limits.saved_per_command: is set beside messages_per_command",
        ),
        ("listen.imaps = ['a:1']", "c.toml:1: listen.imaps: requires tls.certificate and tls.key"),
        ("tls.key = 'no.pem'", "c.toml:1: tls.key: cannot read "),
        ("tls.certificate = 'c.toml'", "c.toml:1: tls.certificate: "),
    ],
)
def test_wrong_value_is_reported_with_its_key(settings, text, message):
    with pytest.raises(OperatorError) as caught:
        settings(text)
    assert message in str(caught.value)
    assert caught.value.code == CONFIGURATION


def test_certificate_without_key(settings, tmp_path):
    (tmp_path / "c.pem").write_text("c")
    with pytest.raises(
        OperatorError, match=r"c\.toml:2: tls\.key: tls\.certificate and tls\.key must"
    ):
        settings("\ntls.certificate = 'c.pem'")


def test_highest_port(settings):
    assert settings("listen.imap = ['a:65535']").imap == ("a:65535",)
