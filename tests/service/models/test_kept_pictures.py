"""A picture that is sent once, and several objects of it in one request, on the running service."""

from __future__ import annotations

import random
import re

import pytest

from looksee.models.registry import REGISTRY
from samples.world import finding, scenes
from samples.world.scenes import Scene
from tests.support.serving import Service


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


def drawn(seed: str) -> tuple[Scene, bytes]:
    rng = random.Random(seed)
    scene = scenes.compose(rng, count=3, sides=(200, 320))
    return scene, scenes.encode(scenes.draw(scene, rng), rng, ("PNG",))


def counted(service: Service, name: str) -> float:
    """A metric's value, of all its processes."""
    lines = re.findall(rf"^{re.escape(name)} (\S+)$", service.client.get("/metrics").text, re.MULTILINE)
    return sum(map(float, lines))


def test_several_objects_of_a_kept_picture_are_found_with_one_encoding(service: Service) -> None:
    scene, data = drawn("kept")
    kept = service.client.put("/v1/pictures", content=data).json()
    assert (kept["bytes"], kept["media_type"]) == (len(data), "image/png")
    assert counted(service, "looksee_kept_picture_bytes") >= len(data)
    names = ["shape", *(thing.name for thing in scene.things)]
    encoded = 'looksee_pictures_total{model="moondream",result="encoded"}'
    before = counted(service, encoded)
    asked = {"image_url": kept["id"], "objects": names}
    results = service.client.post("/v1/detect", json=asked).raise_for_status().json()["results"]
    assert [one["object"] for one in results] == names
    assert counted(service, encoded) - before == 1
    boxes = [[(box["x_min"], box["y_min"], box["x_max"], box["y_max"]) for box in one["objects"]] for one in results]
    right = [finding.matched(scene.things, boxes[0]) == len(scene.things)]
    right += [finding.matched([thing], own) == 1 for thing, own in zip(scene.things, boxes[1:], strict=True)]
    assert sum(right) >= len(right) - 1, results
    again = service.client.post("/v1/detect", json={"image_url": kept["id"], "object": names[1]}).json()
    assert (again["objects"], again["cache"]) == (results[1]["objects"], True)


def test_every_model_takes_an_id_and_its_answer_is_that_about_the_bytes(service: Service) -> None:
    _, data = drawn("kept by all")
    kept = service.client.put("/v1/pictures", files={"file": ("a.png", data)}).json()
    for model in REGISTRY:
        by_id = service.client.post("/caption", json={"image": kept["id"], "model": model}).raise_for_status().json()
        sent = {"file": ("a.png", data)}
        by_bytes = service.client.post("/upload/caption", files=sent, data={"model": model}).json()
        assert (by_bytes["caption"], by_bytes["cache"]) == (by_id["caption"], True)
    address = f"/v1/pictures/{kept['id']}"
    assert service.client.head(address).status_code == 200
    assert service.client.delete(address).json()["deleted"] is True
    assert service.client.head(address).status_code == 404
    assert kept["id"][7:] not in service.log.read_text()
    assert kept["id"][7:] not in service.client.get("/metrics").text
