"""getmail and fetchmail: fetch mail once, and delete it if configured."""

import pytest
from tests.interop.clients.mail import held, message, put
from tests.interop.conftest import PASSWORD, USER, run

pytestmark = pytest.mark.slow

GETMAIL = """
[retriever]
type = SimpleIMAPRetriever
server = {host}
port = {port}
username = {user}
password = {password}
mailboxes = ("INBOX",)
[destination]
type = MDA_external
path = {home}/keep
allow_root_commands = True
[options]
delete = {delete}
read_all = false
"""

KEEP = """#!/bin/sh
# Instead of a Maildir, which getmail refuses to deliver to as root.
exec cat >"$(mktemp --tmpdir={home}/mail)"
"""

FETCHMAIL = """
poll {host} port {port} protocol IMAP user "{user}" password "{password}" {options}
    mda "/bin/cat >> {home}/fetched"
"""


def test_getmail_fetches_new_mail_once_and_then_deletes(demo, program, tmp_path) -> None:
    home = tmp_path / "home"
    (home / "mail").mkdir(parents=True)
    (home / "keep").write_text(KEEP.format(home=home))
    (home / "keep").chmod(0o700)
    (home / ".getmail").mkdir(mode=0o700)
    host, port = demo.imap

    def getmail(*, delete: bool) -> int:
        (home / ".getmail" / "getmailrc").write_text(
            GETMAIL.format(
                host=host, port=port, user=USER, password=PASSWORD, home=home, delete=delete
            )
        )
        run(program("getmail"), "--getmaildir", str(home / ".getmail"), home=home)
        return len(list((home / "mail").iterdir()))

    put(demo, "INBOX", *(message(f"Message {n}") for n in range(5)))
    assert getmail(delete=False) == 5
    assert getmail(delete=False) == 5
    put(demo, "INBOX", message("Later"))
    assert getmail(delete=True) == 6
    assert held(demo, "INBOX") == {}


def test_fetchmail_fetches_unseen_mail(demo, program, tmp_path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    host, port = demo.imap
    configuration = home / "fetchmailrc"
    configuration.write_text(
        FETCHMAIL.format(
            host=host, port=port, user=USER, password=PASSWORD, options="sslproto ''", home=home
        ).replace("    mda", "    keep mda")
    )
    configuration.chmod(0o600)
    put(demo, "INBOX", message("One"), message("Two"))
    run(program("fetchmail"), "-f", str(configuration), "--nodetach", home=home)
    fetched = (home / "fetched").read_text()
    assert fetched.count("Subject: ") == 2
    assert held(demo, "INBOX") == {"One": {rb"\Seen"}, "Two": {rb"\Seen"}}
