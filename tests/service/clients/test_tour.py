"""A tour of one running service by each kind of client, as its user would take it: all that it can do, in a row.

Every answer is held against what was drawn. The scenes are such as the sample weights get right: how often they do is
measured elsewhere, and so are each client's odd cases.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import random
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bentoml
import httpx
import moondream
import openai
import pytest
from PIL import Image, ImageChops

from looksee import picture
from samples.world import finding, scenes
from samples.world.scenes import Scene, Thing
from tests.support import pictures
from tests.support.serving import CLIENT_KEY as KEY
from tests.support.serving import Service

SEED = 6  # of scenes that the sample weights get right
HOW_MANY = "How many shapes are there?"
ALL_TOGETHER = "Write one caption for all of the pictures together."


@dataclass(frozen=True)
class Drawn:
    """A scene, its file, and one of its things whose shape no other has."""

    scene: Scene
    data: bytes
    thing: Thing
    file: Path

    @property
    def caption(self) -> str:
        return self.scene.caption()

    @property
    def number(self) -> str:
        return scenes.NUMBERS[len(self.scene.things) - 1]

    @property
    def what_colour(self) -> str:
        return f"What color is the {self.thing.shape}?"

    @property
    def is_it_there(self) -> str:
        return f"Is there a {self.thing.name}?"

    @property
    def uri(self) -> str:
        return f"data:image/png;base64,{base64.b64encode(self.data).decode()}"

    def boxed(self, boxes: Sequence[Mapping[str, Any]], words: str) -> bool:
        """Whether these are the boxes of what the words mean, and no more."""
        things = self.scene.find(words)
        found = [(box["x_min"], box["y_min"], box["x_max"], box["y_max"]) for box in boxes]
        return finding.matched(things, found) == len(things) == len(found)

    def pointed(self, points: Sequence[Mapping[str, float]], words: str) -> bool:
        return finding.pointed(self.scene.find(words), [(point["x"], point["y"]) for point in points])


def draw(name: str, things: int, folder: Path) -> Drawn:
    rng = random.Random(f"tour:{name}:{SEED}")
    scene = scenes.compose(rng, count=things, sides=(200, 400))
    data = scenes.encode(scenes.draw(scene, rng), rng, ("PNG",))
    file = folder / f"{name}.png"
    file.write_bytes(data)
    shapes = [thing.shape for thing in scene.things]
    return Drawn(scene, data, next(thing for thing in scene.things if shapes.count(thing.shape) == 1), file)


@pytest.fixture(scope="module")
def service(keyed: Service) -> Service:
    return keyed


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    return draw("two", 2, tmp_path_factory.mktemp("tour"))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    return draw("three", 3, tmp_path_factory.mktemp("tour"))


def user(*parts: str | Drawn) -> Any:
    """A chat's message of texts and pictures."""
    content = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": part.uri}}
        for part in parts
    ]
    return {"role": "user", "content": content}


