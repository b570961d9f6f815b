"""`fill` on a real server: APPEND, LMTP and spool, and errors."""

import email
import email.policy
import time

import pytest
from bench.tests.conftest import USERS

from imapvm_bench.cli import main
from imapvm_bench.corpus.fill import FillSpec, fill
from imapvm_bench.corpus.mail import Recipe, make
from imapvm_bench.errors import BenchError, ExitStatus
from imapvm_bench.server.imap_client import Client
from imapvm_bench.server.lines import Refused
from imapvm_bench.server.lmtp_client import Lmtp, dot_stuffed
from imapvm_bench.server.spool import drop
from imapvm_bench.server.target import Address
from imapvm_bench.server.users import User

SMALL = Recipe(sizes=(800,))


def messages_of(server, user, box="INBOX"):
    """Return all messages of a mailbox as (bytes, response line with flags and date)."""
    with Client(server.target()) as client:
        client.login(User(user, "secret"))
        client.command(f"EXAMINE {box}")
        client.send(b"x UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])\r\n")
        found = []
        while not (line := client._file.readline()).startswith(b"x "):
            if b"{" in line:
                size = int(line.rpartition(b"{")[2].strip(b"}\r\n"))
                found.append((client._file.read(size), line.decode()))
        assert line.startswith(b"x OK")
        return found


def test_append_stores_the_messages_of_the_seed_with_flags_and_dates(server):
    filled = fill(FillSpec(server.target(), 60, ("FillProgress",), SMALL))
    assert (filled.messages, filled.existing, filled.wanted) == (240, 0, 240)
    found = messages_of(server, "user2", "FillProgress")
    expected = [make(SMALL, "user2/FillProgress", number) for number in range(1, 61)]
    assert [content for content, _ in found] == [mail.content for mail in expected]
    for (_, line), mail in zip(found, expected, strict=True):
        assert all(flag in line for flag in mail.flags)
        assert f'"{mail.internal_date}"' in line


def test_filling_again_adds_missing_messages_only(server):
    box = ("Again",)
    fill(FillSpec(server.target(), 3, box, SMALL))
    again = fill(FillSpec(server.target(), 3, box, SMALL))
    assert (again.messages, again.existing) == (0, 12)
    more = fill(FillSpec(server.target(), 5, box, SMALL))
    assert (more.messages, more.existing) == (8, 12)
    expected = [make(SMALL, "user1/Again", number).content for number in range(1, 6)]
    assert [content for content, _ in messages_of(server, "user1", "Again")] == expected


def test_all_users_can_get_the_same_messages(server):
    fill(FillSpec(server.target(), 4, ("Same",), SMALL, same=True))
    one, two = (messages_of(server, user, "Same") for user in ("user1", "user2"))
    assert [content for content, _ in one] == [content for content, _ in two]
    assert len({content for content, _ in one}) == 4


@pytest.mark.parametrize("way", ["lmtp", "spool"])
def test_lmtp_and_the_spool_deliver_the_same_messages(server, way):
    recipe = Recipe(seed=17 if way == "lmtp" else 18, sizes=(800,), shapes=("plain", "nested"))
    before = len(messages_of(server, "user3"))
    target = server.target()
    options = {"lmtp": target.lmtp} if way == "lmtp" else {"spool": server.spool}
    filled = fill(FillSpec(target, 5, ("ignored",), recipe, **options))
    assert filled.messages == 20
    until = time.monotonic() + 20
    while len(found := messages_of(server, "user3")[before:]) < 5 and time.monotonic() < until:
        time.sleep(0.02)  # the spool is read asynchronously
    ids = [
        email.message_from_bytes(content, policy=email.policy.default)["message-id"]
        for content, _ in found
    ]
    expected = [make(recipe, "user3/INBOX", number).content for number in range(1, 6)]
    assert [one.encode() in mail for one, mail in zip(ids, expected, strict=True)] == [True] * 5
    body = expected[0].partition(b"\r\n\r\n")[2]
    assert found[0][0].endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize("tls", ["tls", "starttls"])
def test_fill_with_tls(server, tls):
    imap = Address(*(server.demo.imaps if tls == "tls" else server.demo.imap))
    filled = fill(FillSpec(server.target(tls=tls, imap=imap), 2, ("Tls-" + tls,), SMALL))
    assert filled.messages == 8


def test_verify_refuses_a_self_signed_certificate(server):
    with pytest.raises(BenchError, match="certificate refused: self-signed"):
        Client(server.target(tls="starttls", verify=True))


def test_a_wrong_password_is_reported_with_the_response(server, capsys):
    assert main(["fill", server.imap, "--users", "user1:wrong"]) == ExitStatus.NOT_STARTED
    assert "LOGIN user1 → NO [AUTHENTICATIONFAILED]" in capsys.readouterr().err


def test_a_refused_mailbox_name_is_reported(server):
    with pytest.raises(Refused, match="CREATE"):
        fill(FillSpec(server.target(), 1, ("a*b",), SMALL))


def test_the_command_prints_the_result(server, capsys):
    call = ["fill", server.imap, "--users", USERS, "--messages", "2", "--mailbox", "Cli", "--sizes"]
    assert main([*call, "500,1k"]) == ExitStatus.OK
    assert "8 messages" in capsys.readouterr().out
    assert main([*call, "500,1k"]) == ExitStatus.OK
    assert "8 existed before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["--users", "a:b"], "no server: use"),
        (["--spool", "/nowhere", "--users", "a"], "is not a spool directory"),
        (["--lmtp", "x:1", "--mailbox", "y", "--users", "a"], "deliver to INBOX only"),
    ],
)
def test_a_wrong_fill_is_an_error(call, message, capsys):
    assert main(["fill", *call]) != ExitStatus.OK
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--sizes", "0"], ["--shapes", "x"], ["--seen", "2"]])
def test_an_option_out_of_range_is_a_usage_error(option, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["fill", "x", "--users", "a:b", *option])
    assert caught.value.code == ExitStatus.USAGE


def test_a_message_for_an_unknown_recipient_is_refused(server):
    with (
        Lmtp(Address(*server.demo.lmtp)) as lmtp,
        pytest.raises(Refused, match=r"RCPT TO:<unknown> → 550"),
    ):
        lmtp.deliver("unknown", b"Subject: x\r\n\r\nx\r\n")


def test_dots_are_doubled_and_the_final_dot_is_added():
    assert dot_stuffed(b".a\r\n..b\r\nc") == b"..a\r\n...b\r\nc\r\n.\r\n"
    assert dot_stuffed(b"a\r\n") == b"a\r\n.\r\n"
    assert dot_stuffed(b"") == b".\r\n"


def test_a_spool_file_is_complete_when_it_appears(tmp_path):
    for part in ("tmp", "new"):
        (tmp_path / part).mkdir()
    name = drop(tmp_path, "ada", [b"Subject: 1\r\n\r\n.dot\r\n", b"Subject: 2\r\n\r\n"])
    assert list((tmp_path / "tmp").iterdir()) == []
    head = b"MAIL FROM:<sender@bench.example> BODY=8BITMIME\r\nRCPT TO:<ada>\r\nDATA\r\n"
    assert (tmp_path / "new" / name).read_bytes() == (
        head + b"Subject: 1\r\n\r\n..dot\r\n.\r\n" + head + b"Subject: 2\r\n\r\n.\r\n"
    )
