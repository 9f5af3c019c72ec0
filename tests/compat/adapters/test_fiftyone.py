"""The unmodified `fiftyone` package: its samples get the labels of a running service.

FiftyOne keeps datasets in MongoDB, whose program its package fetches when it is installed and has not where that cannot
be had. So samples here are in no dataset, and of `apply_model` the calls to the model are made.
"""

from __future__ import annotations

from typing import Any

import pytest

from samples.world import finding, scenes
from tests.compat.adapters.conftest import SceneFiles, all_found, asked
from tests.compat.environments import environment

PACKAGES = ("fiftyone==1.22.1", "httpx==0.28.1")


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest, files: SceneFiles) -> dict[str, Any]:
    python, module = environment("fiftyone", *PACKAGES), "tests.compat.adapters.programs.fiftyone_dataset"
    found: dict[str, Any] = asked(request, python, module, files, FIFTYONE_DISABLE_SERVICES="1")
    return found


def test_labels_are_right(told: dict[str, Any], files: SceneFiles) -> None:
    assert told["package"] == "1.22.1"
    for scene, sample in zip(files.scenes, told["samples"], strict=True):
        assert sample["caption"]["label"] == scene.caption()
        assert sample["count"]["label"] == scenes.NUMBERS[len(scene.things) - 1]
        there = [one["label"] for one in sample["there"]["classifications"]]
        assert there == [shape for shape in scenes.SHAPES if scene.find(shape)]
        for shape in scenes.SHAPES:
            boxes = [one["bounding_box"] for one in sample["boxes"]["detections"] if one["label"] == shape]
            parts = [(left, top, left + width, top + height) for left, top, width, height in boxes]
            assert all_found(scene.find(shape), parts)
        points = [(one["points"][0][0], one["points"][0][1]) for one in sample["points"]["keypoints"]]
        assert finding.pointed(scene.things, points)


def test_a_model_that_is_not_there_is_refused_with_those_that_are(told: dict[str, Any]) -> None:
    assert "moondream" in told["refused"]
