"""Mail libraries in other languages: imapflow, Jakarta Mail and go-imap.

Each program below `programs/` prints what it has received; `make slow` fetches the libraries.
"""

import json
import sys
from pathlib import Path

import pytest
from tests.interop.conftest import PASSWORD, USER, run

pytestmark = pytest.mark.slow

PROGRAMS = Path(__file__).parents[1] / "programs"
INSTALLED = Path(sys.prefix) / "interop"


def test_imapflow_resynchronises_moves_and_idles(demo, program, tmp_path) -> None:
    client = tmp_path / "client.mjs"
    client.write_bytes((PROGRAMS / "imapflow/client.mjs").read_bytes())
    (tmp_path / "node_modules").symlink_to(INSTALLED / "imapflow/node_modules")
    host, port = demo.imap
    found = json.loads(
        run(program("node"), str(client), host, str(port), USER, PASSWORD, home=tmp_path)
    )
    vanished = set(found.pop("vanished"))
    assert {2} <= vanished <= {1, 2, 3}
    assert found == {
        "enabled": ["CONDSTORE", "IMAP4REV2", "QRESYNC", "UTF8=ACCEPT"],
        "exists": 3,
        "condstore": True,
        "changed": [[2, ["$Label", r"\Flagged"]]],
        "search": [2],
        "moved": [[1, 1]],
        "status": {
            "path": "Proyecto/Año",
            "messages": 1,
            "unseen": 1,
            "highestModseq": "bigint",
        },
        "arrived": 3,
        "expunged": [{"uid": 3, "vanished": True}],
        "last": "four",
        "quota": True,
    }


def test_jakarta_mail_compresses_sorts_searches_and_idles(demo, program, tmp_path) -> None:
    host, port = demo.imap
    output = run(
        program("java"), "-cp", str(INSTALLED / "angus/*"), str(PROGRAMS / "angus/Client.java"),
        host, str(port), USER, PASSWORD, home=tmp_path,
    )  # fmt: skip
    assert dict(line.split("=") for line in output.splitlines()) == {
        "compress": "true",
        "exists": "3",
        "sort": "[3, 1, 2]",
        "flagged": "1",
        "latin1": "1",  # sent in ISO 8859-1 after ENABLE UTF8=ACCEPT
        "ascii": "1",
        "moved": "1",
        "quota": "1",
        "arrived": "3",
    }


def test_go_imap_sorts_threads_stores_and_idles(demo, tmp_path) -> None:
    host, port = demo.imap
    found = json.loads(
        run(str(INSTALLED / "goimap"), f"{host}:{port}", USER, PASSWORD, home=tmp_path)
    )
    assert found == {
        "exists": 3,
        "modseq": True,
        "sort": [3, 1, 2],
        "thread": [[1, 3], [2]],
        "changed": [2],
        "answered": 0,  # STORE UNCHANGEDSINCE with an old MODSEQ
        "count": 1,
        "min": 2,
        "moved": "1",
        "size": True,
        "quota": True,
        "arrived": 3,
    }
