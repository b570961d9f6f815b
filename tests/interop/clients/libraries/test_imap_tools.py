"""imap-tools: messages as objects."""

import pytest
from tests.interop.clients.mail import held, message, put
from tests.interop.conftest import PASSWORD, USER

pytestmark = pytest.mark.slow


def test_messages_are_found_read_flagged_and_moved(demo) -> None:
    # Imported here: `make test` collects this file, and does not need third-party clients.
    from imap_tools import AND, MailBoxUnencrypted, MailMessageFlags

    put(demo, "INBOX", message("One", attachment=b"\x00\x01\x02" * 999), message("Two"))
    with MailBoxUnencrypted(*demo.imap).login(USER, PASSWORD) as mailbox:
        (one,) = mailbox.fetch(AND(subject="one"), mark_seen=False)
        assert one.from_ == "sender@example.org"
        assert one.text.strip() == "Some text."
        assert [part.payload for part in one.attachments] == [b"\x00\x01\x02" * 999]
        mailbox.flag(one.uid, MailMessageFlags.FLAGGED, value=True)
        mailbox.folder.create("Done")
        mailbox.move(mailbox.uids(AND(flagged=True)), "Done")
        assert mailbox.folder.status("Done")["MESSAGES"] == 1
        assert [found.subject for found in mailbox.fetch(bulk=True)] == ["Two"]
    assert held(demo, "INBOX") == {"Two": {rb"\Seen"}}
