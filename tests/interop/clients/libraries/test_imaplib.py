"""Python's imaplib: the commands of a simple client."""

import imaplib
import ssl

import pytest
from tests.interop.clients.mail import held, logged_in, message, put
from tests.interop.conftest import PASSWORD, USER

pytestmark = pytest.mark.slow


def test_a_message_is_appended_searched_copied_and_expunged_unchanged(demo) -> None:
    data = message("Round", "A line.\n\n.\nÄ last line", attachment=bytes(range(256)) * 40)
    with logged_in(demo) as imap:
        assert imap.create("Work/2026")[0] == "OK"
        assert imap.append("Work/2026", r"(\Flagged $Work)", None, data)[0] == "OK"
        assert imap.select("Work/2026") == ("OK", [b"1"])
        assert imap.fetch("1", "(BODY.PEEK[])")[1][0][1] == data
        assert imap.search(None, "SUBJECT", "round", "KEYWORD", "$work") == ("OK", [b"1"])
        assert imap.search("ISO-8859-1", "BODY", "Ä".encode("latin-1")) == ("OK", [b"1"])
        assert imap.copy("1", "Archive")[0] == "OK"
        assert imap.store("1", "+FLAGS.SILENT", r"\Deleted")[0] == "OK"
        assert imap.expunge() == ("OK", [b"1"])
        assert imap.close()[0] == "OK"
        assert imap.delete("Work/2026")[0] == "OK"
    assert held(demo, "Archive") == {"Round": {rb"\Flagged", b"$Work"}}


def test_implicit_tls_and_starttls(demo) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with imaplib.IMAP4_SSL(*demo.imaps, ssl_context=trusting, timeout=30) as imap:
        assert imap.login(USER, PASSWORD)[0] == "OK"
    with imaplib.IMAP4(*demo.imap, timeout=30) as imap:
        assert imap.starttls(trusting)[0] == "OK"
        assert "STARTTLS" not in imap.capabilities
        assert imap.login(USER, PASSWORD)[0] == "OK"


def test_authenticate_plain_and_a_wrong_password(demo) -> None:
    with imaplib.IMAP4(*demo.imap, timeout=30) as imap:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap.login(USER, "wrong")
        response = f"\0{USER}\0{PASSWORD}".encode()
        assert imap.authenticate("PLAIN", lambda _: response)[0] == "OK"


def test_a_message_of_fifty_megabytes_is_returned_unchanged(demo) -> None:
    data = message("Big", "x" * 70 + "\n") + b"0123456789abcdef" * (50 * 65536) + b"\r\n"
    put(demo, "INBOX", data)
    with logged_in(demo) as imap:
        imap.select()
        assert imap.fetch("1", "(BODY.PEEK[])")[1][0][1] == data
        tail = imap.fetch("1", "(BODY.PEEK[]<50000000.100>)")[1][0][1]
        assert tail == data[50000000:50000100]
