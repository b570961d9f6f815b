"""HTML page of `idle`: memory of the server, and times from deliveries to EXISTS."""

from datetime import datetime

from imapvm_bench.display.charts import Bar, bars, latency_histogram, percentile_curves
from imapvm_bench.display.document import (
    banner,
    document,
    heading,
    legend,
    pair,
    section,
    table,
    tiles,
)
from imapvm_bench.display.run_page import errors_html
from imapvm_bench.format import (
    format_latency,
    format_rate,
    format_size,
)
from imapvm_bench.idle.report import IdleReport, histogram_of


def idle_page(report: IdleReport, began: datetime) -> str:
    """Return the page."""
    title = f"{report.load.sessions:,} idle sessions on {report.load.target.name}"
    about = [
        report.probe.name,
        f"{len(report.load.target.users):,} users",
        {"none": "no TLS", "tls": "TLS", "starttls": "STARTTLS"}[report.load.target.tls],
        f"{report.processes} client process{'es' if report.processes != 1 else ''}",
        f"{began:%d %B %Y %H:%M} UTC",
    ]
    body = [heading(title, " · ".join(part for part in about if part))]
    if report.ended_early:
        body.append(banner(f"{report.ended_early}. Results until then."))
    elif report.interrupted:
        body.append(banner("Interrupted: results until then.", mild=True))
    body += [_tiles(report), *_memory(report), *_push(report)]
    if report.state.errors:
        body.append(section("Errors", errors_html(report.state.errors)))
    body.append(
        "<footer>Memory per session is the growth of PSS of the server and its descendants"
        " (/proc/PID/smaps_rollup), divided by the number of sessions. Memory of the kernel for"
        " sockets is not included. Latency is from the final dot of a delivery by LMTP to EXISTS."
        " Made by imapvm-bench.</footer>"
    )
    return document(title, body)


def _tiles(report: IdleReport) -> str:
    state = report.state
    shown = [(f"{report.idled:,}", "sessions idle", "bad" if state.failed else "good")]
    if a_session := report.per_session(report.after):
        shown.append((kibibytes(a_session[0]), "per session (PSS)", ""))
    if report.push.from_dot:
        p50, p99 = histogram_of(report.push.from_dot).percentiles((50, 99))
        shown += [
            (format_latency(p50), "to EXISTS, p50", ""),
            (format_latency(p99), "to EXISTS, p99", ""),
            (
                f"{report.push.missed:,}",
                "missing EXISTS",
                "bad" if report.push.missed else "good",
            ),
        ]
    if report.opened_seconds:
        speed = report.idled / report.opened_seconds
        shown.append((f"{format_rate(speed)}/s", "log-ins", ""))
    return tiles(shown)


def kibibytes(size: float) -> str:
    """Return a size in KiB."""
    return f"{size / 1024:,.2f} KiB"


def _memory(report: IdleReport) -> list[str]:
    times = (
        ("before", report.before),
        (f"{report.idled:,} idle", report.after),
        ("after deliveries", report.after_push),
    )
    known = [(name, memory) for name, memory in times if memory is not None]
    if not known:
        return []
    rows = []
    for name, memory in known:
        a_session = report.per_session(memory) if name != "before" else None
        rows.append(
            (
                name,
                format_size(memory.pss),
                format_size(memory.anonymous),
                f"{memory.processes:,}",
                kibibytes(a_session[0]) if a_session else "",
                kibibytes(a_session[1]) if a_session else "",
            )
        )
    titles = ("time", "PSS", "anonymous", "processes", "PSS/session", "anonymous/session")
    drawn = bars([Bar(n, m.pss, m.pss, m.pss, format_size(m.pss)) for n, m in known])
    return [
        section("Memory of the server", table(titles, rows)),
        section("Memory, PSS", f'<div style="max-width:620px">{drawn}</div>'),
    ]


def _push(report: IdleReport) -> list[str]:
    push = report.push
    if not push.from_dot:
        return []
    kinds = [
        ("final dot → EXISTS", histogram_of(push.from_dot)),
        ("reply → EXISTS", histogram_of([max(1, value) for value in push.from_reply])),
    ]
    if len(push.last_from_dot) < len(push.from_dot):
        kinds.append(("final dot → last EXISTS", histogram_of(push.last_from_dot)))
    rows = [
        (name, f"{h.count:,}", *(format_latency(v) for v in h.percentiles((50, 90, 99))),
         format_latency(h.max))
        for name, h in kinds
    ]  # fmt: skip
    note = (
        f"{push.deliveries:,} deliveries to random users: {push.expected:,} EXISTS expected,"
        f" {push.missed:,} missing."
    )
    return [
        section(
            "Latency of updates", table(("", "count", "p50", "p90", "p99", "max"), rows), note=note
        ),
        pair(
            section("Delivery to EXISTS", latency_histogram(kinds[0][1])),
            section("By percentile", legend([n for n, _ in kinds]) + percentile_curves(kinds)),
        ),
    ]
