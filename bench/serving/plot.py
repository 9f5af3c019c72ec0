"""Bars as SVG, readable on a light page and on a dark one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 860, 330  # of the picture, in its own units
_LEFT, _TOP, _RIGHT, _BOTTOM = 44, 62, 10, 28
_COLOURS = ("#8a8f98", "#4c9f70", "#c58b2a", "#2f6fde", "#b9c6de")
_INK = "#7a808a"  # text and lines: legible on white and on black


@dataclass(frozen=True, slots=True)
class Bars:
    """Groups of bars: in each group one value for each of `series`, or None where there is none."""

    title: str
    series: Sequence[str]
    groups: Mapping[str, Sequence[float | None]]


def bars(data: Bars) -> str:
    """An SVG file. Values are at least 0; each is written over its bar."""
    highest = max((value for values in data.groups.values() for value in values if value is not None), default=1.0)
    step = nice_step(highest)
    top = step * max(1, math.ceil(highest / step))
    form = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="system-ui, sans-serif" font-size="11" fill="{_INK}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {form}>',
        f"<title>{escape(data.title)}</title>",
        f'<text x="{_LEFT}" y="18" font-size="14">{escape(data.title)}</text>',
        *_legend(data.series),
    ]
    for number in range(round(top / step) + 1):
        y = _height(number * step, top)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_INK}" opacity=".3"/>'
        )
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number * step:g}</text>')
    room = (_WIDTH - _LEFT - _RIGHT) / max(1, len(data.groups))
    bar = room * 0.86 / len(data.series)
    for index, (name, values) in enumerate(data.groups.items()):
        left = _LEFT + room * index + room * 0.07
        parts.append(f'<text x="{left + room * 0.43:.1f}" y="{_HEIGHT - 9}" text-anchor="middle">{escape(name)}</text>')
        for place, value in enumerate(values):
            if value is not None:
                parts += _bar(left + bar * place, bar, value, top, _COLOURS[place % len(_COLOURS)])
    return "\n".join([*parts, "</svg>"]) + "\n"


def nice_step(highest: float) -> float:
    """1, 2 or 5 times a power of ten: lines for `highest` and below that are three to seven."""
    if highest <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(highest))
    return float(next(power * part for part in (0.2, 0.5, 1, 2) if highest / (power * part) <= 6))


def _height(value: float, top: float) -> float:
    """Where a value is, from the top of the picture."""
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / top


def _bar(left: float, width: float, value: float, top: float, colour: str) -> list[str]:
    y = _height(value, top)
    middle, place = left + width / 2, f'x="{left:.1f}" y="{y:.1f}"'
    return [
        f'<rect {place} width="{width * 0.92:.1f}" height="{_HEIGHT - _BOTTOM - y:.1f}" fill="{colour}"/>',
        f'<text x="{middle:.1f}" y="{y - 3:.1f}" text-anchor="middle" font-size="10">{value:.0f}</text>',
    ]


def _legend(series: Sequence[str]) -> list[str]:
    parts, x = [], float(_LEFT)
    for number, name in enumerate(series):
        parts.append(f'<rect x="{x:.1f}" y="30" width="11" height="11" fill="{_COLOURS[number % len(_COLOURS)]}"/>')
        parts.append(f'<text x="{x + 16:.1f}" y="40">{escape(name)}</text>')
        x += 34 + 6.4 * len(name)
    return parts
