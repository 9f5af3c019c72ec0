"""PhotoPrism's and X-AnyLabeling's requests against the running service: what is said of scenes is right."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest

from samples.world import finding, scenes
from samples.world.scenes import Scene
from tests.support.serving import Service


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


def drawn(number: int) -> tuple[Scene, str]:
    rng = random.Random(f"programs:{number}")
    scene = scenes.compose(rng, sides=(160, 400))
    data = scenes.encode(scenes.draw(scene, rng), rng, ("PNG",))
    return scene, "data:image/png;base64," + base64.b64encode(data).decode()


@pytest.mark.parametrize("model", ["moondream", "blip", "gemma"])
def test_photoprism(service: Service, model: str) -> None:
    scene, picture = drawn(1)
    body = {"id": "1", "model": f"{model}:latest", "version": "latest", "suffix": "", "stream": False}
    body |= {"images": [picture], "options": {"temperature": 0.01}}
    caption = service.client.post("/api/v1/vision/caption", json=body).json()
    assert caption["result"]["caption"]["text"] == scene.caption()
    labels = service.client.post("/api/v1/vision/labels", json={**body, "prompt": "Return JSON."}).json()
    words = dict.fromkeys(word for thing in scene.things for word in (thing.colour, thing.shape))
    assert [label["name"] for label in labels["result"]["labels"]] == list(words)


def test_x_anylabeling(service: Service) -> None:
    scene, picture = drawn(2)

    def predicted(model: str, **params: Any) -> dict[str, Any]:
        body = {"model": model, "image": picture, "params": params}
        return dict(service.client.post("/x-anylabeling/v1/predict", json=body).json()["data"])

    assert predicted("intern_vlm", current_task="caption")["description"] == scene.caption()
    found = predicted("moondream", current_task="detect", text_prompt=", ".join(scenes.SHAPES))["shapes"]
    for shape in scenes.SHAPES:
        corners = [(*one["points"][0], *one["points"][2]) for one in found if one["label"] == shape]
        sides = (scene.width, scene.height) * 2
        parts = [tuple(place / side for place, side in zip(box, sides, strict=True)) for box in corners]
        boxes = [(box[0], box[1], box[2], box[3]) for box in parts]
        assert len(boxes) == len(scene.find(shape)) == finding.matched(scene.find(shape), boxes)
    points = predicted("moondream", current_task="point", text_prompt="shape")["shapes"]
    spots = [(one["points"][0][0] / scene.width, one["points"][0][1] / scene.height) for one in points]
    assert finding.pointed(scene.things, spots)
