"""IMAPClient: folders, flags, IDLE, MOVE, SORT, THREAD, CONDSTORE, QUOTA, ACL."""

from datetime import UTC, datetime

import pytest
from tests.demo import started
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


def reply(subject: str, parent: str) -> bytes:
    """Return a message that refers to the one with the subject `parent`."""
    reference = f"References: <{parent.encode().hex()}@example.org>\r\n".encode()
    return reference + message(subject)


def test_sort_thread_condstore_and_quota(demo, client) -> None:
    put(demo, "INBOX", message("b"), message("C"), message("a"), reply("Re: b", "b"))
    selected = client.select_folder("INBOX")
    before = selected[b"HIGHESTMODSEQ"]
    assert client.sort("SUBJECT") == [3, 1, 4, 2]
    assert client.sort(["REVERSE SIZE"], ["SUBJECT", "B"]) == [4, 1]
    assert client.thread("REFERENCES") == ((1, 4), (2,), (3,))
    client.set_flags([2], [rb"\Flagged"])
    changed = client.fetch([1, 2, 3, 4], ["FLAGS"], [f"CHANGEDSINCE {before}"])
    assert list(changed) == [2]
    ((modseq,),) = [row[b"MODSEQ"] for row in changed.values()]
    assert modseq > before
    assert client.search(["MODSEQ", str(modseq)]).modseq == modseq
    assert client.folder_status("INBOX", ["HIGHESTMODSEQ"])[b"HIGHESTMODSEQ"] == modseq
    assert client.has_capability("QUOTA")
    roots, _ = client.get_quota_root("INBOX")
    assert roots.quota_roots


def test_a_mailbox_is_shared_by_setacl(tmp_path) -> None:
    import imapclient

    users = ("--user=ada:secret", "--user=ben:secret")
    with started(tmp_path / "demo", *users) as demo:
        clients = [
            imapclient.IMAPClient(demo.imap[0], port=demo.imap[1], ssl=False, timeout=30)
            for _ in users
        ]
        owner, other = clients
        owner.login("ada", "secret")
        other.login("ben", "secret")
        owner.create_folder("Plans")
        owner.append("Plans", message("Trip"))
        assert not other.folder_exists("Other Users/ada/Plans")
        owner.setacl("Plans", "ben", "lrs")
        assert dict(owner.getacl("Plans"))[b"ben"] == b"lrs"
        assert other.folder_exists("Other Users/ada/Plans")
        assert other.namespace().other == (("Other Users/", "/"),)
        other.select_folder("Other Users/ada/Plans", readonly=True)
        ((_, data),) = other.fetch(other.search(), ["ENVELOPE"]).items()
        assert data[b"ENVELOPE"].subject == b"Trip"
        with pytest.raises(imapclient.exceptions.IMAPClientError, match="NOPERM"):
            other.append("Other Users/ada/Plans", message("No"))
        owner.setacl("Plans", "ben", "-lrs")
        other.unselect_folder()
        assert not other.folder_exists("Other Users/ada/Plans")
        for client in clients:
            client.logout()
