"""The unmodified `cvat-sdk` package: its driver of auto-annotation functions, with a running service behind one.

There is no CVAT: the driver is given a task's labels and frames, and what it uploads is looked at.
"""

from __future__ import annotations

from typing import Any

import pytest

from samples.world import finding, scenes
from tests.compat.adapters.conftest import SceneFiles, all_found, asked
from tests.compat.environments import environment

PACKAGES = ("cvat-sdk==2.80.0", "cvat-cli==2.80.0", "httpx==0.28.1")


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest, files: SceneFiles) -> dict[str, Any]:
    python = environment("cvat", *PACKAGES)
    found: dict[str, Any] = asked(request, python, "tests.compat.adapters.programs.cvat_task", files)
    return found


def test_annotations_are_right(told: dict[str, Any], files: SceneFiles) -> None:
    assert told["package"] == "2.80.0"
    labels = [*scenes.SHAPES, "shape", "red circle"]
    names = {told["first"] + number: name for number, name in enumerate(labels)}
    assert {shape["source"] for shape in told["shapes"]} == {"auto"}
    for frame, scene in enumerate(files.scenes):
        sides = (scene.width, scene.height)
        shapes = [shape for shape in told["shapes"] if shape["frame"] == frame]
        parts = [[place / sides[number % 2] for number, place in enumerate(shape["points"])] for shape in shapes]
        for name in scenes.SHAPES:
            boxes = [part for shape, part in zip(shapes, parts, strict=True) if names[shape["label_id"]] == name]
            assert all_found(scene.find(name), boxes)
        points = [part for shape, part in zip(shapes, parts, strict=True) if shape["type"] == "points"]
        assert finding.pointed(scene.things, [(x, y) for x, y in points])
        tags = [names[tag["label_id"]] for tag in told["tags"] if tag["frame"] == frame]
        assert tags == (["red circle"] if scene.find("red circle") else [])


def test_a_service_that_is_not_there_is_named(told: dict[str, Any]) -> None:
    assert "There is no Looksee at http://127.0.0.1:9" in told["unreachable"]
