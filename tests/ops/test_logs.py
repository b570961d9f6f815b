"""One event is one line, and nothing secret is in it."""

import io
import json
import logging
import re

import pytest

from imapvm.ops import logs


@pytest.fixture
def written():
    def log(style, level="info"):
        stream = io.StringIO()
        logs.configure(style=style, level=level, stream=stream)
        return stream

    return log


def test_an_event_is_a_line_of_words(written):
    stream = written("text")
    logging.getLogger("imapvm.server.imap.connection").info(
        "login", extra={"user": "ada", "peer": ("::1", 4), "tls": True, "note": 'a "b"', "no": None}
    )
    line = stream.getvalue()
    assert re.fullmatch(
        r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info event=login logger=server\.imap\.connection"
        r" user=ada peer=\"\('::1', 4\)\" tls=true note=\"a \\\"b\\\"\" no=null\n",
        line,
    )


def test_an_event_is_a_json_object(written):
    stream = written("json")
    logging.getLogger("imapvm.x").warning("disk is %s", "full", extra={"octets": 5})
    event = json.loads(stream.getvalue())
    assert event["level"] == "warning"
    assert event["event"] == "disk is full"
    assert event["octets"] == 5


@pytest.mark.parametrize("style", ["text", "json"])
def test_line_ends_in_what_a_peer_sent_do_not_make_lines(written, style):
    stream = written(style)
    logging.getLogger("imapvm").info("login", extra={"user": "x\r\n2026 info event=forged\u2028"})
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize("style", ["text", "json"])
def test_an_exception_stays_on_its_line(written, style):
    stream = written(style)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("imapvm").exception("failed")
    assert stream.getvalue().count("\n") == 1
    assert "ValueError" in stream.getvalue()
    assert "Traceback" in stream.getvalue()


@pytest.mark.parametrize("style", ["text", "json"])
def test_secrets_are_not_written(written, style):
    stream = written(style)
    extra = {"password": "hunter2", "new_credential": "hunter2", "ACCESS_TOKEN": b"hunter2"}
    logging.getLogger("imapvm").info("oops", extra=extra)
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("***") == 3


def test_below_the_level_nothing_is_written(written):
    stream = written("text", "warning")
    logging.getLogger("imapvm").info("quiet")
    assert stream.getvalue() == ""


def test_configuring_twice_writes_once(written):
    written("text")
    stream = written("text")
    logging.getLogger("imapvm").info("once")
    assert stream.getvalue().count("\n") == 1
