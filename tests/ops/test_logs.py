"""Log format: one event is one line, and secrets are not in it."""

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


def test_text_event(written):
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


def test_json_event(written):
    stream = written("json")
    logging.getLogger("imapvm.x").warning("disk is %s", "full", extra={"bytes": 5})
    event = json.loads(stream.getvalue())
    assert event["level"] == "warning"
    assert event["event"] == "disk is full"
    assert event["bytes"] == 5


@pytest.mark.parametrize("style", ["text", "json"])
def test_line_ends_in_values_do_not_start_lines(written, style):
    stream = written(style)
    logging.getLogger("imapvm").info("login", extra={"user": "x\r\n2026 info event=forged\u2028"})
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize("style", ["text", "json"])
def test_exception_is_part_of_the_line(written, style):
    stream = written(style)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("imapvm").exception("failed")
    assert stream.getvalue().count("\n") == 1
    assert "ValueError" in stream.getvalue()
    assert "Traceback" in stream.getvalue()


@pytest.mark.parametrize("style", ["text", "json"])
def test_secret_fields_are_masked(written, style):
    stream = written(style)
    extra = {"password": "hunter2", "new_credential": "hunter2", "ACCESS_TOKEN": b"hunter2"}
    logging.getLogger("imapvm").info("oops", extra=extra)
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("***") == 3


def test_events_below_the_level_are_dropped(written):
    stream = written("text", "warning")
    logging.getLogger("imapvm").info("quiet")
    assert stream.getvalue() == ""


def test_second_configuration_replaces_the_first(written):
    written("text")
    stream = written("text")
    logging.getLogger("imapvm").info("once")
    assert stream.getvalue().count("\n") == 1
