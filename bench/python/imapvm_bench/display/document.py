"""HTML of a page: style, tiles, tables. Texts are escaped here."""

import html
from collections.abc import Iterable, Sequence
from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --paper: #f6f7f9; --card: #ffffff; --ink: #1b2330; --soft: #5c6778; --line: #e3e7ed;
  --good: #17803d; --bad: #c22f2f; --warn: #9a6200; --bad-paper: #fdecec;
  --c1: #2f6fd0; --c2: #d9731a; --c3: #128a78; --c4: #8550c8; --c5: #c33b74; --c6: #7a7f1c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12161d; --card: #1a2029; --ink: #e6eaf0; --soft: #94a0b2; --line: #2b3441;
    --good: #5cc98a; --bad: #ff8080; --warn: #e7b04b; --bad-paper: #3a2024;
    --c1: #6ba3f5; --c2: #f0a05a; --c3: #4cc4b0; --c4: #b48df0; --c5: #f083ad; --c6: #c3c860;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 48px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 15px; margin: 0 0 2px; }
p { margin: 0; }
.about { color: var(--soft); margin-bottom: 22px; }
.note { color: var(--soft); font-size: 13px; margin-bottom: 8px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin-bottom: 16px; }
.tile, section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 12px 16px; }
.tile b { display: block; font-size: 25px; line-height: 1.25; font-weight: 650;
  letter-spacing: -0.02em; font-variant-numeric: tabular-nums; white-space: nowrap; }
.tile span { color: var(--soft); font-size: 13px; }
.tile.bad b { color: var(--bad); } .tile.good b { color: var(--good); }
section { padding: 16px 18px; margin-bottom: 16px; overflow-x: auto; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 16px; }
.pair section { min-width: 0; }
@media (max-width: 820px) { .pair { grid-template-columns: 1fr; gap: 0; } }
.banner { border-color: var(--bad); background: var(--bad-paper); font-weight: 600; }
.mild { border-color: var(--warn); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; font-size: 13px; color: var(--soft);
  border-bottom: 1px solid var(--line); padding: 4px 0 4px 16px; white-space: nowrap; }
td { text-align: right; padding: 5px 0 5px 16px; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal; }
td.left, th.left { text-align: left; white-space: normal; overflow-wrap: anywhere; }
td code, .banner code { font: 13px/1.45 ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
.faster { color: var(--good); font-weight: 650; } .slower { color: var(--bad); font-weight: 650; }
.even { font-weight: 650; }
.soft { color: var(--soft); font-weight: 400; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: 13px; margin: 4px 0 2px; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px;
  margin-right: 6px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--soft); font-size: 12px; font-family: inherit;
  font-variant-numeric: tabular-nums; }
svg text.name { fill: var(--ink); } svg text.value { fill: var(--ink); font-weight: 600; }
svg .grid { stroke: var(--line); stroke-width: 1; } svg .axis { stroke: var(--soft); }
svg .mark { stroke: var(--soft); stroke-dasharray: 3 3; }
svg .hit { fill: transparent; } svg .hit:hover { fill: var(--ink); fill-opacity: 0.08; }
svg .bar:hover, svg .dot:hover { filter: brightness(1.15); }
footer { color: var(--soft); font-size: 13px; margin-top: 20px; }
"""


def escape(text: object) -> str:
    """Return a text escaped for content and attributes; control characters become visible."""
    shown = "".join(c if c.isprintable() or c == "\n" else "�" for c in str(text))
    return html.escape(shown, quote=True)


def document(title: str, body: Iterable[str]) -> str:
    """Return a whole page. `body` is HTML, `title` is text."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        # Nothing is loaded, even if text of a server were not escaped.
        '<meta http-equiv="Content-Security-Policy"'
        " content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def heading(title: str, about: str) -> str:
    """Return the title and the line below it."""
    return f'<h1>{escape(title)}</h1>\n<p class="about">{escape(about)}</p>'


def tiles(values: Iterable[tuple[str, str, str]]) -> str:
    """Return tiles with large numbers: (value, label, "" or "good" or "bad")."""
    inside = "".join(
        f'<div class="tile {mood}"><b>{escape(value)}</b><span>{escape(label)}</span></div>'
        for value, label, mood in values
    )
    return f'<div class="tiles">{inside}</div>'


def section(title: str, inside: str, *, note: str = "") -> str:
    """Return a card; `inside` is HTML."""
    small = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{small}{inside}</section>"


def banner(text: str, *, mild: bool = False) -> str:
    """Return a prominent message."""
    return f'<section class="{"mild" if mild else "banner"}">{escape(text)}</section>'


def pair(left: str, right: str) -> str:
    """Return two sections side by side where there is room."""
    return f'<div class="pair">{left}{right}</div>'


def table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int] = (0,)
) -> str:
    """Return a table; cells are HTML, titles are text.

    Args:
        titles: titles of the columns.
        rows: cells, already escaped.
        left: left-aligned columns, with text and not numbers.
    """
    head = "".join(
        f'<th class="left">{escape(t)}</th>' if n in left else f"<th>{escape(t)}</th>"
        for n, t in enumerate(titles)
    )
    lines = "".join(
        "<tr>"
        + "".join(
            f'<td class="left">{cell}</td>' if n in left else f"<td>{cell}</td>"
            for n, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def legend(names: Sequence[str]) -> str:
    """Return the legend of the colours, in the order of `colour`."""
    inside = "".join(
        f'<span><i style="background:{colour(n)}"></i>{escape(name)}</span>'
        for n, name in enumerate(names)
    )
    return f'<div class="legend">{inside}</div>'


COLOURS: Final = 6


def colour(number: int) -> str:
    """Return a colour, distinct from its neighbours in light and dark."""
    return f"var(--c{number % COLOURS + 1})"
