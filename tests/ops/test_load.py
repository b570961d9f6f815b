"""The configuration becomes settings; what cannot be is named by file, line and key."""

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


def test_all_of_it_arrives(settings, tmp_path):
    (tmp_path / "c.pem").write_text("c")
    (tmp_path / "k.pem").write_text("k")
    made = settings(
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
        limits = { connections_per_peer = 1, reload_seconds = 7 }
        [delivery]
        domains = ["example.org"]
        detail_delimiter = "-"
        detail_mailboxes = true
        postmaster = "ada"
        unknown = "bounce"
        sendmail = ["/bin/mail"]
        """
    )
    assert made.filepool == tmp_path / "pool"
    assert made.spool == Path("/spool")
    assert made.delivery.hostname == "mail.example.org"
    assert made.imap == ("127.0.0.1:0", "[::1]:143")
    assert made.imaps == ("localhost:993",)
    assert made.lmtp == ("unix:/run/lmtp",)
    assert (made.certificate, made.key) == (tmp_path / "c.pem", tmp_path / "k.pem")
    assert made.plaintext == "never"
    assert made.connections_per_peer == 1
    assert made.reload_seconds == 7
    assert made.delivery.domains == ("example.org",)
    assert made.delivery.detail_delimiter == "-"
    assert made.delivery.detail_mailboxes
    assert made.delivery.postmaster == "ada"
    assert made.delivery.unknown == "bounce"
    assert made.delivery.sendmail == ("/bin/mail",)


def test_an_empty_file_can_be_served(settings):
    made = settings("")
    assert made.imap == ("127.0.0.1:143",)
    assert made.certificate is None
    assert made.delivery.hostname


def test_no_spool_is_looked_at_where_none_is_named(settings):
    assert settings('spool = ""').spool is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[listen]\nimap = ['143']", 'c.toml:2: listen.imap: "143" is not "HOST:PORT"'),
        ("[listen]\nlmtp = ['unix:x']", 'c.toml:2: listen.lmtp: "unix:x" is not'),
        ("[listen]\nlmtp = ['::1:24']", 'c.toml:2: listen.lmtp: "::1:24" is not'),
        ("[listen]\nimap = ['a:65536']", 'listen.imap: "a:65536": a port is at most 65535'),
        ("listen.imaps = ['a:1']", "c.toml:1: listen.imaps: needs tls.certificate and tls.key"),
        ("tls.key = 'no.pem'", "c.toml:1: tls.key: "),
        ("tls.certificate = 'c.toml'", "c.toml:1: tls.certificate: "),
    ],
)
def test_a_mistake_is_named(settings, text, says):
    with pytest.raises(OperatorError) as caught:
        settings(text)
    assert says in str(caught.value)
    assert caught.value.code == CONFIGURATION


def test_a_certificate_without_its_key(settings, tmp_path):
    (tmp_path / "c.pem").write_text("c")
    with pytest.raises(OperatorError, match=r"c\.toml:2: tls\.key: a certificate and its key"):
        settings("\ntls.certificate = 'c.pem'")


def test_the_last_port_is_one(settings):
    assert settings("listen.imap = ['a:65535']").imap == ("a:65535",)
