"""NeoMutt, scripted: read, flag, copy, delete, write."""

import pytest
from tests.interop.clients.mail import held, logged_in, message, put
from tests.interop.clients.relay import relayed
from tests.interop.conftest import PASSWORD, USER, run

pytestmark = pytest.mark.slow

CONFIGURATION = """
set imap_user = "{user}"
set imap_pass = "{password}"
set folder = "imap://{host}:{port}/"
set spoolfile = "+INBOX"
set ssl_starttls = no
set ssl_force_tls = no
set header_cache = "{home}/cache"
set confirmappend = no
set confirmcreate = no
set delete = yes
set quit = yes
set move = no
set mark_old = no
set wait_key = no
set sort = date-received
"""


def test_a_script_flags_copies_and_deletes_messages(demo, program, tmp_path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    host, port = demo.imap
    rc = home / "muttrc"
    rc.write_text(
        CONFIGURATION.format(host=host, port=port, user=USER, password=PASSWORD, home=home)
    )
    put(demo, "INBOX", message("Keep"), message("Copy"), message("Drop"))
    keys = (
        "<search>~s Keep<enter><flag-message>"
        "<search>~s Copy<enter><copy-message><kill-line>=Archive<enter>"
        "<search>~s Drop<enter><delete-message>"
        "<sync-mailbox><quit>"
    )
    # NeoMutt needs a terminal, which script(1) provides.
    mutt = f"{program('neomutt')} -n -F {rc} -e 'push \"{keys}\"'"
    run(program("script"), "-qec", mutt, "/dev/null", home=home)
    inbox = held(demo, "INBOX")
    assert set(inbox) == {"Keep", "Copy"}
    assert rb"\Flagged" in inbox["Keep"]
    assert set(held(demo, "Archive")) == {"Copy"}


@pytest.mark.parametrize(
    ("condstore", "qresync", "received_most"),
    [("no", "no", 50_000), ("yes", "no", 30_000), ("yes", "yes", 5_000)],
)
def test_a_mailbox_that_is_opened_again_is_resynchronised(
    demo, program, tmp_path, condstore, qresync, received_most
) -> None:
    """With QRESYNC it receives the changes, without it a list of all 1,000 messages.

    After VANISHED (EARLIER), NeoMutt finds its message numbers wrong, and fetches the list as well:
    only the result is compared.
    """
    home = tmp_path / "home"
    (home / "cache").mkdir(parents=True)
    put_together(demo, [message(f"Message {number}") for number in range(1000)])
    with relayed(demo.imap) as relay:
        host, port = relay.address
        rc = home / "muttrc"
        rc.write_text(
            CONFIGURATION.format(host=host, port=port, user=USER, password=PASSWORD, home=home)
            + f"set imap_condstore = {condstore}\nset imap_qresync = {qresync}\n"
        )

        def mutt(keys: str = "") -> None:
            command = f"{program('neomutt')} -n -F {rc} -e 'push \"{keys}<quit>\"'"
            run(program("script"), "-qec", command, "/dev/null", home=home)

        def copied(pattern: str, mailbox: str) -> str:
            """Return the keys that copy all messages to which a pattern applies."""
            keys = f"<tag-pattern>{pattern}<enter><tag-prefix><copy-message><kill-line>"
            return f"{keys}={mailbox}<enter>"

        mutt()
        assert len(relay.received) > 400_000
        with logged_in(demo) as imap:
            imap.select()
            imap.store("500", "+FLAGS", r"(\Flagged)")
        put(demo, "INBOX", message("New"))
        relay.clear()
        mutt(copied("~F", "Archive"))
        assert (b"ENABLE QRESYNC" in relay.sent) == (qresync == "yes")
        assert (b"CHANGEDSINCE" in relay.sent) == (condstore == "yes")
        assert (b"VANISHED" in relay.sent) == (qresync == "yes")
        assert len(relay.received) < received_most
        with logged_in(demo) as imap:
            imap.select()
            imap.store("600:601", "+FLAGS", r"(\Deleted)")
            imap.expunge()
        mutt(copied("~s 60", "Junk"))
    assert set(held(demo, "Archive")) == {"Message 499"}
    left = {60, 160, 260, 360, 460, 560, 660, 760, 860, 960, *range(601, 610)}
    assert set(held(demo, "Junk")) == {f"Message {number}" for number in left}
    assert len(held(demo, "INBOX")) == 999


def put_together(demo, messages: list[bytes]) -> None:
    """Append messages to INBOX in one command."""
    with logged_in(demo) as imap:
        imap.send(b"m APPEND INBOX")
        for data in messages:
            imap.send(b" {%d+}\r\n%b" % (len(data), data))
        imap.send(b"\r\n")
        while not (line := imap.readline()).startswith(b"m "):
            assert line
        assert line.startswith(b"m OK"), line
