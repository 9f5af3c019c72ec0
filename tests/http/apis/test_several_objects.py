"""`objects` of detect and point: each answered by itself in the order asked, on every route that has `object`."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from PIL import Image
from pydantic import BaseModel

from cache.answer_cache import RedisAnswerCache
from cache.guarded_redis import GuardedRedis
from looksee.core import errors
from looksee.core.geometry import Box
from looksee.core.tasks import Answer, Job, Task
from looksee.http.skills.detect import DetectionsOfSeveral
from looksee.http.skills.point import PointsOfSeveral
from looksee.settings import Settings
from tests.http.app import BOXES, POINTS, Doors, Said, content, error
from tests.support.files import plain

PNG = plain(size=(80, 60))
URI = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
NAMES = ["circle", "red square", "cat", "circle"]


def says(job: Job) -> Said:
    """A box of its own for each thing."""
    return Answer("", "stop", 1, 3, boxes=(Box(0.0, 0.0, len(job.prompt) / 100, 1.0),), points=POINTS)


def says_or_fails(job: Job) -> Said:
    return errors.RunnerFailed("It failed.") if job.prompt == "cat" else says(job)


Ask = Callable[..., httpx.Response]


def by_v1(doors: Doors, task: str = "detect", **body: Any) -> httpx.Response:
    return doors.send(f"/v1/{task}", json={"image_url": URI, **body})


def by_form(doors: Doors, task: str = "detect", **body: Any) -> httpx.Response:
    return doors.upload(task, PNG, **body)


def by_batch(doors: Doors, task: str = "detect", **body: Any) -> httpx.Response:
    answer = doors.send("/v1/batch", json={"items": [{"task": task, "image": URI, **body}]})
    line = json.loads(answer.text.splitlines()[0])
    told = {"detail": line["error"]["message"]} if "error" in line else {}
    return httpx.Response(line["status"], json={**line, **told})


def by_method(doors: Doors, task: str = "detect", **body: Any) -> Any:
    return getattr(doors, task)(image=URI, **body)


ROUTES = {"v1": by_v1, "form": by_form, "batch": by_batch, "method": by_method}


@pytest.fixture(params=ROUTES)
def ask(request: pytest.FixtureRequest) -> Ask:
    return ROUTES[request.param]


def without_source(entry: Mapping[str, Any]) -> dict[str, Any]:
    known = ("finish_reason", "cache", "model", "revision", "weights", "status")
    return {name: value for name, value in entry.items() if name not in known}


@pytest.mark.parametrize("task", ["detect", "point"])
def test_each_object_is_answered_as_if_it_had_been_asked_alone(ask: Ask, task: str) -> None:
    doors = Doors(says_or_fails)
    answer = ask(doors, task, objects=["circle", "red  square", "circle"])
    assert answer.status_code == 200
    results = content(answer)["results"]
    assert [one["object"] for one in results] == ["circle", "red square", "circle"]
    for one in results:
        alone = content(ask(Doors(says_or_fails), task, object=one["object"]))
        own = {name: value for name, value in one.items() if name != "object"}
        assert own.items() <= {**alone, "status": own.get("status")}.items()
    assert all(one["model"] == "moondream" for one in results)


@pytest.mark.parametrize(("task", "kind"), [("detect", DetectionsOfSeveral), ("point", PointsOfSeveral)])
def test_answers_are_as_the_document_says(task: str, kind: type[BaseModel]) -> None:
    found = content(by_form(Doors(says_or_fails), task, objects=NAMES))
    assert kind.model_validate(found).model_dump(exclude_unset=True) == found


def test_the_objects_travel_together_and_equal_ones_are_asked_once() -> None:
    doors = Doors(says_or_fails)
    by_v1(doors, objects=NAMES)
    (call,) = doors.calls("moondream")
    assert [job.prompt for job in call] == ["circle", "red square", "cat"]
    assert len({id(job.images[0]) for job in call}) == 1, "one picture, which a message holds once"


def test_one_that_fails_does_not_lose_its_neighbours(ask: Ask) -> None:
    answer = ask(Doors(says_or_fails), objects=NAMES)
    assert answer.status_code == 200
    first, second, third, fourth = content(answer)["results"]
    assert "error" not in (*first, *second, *fourth)
    assert without_source(third) == {
        "object": "cat",
        "error": {"code": "runner_failed", "message": "It failed.", "param": None},
    }


def test_where_all_fail_the_first_failure_is_the_answer(ask: Ask) -> None:
    answer = ask(Doors(says_or_fails), objects=["cat", "cat"])
    assert (answer.status_code, content(answer)["error"]["code"]) == (502, "runner_failed")


def test_answers_are_those_of_single_requests_in_the_cache_too(ask: Ask) -> None:
    doors = Doors(says)
    ask(doors, object="circle")
    results = content(ask(doors, objects=["circle", "square"]))["results"]
    assert [one["cache"] for one in results] == [True, False]
    assert content(ask(doors, object="square"))["cache"] is True
    assert [[job.prompt for job in call] for call in doors.calls("moondream")] == [["circle"], ["square"]]


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"object": "a", "objects": ["b"]}, "objects", "not both"),
        ({"objects": ["a", " "]}, "objects.1", "not blank"),
        ({"objects": ["a"] * 33}, "objects", "a list of 1 to 32 texts"),
        ({}, "object", "'objects'"),
    ],
    ids=["both", "blank", "many", "none"],
)
def test_what_is_wrong_is_told(ask: Ask, body: dict[str, Any], param: str, words: str) -> None:
    doors = Doors(says)
    answer = ask(doors, **body)
    told = content(answer)["error"]
    assert (answer.status_code, told["code"], told["param"]) == (422, "invalid_value", param)
    assert words in told["message"]
    assert not doors.calls("moondream")


def test_an_empty_list_is_none() -> None:
    assert error(by_v1(Doors(says), objects=[])) == (422, "invalid_value", "objects")


def test_limits_and_places_are_for_each() -> None:
    doors = Doors(says)
    by_v1(doors, "point", objects=["a", "b"], spatial_refs=[[0.5, 0.5]], settings={"max_objects": 7})
    (call,) = doors.calls("moondream")
    assert [(job.task, job.max_objects, job.spatial_refs) for job in call] == [(Task.POINT, 7, ((0.5, 0.5),))] * 2


def test_a_view_is_of_each_object_too() -> None:
    answer = by_method(Doors(lambda _: Answer("", "stop", 1, 3, boxes=BOXES)), objects=["a", "b"], query="format=coco")
    for one in content(answer)["results"]:
        assert one["detections"][0]["bbox"] == [20.0, 30.0, 40.0, 30.0]


def test_all_objects_are_drawn_into_one_picture_in_colours_of_their_own() -> None:
    left, right = Box(0.05, 0.5, 0.45, 0.9), Box(0.55, 0.5, 0.95, 0.9)
    doors = Doors(lambda job: Answer("", "stop", 1, 3, boxes=(left if job.prompt == "left" else right,)))
    answer = doors.upload("detect", PNG, params={"annotate": "true"}, objects=["left", "right"])
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as drawn:
        colours = {colour for _, colour in drawn.convert("RGB").getcolors(10**6) or ()}
    assert {(230, 159, 0), (86, 180, 233)} <= colours


def test_a_drawing_that_would_lack_an_object_is_an_error() -> None:
    answer = Doors(says_or_fails).upload("detect", PNG, params={"annotate": "true"}, objects=["circle", "cat"])
    assert error(answer) == (502, "runner_failed", None)


def test_an_item_says_by_itself_what_it_looks_for() -> None:
    doors = Doors(says)
    items: list[dict[str, Any]] = [{}, {"object": "own"}, {"objects": ["one", "two"]}]
    common: dict[str, Any] = {"task": "detect", "objects": ["all"]}
    answer = doors.send("/v1/batch", json={**common, "items": [{"image": URI, **item} for item in items]})
    lines = {line["index"]: line for line in map(json.loads, answer.text.splitlines()[:-1])}
    asked = [[one["object"] for one in lines[number].get("results", ())] for number in range(3)]
    assert asked == [["all"], [], ["one", "two"]]
    assert {job.prompt for call in doors.calls("moondream") for job in call} == {"all", "own", "one", "two"}


def test_objects_of_items_leave_room_for_others_and_are_not_asked_again_when_the_model_was_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    width = 3  # three quarters of the rows
    asked: list[str] = []

    def busy_once(job: Job) -> Said:
        asked.append(job.prompt)
        return errors.Overloaded("Full.", retry_after=1) if asked.count("f") == 1 and job.prompt == "f" else says(job)

    own = Settings.model_construct().model("moondream").model_copy(update={"max_batch_rows": 4})
    doors = Doors(busy_once, moondream=own)
    monkeypatch.setattr(doors.answering, "cache", RedisAnswerCache(GuardedRedis("", timeout=1), ttl=1))  # there is none
    names = list("abcdef")
    answer = doors.send("/v1/batch", json={"task": "detect", "objects": names, "items": [{"image": URI}]})
    first, last = map(json.loads, answer.text.splitlines())
    assert [one["object"] for one in first["results"]] == names
    assert last["succeeded"] == 1
    assert all(asked.count(name) == 1 + (name == "f") for name in names)
    assert max(len(call) for call in doors.calls("moondream")) <= width
