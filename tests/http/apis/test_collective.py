"""One caption for several pictures: all of them or none."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from looksee.core import errors
from looksee.core.tasks import Job, Task
from looksee.models.registry import prompts
from tests.http.app import Doors, content, error
from tests.support.files import plain

RED, BLUE = plain(colour=(200, 0, 0)), plain(colour=(0, 0, 200))
FILES = (("1.png", RED), ("2.png", BLUE))
FLAG = "Is there a circle?"


@pytest.mark.parametrize("model", ["gemma", "intern_vlm"])
def test_all_pictures_are_one_job_and_so_is_their_flag(model: str) -> None:
    doors = Doors()
    answer = doors.collective(*FILES, model=model, flag_caption_prompt=FLAG)
    assert answer.status_code == 200
    assert content(answer) == {
        "collective_caption": "a red circle; a blue square",
        "count": 2,
        "tags": ["red", "circle", "blue", "square", "red_circle", "blue_square"],
        "flagged": True,
        "flag_evaluated": True,
        "flag_confidence": None,
        "finish_reason": "stop",
        "cache": False,
        "model": model,
        "revision": "0123456789ab",
        "weights": "local",
    }
    (jobs,) = doors.calls(model)
    assert [(job.task, job.images, job.prompt) for job in jobs] == [
        (Task.COLLECTIVE, (RED, BLUE), prompts.COLLECTIVE),
        (Task.QUERY, (RED, BLUE), prompts.flag(model, FLAG)),
    ]
    assert [job.grammar and job.grammar.kind for job in jobs] == [None, "choices"]
    assert "compute;dur=300.0" in answer.headers["server-timing"]


def test_the_default_is_gemma_and_no_flag() -> None:
    doors = Doors()
    body = content(doors.collective(*FILES, caption_prompt="In French."))
    assert (body["model"], body["flagged"], body["flag_evaluated"]) == ("gemma", False, False)
    assert [job.prompt for job in doors.calls("gemma")[0]] == ["In French."]


def test_the_services_question_is_asked_here_too() -> None:
    doors = Doors(flag_prompt=FLAG)
    assert content(doors.collective(*FILES))["flagged"] is True


def test_one_picture_is_a_collection_too() -> None:
    doors = Doors()
    body = content(doors.collective(FILES[0]))
    assert (body["count"], body["cache"]) == (1, False)
    assert [key.split(":")[1] for key in doors.shelf.stored] == ["collection"]
    assert content(doors.captions(FILES[0], model="gemma"))["results"][0]["cache"] is False


def test_the_cache_knows_the_pictures_in_their_order() -> None:
    doors = Doors()
    assert [content(doors.collective(*FILES))["cache"] for _ in range(2)] == [False, True]
    assert content(doors.collective(*FILES[::-1]))["cache"] is False
    assert content(doors.collective(*FILES, caption_prompt="Shortly."))["cache"] is False
    assert content(doors.collective(*FILES, model="intern_vlm"))["cache"] is False
    assert content(doors.collective(*FILES, flag_caption_prompt=FLAG))["cache"] is True


@pytest.mark.parametrize("model", ["blip", "blip2"])
def test_a_model_that_sees_one_picture_is_refused_with_those_that_see_several(model: str) -> None:
    doors = Doors()
    answer = doors.collective(("a.txt", b"never looked at"), model=model)
    assert error(answer) == (400, "task_not_supported", "model")
    assert "gemma, intern_vlm" in content(answer)["detail"]
    assert not doors.calls(model)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [(b"text", 415, "unsupported_image_type"), (b"", 400, "empty_file"), (plain(size=(2, 2)), 422, "image_too_small")],
)
def test_one_bad_file_fails_the_request_by_its_name(data: bytes, status: int, code: str) -> None:
    doors = Doors()
    answer = doors.collective(FILES[0], ("notes.png", data), FILES[1], ("more.png", b""))
    assert error(answer) == (status, code, "images")
    assert content(answer)["detail"].startswith("'notes.png': The ")
    assert not doors.calls("gemma")


@pytest.mark.parametrize(("place", "named"), [("images.0", "1.png"), ("images.1", "2.png")])
def test_a_picture_that_is_damaged_inside_is_named_too(place: str, named: str) -> None:
    doors = Doors(lambda _: errors.CorruptImage("The picture is damaged.", param=place))
    answer = doors.collective(*FILES)
    assert error(answer) == (400, "corrupt_image", "images")
    assert content(answer)["detail"] == f"'{named}': The picture is damaged."


@pytest.mark.parametrize("place", [None, "images.2", "images.x", "prompt"])
def test_a_damage_without_a_place_has_no_name(place: str | None) -> None:
    doors = Doors(lambda _: errors.CorruptImage("The picture is damaged.", param=place))
    assert error(doors.collective(*FILES)) == (400, "corrupt_image", place)


def test_a_lone_picture_that_is_damaged_inside_is_named() -> None:
    doors = Doors(lambda _: errors.CorruptImage("The picture is damaged."))
    assert content(doors.collective(FILES[0]))["detail"] == "'1.png': The picture is damaged."


def test_a_failed_flag_loses_the_caption_only_with_strict() -> None:
    def says(job: Job) -> str | errors.LookseeError:
        return errors.Overloaded("Busy.", retry_after=3) if job.task is Task.QUERY else "a circle"

    doors = Doors(says)
    body = content(doors.collective(*FILES, flag_caption_prompt=FLAG))
    assert (body["collective_caption"], body["flagged"], body["flag_evaluated"]) == ("a circle", None, False)
    answer = doors.collective(*FILES, flag_caption_prompt=FLAG, strict="true")
    assert error(answer) == (429, "overloaded", None)
    assert answer.headers["retry-after"] == "3"


@pytest.mark.parametrize(("task", "param"), [(Task.COLLECTIVE, "caption_prompt"), (Task.QUERY, "flag_caption_prompt")])
def test_a_prompt_that_is_too_long_for_the_model_is_named_as_the_caller_knows_it(task: Task, param: str) -> None:
    doors = Doors(lambda job: errors.PromptTooLong("Too long.", param="prompt") if job.task is task else "a circle")
    answer = doors.collective(*FILES, caption_prompt="Shortly.", flag_caption_prompt=FLAG, strict="true")
    assert error(answer) == (422, "prompt_too_long", param)


def test_pictures_that_are_too_many_for_the_model_are_named() -> None:
    doors = Doors(lambda _: errors.PromptTooLong("Too long.", param="prompt"))
    assert error(doors.collective(*FILES)) == (422, "prompt_too_long", "images")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"model": "gpt"}, (422, "unknown_model", "model")),
        ({"caption_prompt": "x" * 4001}, (422, "prompt_too_long", "caption_prompt")),
        ({"flag_caption_prompt": "x" * 4001}, (422, "prompt_too_long", "flag_caption_prompt")),
    ],
)
def test_wrong_requests_reach_no_model(params: dict[str, str], expected: tuple[int, str, str]) -> None:
    doors = Doors()
    assert error(doors.collective(*FILES, **params)) == expected
    assert not any(doors.calls(name) for name in doors.proxies)


def test_the_native_api_says_the_same() -> None:
    doors = Doors()
    images = [base64.b64encode(data).decode() for _, data in FILES]
    options: dict[str, Any] = {"model": "gemma", "flag_caption_prompt": FLAG}
    body = content(doors.native(Task.COLLECTIVE, images=images, **options))
    assert (body["collective_caption"], body["count"], body["flagged"]) == ("a red circle; a blue square", 2, True)
    assert content(doors.collective(*FILES, **options)) == {**body, "cache": True}
    bad = doors.native(Task.COLLECTIVE, images=[images[0], ""], **options)
    assert error(bad) == (400, "empty_file", "images")
    assert content(bad)["detail"] == "'images.1': The file is empty."
    unable = doors.native(Task.COLLECTIVE, images=["never looked at"], model="blip")
    assert error(unable) == (400, "task_not_supported", "model")
