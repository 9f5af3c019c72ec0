"""The tables of docs/scores.md, and its drawing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape

from bench.scores.curves import EDGES, CurvePart, Pairs, calibration_error, parts, separation

SKILLS = ("detect", "point", "flag", "caption", "answer")
_SIDE, _EDGE, _BOTTOM, _RIGHT = 320, 44, 36, 190  # of the drawing
_COLOURS = ("#2f6fde", "#4c9f70", "#c58b2a", "#a04fb0", "#8a8f98")
_INK = "#7a808a"  # legible on white and on black


def of_skill(lines: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, bool]]]:
    """Scores with what was right, by skill; `lines` are of the record, a list of pairs for each model and skill."""
    found: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for line in lines:
        found[line["skill"]] += [(score, bool(right)) for score, right in line["pairs"]]
    return found


def by_part(lines: Sequence[Mapping[str, Any]]) -> str:
    """How many have a score in each part, and how many of these are right."""
    found = of_skill(lines)
    head = ["score", *(f"{name}, right" for name in SKILLS if name in found)]
    rows = []
    for low, high in pairwise(EDGES):
        cells = []
        for name in SKILLS:
            if name in found:
                part = next((one for one in parts(found[name]) if one.low == low), None)
                cells.append("-" if part is None else f"{part.right:.0%} of {part.count}")
        rows.append([f"{low:g} to {high:g}", *cells])
    return _table(head, rows)


def by_model(lines: Sequence[Mapping[str, Any]]) -> str:
    """How good the scores of each model and skill are, on pictures as trained and on spoilt ones."""
    head = ["skill", "model", "pictures", "scores", "right", "mean score", "AUC", "calibration error"]
    rows = []
    for line in sorted(lines, key=lambda one: (SKILLS.index(one["skill"]), one["model"], one["spoilt"])):
        pairs: Pairs = [(score, bool(right)) for score, right in line["pairs"]]
        area = separation(pairs)
        rows.append(
            [
                line["skill"],
                f"`{line['model']}`",
                "spoilt" if line["spoilt"] else "as trained",
                str(len(pairs)),
                f"{sum(right for _, right in pairs) / max(1, len(pairs)):.1%}",
                f"{sum(score for score, _ in pairs) / max(1, len(pairs)):.3f}",
                "-" if area is None else f"{area:.3f}",
                f"{calibration_error(pairs):.3f}",
            ]
        )
    return _table(head, rows)


def drawing(lines: Sequence[Mapping[str, Any]]) -> str:
    """An SVG: across what the model said, upwards how often that was right; on the diagonal both are the same."""
    found = of_skill(lines)
    width, height, title = _EDGE + _SIDE + _RIGHT, _SIDE + _EDGE + _BOTTOM, "How often a score is right"
    form = f'viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="11" fill="{_INK}"'
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {form}>',
        f"<title>{escape(title)}</title>",
        f'<text x="{_EDGE}" y="18" font-size="14">{escape(title)}</text>',
        _line([(0, 0), (1, 1)], _INK, dashed=True),
    ]
    for tenth in range(0, 11, 2):
        (x, y), place = _at(tenth / 10, tenth / 10), f"{tenth / 10:g}"
        out.append(f'<text x="{x:.1f}" y="{_EDGE + _SIDE + 16}" text-anchor="middle">{place}</text>')
        out.append(f'<text x="{_EDGE - 6}" y="{y + 4:.1f}" text-anchor="end">{place}</text>')
        out.append(_line([(0, tenth / 10), (1, tenth / 10)], _INK, faint=True))
    out.append(f'<text x="{_EDGE + _SIDE / 2}" y="{height - 4}" text-anchor="middle">score</text>')
    for number, name in enumerate(skill for skill in SKILLS if skill in found):
        colour, shown = _COLOURS[number], [part for part in parts(found[name]) if part.count >= 10]
        out.append(_line([(part.mean, part.right) for part in shown], colour))
        out += [_dot(part, colour) for part in shown]
        y = _EDGE + 14 + 18 * number
        out.append(f'<rect x="{_EDGE + _SIDE + 24}" y="{y - 9}" width="11" height="11" fill="{colour}"/>')
        out.append(f'<text x="{_EDGE + _SIDE + 41}" y="{y}">{escape(name)} ({len(found[name])})</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def _at(x: float, y: float) -> tuple[float, float]:
    return _EDGE + _SIDE * x, _EDGE + _SIDE * (1 - y)


def _line(points: Sequence[tuple[float, float]], colour: str, *, dashed: bool = False, faint: bool = False) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_at(*point) for point in points))
    form = ' stroke-dasharray="4 4"' if dashed else ' opacity=".3"' if faint else ' stroke-width="2"'
    return f'<polyline points="{path}" fill="none" stroke="{colour}"{form}/>'


def _dot(part: CurvePart, colour: str) -> str:
    x, y = _at(part.mean, part.right)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2 + min(5, part.count**0.5 / 6):.1f}" fill="{colour}"/>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
