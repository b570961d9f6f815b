"""Page bench/RESULTS.md."""

from collections.abc import Iterable, Iterator, Sequence

from bench.table.results import (
    Curve,
    FlushRow,
    IdleResult,
    LargeRow,
    Results,
    RowResult,
    median,
    ratios,
)

OURS = "imapvm"
FORMS = ("imapvm-1", "imapvm-2")
DOVECOT = ("dovecot", "dovecot-always")

IDLE_HEADS = (
    "server", "TLS", "sessions", "KiB/session", "with share of files", "",
    "EXISTS after ms, p50", "p99", "max", "",
)  # fmt: skip
IDLE_SIDES = "llrrrlrrrl"

IDLE_KIB = {False: 10.0, True: 30.0}
"""Aims: memory of a session in IDLE, without and with TLS."""
IDLE_PART = 50
"""Aim: at most this part of the memory of Dovecot, without TLS."""
PUSH_MS = 10.0
"""Aim: p99 of the time to EXISTS."""
PUSH_SESSIONS = 5000
"""Number of sessions up to which `PUSH_MS` is an aim."""

FLUSH_GOALS = {
    ("STORE", 1): (1.0, 3.0),
    ("STORE", 20): (3.0, 10.0),
    ("APPEND", 1): (2.0, 2.0),
    ("APPEND", 20): (5.0, 5.0),
    ("LMTP", 1): (2.0, 2.0),
    ("LMTP", 20): (8.0, 8.0),
}
"""Aims for a flush of 1 ms, by operation and connections: ratio to Dovecot with `mail_fsync =
optimized`, and = always."""
FLUSH_GOAL_MS = 1.0

WORKERS_GAIN = 1.6


