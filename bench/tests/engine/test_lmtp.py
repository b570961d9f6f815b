import base64

from bench.tests.engine.plans import command, entry, run
from bench.tests.engine.scripted import serving

DATA = {"label": "DATA", "parts": [{"text": "DATA"}, {"data": True}]}
RECIPIENT = {"label": "RCPT", "parts": [{"text": "RCPT TO:<"}, {"user": True}, {"text": ">"}]}
REFUSALS = (b"450 later\r\n", b"550 never\r\n")
MESSAGE = b"Subject: x\r\n\r\n.dot\r\n..two\r\n"


def test_deliveries_follow_the_protocol():
    taken = []

    def script(connection, lines):
        connection.sendall(b"220 lmtp\r\n")
        recipients = 0
        for line in lines:
            verb = line[:4]
            if verb == b"LHLO":
                connection.sendall(b"250-one\r\n250 two\r\n")
            elif verb == b"DATA":
                connection.sendall(b"354 go\r\n")
                text = b""
                while (line := lines.readline()) != b".\r\n":
                    text += line.removeprefix(b".")
                taken.append((recipients, text))
                connection.sendall(b"250 taken\r\n" * recipients)
                recipients = 0
            else:
                recipients += verb == b"RCPT"
                connection.sendall(b"250 ok\r\n")

    mix = [entry(command("MAIL FROM:<>"), RECIPIENT, RECIPIENT, DATA)]
    for pipeline in (1, 4):
        taken.clear()
        with serving(script) as port:
            report = run(
                port, protocol="lmtp", login=[command("LHLO bench")], mix=mix, limit=30,
                seconds=None,
                messages=[base64.b64encode(MESSAGE).decode()], pipeline=pipeline,
            )  # fmt: skip
        assert (report["ended"], report["errors"]) == ("limit", {})
        assert report["labels"]["DATA"]["count"] == report["totals"]["entries"] == 30
        assert report["labels"]["RCPT"]["count"] == 60
        assert taken == [(2, MESSAGE)] * 30


def test_refusals_are_counted_by_class():
    def script(connection, lines):
        connection.sendall(b"220 lmtp\r\n")
        for number, line in enumerate(lines):
            refused = line.startswith(b"RCPT")
            answer = REFUSALS[number // 3 % 2] if refused else b"250 ok\r\n"
            connection.sendall(answer)

    mix = [entry(command("MAIL FROM:<>"), RECIPIENT, DATA)]
    with serving(script) as port:
        report = run(
            port, protocol="lmtp", mix=mix, limit=20, seconds=None,
            messages=[base64.b64encode(MESSAGE).decode()],
        )  # fmt: skip
    assert sum(seen["count"] for seen in report["errors"].values()) == 20
    assert report["errors"].keys() == {"4xx", "5xx"}
    assert report["entries"]["entry"]["errors"] == 20
    assert report["errors"]["4xx"]["example"] == "RCPT → 450 later"
    assert "DATA" not in report["labels"], "the rest of a failed transaction is not sent"
