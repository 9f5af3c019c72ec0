"""The unmodified `label-studio-ml` package: what Label Studio asks of its ML backend, answered by a running service."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from samples.world import finding, scenes
from tests.compat.adapters.conftest import SceneFiles, all_found, asked
from tests.compat.environments import environment

# It imports redis and rq, which its requirements lack.
PACKAGES = ("label-studio-ml==1.0.9", "redis==8.1.0", "rq==3.0.0", "httpx==0.28.1")


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest, files: SceneFiles) -> dict[str, Any]:
    python = environment("label-studio", *PACKAGES)
    found: dict[str, Any] = asked(request, python, "tests.compat.adapters.programs.label_studio", files)
    return found


def by_control(prediction: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for region in prediction["result"]:
        found[region["from_name"]].append(region)
    return found


def test_its_routes_answer(told: dict[str, Any]) -> None:
    assert (told["health"], told["setup"], told["versions"]) == ("UP", 200, 200)
    assert told["package"] == "1.0.9"


def test_predictions_are_right(told: dict[str, Any], files: SceneFiles) -> None:
    predictions = told["predicted"]["results"]
    assert len(predictions) == len(files.scenes) + 1
    for scene, prediction in zip(files.scenes, predictions[:-1], strict=True):
        found = by_control(prediction)
        assert {region["to_name"] for region in prediction["result"]} == {"image"}
        assert found["caption"][0]["value"] == {"text": [scene.caption()]}
        assert found["count"][0]["value"] == {"choices": [scenes.NUMBERS[len(scene.things) - 1]]}
        there = [shape for shape in scenes.SHAPES if scene.find(shape)]
        assert found["there"][0]["value"] == {"choices": there}
        for label in ("round", "square", "triangle", "cross"):
            boxes = [one["value"] for one in found["boxes"] if one["value"]["rectanglelabels"] == [label]]
            corners = [(x, y, x + one["width"], y + one["height"]) for one in boxes for x, y in [(one["x"], one["y"])]]
            parts = [[place / 100 for place in box] for box in corners]
            assert all_found(scene.find("circle" if label == "round" else label), parts)
        points = [(one["value"]["x"] / 100, one["value"]["y"] / 100) for one in found["points"]]
        assert finding.pointed(scene.things, points)
        sizes = {(one["original_width"], one["original_height"]) for one in found["boxes"]}
        assert sizes == {(scene.width, scene.height)}
        assert "region" not in found


def test_a_picture_that_is_lost_spoils_no_other(told: dict[str, Any]) -> None:
    assert told["predicted"]["results"][-1] == {"result": [], "score": 0.0}


def test_a_service_that_is_not_there_is_named(told: dict[str, Any]) -> None:
    assert "There is no Looksee at http://127.0.0.1:9" in told["unreachable"]["detail"]
