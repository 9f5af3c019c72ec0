"""The unmodified X-AnyLabeling package: its client of remote servers, against a running service with a key."""

from __future__ import annotations

from typing import Any

import pytest

from looksee.models.registry import REGISTRY
from samples.world import finding, scenes
from tests.compat.adapters.conftest import SceneFiles, all_found, asked
from tests.compat.environments import environment

PACKAGES = ("x-anylabeling-cvhub[cpu]==4.2.1",)


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest, files: SceneFiles) -> dict[str, Any]:
    python, module = environment("x-anylabeling", *PACKAGES), "tests.compat.adapters.programs.x_anylabeling"
    found: dict[str, Any] = asked(request, python, module, files, QT_QPA_PLATFORM="offscreen")
    return found


def test_all_models_are_there(told: dict[str, Any]) -> None:
    assert told["package"] == "4.2.1"
    assert set(told["models"]) == set(REGISTRY)


def test_predictions_are_right(told: dict[str, Any], files: SceneFiles) -> None:
    assert told["heard"] == []
    for scene, found in zip(files.scenes, told["files"], strict=True):
        assert (found["caption"]["description"], found["caption"]["replace"]) == (scene.caption(), False)
        assert found["count"]["description"] == scenes.NUMBERS[len(scene.things) - 1]
        for shape in scenes.SHAPES:
            boxes = [one["points"] for one in found["boxes"]["shapes"] if one["label"] == shape]
            parts = [
                (box[0][0] / scene.width, box[0][1] / scene.height, box[2][0] / scene.width, box[2][1] / scene.height)
                for box in boxes
            ]
            assert all_found(scene.find(shape), parts)
        points = [one["points"][0] for one in found["points"]["shapes"]]
        assert finding.pointed(scene.things, [(x / scene.width, y / scene.height) for x, y in points])


def test_the_program_shows_a_refusal(told: dict[str, Any]) -> None:
    (refused,) = told["refused"]
    assert "400" in refused
