"""The table and the plot of the service beside other servers."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from bench.serving import tables
from bench.serving.names import BENTOML, CACHED, IDEAL, LOOKSEE, PLAIN
from bench.serving.plot import Bars, bars, nice_step

SVG = "{http://www.w3.org/2000/svg}"


def line(server: str, rate: float, callers: int = 32, **more: Any) -> dict[str, Any]:
    figures = {"p50": 0.25, "ratio": rate / 40, "ratios": [1.0, 4.0], "errors": 0, "right": 1.0, "rows": None}
    return {"model": "blip", "callers": callers, "server": server, "rate": rate, **figures, **more}


LINES = [
    line(PLAIN, 40),
    line(BENTOML, 80, errors=2),
    line(LOOKSEE, 120, rows=17.25, right=0.995),
    line(IDEAL, 160),
    line(CACHED, 900, right=0.5),
]


def test_a_load_is_a_line_and_who_was_not_there_is_a_dash() -> None:
    head, _, row = ([cell.strip() for cell in text.strip("|").split("|")] for text in tables.table(LINES).split("\n"))
    shown = dict(zip(head[:10], row[:10], strict=True))
    assert shown == {
        "model": "`blip`",
        "at a time": "32",
        "plain FastAPI, captions/s": "40",
        "LitServe, captions/s": "-",
        "BentoML batchable, captions/s": "80",
        "Looksee, captions/s": "120",
        "ideal batches, captions/s": "160",
        "Looksee : plain": "3.00 (1.00 to 4.00)",
        "LitServe : plain": "-",
        "BentoML : plain": "2.00",
    }
    assert row[10:] == ["0.75", "250", "-", "250", "250", "17.2", "900", "99.5%", "2"]


def test_a_load_without_the_plain_server_is_left_out() -> None:
    assert tables.table([line(LOOKSEE, 120)]).count("\n") == 1


def test_skills_are_a_line_a_load() -> None:
    load = {"server": "Looksee, all skills", "callers": 8, "rate": 88.4, "ratio": 1.494, "p50": 0.0773, "p99": 0.1709}
    text = tables.skills(
        [{**load, "errors": 1, "right": 0.995, "rows": 3.62}, {**load, "errors": 0, "right": 1, "rows": None}]
    )
    first, second = text.split("\n")[2:]
    assert first == "| 8 | Looksee, all skills | 88 | 1.49 | 77 | 171 | 3.6 | 99.5% | 1 |"
    assert second.endswith("| 171 |  | 100.0% | 0 |")


def test_the_plot_has_a_bar_as_high_as_its_value_for_each_that_was_there() -> None:
    root = ElementTree.fromstring(tables.plot([*LINES, line(PLAIN, 5000, callers=1)]))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"blip", "LitServe", "40", "80", "120", "160"} <= set(texts)
    heights = [float(bar.attrib["height"]) for bar in root.iter(f"{SVG}rect") if bar.attrib["height"] != "11"]
    assert len(heights) == 4
    assert heights[3] == pytest.approx(4 * heights[0], rel=0.01)


def test_names_are_escaped_and_nothing_is_still_a_picture() -> None:
    text = bars(Bars("a < b", ["x & y"], {}))
    assert [element.text for element in ElementTree.fromstring(text).iter(f"{SVG}text")][:2] == ["a < b", "x & y"]


@pytest.mark.parametrize(("highest", "step"), [(7, 2), (160, 50), (190, 50), (1000, 200), (1300, 500), (0, 1)])
def test_lines_are_at_round_numbers(highest: float, step: float) -> None:
    assert nice_step(highest) == step
