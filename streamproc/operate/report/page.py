"""A report as one HTML page that needs nothing else: plots are inline SVG, and there is no script."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from streamproc.operate.report.lines import rows
from streamproc.operate.report.period import Part
from streamproc.operate.report.report import Report

WIDTH, HEIGHT = 720, 160
_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid #8884; }
svg { width: 100%; height: auto; } .bar { fill: #5b7db1; } .dead { fill: #c2412d; } .none { fill: #8883; }
.anomaly { color: #c2412d; } .note { opacity: .7; } text { font: 11px system-ui, sans-serif; fill: currentColor; }
"""


def page(found: Report) -> str:
    """The whole page."""
    now = found.now
    title = f"streamproc, {_moment(now.begin_ms)} to {_moment(now.end_ms)} UTC"
    said = "".join(f'<li class="anomaly">{escape(line)}</li>' for line in found.anomalies)
    notes = "".join(f'<p class="note">{escape(line)}</p>' for line in found.notes)
    table = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows(found))
    plots = (
        ("Results", [part.results for part in now.parts], "bar", ""),
        ("Dead letters", [part.dead_letters for part in now.parts], "dead", ""),
        ("Mean response time", [part.response_s for part in now.parts], "bar", " s"),
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<ul>{said or '<li>nothing is out of the ordinary</li>'}</ul>"
        f"<table><tr><th></th><th>this period</th><th>the one before</th></tr>{table}</table>"
        + "".join(f"<h2>{name}</h2>{_plot(now.parts, values, kind, unit)}" for name, values, kind, unit in plots)
        + f"{notes}</body></html>\n"
    )


def _plot(parts: Sequence[Part], values: Sequence[float | None], kind: str, unit: str) -> str:
    """A bar for each part; where nothing is known there is none."""
    most = max((value for value in values if value is not None), default=0.0)
    wide = WIDTH / len(parts)
    bars = [
        f'<rect class="{kind}" x="{wide * index:.1f}" y="{HEIGHT * (1 - value / most):.1f}" width="{wide - 1:.1f}" '
        f'height="{HEIGHT * value / most:.1f}"><title>{_moment(part.begin_ms)}: {value:.4g}{unit}</title></rect>'
        for index, (part, value) in enumerate(zip(parts, values, strict=True))
        if value and most
    ]
    floor = f'<rect class="none" x="0" y="{HEIGHT}" width="{WIDTH}" height="1"/>'
    scale = f'<text x="2" y="12">{most:.4g}{unit}</text>'
    width = parts[1].begin_ms - parts[0].begin_ms
    ends = (
        f'<text x="0" y="{HEIGHT + 14}">{_moment(parts[0].begin_ms)}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT + 14}" text-anchor="end">{_moment(parts[-1].begin_ms + width)}</text>'
    )
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 18}" role="img">{floor}{"".join(bars)}{scale}{ends}</svg>'


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
