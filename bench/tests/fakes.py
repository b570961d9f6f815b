"""Fake engine with measurements made from a seed."""

import json
import random
from typing import ClassVar


class FakeLoad:
    """Fake of `_engine.Load`. Each snapshot advances time by 0.2 s.

    Latencies are log-normal around 1 ms, as in real reports.
    """

    ERRORS: ClassVar[dict] = {}
    ENDED = "time"
    RATE = 9000

    def __init__(self, plan):
        self.plan = json.loads(plan)
        self.rng = random.Random(7)
        self.elapsed = 0.0
        self.stopped = False
        self.started = False

    def start(self):
        self.started = True

    def stop(self):
        self.stopped = True

    def snapshot(self):
        assert self.started
        self.elapsed += 0.2
        connections = self.plan["connections"]
        opening, warming = 1.0, 1.0 + self.plan["warmup_seconds"]
        measured = self.elapsed - warming
        if self.elapsed < opening:
            phase, elapsed = "opening", self.elapsed
        elif self.elapsed < warming:
            phase, elapsed = "warming up", self.elapsed - opening
        elif measured < self.plan["seconds"] and not self.stopped:
            phase, elapsed = "measuring", measured
        else:
            phase, elapsed = "ended", 0.0
        rate = self.RATE * self.rng.lognormvariate(0, 0.08)
        return json.dumps(
            {
                "phase": phase,
                "elapsed": elapsed,
                "open": int(connections * min(1.0, self.elapsed)),
                "totals": {
                    "commands": int(self.RATE * max(0.0, measured)),
                    "entries": int(self.RATE * max(0.0, measured)),
                    "bytes_in": int(self.RATE * max(0.0, measured) * 400),
                    "bytes_out": 10,
                    "errors": 0,
                },
                "recent": {
                    "commands_per_second": rate,
                    "bytes_in_per_second": rate * 400,
                    "p50_us": int(1000 * self.rng.lognormvariate(0, 0.05)),
                    "p99_us": int(4000 * self.rng.lognormvariate(0, 0.3)),
                },
                "errors": {kind: error["count"] for kind, error in self.ERRORS.items()},
            }
        )

    def histogram(self, count, median_us):
        counted: dict[int, int] = {}
        for _ in range(count):
            value = max(1, int(median_us * self.rng.lognormvariate(0, 0.5)))
            if self.rng.random() < 0.004:
                value *= 12
            counted[value] = counted.get(value, 0) + 1
        return sorted(counted.items())

    def finish(self):
        assert self.started
        seconds = float(self.plan["seconds"])
        labels, entries, commands = {}, {}, 0
        for place, entry in enumerate(self.plan["mix"]):
            count = max(1, int(600 * entry["weight"] / (place + 1)))
            for command in entry["commands"]:
                commands += count
                histogram = self.histogram(count, 500 * (place + 1))
                labels[command["label"]] = {
                    "count": count,
                    "errors": 0,
                    "bytes_in": count * 400,
                    "histogram": histogram,
                }
            entries[entry["name"]] = {"count": count, "histogram": self.histogram(count, 900)}
        steps = int(seconds * 10)
        return json.dumps(
            {
                "seconds": seconds,
                "connections": self.plan["connections"],
                "opened_seconds": 0.31,
                "totals": {
                    "commands": commands,
                    "entries": commands,
                    "bytes_in": commands * 400,
                    "bytes_out": commands * 20,
                    "errors": sum(error["count"] for error in self.ERRORS.values()),
                },
                "labels": labels,
                "entries": entries,
                "setup": {
                    "LOGIN": {
                        "count": 64,
                        "errors": 0,
                        "bytes_in": 9,
                        "histogram": self.histogram(64, 20_000),
                    }
                },
                "series": {
                    "step_ms": 100,
                    "commands": [
                        int(self.RATE / 10 * self.rng.lognormvariate(0, 0.1)) for _ in range(steps)
                    ],
                    "bytes_in": [400 * 900] * steps,
                    "errors": [0] * steps,
                    "p99_us": [int(4000 * self.rng.lognormvariate(0, 0.4)) for _ in range(steps)],
                },
                "errors": self.ERRORS,
                "unfinished": {"in_flight": 0, "oldest_us": 0, "backlog": 0},
                "ended": "stopped" if self.stopped else self.ENDED,
            }
        )