def test_openai(service: Service, two: Drawn, three: Drawn) -> None:
    system: Any = {"role": "system", "content": "You are a helpful assistant."}
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key=KEY, max_retries=0) as client:
        models = [model.id for model in client.models.list()]
        assert models == ["blip", "blip2", "gemma", "intern_vlm", "moondream"]

        def ask(model: str, *messages: Any) -> str | None:
            return client.chat.completions.create(model=model, messages=messages).choices[0].message.content

        assert {model: ask(model, user(two)) for model in models} == dict.fromkeys(models, two.caption)
        assert ask("blip2", user(HOW_MANY, two)) == "two"
        assert ask("moondream", user(two.is_it_there, two)) == "yes"
        assert ask("gemma", system, user(three.what_colour, three)) == three.thing.colour
        assert ask("gemma", user(ALL_TOGETHER, two, three)) == f"{two.caption}; {three.caption}"
        told: Any = [user(three), {"role": "assistant", "content": three.caption}, user(HOW_MANY)]
        assert ask("intern_vlm", *told) == "three"
        stream = client.chat.completions.create(model="moondream", messages=[user(three)], stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == three.caption


def test_openai_asynchronous(service: Service, two: Drawn, three: Drawn) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key=KEY, max_retries=0) as client:

            async def whole(*parts: str | Drawn) -> str | None:
                completion = await client.chat.completions.create(model="intern_vlm", messages=[user(*parts)])
                return completion.choices[0].message.content

            async def streamed(*parts: str | Drawn) -> str:
                stream = await client.chat.completions.create(model="gemma", messages=[user(*parts)], stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            told = await asyncio.gather(
                whole(two),
                whole(HOW_MANY, three),
                whole(ALL_TOGETHER, three, two),
                streamed(three),
                streamed(HOW_MANY, two),
            )
        assert list(told) == [two.caption, "three", f"{three.caption}; {two.caption}", three.caption, "two"]

    asyncio.run(main())


def test_moondream(service: Service, two: Drawn, three: Drawn) -> None:
    client: Any = moondream.vl(endpoint=f"{service.url}/v1", api_key=KEY)
    for drawn in (two, three):
        image = Image.open(drawn.file)
        scene = drawn.scene
        said = {"short": scene.short_caption(), "normal": scene.caption(), "long": scene.long_caption()}
        assert {length: client.caption(image, length=length)["caption"] for length in said} == said
        assert "".join(client.caption(image, stream=True)["caption"]) == scene.caption()
        assert client.query(image, HOW_MANY)["answer"] == drawn.number
        assert "".join(client.query(image, drawn.what_colour, stream=True)["answer"]) == drawn.thing.colour
        for words in ("shape", drawn.thing.name):
            assert drawn.boxed(client.detect(image, words)["objects"], words)
            assert drawn.pointed(client.point(image, words)["points"], words)
    # About nothing: drawn scenes are all that the weights know.
    assert isinstance(client.query(question=HOW_MANY, settings={"max_tokens": 5})["answer"], str)
    other: Any = moondream.vl(endpoint=f"{service.url}/v1", api_key=KEY, model="gemma")
    assert other.caption(Image.open(three.file))["caption"] == three.caption


def test_bentoml(service: Service, two: Drawn, three: Drawn) -> None:
    with bentoml.SyncHTTPClient(service.url, token=KEY) as client:
        path, opened = picture(two.file), picture(Image.open(three.file))
        assert client.caption(image=path)["caption"] == two.caption
        assert client.caption(image=opened, length="short")["caption"] == "three shapes"
        assert client.query(image=path, question=HOW_MANY, model="blip2")["answer"] == "two"
        assert client.query(image=opened, question=three.what_colour)["answer"] == three.thing.colour
        assert three.boxed(client.detect(image=opened, object="shape")["detections"], "shape")
        assert two.pointed(client.point(image=path, object="shape")["coordinates"]["points"], "shape")
        flag = f"Is there a {two.thing.name}?"
        results = client.caption_images(images=[path, opened], model="gemma", flag_caption_prompt=flag)["results"]
        assert [result["caption"] for result in results] == [two.caption, three.caption]
        assert [result["flagged"] for result in results] == [True, bool(three.scene.find(two.thing.name))]
        together = client.collective(images=[path, opened], model="intern_vlm")
        assert (together["collective_caption"], together["count"]) == (f"{two.caption}; {three.caption}", 2)


def test_bentoml_asynchronous(service: Service, two: Drawn, three: Drawn) -> None:
    async def main() -> None:
        async with bentoml.AsyncHTTPClient(service.url, token=KEY) as client:
            images = [picture(two.data), picture(io.BytesIO(three.data))]
            caption, long, answer, found, pointed, captions, together = await asyncio.gather(
                client.caption(image=images[0], model="blip"),
                client.caption(image=images[1], length="long"),
                client.query(image=images[0], question=two.is_it_there, model="intern_vlm"),
                client.detect(image=images[1], object=three.thing.shape),
                client.point(image=images[1], object="shape"),
                client.caption_images(images=images, model="blip2"),
                client.collective(images=images[::-1], model="gemma"),
            )
        assert caption["caption"] == two.caption
        assert long["caption"] == three.scene.long_caption()
        assert answer["answer"] == "yes"
        assert three.boxed(found["detections"], three.thing.shape)
        assert three.pointed(pointed["coordinates"]["points"], "shape")
        assert [result["caption"] for result in captions["results"]] == [two.caption, three.caption]
        assert together["collective_caption"] == f"{three.caption}; {two.caption}"

    asyncio.run(main())


def test_curl(service: Service, two: Drawn, three: Drawn, tmp_path: Path) -> None:
    def curl(path: str, *words: str, body: Any = None) -> Any:
        """What `curl` gets, as JSON; `body` is sent as JSON."""
        sent = ("-H", "Content-Type: application/json", "--data-binary", "@-") if body is not None else ()
        command = ["curl", "-sS", "--fail-with-body", "-H", f"X-API-Key: {KEY}", *sent, *words, f"{service.url}{path}"]
        told = subprocess.run(command, input=json.dumps(body).encode(), stdout=subprocess.PIPE, check=True, timeout=60)
        return json.loads(told.stdout or b"null")

    assert curl("/health")["redis"]
    # Files
    images = ("-F", f"images=@{two.file}", "-F", f"images=@{three.file}")
    results = curl("/api/caption-images?model=blip", *images)["results"]
    assert [(result["filename"], result["caption"]) for result in results] == [
        ("two.png", two.caption),
        ("three.png", three.caption),
    ]
    together = curl("/api/caption-collective-images?model=gemma", *images)
    assert together["collective_caption"] == f"{two.caption}; {three.caption}"
    file = ("-F", f"file=@{three.file}")
    assert curl("/upload/caption", *file, "-F", "length=long")["caption"] == three.scene.long_caption()
    assert curl("/upload/query", *file, "-F", f"question={HOW_MANY}", "-F", "model=blip2")["answer"] == "three"
    assert three.boxed(curl("/upload/detect", *file, "-F", "object=shape")["detections"], "shape")
    pointed = curl("/upload/point", *file, "-F", f"object={three.thing.name}")
    assert three.pointed(pointed["coordinates"]["points"], three.thing.name)
    # A picture of what was found
    saved = tmp_path / "found.png"
    curl("/upload/detect?annotate=true", *file, "-F", f"object={three.thing.name}", "-o", str(saved))
    with Image.open(three.file) as before, Image.open(saved) as after:
        assert (after.format, after.size) == ("PNG", before.size)
        changed = ImageChops.difference(before.convert("RGB"), after.convert("RGB")).getbbox()
        assert changed is not None
        left, top, right, bottom = finding.corners(three.thing)
        near = 0.03 * max(after.size)
        assert changed[0] == pytest.approx(left * after.width, abs=near)
        assert changed[1] <= top * after.height + near  # its name may stand above
        assert changed[2] >= right * after.width - near
        assert changed[3] == pytest.approx(bottom * after.height, abs=near)
    # JSON
    image = {"image": base64.b64encode(two.data).decode()}
    assert curl("/caption", body=image | {"length": "short"})["caption"] == "two shapes"
    assert curl("/query", body=image | {"question": two.is_it_there, "model": "gemma"})["answer"] == "yes"
    assert two.boxed(curl("/detect", body=image | {"object": two.thing.shape})["detections"], two.thing.shape)
    assert two.pointed(curl("/point", body=image | {"object": "shape"})["coordinates"]["points"], "shape")
    pair = {"images": [two.uri, three.uri]}
    captions = curl("/caption_images", body=pair | {"model": "intern_vlm"})["results"]
    assert [result["caption"] for result in captions] == [two.caption, three.caption]
    assert curl("/collective", body=pair | {"model": "intern_vlm"})["count"] == 2


def test_multipart(service: Service, two: Drawn, three: Drawn) -> None:
    """As forms were posted to the captioning servers that came before."""
    good = [("images", (drawn.file.name, drawn.data, "image/png")) for drawn in (two, three)]
    bad = ("images", ("notes.png", pictures.TEXT, "image/png"))
    with httpx.Client(base_url=service.url, headers={"X-API-Key": KEY}, timeout=60) as client:
        for model in ("blip", "blip2", "gemma", "intern_vlm"):
            alone = client.post("/api/caption-images", params={"model": model}, files=good[:1]).json()["results"]
            assert [(result["filename"], result["caption"]) for result in alone] == [("two.png", two.caption)]
        flag = {"model": "gemma", "flag_caption_prompt": f"Is there a {three.thing.name}?"}
        first, failed, last = client.post("/api/caption-images", params=flag, files=[good[0], bad, good[1]]).json()[
            "results"
        ]
        assert (first["caption"], first["flagged"]) == (two.caption, bool(two.scene.find(three.thing.name)))
        assert (failed["filename"], failed["error"]["code"]) == ("notes.png", "unsupported_image_type")
        assert (last["caption"], last["flagged"]) == (three.caption, True)
        assert {thing.colour for thing in three.scene.things} <= set(last["tags"])
        together = client.post("/api/caption-collective-images", params=flag, files=good).json()
        assert together["collective_caption"] == f"{two.caption}; {three.caption}"
        assert (together["count"], together["flagged"]) == (2, True)
        assert client.post("/api/caption-collective-images", params=flag, files=[*good, bad]).status_code == 415
        del client.headers["X-API-Key"]
        assert client.post("/api/caption-images", files=good).status_code == 401
