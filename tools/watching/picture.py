"""The dashboard's panels as SVG: where Grafana would put them, with its legends, in plain lines."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from bench.serving.plot import nice_step

_COLUMN, _ROW = 50, 24  # of Grafana's grid, in units of the picture
_LEFT, _TOP, _BOTTOM = 52, 30, 34  # of a panel, around its lines
_COLOURS = ("#2f6fde", "#4c9f70", "#c58b2a", "#c0504d", "#8064a2", "#31a2ac", "#8a8f98", "#d77fb4")
_INK = "#7a808a"  # legible on white and on black
_MIB = 2**20
_MOST_LINES = 8  # of a legend


@dataclass(frozen=True, slots=True)
class Series:
    """A line: pairs of seconds and values."""

    name: str
    points: Sequence[tuple[float, float]]


Asked = Callable[[str], Sequence[tuple[Mapping[str, str], Sequence[tuple[float, float]]]]]


def dashboard_picture(dashboard: Mapping[str, Any], ask: Asked, *, start: float, end: float, caption: str) -> str:
    """An SVG file of the panels, from `start` to `end` in seconds. `ask`: the labels and points of a query's series."""
    height = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in dashboard["panels"]) * _ROW + 30
    form = f'viewBox="0 0 {24 * _COLUMN} {height}" font-family="system-ui, sans-serif" font-size="11" fill="{_INK}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {form}>', f"<title>{escape(caption)}</title>"]
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        parts.append(f'<g transform="translate({place["x"] * _COLUMN} {place["y"] * _ROW})">')
        if panel["type"] == "row":
            parts.append(f'<text x="6" y="17" font-size="14" font-weight="bold">{escape(panel["title"])}</text>')
        else:
            lines = [line for target in panel["targets"] for line in _lines(target, ask)]
            parts += _panel(panel, lines, start, end)
        parts.append("</g>")
    parts.append(f'<text x="6" y="{height - 10}">{escape(caption)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _lines(target: Mapping[str, str], ask: Asked) -> Iterator[Series]:
    for labels, points in ask(target["expr"]):
        name = re.sub(r"{{\s*(\w+)\s*}}", lambda found, labels=labels: labels.get(found[1], ""), target["legendFormat"])  # type: ignore[misc]
        yield Series(name.strip(), [(at, value) for at, value in points if math.isfinite(value)])


def _panel(panel: Mapping[str, Any], lines: Sequence[Series], start: float, end: float) -> Iterator[str]:
    width, height = int(panel["gridPos"]["w"]) * _COLUMN - 10, int(panel["gridPos"]["h"]) * _ROW - 10
    unit = panel["fieldConfig"]["defaults"]["unit"]
    yield f'<rect width="{width}" height="{height}" rx="4" fill="none" stroke="{_INK}" opacity=".35"/>'
    yield f'<text x="8" y="18" font-size="12" font-weight="bold">{escape(panel["title"])}</text>'
    if not lines:
        yield f'<text x="{width / 2}" y="{height / 2}" text-anchor="middle">no data</text>'
        return
    top = max((value for line in lines for _, value in line.points), default=0.0) or 1.0
    scale = _MIB if unit == "bytes" else 1
    step = nice_step(top / scale) * scale
    top = step * math.ceil(top / step)

    def across(at: float) -> float:
        return _LEFT + (at - start) / (end - start) * (width - _LEFT - 10)

    def down(value: float) -> float:
        return height - _BOTTOM - value / top * (height - _TOP - _BOTTOM)

    for number in range(round(top / step) + 1):
        y = down(number * step)
        yield f'<line x1="{_LEFT}" x2="{width - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_INK}" opacity=".2"/>'
        words = shown(number * step, unit)
        yield f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end" font-size="10">{words}</text>'
    room = (width - 16) / max(1, min(len(lines), _MOST_LINES))
    for index, line in enumerate(lines):
        colour = _COLOURS[index % len(_COLOURS)]
        path = " ".join(f"{across(at):.1f},{down(value):.1f}" for at, value in line.points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        if index < _MOST_LINES:
            words = line.name[: max(6, int(room / 5.2) - 2)]
            yield f'<circle cx="{12 + index * room:.1f}" cy="{height - 13}" r="3.5" fill="{colour}"/>'
            yield f'<text x="{19 + index * room:.1f}" y="{height - 9}" font-size="9.5">{escape(words)}</text>'


def shown(value: float, unit: str) -> str:
    """A value with its unit, short."""
    if unit == "percentunit":
        return f"{value * 100:g} %"
    if unit == "bytes":
        return f"{value / 2**30:.3g} GiB" if value >= 2**30 else f"{value / _MIB:.3g} MiB"
    if unit == "s":
        return f"{value:g} s" if value >= 1 or not value else f"{value * 1000:g} ms"
    return f"{value:g}" + ("/s" if unit == "reqps" else "")
