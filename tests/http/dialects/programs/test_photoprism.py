"""PhotoPrism's vision API: requests as PhotoPrism sends them, answers and errors as it reads them."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from looksee.core.tasks import Job, Task
from tests.http.app import Doors, error
from tests.support.files import plain

PICTURE = plain()
URI = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
INSTRUCTION = "Describe the picture in one sentence, in the active voice."


def sent(doors: Doors, kind: str = "caption", **body: Any) -> httpx.Response:
    """A request for one picture; PhotoPrism sends `suffix` and `stream` whatever they are."""
    return doors.send(f"/api/v1/vision/{kind}", json={"suffix": "", "stream": False, "images": [URI], **body})


def asked(doors: Doors, model: str = "moondream") -> Job:
    ((job,),) = doors.calls(model)
    return job


def test_a_caption() -> None:
    doors = Doors()
    answer = sent(doors, id="7", model="moondream:latest", version="latest", prompt=INSTRUCTION)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["id"], told["code"], told["result"]) == ("7", 200, {"caption": {"text": "a red circle"}})
    assert told["model"].items() >= {"type": "caption", "name": "moondream"}.items()
    assert isinstance(told["model"]["version"], str)
    job = asked(doors)
    assert (job.task, job.images, job.prompt) == (Task.CAPTION, (PICTURE,), INSTRUCTION)


def test_without_a_name_and_an_id() -> None:
    doors = Doors()
    told = sent(doors).json()
    assert told["model"]["name"] == "moondream"
    assert told["id"]


def test_options_are_heeded() -> None:
    doors = Doors()
    options = {"temperature": 0.1, "top_p": 0.9, "seed": 5, "num_predict": 40, "repeat_penalty": 1.2, "stop": ["\n"]}
    assert sent(doors, model="gemma", system="Be brief.", prompt="Where?", options=options).status_code == 200
    job = asked(doors, "gemma")
    assert (job.prompt, job.max_new_tokens, job.stop) == ("Be brief.\n\nWhere?", 40, ("\n",))
    told = (job.sampling.temperature, job.sampling.top_p, job.sampling.seed, job.sampling.repetition_penalty)
    assert told == (0.1, 0.9, 5, 1.2)


def test_a_model_that_continues_a_text_gets_no_instruction() -> None:
    doors = Doors()
    assert sent(doors, model="blip", prompt=INSTRUCTION).status_code == 200
    assert asked(doors, "blip").prompt == ""


def test_labels_are_words_of_a_caption() -> None:
    doors = Doors(lambda _: "a red circle and a blue square on the beach")
    options = {"temperature": 0.1, "force_json": True, "schema_version": "v1"}
    answer = sent(doors, "labels", prompt="Return labels as JSON.", format="json", schema={"a": 1}, options=options)
    assert answer.status_code == 200
    labels = answer.json()["result"]["labels"]
    assert [label["name"] for label in labels] == ["red", "circle", "blue", "square", "beach"]
    assert {label["source"] for label in labels} == {"image"}
    assert asked(doors).prompt == ""


@pytest.mark.parametrize(
    ("body", "status", "reason", "words"),
    [
        ({"model": "kosmos-2:latest"}, 422, "unknown_model", "moondream"),
        ({"images": [URI, URI]}, 413, "too_many_files", "at most 1"),
        ({"images": []}, 422, "invalid_value", "Send one picture"),
        ({"url": "https://photos.example.org/1.jpg"}, 422, "invalid_value", "Send one picture"),
        ({"images": [], "url": "https://photos.example.org/1.jpg"}, 400, "image_url_not_allowed", "URL_HOSTS"),
        ({"images": ["data:image/png;base64,AAAA"]}, 415, "unsupported_image_type", "JPEG"),
        ({"stream": True}, 400, "unsupported_parameter", "'stream'"),
        ({"think": "high"}, 400, "unsupported_parameter", "'think'"),
        ({"suffix": "end"}, 400, "unsupported_parameter", "'suffix'"),
        ({"format": "json"}, 400, "unsupported_parameter", "'format'"),
        ({"options": {"mirostat": 2}}, 400, "unsupported_parameter", "'mirostat'"),
        ({"promt": "Where?"}, 400, "unsupported_parameter", "Did you mean 'prompt'"),
    ],
)
def test_what_is_refused(body: dict[str, Any], status: int, reason: str, words: str) -> None:
    answer = sent(Doors(), **body)
    assert error(answer)[:2] == (status, reason)
    assert words in answer.json()["detail"]
