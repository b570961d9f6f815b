"""The page of `idle`: memory of the server, and how soon sessions are told of new mail."""

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
from imapvm_bench.idle.measure import IdleReport, histogram_of


def idle_page(report: IdleReport, began: datetime) -> str:
    """Return the page."""
    title = f"{report.load.sessions:,} idle sessions on {report.load.target.name}"
    said = [
        report.probe.name,
        f"{len(report.load.target.users):,} users",
        {"none": "no TLS", "tls": "TLS", "starttls": "STARTTLS"}[report.load.target.tls],
        f"{report.processes} client process{'es' if report.processes != 1 else ''}",
        f"{began:%d %B %Y %H:%M} UTC",
    ]
    body = [heading(title, " · ".join(part for part in said if part))]
    if report.ended_early:
        body.append(banner(f"{report.ended_early}. This is what was measured until then."))
    elif report.interrupted:
        body.append(banner("Interrupted: this is what was measured until then.", mild=True))
    body += [_tiles(report), *_memory(report), *_news(report)]
    if report.state.errors:
        body.append(section("Errors", errors_html(report.state.errors)))
    body.append(
        "<footer>Memory is the PSS of the server's process and all that descend from it"
        " (/proc/PID/smaps_rollup), less what it was before the sessions came, by their number."
        " What the kernel keeps for sockets is not in it. News is timed from the final dot"
        " of a delivery by LMTP to EXISTS at a session. Made by imapvm-bench.</footer>"
    )
    return document(title, body)


def _tiles(report: IdleReport) -> str:
    state = report.state
    shown = [(f"{report.idled:,}", "sessions idle", "bad" if state.failed else "good")]
    if a_session := report.a_session(report.after):
        shown.append((kibibytes(a_session[0]), "a session (PSS)", ""))
    if report.news.from_dot:
        p50, p99 = histogram_of(report.news.from_dot).percentiles((50, 99))
        shown += [
            (format_latency(p50), "to EXISTS, p50", ""),
            (format_latency(p99), "to EXISTS, p99", ""),
            (
                f"{report.news.missed:,}",
                "times not told",
                "bad" if report.news.missed else "good",
            ),
        ]
    if report.opened_seconds:
        speed = report.idled / report.opened_seconds
        shown.append((f"{format_rate(speed)}/s", "log-ins", ""))
    return tiles(shown)


def kibibytes(octets: float) -> str:
    """Return an amount of memory as KiB."""
    return f"{octets / 1024:,.2f} KiB"


def _memory(report: IdleReport) -> list[str]:
    times = (
        ("before", report.before),
        (f"{report.idled:,} idle", report.after),
        ("after news", report.after_news),
    )
    known = [(name, memory) for name, memory in times if memory is not None]
    if not known:
        return []
    rows = []
    for name, memory in known:
        a_session = report.a_session(memory) if name != "before" else None
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
    titles = ("when", "PSS", "of it anonymous", "processes", "a session", "of it anonymous")
    drawn = bars([Bar(n, m.pss, m.pss, m.pss, format_size(m.pss)) for n, m in known])
    return [
        section("Memory of the server", table(titles, rows)),
        section("Memory, PSS", f'<div style="max-width:620px">{drawn}</div>'),
    ]


def _news(report: IdleReport) -> list[str]:
    news = report.news
    if not news.from_dot:
        return []
    kinds = [
        ("final dot → EXISTS", histogram_of(news.from_dot)),
        ("reply → EXISTS", histogram_of([max(1, value) for value in news.from_reply])),
    ]
    if len(news.last_from_dot) < len(news.from_dot):
        kinds.append(("final dot → last session told", histogram_of(news.last_from_dot)))
    rows = [
        (name, f"{h.count:,}", *(format_latency(v) for v in h.percentiles((50, 90, 99))),
         format_latency(h.max))
        for name, h in kinds
    ]  # fmt: skip
    note = (
        f"{news.deliveries:,} deliveries to users chosen at random; {news.expected:,} times a"
        f" session had to be told, {news.missed:,} times none was."
    )
    return [
        section("News", table(("", "count", "p50", "p90", "p99", "max"), rows), note=note),
        pair(
            section("Delivery to EXISTS", latency_histogram(kinds[0][1])),
            section("By percentile", legend([n for n, _ in kinds]) + percentile_curves(kinds)),
        ),
    ]
