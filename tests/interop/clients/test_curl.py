"""curl: list, fetch, search and upload by URL."""

import pytest
from tests.interop.clients.mail import held, message, put
from tests.interop.conftest import PASSWORD, USER, run

pytestmark = pytest.mark.slow


def test_curl_lists_reads_searches_and_uploads(demo, program, tmp_path) -> None:
    put(demo, "INBOX", message("First"), message("Second"))
    host, port = demo.imap
    base = f"imap://{host}:{port}"

    def curl(*arguments: str) -> str:
        user = f"{USER}:{PASSWORD}"
        return run(program("curl"), "-sS", "--user", user, *arguments, home=tmp_path)

    assert '"/" INBOX' in curl(base)
    assert "Subject: Second" in curl(f"{base}/INBOX;UID=2")
    assert curl(f"{base}/INBOX;UID=1;SECTION=TEXT").strip() == "Some text."
    assert "* SEARCH 2" in curl(f"{base}/INBOX?SUBJECT%20second")
    upload = tmp_path / "message.eml"
    upload.write_bytes(message("Third"))
    curl("-T", str(upload), f"{base}/INBOX")
    assert set(held(demo, "INBOX")) == {"First", "Second", "Third"}


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("initial", ["--sasl-ir", "--no-sasl-ir"])
def test_curl_logs_in_with_one_mechanism(demo, program, tmp_path, mechanism, initial) -> None:
    host, port = demo.imap
    output = run(
        program("curl"), "-sS", "--user", f"{USER}:{PASSWORD}",
        "--login-options", f"AUTH={mechanism}", initial, f"imap://{host}:{port}", home=tmp_path,
    )  # fmt: skip
    assert '"/" INBOX' in output


def test_curl_over_tls(demo, program, tmp_path) -> None:
    put(demo, "INBOX", message("Hidden"))
    host, port = demo.imaps
    output = run(
        program("curl"), "-sSk", "--user", f"{USER}:{PASSWORD}",
        f"imaps://{host}:{port}/INBOX;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)", home=tmp_path,
    )  # fmt: skip
    assert output.strip() == "Subject: Hidden"