def page(results: Results) -> str:
    """Return the page."""
    parts = [_head(results), _goals(results), _flush(results), _large(results)]
    parts += [
        _workers(results),
        _others(results),
        _idle(results),
        _scale(results),
        _servers(results),
        _repeating(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(results: Results) -> str:
    machine = results.machine
    note = f"\n\n**Note.** {results.note}" if results.note else ""
    return f"""\
# Results

imapvm and other servers on {results.date}: same machine, same run, same load tool (`imapvm-bench`),
over loopback. Made by `{results.command}`; all values are in
[results/{results.date}.json](results/{results.date}.json).

* **Machine**: {machine.processor}, {machine.cores} cores, {machine.memory_bytes / 2**30:.0f} GiB;
  {machine.system}, {machine.kernel}; mail on {machine.file_system}; Python {machine.python}. Load
  tool and server share the cores.
* **State**: warm. All mail is in the page cache, and each run starts with a second that is not
  counted.
* **Rounds**: {results.rounds} of {results.seconds:g} s for each row and server, interleaved: in a
  round each row runs on all servers before the next row starts, and every second round takes the
  servers in reverse order. Values are medians; ± is half the distance between the highest and the
  lowest round, in percent of the median. A ratio is the median of the ratios of each round.
* **Durability**: imapvm syncs every commit before it acknowledges. For the others see
  [below](#the-servers). Rows compare with Dovecot with `mail_fsync = optimized`, its faster
  setting, unless marked "always".{note}"""


def _goals(results: Results) -> str:
    rows = [row for row in results.rows if OURS in row.values and "dovecot" in row.values]
    if not rows:
        return ""
    lines = []
    counts = {"reached": 0, "missed": 0, "no value": 0}
    for row in rows:
        goals: dict[str, float | None] = {"dovecot": None, **row.goals}
        for server, goal in goals.items():
            every = ratios(row, OURS, server)
            ratio = median(every)
            verdict = _verdict(ratio, goal)
            if goal is not None:
                counts[verdict.strip("*").partition("*")[0]] += 1
            name = row.name + (" (always)" if server == "dovecot-always" else "")
            lines.append(
                _line(
                    name,
                    row.unit,
                    _value(row, OURS),
                    _value(row, server),
                    "-" if ratio is None else f"{ratio:.2f}",
                    "-" if goal is None else f"{goal:g}",
                    verdict + (", slower" if ratio is not None and ratio < 1 else ""),
                    _range(every),
                )
            )
    missed = f"{counts['missed']} missed" + (
        f", {counts['no value']} without a value" if counts["no value"] else ""
    )
    table = _table(
        ("row", "unit", "imapvm", "Dovecot", "ratio", "aim", "", "each round"),
        "llrrrrlr",
        lines,
    )
    return (
        f"## Compared with Dovecot\n\n{counts['reached']} aims reached, {missed}.\n\n{table}"
        + _error_section(rows, (OURS, *DOVECOT))
    )


def _verdict(ratio: float | None, goal: float | None) -> str:
    if ratio is None:
        return "**no value**"
    if goal is None:
        return "no aim"
    return "reached" if ratio >= goal else "**missed**"


def _flush(results: Results) -> str:
    if not results.flush:
        return ""
    heads = ("row", "unit", "flush, ms", OURS, *DOVECOT, *(f"÷ {name}" for name in DOVECOT), "",
             *(f"syncs: {name}" for name in (OURS, *DOVECOT)))  # fmt: skip
    lines = [_flush_line(row) for row in results.flush]
    return f"""\
## Durable operations, by the time of a flush

Each call that waits for the disk takes a fixed time on every server, instead of that of the device
([disk/fixed_latency.c](disk/fixed_latency.c)). Flushes overlap, unless `--flush-queue` is given.
The last columns are the calls per operation. `dovecot` is `mail_fsync = optimized`, which does not
sync flags. Aims are for {FLUSH_GOAL_MS:g} ms.

{_table(heads, "llrrrrrrlrrr", lines)}""" + _error_section(results.flush, (OURS, *DOVECOT))


def _flush_line(row: FlushRow) -> str:
    shown = [median(ratios(row, OURS, name)) for name in DOVECOT]
    verdicts: tuple[str, ...] = ()
    if row.latency_ms == FLUSH_GOAL_MS:
        goals = FLUSH_GOALS.get((row.name.split()[0], row.connections), (None, None))
        verdicts = tuple(
            f"{_verdict(ratio, goal)} ({goal:g})"
            for ratio, goal in zip(shown, goals, strict=True)
            if goal is not None
        )
    syncs = [median(row.syncs.get(name, [])) for name in (OURS, *DOVECOT)]
    return _line(
        row.name,
        row.unit,
        f"{row.latency_ms:g}",
        *(_value(row, name) for name in (OURS, *DOVECOT)),
        *("-" if ratio is None else f"{ratio:.2f}" for ratio in shown),
        ", ".join(verdicts),
        *("-" if count is None else f"{count:.2f}" for count in syncs),
    )


def _large(results: Results) -> str:
    if not results.large:
        return ""
    names = list(dict.fromkeys(name for row in results.large for name in row.values | row.errors))
    heads = ("row", "unit", *(f"{name}, {when}" for name in names for when in ("first", "again")),
             "aim", "", "ratio")  # fmt: skip
    table = _table(
        heads,
        "ll" + "r" * 2 * len(names) + "rlr",
        [_large_line(row, names) for row in results.large],
    )
    errors = [
        f"* {row.name}, {name}: {why}" for row in results.large for name, why in row.errors.items()
    ]
    listed = "\n\nErrors:\n\n" + "\n".join(errors) if errors else ""
    return f"""\
## A large mailbox, and COMPRESS

Single commands over the socket: the first after the start of the server, with all mail in the page
cache, and the median of five more. Memory: of a session that has used COMPRESS in both directions,
and after 22 seconds without a command. The ratio is that of the second values, Dovecot ÷ imapvm.

{table}{listed}"""


def _large_line(row: LargeRow, names: Sequence[str]) -> str:
    ours = row.values.get(OURS)
    theirs = next((row.values[name] for name in names if name != OURS and name in row.values), None)
    verdict = ""
    if row.goals and ours:
        reached = all(value <= goal for value, goal in zip(ours, row.goals, strict=True))
        verdict = "reached" if reached else "**missed**"
    return _line(
        row.name,
        row.unit,
        *(
            "-" if value is None else _number(value)
            for name in names
            for value in row.values.get(name, (None, None))
        ),
        ", ".join(f"{goal:g}" for goal in row.goals),
        verdict,
        f"{theirs[1] / ours[1]:.1f}" if ours and theirs else "-",
    )


def _workers(results: Results) -> str:
    one, two = FORMS
    lines = []
    for row in results.rows:
        if not any(form in row.values for form in FORMS):
            continue
        every = ratios(row, two, one)
        ratio = median(every)
        if ratio is None:
            verdict = "**no value**"
        elif ratio >= WORKERS_GAIN:
            verdict = "reached"
        elif ratio >= 1:
            verdict = "not slower"
        else:
            verdict = "**slower**"
        shown = "-" if ratio is None else f"{ratio:.2f}"
        lines.append(_line(row.name, row.unit, *(_value(row, form) for form in (OURS, *FORMS)),
                           shown, verdict, _range(every)))  # fmt: skip
    if not lines:
        return ""
    table = _table(
        ("row", "unit", "workers = 0", "1", "2", "2 ÷ 1", "", "each round"), "llrrrrlr", lines
    )
    return f"""\
## Several workers

imapvm with `workers = 0` (one process for all roles), 1 and 2 (and one process each for intake and
maintenance). Aim: {WORKERS_GAIN} times the commands of one worker where a core is free for the load
tool, and never fewer. With as many workers as cores, no core is free.

{table}""" + _error_section(results.rows, FORMS)


def _others(results: Results) -> str:
    names = [
        server.name
        for server in results.servers
        if server.name not in {OURS, *FORMS, *DOVECOT, "dovecot-hibernate"}
    ]
    if not names:
        return ""
    lines = [
        _line(row.name, row.unit, *(_value(row, name) for name in (OURS, *names)),
              *(_ratio(row, name) for name in names))
        for row in results.rows
        if any(name in row.values or name in row.errors for name in names)
    ]  # fmt: skip
    heads = ("row", "unit", OURS, *names, *(f"÷ {name}" for name in names))
    table = _table(heads, "ll" + "r" * (len(heads) - 2), lines)
    return f"## Compared with other servers\n\n{table}" + _error_section(results.rows, names)


def _idle(results: Results) -> str:
    if not results.idle:
        return ""
    theirs = next(
        (r.anonymous for r in results.idle if r.server == "dovecot" and not r.tls and r.anonymous),
        None,
    )
    lines = [_idle_line(each, theirs) for each in results.idle]
    table = _table(IDLE_HEADS, IDLE_SIDES, lines)
    errors = [
        f"* {r.server}{' with TLS' if r.tls else ''}: {r.error}" for r in results.idle if r.error
    ]
    listed = "\n\nErrors:\n\n" + "\n".join(errors) if errors else ""
    aims = (
        f"{IDLE_KIB[False]:g} KiB and 1/{IDLE_PART} of Dovecot, {IDLE_KIB[True]:g} KiB with TLS,"
        f" and p99 of {PUSH_MS:g} ms with {PUSH_SESSIONS:,} sessions"
    )
    return f"""\
## Sessions in IDLE

Each server was started for this measurement only. KiB/session is the anonymous memory of all its
processes ([definition](../docs/decisions/0001-anonymous-resident-memory.md)); the next column adds
their share of program files and page cache (PSS). Updates: a message is delivered by LMTP to one
user while all sessions idle; the time is from the final dot to EXISTS at the client. Aims: {aims}.

{table}{listed}"""


def _idle_line(each: IdleResult, theirs: float | None) -> str:
    kib = None if each.anonymous is None else each.anonymous / 1024
    memory = push = ""
    if each.server.startswith(OURS):
        if kib is not None:
            good = kib <= IDLE_KIB[each.tls]
            if not each.tls and theirs is not None:
                good = good and kib * IDLE_PART <= theirs / 1024
            memory = "reached" if good else "**missed**"
        if each.push_ms and each.sessions <= PUSH_SESSIONS:
            push = "reached" if each.push_ms["p99"] < PUSH_MS else "**missed**"
    return _line(
        each.server,
        "yes" if each.tls else "no",
        f"{each.sessions:,}",
        "-" if kib is None else f"{kib:.1f}",
        "-" if each.pss is None else f"{each.pss / 1024:.1f}",
        memory,
        *(f"{each.push_ms[key]:.1f}" if each.push_ms else "-" for key in ("p50", "p99", "max")),
        push,
    )


def _scale(results: Results) -> str:
    if not results.scale and not results.large_idle:
        return ""
    parts = ["## Scale", "imapvm only, at growing sizes.", *map(_curve, results.scale)]
    for pool in results.large_idle:
        parts += [
            f"### {pool.sessions:,} sessions in IDLE at once",
            "Over several workers and client processes; deliveries to random users.",
            _table(IDLE_HEADS, IDLE_SIDES, [_idle_line(pool, None)]),
        ]
        if pool.error:
            parts.append(f"Errors: {pool.error}")
    return "\n\n".join(parts)


def _curve(curve: Curve) -> str:
    parts = [f"### {curve.name}", f"Aim: {curve.goal}."]
    if curve.note:
        parts.append(curve.note)
    if curve.points:
        lines = [
            _line(f"{point.size:,}", _number(median(point.values) or 0), _range(point.values))
            for point in curve.points
        ]
        parts.append(_table((curve.sizes, curve.unit, "each"), "rrr", lines))
    if curve.error:
        parts.append(f"**Incomplete**: {curve.error}")
    return "\n\n".join(parts)


def _servers(results: Results) -> str:
    lines = [
        _line(server.name, server.version, server.fsync, server.passwords, server.settings)
        for server in results.servers
    ]
    heads = ("name", "version", "on disk", "passwords", "settings")
    parts = ["## The servers", _table(heads, "lllll", lines)]
    absent = [f"* {name}: not installed. `{how}`" for name, how in results.missing.items()]
    absent += [f"* {name}: {why}" for name, why in results.failed.items()]
    if absent:
        parts.append("Not measured:\n\n" + "\n".join(absent))
    return "\n\n".join(parts)


def _repeating(results: Results) -> str:
    return f"""\
## Repeating the measurement

On Debian 12, with no other load on the machine:

```
apt-get install --no-install-recommends dovecot-imapd dovecot-lmtpd dovecot-sqlite
make bench-setup
.venv/bin/python -m bench.peers get     # Cyrus, Courier, pymap: unpacked into var/peers
make compare
```

This page was made with `{results.command}`. `python -m bench.table --help` lists the options. The
configuration of each server is in [peers/](peers/), and the commands of each row are in
[table/rows.py](table/rows.py)."""


def _error_section(rows: Iterable[RowResult], servers: Iterable[str]) -> str:
    wanted = tuple(servers)
    errors = [
        f"* {row.name}, {name}: {'; '.join(row.errors[name])}"
        for row in rows
        for name in wanted
        if name in row.errors
    ]
    return "\n\nErrors:\n\n" + "\n".join(errors) if errors else ""


def _value(row: RowResult, server: str) -> str:
    values = [value for value in row.values.get(server, []) if value is not None]
    middle = median(values)
    if middle is None:
        return "failed" if server in row.errors else "-"
    digits = 0 if middle >= 100 else 1 if middle >= 10 else 2
    text = f"{middle:,.{digits}f}"
    if len(values) > 1 and middle:
        text += f" ±{(max(values) - min(values)) / 2 / middle * 100:.0f} %"
    return text


def _ratio(row: RowResult, server: str) -> str:
    ratio = median(ratios(row, OURS, server))
    return "-" if ratio is None else f"{ratio:.2f}"


def _range(values: list[float]) -> str:
    return f"{_number(min(values))} to {_number(max(values))}" if values else "-"


def _number(value: float) -> str:
    """Return three significant digits, or all digits of the integer part."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _table(heads: Iterable[str], sides: str, lines: Iterable[str]) -> str:
    marks: Iterator[str] = ("---:" if side == "r" else "---" for side in sides)
    return "\n".join((_line(*heads), "|" + "|".join(marks) + "|", *lines))
