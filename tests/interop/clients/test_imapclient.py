"""IMAPClient: folders, flags, IDLE and MOVE."""

from datetime import UTC, datetime

import pytest
from tests.interop.clients.mail import held, message, put
from tests.interop.conftest import PASSWORD, USER

pytestmark = pytest.mark.slow


@pytest.fixture
def client(demo):
    # Imported here: `make test` collects this file, and does not need third-party clients.
    import imapclient

    with imapclient.IMAPClient(demo.imap[0], port=demo.imap[1], ssl=False, timeout=30) as made:
        made.login(USER, PASSWORD)
        yield made


def test_folders_flags_envelope_and_move(demo, client) -> None:
    client.create_folder("Proyecto/Año")
    client.subscribe_folder("Proyecto/Año")
    assert "Proyecto/Año" in [name for _, _, name in client.list_sub_folders()]
    assert client.find_special_folder(rb"\Sent") == "Sent"
    when = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
    client.append("INBOX", message("Über"), flags=[rb"\Answered"], msg_time=when)
    assert client.select_folder("INBOX")[b"EXISTS"] == 1
    (uid,) = client.search(["SUBJECT", "über"], "UTF-8")
    data = client.fetch([uid], ["ENVELOPE", "INTERNALDATE", "BODYSTRUCTURE", "RFC822.SIZE"])[uid]
    assert data[b"ENVELOPE"].from_[0].mailbox == b"sender"
    assert [word.lower() for word in data[b"BODYSTRUCTURE"][:2]] == [b"text", b"plain"]
    assert data[b"RFC822.SIZE"] == len(message("Über"))
    assert {rb"\Answered", b"$Label"} <= set(client.add_flags([uid], [b"$Label"])[uid])
    assert client.has_capability("MOVE")
    client.move([uid], "Proyecto/Año")
    assert client.folder_status("Proyecto/Año", ["MESSAGES", "UNSEEN"]) == {
        b"MESSAGES": 1,
        b"UNSEEN": 1,
    }


def test_idle_reports_a_new_message(demo, client) -> None:
    client.select_folder("INBOX")
    client.idle()
    put(demo, "INBOX", message("News"))
    received = []
    while (1, b"EXISTS") not in received:
        answers = client.idle_check(timeout=10)
        assert answers, f"no EXISTS within ten seconds, only {received}"
        received += answers
    client.idle_done()
    assert list(held(demo, "INBOX")) == ["News"]
