"""OfflineIMAP: synchronisation of all folders, and a second run."""

import pytest
from tests.interop.clients.mail import held, logged_in, message, put
from tests.interop.conftest import PASSWORD, USER, run

pytestmark = pytest.mark.slow

CONFIGURATION = """
[general]
accounts = vm
metadata = {home}/state
ui = basic
[Account vm]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {home}/mail
[Repository far]
type = IMAP
remotehost = {host}
remoteport = {port}
remoteuser = {user}
remotepass = {password}
ssl = no
starttls = no
auth_mechanisms = PLAIN
"""


def test_folders_flags_and_deletions_are_synchronised_both_ways(demo, program, tmp_path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    host, port = demo.imap
    configuration = home / "offlineimaprc"
    configuration.write_text(
        CONFIGURATION.format(host=host, port=port, user=USER, password=PASSWORD, home=home)
    )

    def offlineimap() -> None:
        run(program("offlineimap"), "-o", "-c", str(configuration), home=home)

    def near() -> dict[str, object]:
        paths = (home / "mail" / "INBOX").glob("[cn]*/*")
        return {
            next(x for x in p.read_text().splitlines() if x.startswith("Subject:"))[9:]: p
            for p in paths
        }

    put(demo, "INBOX", *(message(f"Message {n}") for n in range(8)))
    with logged_in(demo) as imap:
        imap.create("Lists")
    put(demo, "Lists", message("Listed"))
    offlineimap()
    assert set(near()) == {f"Message {n}" for n in range(8)}
    before = held(demo, "INBOX")
    offlineimap()
    assert held(demo, "INBOX") == before
    near()["Message 1"].unlink()
    kept = near()["Message 2"]
    kept.rename(home / "mail" / "INBOX" / "cur" / (kept.name.partition(":2,")[0] + ":2,FS"))
    offlineimap()
    far = held(demo, "INBOX")
    assert "Message 1" not in far
    assert far["Message 2"] == {rb"\Flagged", rb"\Seen"}
    assert (home / "mail" / "Lists").is_dir()
