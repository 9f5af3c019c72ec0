"""The picture of the dashboard."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import pytest

from tests.support.serving import ROOT
from tools.watching.picture import dashboard_picture, shown

SVG = "{http://www.w3.org/2000/svg}"


def test_each_panel_has_its_lines_and_what_is_no_number_has_none() -> None:
    def ask(query: str) -> Sequence[tuple[Mapping[str, str], Sequence[tuple[float, float]]]]:
        if "looksee_device" in query:
            return []
        return [({"model": "<blip>"}, [(0.0, 1.0), (5.0, math.nan), (10.0, 2.0)])]

    dashboard = json.loads((ROOT / "deploy/watch/grafana/dashboards/looksee.json").read_text())
    drawn = dashboard_picture(dashboard, ask, start=0, end=10, caption="a caption")
    tree = ElementTree.fromstring(drawn)
    texts = [one.text for one in tree.iter(f"{SVG}text")]
    assert {panel["title"] for panel in dashboard["panels"]} <= set(texts)
    assert "<blip> half" in texts
    assert texts.count("no data") == 1
    targets = sum(len(panel.get("targets", ())) for panel in dashboard["panels"])
    lines = list(tree.iter(f"{SVG}polyline"))
    assert len(lines) == targets - 3
    assert {len(one.attrib["points"].split()) for one in lines} == {2}


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.05, "percentunit", "5 %"),
        (3 * 2**30, "bytes", "3 GiB"),
        (0.02, "s", "20 ms"),
        (2, "s", "2 s"),
        (0, "s", "0 s"),
        (1.5, "reqps", "1.5/s"),
        (4, "short", "4"),
    ],
)
def test_values_have_their_unit(value: float, unit: str, words: str) -> None:
    assert shown(value, unit) == words
