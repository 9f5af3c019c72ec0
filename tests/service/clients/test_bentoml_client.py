"""BentoML's own clients, both of them, with every method by its name."""

from __future__ import annotations

import asyncio
import io
import random
from pathlib import Path
from typing import Any

import bentoml
import pytest
from PIL import Image

from looksee import picture
from samples.world import finding, scenes
from samples.world.scenes import Scene
from tests.support.serving import Service


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


def drawn(count: int) -> list[tuple[Scene, bytes]]:
    found = []
    for number in range(count):
        rng = random.Random(f"bentoml:{number}")
        scene = scenes.compose(rng, count=2, sides=(160, 320))
        found.append((scene, scenes.encode(scenes.draw(scene, rng), rng, ("PNG",))))
    return found


def check(scene: Scene, told: dict[str, Any]) -> list[bool]:
    """What is right of the answers about one scene."""
    boxes = [(box["x_min"], box["y_min"], box["x_max"], box["y_max"]) for box in told["detect"]["detections"]]
    points = [(point["x"], point["y"]) for point in told["point"]["coordinates"]["points"]]
    return [
        told["caption"]["caption"] == scene.caption(),
        told["short"]["caption"] == scene.short_caption(),
        told["query"]["answer"] == "two",
        finding.matched(scene.things, boxes) == 2 == len(boxes),
        finding.pointed(scene.things, points),
    ]


QUESTION = "How many shapes are there?"


def test_the_sync_client(service: Service, tmp_path: Path) -> None:
    right = []
    with bentoml.SyncHTTPClient(service.url) as client:
        for scene, data in drawn(4):
            file = tmp_path / "a.png"
            file.write_bytes(data)
            opened = Image.open(io.BytesIO(data))
            told = {
                "caption": client.caption(image=picture(file)),
                "short": client.caption(image=picture(opened), length="short"),
                "query": client.query(image=picture(data), question=QUESTION, model="gemma"),
                "detect": client.detect(image=picture(io.BytesIO(data)), object="shape"),
                "point": client.point(image=picture(str(file)), object="shape"),
            }
            right += check(scene, told)
            several = client.detect(image=picture(data), objects=["shape", "shape"])["results"]
            assert [one["detections"] for one in several] == [told["detect"]["detections"]] * 2
        (one, first), (two, second) = drawn(2)
        images = [picture(first), picture(second)]
        flagged = client.caption_images(images=images, model="gemma", flag_caption_prompt="Is there a shape?")[
            "results"
        ]
        together = client.collective(images=images, model="intern_vlm")
    assert [found["caption"] for found in flagged] == [one.caption(), two.caption()]
    assert all(found["flag_evaluated"] for found in flagged)
    assert together["count"] == 2
    assert together["collective_caption"] == f"{one.caption()}; {two.caption()}"
    assert sum(right) >= len(right) - 2, right


def test_the_async_client(service: Service) -> None:
    async def main() -> list[bool]:
        async with bentoml.AsyncHTTPClient(service.url) as client:

            async def ask(scene: Scene, data: bytes) -> list[bool]:
                image = picture(data)
                names = ("caption", "short", "query", "detect", "point")
                told = await asyncio.gather(
                    client.caption(image=image),
                    client.caption(image=image, length="short"),
                    client.query(image=image, question=QUESTION),
                    client.detect(image=image, object="shape"),
                    client.point(image=image, object="shape"),
                )
                return check(scene, dict(zip(names, told, strict=True)))

            right = await asyncio.gather(*(ask(scene, data) for scene, data in drawn(4)))
            (one, first), (two, second) = drawn(2)
            images = [picture(first), picture(second)]
            results = (await client.caption_images(images=images, model="blip"))["results"]
            assert [found["caption"] for found in results] == [one.caption(), two.caption()]
            together = await client.collective(images=images, model="gemma")
            assert together["collective_caption"] == f"{one.caption()}; {two.caption()}"
            return [fact for facts in right for fact in facts]

    right = asyncio.run(main())
    assert sum(right) >= len(right) - 2, right


def test_an_error_says_what_is_wrong(service: Service) -> None:
    with bentoml.SyncHTTPClient(service.url) as client:
        with pytest.raises(bentoml.exceptions.BentoMLException, match="length") as caught:
            client.caption(image=picture(drawn(1)[0][1]), length="epic")
        assert int(caught.value.error_code) == 422
