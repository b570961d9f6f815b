"""mbsync (isync): a two-way copy of everything."""

import pytest
from tests.interop.clients.mail import held, logged_in, mailboxes, message, put, status
from tests.interop.conftest import PASSWORD, USER, run

pytestmark = pytest.mark.slow

CONFIGURATION = """
IMAPAccount vm
Host {host}
Port {port}
User {user}
Pass {password}
SSLType None

IMAPStore far
Account vm

MaildirStore near
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
"""


def test_both_sides_are_synchronised_and_a_second_run_changes_nothing(
    demo, program, tmp_path
) -> None:
    home = tmp_path / "home"
    (home / "mail").mkdir(parents=True)
    host, port = demo.imap
    configuration = home / "mbsyncrc"
    configuration.write_text(
        CONFIGURATION.format(host=host, port=port, user=USER, password=PASSWORD, home=home)
    )

    def mbsync() -> None:
        run(program("mbsync"), "-c", str(configuration), "-V", "all", home=home)

    def near(mailbox: str) -> dict[str, str]:
        """Return subject → flags of its Maildir name."""
        found = {}
        for path in (home / "mail" / mailbox).glob("[cn]*/*"):
            subject = next(x for x in path.read_text().splitlines() if x.startswith("Subject:"))
            found[subject.removeprefix("Subject: ")] = path.name.partition(":2,")[2]
        return found

    # Far to near: messages, flags, folders.
    put(demo, "INBOX", *(message(f"Message {n}") for n in range(30)))
    put(demo, "INBOX", message("Flagged"), flags=r"(\Flagged \Seen)")
    with logged_in(demo) as imap:
        imap.create("Far/Folder")
    put(demo, "Far/Folder", message("Deep"))
    mbsync()
    assert len(near("INBOX")) == 31
    assert set(near("INBOX")["Flagged"]) == set("FS")
    assert set(near("Far/Folder")) == {"Deep"}

    # Without a change, a run changes nothing on either side.
    def everything() -> tuple:
        paths = [path for path in (home / "mail").glob("**/[cn]*/*") if path.is_file()]
        there = [(name, status(demo, name), held(demo, name)) for name in sorted(mailboxes(demo))]
        return sorted((str(path), path.stat().st_mtime_ns) for path in paths), there

    before = everything()
    assert len(before[0]) == 32
    mbsync()
    assert everything() == before

    # Near to far: a flag, a deletion, a new message, a new folder; and far to near.
    inbox = home / "mail" / "INBOX"
    for path in list(inbox.glob("[cn]*/*")):
        text = path.read_text()
        if "Subject: Message 3\n" in text:
            path.unlink()
        elif "Subject: Message 4\n" in text:
            path.rename(inbox / "cur" / (path.name.partition(":2,")[0] + ":2,RS"))
    (inbox / "new" / "1.new").write_bytes(message("From near").replace(b"\r\n", b"\n"))
    for part in ("cur", "new", "tmp"):
        (home / "mail" / "NearFolder" / part).mkdir(parents=True)
    (home / "mail" / "NearFolder" / "new" / "1.a").write_bytes(message("In near folder"))
    with logged_in(demo) as imap:
        imap.select()
        imap.store("6", "+FLAGS", r"(\Answered)")
        imap.store("7", "+FLAGS", r"(\Deleted)")
        imap.expunge()
    mbsync()
    far = held(demo, "INBOX")
    assert "Message 3" not in far
    assert far["Message 4"] == {rb"\Answered", rb"\Seen"}
    assert "From near" in far
    assert "NearFolder" in mailboxes(demo)
    assert set(held(demo, "NearFolder")) == {"In near folder"}
    assert set(near("INBOX")["Message 5"]) >= {"R"}
    assert "Message 6" not in near("INBOX")
    assert set(near("INBOX")) == set(far)
    before = far
    mbsync()
    assert held(demo, "INBOX") == before
