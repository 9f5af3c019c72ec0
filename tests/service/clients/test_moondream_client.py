"""The unmodified `moondream` package against the running service, by every method that a Moondream2 can serve."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError

import moondream
import pytest
from PIL import Image

from looksee.core.geometry import Box
from samples.world import finding, scenes
from samples.world.scenes import Scene
from tests.support.serving import Service

RIGHT = 0.9


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


@pytest.fixture(scope="module")
def client(service: Service) -> Any:
    return moondream.vl(endpoint=f"{service.url}/v1")


def drawn(count: int) -> list[tuple[Scene, Image.Image]]:
    found: list[tuple[Scene, Image.Image]] = []
    for number in range(count):
        rng = random.Random(f"package:{number}")
        scene = scenes.compose(rng, sides=(160, 480))
        found.append((scene, Image.open(io.BytesIO(scenes.encode(scenes.draw(scene, rng), rng, ("PNG",))))))
    return found


def share(right: list[bool]) -> float:
    return sum(right) / len(right)


@pytest.mark.parametrize("length", ["short", "normal", "long"])
def test_captions(client: Any, length: str) -> None:
    right = []
    for scene, picture in drawn(10):
        said = {"short": scene.short_caption(), "normal": scene.caption(), "long": scene.long_caption()}
        right.append(client.caption(picture, length=length)["caption"] == said[length])
    assert share(right) >= RIGHT - 0.1 * (length == "long")


def test_questions(client: Any) -> None:
    right = []
    for scene, picture in drawn(10):
        answer = client.query(picture, "How many shapes are there?")["answer"]
        right.append(answer == scenes.NUMBERS[len(scene.things) - 1])
    assert share(right) >= RIGHT


def test_boxes_and_points(client: Any) -> None:
    boxed, pointed = [], []
    for scene, picture in drawn(10):
        boxes = [tuple(box[side] for side in Box._fields) for box in client.detect(picture, "shape")["objects"]]
        boxed.append(finding.matched(scene.things, boxes) == len(scene.things) == len(boxes))
        points = [(point["x"], point["y"]) for point in client.point(picture, "shape")["points"]]
        pointed.append(finding.pointed(scene.things, points))
    assert share(boxed) >= 0.8
    assert share(pointed) >= 0.8


def test_confidences_and_a_threshold(client: Any) -> None:
    """The package hands on what it knows nothing of."""
    scene, picture = drawn(1)[0]
    for ask, places in ((client.detect, "objects"), (client.point, "points")):
        found = ask(picture, "shape")[places]
        assert len(found) == len(scene.things)
        assert all(0.5 < place["confidence"] <= 1 for place in found)
        assert ask(picture, "shape", settings={"threshold": 1.0})[places] == []


@pytest.mark.parametrize("ask", ["caption", "query"])
def test_streams(client: Any, ask: str) -> None:
    scene, picture = drawn(1)[0]
    # The second time the answer comes from the cache, and streams all the same.
    for _ in range(2):
        if ask == "caption":
            whole, pieces = client.caption(picture, stream=True)["caption"], client.caption(picture)["caption"]
            assert "".join(whole) == pieces == scene.caption()
        else:
            question = "Is there a red circle?"
            streamed = client.query(picture, question, stream=True)["answer"]
            assert "".join(streamed) == client.query(picture, question)["answer"] in ("yes", "no")


def test_a_stream_comes_in_pieces(client: Any) -> None:
    scene, picture = next((scene, picture) for scene, picture in drawn(20) if len(scene.things) == 3)
    settings = {"temperature": 0.01, "top_p": 0.1}  # drawn anew: not from the cache
    pieces = list(client.caption(picture, length="long", stream=True, settings=settings)["caption"])
    assert len(pieces) > 5
    assert "".join(pieces).startswith("a ")
    assert scene.things


def test_a_question_without_a_picture(client: Any) -> None:
    answer = client.query(question="How many shapes are there?", settings={"max_tokens": 5})["answer"]
    assert isinstance(answer, str)
    assert (
        "".join(client.query(question="What now?", stream=True)["answer"])
        == client.query(question="What now?")["answer"]
    )


def test_thoughts_and_places(client: Any) -> None:
    """What a sample model thinks is of no use; that it is told, and that places are taken, is."""
    _, picture = drawn(1)[0]
    answered = client.query(picture, "How many?", reasoning=True, settings={"max_tokens": 20})
    assert isinstance(answered["answer"], str)
    assert isinstance(answered["reasoning"]["text"], str)
    assert isinstance(answered["reasoning"]["grounding"], list)
    client.query(picture, "What is here?", spatial_refs=[[0.5, 0.5], [0.1, 0.1, 0.4, 0.4]])
    client.point(picture, "shape", spatial_refs=[[0.5, 0.5]])


def test_at_most_so_many_things(client: Any) -> None:
    _, picture = next((scene, picture) for scene, picture in drawn(20) if len(scene.things) == 3)
    assert len(client.detect(picture, "shape", settings={"max_objects": 1})["objects"]) == 1
    assert len(client.point(picture, "shape", settings={"max_objects": 2})["points"]) == 2


def test_an_encoded_picture_can_be_asked_about_again(client: Any) -> None:
    scene, picture = drawn(1)[0]
    encoded = client.encode_image(picture)
    assert client.caption(encoded)["caption"] == client.caption(picture)["caption"] == scene.caption()


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_an_endpoint_may_end_with_slashes(service: Service, end: str) -> None:
    client = moondream.vl(endpoint=f"{service.url}/v1{end}")
    assert client.query(question="Who?", settings={"max_tokens": 2})


def test_another_model_may_be_asked(service: Service) -> None:
    scene, picture = drawn(1)[0]
    client = moondream.vl(endpoint=f"{service.url}/v1", model="gemma")
    assert client.caption(picture)["caption"] == scene.caption()
    assert "".join(client.caption(picture, stream=True, settings={"temperature": 0.01})["caption"]) == scene.caption()
    assert refusal(lambda: client.detect(picture, "circle")) == 400


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        (lambda client, picture: client.segment(picture, "circle"), 501),
        (lambda client, picture: client.detect(picture, " "), 422),
        (lambda client, picture: client.caption(picture, length="epic"), 422),
        (lambda client, picture: client.query(picture, "who?", spatial_refs=[[0.5, 7]]), 422),
        (lambda client, picture: client.query(picture, "who?", settings={"temperature": -1}), 422),
        (lambda client, picture: list(client.query(picture, "a " * 3000, stream=True)["answer"]), 422),
    ],
    ids=["segment", "nothing to find", "length", "place", "temperature", "too long, streamed"],
)
def test_what_cannot_be_is_refused_with_a_status(client: Any, ask: Any, status: int) -> None:
    assert refusal(lambda: ask(client, drawn(1)[0][1])) == status


def refusal(ask: Callable[[], Any]) -> int:
    """The status of an error that the package raises."""
    with pytest.raises(HTTPError) as caught:
        ask()
    caught.value.close()
    return caught.value.code
