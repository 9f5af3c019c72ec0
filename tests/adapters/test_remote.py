"""How adapters ask a service: several requests at a time, tries where it is busy, and errors that say what to do."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image

from adapters.remote import Remote, RemoteBox, RemoteError, RemotePoint, encoded, split_names
from looksee.core.images import from_base64
from looksee.http.inputs.uploads import image_limits
from looksee.settings import Settings

Answer = Callable[[httpx.Request], httpx.Response]


def answering(answer: Answer, **fields: Any) -> Remote:
    """A remote whose requests are answered here."""
    made = Remote(url="http://looksee", **fields)
    made._client = httpx.Client(transport=httpx.MockTransport(answer), headers={"X-API-Key": made.key})
    return made


def refusing(status: int, code: str, message: str = "No.", headers: dict[str, str] | None = None) -> Answer:
    body = {"detail": message, "error": {"code": code, "message": message}}
    return lambda _: httpx.Response(status, json=body, headers=headers)


def test_each_skill() -> None:
    seen: list[tuple[str, dict[str, Any]]] = []
    box, point = {"x_min": 0.1, "y_min": 0.2, "x_max": 0.3, "y_max": 0.5}, {"x": 0.5, "y": 0.25}

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.path, json.loads(request.content)))
        later = {"confidence": 0.75, "something": "new"}
        return httpx.Response(
            200, json={"caption": "a cat", "answer": "yes", "objects": [box, {**box, **later}], "points": [point]}
        )

    asked = answering(answer, model="gemma")
    assert asked.caption("data:,", length="short") == "a cat"
    assert asked.answer("data:,", "Who?") == "yes"
    assert asked.boxes("data:,", "cat") == [RemoteBox(**box), RemoteBox(**box, confidence=0.75)]
    assert asked.points("data:,", "cat") == [RemotePoint(**point)]
    assert seen == [
        ("/v1/caption", {"model": "gemma", "image_url": "data:,", "length": "short"}),
        ("/v1/query", {"model": "gemma", "image_url": "data:,", "question": "Who?"}),
        ("/v1/detect", {"model": "gemma", "image_url": "data:,", "object": "cat"}),
        ("/v1/point", {"model": "gemma", "image_url": "data:,", "object": "cat"}),
    ]


def test_pictures_are_sent_at_the_same_time_and_answered_in_order() -> None:
    together = threading.Barrier(4, timeout=20)

    def answer(request: httpx.Request) -> httpx.Response:
        together.wait()  # passes when four have come
        return httpx.Response(200, json={"caption": json.loads(request.content)["image_url"]})

    asked = answering(answer, at_once=4)
    assert asked.for_each("abcdefgh", asked.caption) == list("abcdefgh")


def test_a_busy_service_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("adapters.remote.time.sleep", waited.append)
    answers = iter([429, 503, 200])

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(next(answers), json={"caption": "a cat"}, headers={"Retry-After": "3"})

    assert answering(answer).caption("data:,") == "a cat"
    assert waited == [3.0, 3.0]
    with pytest.raises(RemoteError, match="full"):
        answering(refusing(429, "overloaded", "The queue is full.")).caption("data:,")
    assert waited[2:] == [1.0] * 4


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (refusing(401, "missing_key", "A key is needed."), "missing_key", "LOOKSEE_KEY"),
        (refusing(403, "wrong_key", "The key is not accepted."), "wrong_key", "LOOKSEE_KEY"),
        (refusing(422, "unknown_model", "There are: blip."), "unknown_model", "There are: blip."),
        (lambda _: httpx.Response(502, text="<html>"), "", "status 502"),
        (lambda _: httpx.Response(200, text="<html>"), "", "not answer as a Looksee"),
    ],
)
def test_a_refusal_is_told(answer: Answer, code: str, words: str) -> None:
    with pytest.raises(RemoteError) as told:
        answering(answer).caption("data:,")
    assert (told.value.code, words in str(told.value)) == (code, True)
    assert "http://looksee" in str(told.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectError("refused"), "There is no Looksee at http://looksee. Start one"),
        (httpx.ReadTimeout("late"), "did not answer within 120 s"),
        (httpx.RemoteProtocolError("cut"), "broke off: cut"),
    ],
)
def test_what_is_wrong_with_the_connection_is_told(error: Exception, words: str) -> None:
    def fails(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(RemoteError, match=words):
        answering(fails).caption("data:,")


@pytest.mark.parametrize("url", ["looksee:3000", ""])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(RemoteError, match="no address"):
        Remote(url=url).caption("data:,")


def test_the_address_and_the_key_are_those_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKSEE_URL", "http://elsewhere:3000")
    monkeypatch.setenv("LOOKSEE_KEY", "a-secret")
    assert (Remote().url, Remote().key) == ("http://elsewhere:3000", "a-secret")
    assert "a-secret" not in repr(Remote())


def test_a_remote_travels_to_another_process() -> None:
    asked = Remote(url="http://looksee", model="gemma")
    asked._connected()
    copied = pickle.loads(pickle.dumps(asked))
    assert copied == Remote(url="http://looksee", model="gemma")
    asked.close()


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "RGBA", "P", "CMYK", "I;16", "F", "YCbCr"])
def test_pictures_of_every_mode_can_be_sent(mode: str) -> None:
    limits = image_limits(Settings.model_construct())
    assert from_base64(encoded(Image.new(mode, (40, 30))), limits, param="a").width == 40


def test_a_file_is_sent_as_it_is() -> None:
    limits = image_limits(Settings.model_construct())
    picture = encoded(Image.new("RGB", (40, 30)))
    data = from_base64(picture, limits, param="a").data
    assert from_base64(encoded(data), limits, param="a").data == data


def test_names() -> None:
    assert split_names("cat, red car,,cat ") == ("cat", "red car")
    assert split_names(["cat", "dog"]) == ("cat", "dog")
    with pytest.raises(ValueError, match="Name what"):
        split_names(" , ")
