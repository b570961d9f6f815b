"""Plans for the engine."""

import json
from typing import Any

from imapvm_bench._engine import Load


def command(text: str, **more: Any) -> dict[str, Any]:
    return {"label": text.split()[0], "parts": [{"text": text}], **more}


def entry(*commands: dict[str, Any], name: str = "entry", **more: Any) -> dict[str, Any]:
    return {"name": name, "commands": list(commands), **more}


def plan(port: int, **fields: Any) -> dict[str, Any]:
    return {
        "protocol": "imap",
        "host": "127.0.0.1",
        "port": port,
        "connections": 4,
        "seconds": 0.2,
        "answer_seconds": 10,
        "users": [["anna", "secret"]],
        "mix": [entry(command("NOOP"))],
        **fields,
    }


def run(port: int, **fields: Any) -> dict[str, Any]:
    """Run a load to its end and return the report."""
    load = Load(json.dumps(plan(port, **fields)))
    load.start()
    report: dict[str, Any] = json.loads(load.finish())
    return report


def count(row: dict[str, Any]) -> int:
    return sum(number for _, number in row["histogram"])
