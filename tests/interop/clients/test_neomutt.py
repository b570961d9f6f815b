"""NeoMutt, scripted: read, flag, copy, delete, write."""

import pytest
from tests.interop.clients.mail import held, message, put
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
