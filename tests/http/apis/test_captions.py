"""A caption for each picture, with tags and flags: what is asked of the model, and what becomes of its answers."""

from __future__ import annotations

import base64
import logging
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from looksee.core import errors
from looksee.core.tasks import Grammar, Job, Task
from looksee.http.dialects import bento_methods
from looksee.models.registry import prompts
from tests.http.app import Doors, Said, content, error
from tests.support.files import plain

RED, BLUE, GREEN = (plain(colour=colour) for colour in ((200, 0, 0), (0, 0, 200), (0, 200, 0)))
NAMES = {RED: "red", BLUE: "blue", GREEN: "green"}
FLAG = "Is there a circle?"
OPEN = ("blip2", "gemma", "intern_vlm")  # these answer questions
YES_OR_NO = Grammar("choices", '["yes", "no", "Yes", "No"]')


def by_picture(job: Job) -> Said:
    """A caption that names the picture; yes to the red one."""
    name = NAMES[job.images[0]]
    return f"a {name} circle" if job.task is Task.CAPTION else "Yes, there is." if name == "red" else "no"


def flags(answer: Any) -> list[tuple[bool | None, bool]]:
    return [(result["flagged"], result["flag_evaluated"]) for result in content(answer)["results"]]


@pytest.mark.parametrize("model", OPEN)
def test_captions_and_flags_travel_in_one_call(model: str) -> None:
    doors = Doors(by_picture)
    answer = doors.captions(("1.png", RED), ("2.png", BLUE), model=model, flag_caption_prompt=FLAG)
    assert answer.status_code == 200
    assert content(answer)["results"] == [
        {
            "filename": name,
            "caption": f"a {colour} circle",
            "tags": [colour, "circle", f"{colour}_circle"],
            "flagged": flagged,
            "flag_evaluated": True,
            "flag_confidence": None,
            "finish_reason": "stop",
            "cache": False,
            "model": model,
            "revision": "0123456789ab",
            "weights": "local",
        }
        for name, colour, flagged in (("1.png", "red", True), ("2.png", "blue", False))
    ]
    (jobs,) = doors.calls(model)
    assert [(job.task, job.images) for job in jobs] == [
        (Task.CAPTION, (RED,)),
        (Task.CAPTION, (BLUE,)),
        (Task.QUERY, (RED,)),
        (Task.QUERY, (BLUE,)),
    ]
    assert [job.prompt for job in jobs] == [prompts.caption(model)] * 2 + [prompts.flag(model, FLAG)] * 2
    assert [job.grammar for job in jobs] == [None, None, YES_OR_NO, YES_OR_NO]
    assert answer.headers["server-timing"].endswith('cache;desc="0/4"')


@pytest.mark.parametrize(
    ("model", "given", "asked"),
    [
        ("blip", "", ""),
        ("blip", "a photo of", "a photo of"),
        ("blip2", "", ""),
        ("blip2", "a photo of", "a photo of"),
        ("gemma", "", prompts.CAPTION),
        ("gemma", "In French.", "In French."),
        ("intern_vlm", "", prompts.CAPTION),
    ],
)
def test_each_model_is_asked_in_its_own_words(model: str, given: str, asked: str) -> None:
    doors = Doors()
    assert doors.captions(("a.png", RED), model=model, caption_prompt=given).status_code == 200
    (jobs,) = doors.calls(model)
    assert [job.prompt for job in jobs] == [asked]


@pytest.mark.parametrize("given", ["", "   "])
def test_nothing_is_asked_when_there_is_no_question(given: str) -> None:
    doors = Doors()
    answer = doors.captions(("a.png", RED), model="gemma", flag_caption_prompt=given)
    assert flags(answer) == [(False, False)]
    assert [len(jobs) for jobs in doors.calls("gemma")] == [1]


def test_a_model_that_answers_no_questions_is_asked_none() -> None:
    doors = Doors(flag_prompt=FLAG)
    for params in ({}, {"flag_caption_prompt": FLAG}):
        assert flags(doors.captions(("a.png", RED), model="blip", **params)) == [(False, False)]
    assert [job.task for jobs in doors.calls("blip") for job in jobs] == [Task.CAPTION]


@pytest.mark.parametrize(("given", "asked"), [("", "Is it safe?"), (FLAG, FLAG)])
def test_the_services_question_is_asked_where_the_request_brings_none(given: str, asked: str) -> None:
    doors = Doors(flag_prompt="Is it safe?")
    assert flags(doors.captions(("a.png", RED), model="gemma", flag_caption_prompt=given)) == [(True, True)]
    assert doors.calls("gemma")[0][1].prompt == prompts.flag("gemma", asked)


@pytest.mark.parametrize(
    ("said", "flagged"),
    [("yes", True), ("No.", False), ('```json\n{"flag": true}\n```', True), ("maybe", None), ("", None)],
)
def test_what_the_model_said_is_parsed_strictly(said: str, flagged: bool | None) -> None:
    doors = Doors(lambda job: said if job.task is Task.QUERY else "a circle")
    assert flags(doors.captions(("a.png", RED), model="gemma", flag_caption_prompt=FLAG)) == [(flagged, True)]


def failing_flag(job: Job) -> Said:
    if job.task is Task.QUERY and job.images[0] == BLUE:
        return errors.RunnerFailed("Broken.")
    return by_picture(job)


def test_a_failed_flag_does_not_lose_its_caption_nor_its_neighbours_flag(caplog: pytest.LogCaptureFixture) -> None:
    doors = Doors(failing_flag)
    with caplog.at_level(logging.WARNING, logger="looksee.api"):
        answer = doors.captions(("1.png", BLUE), ("2.png", RED), model="gemma", flag_caption_prompt=FLAG)
    assert answer.status_code == 200
    assert flags(answer) == [(None, False), (True, True)]
    assert [result["caption"] for result in content(answer)["results"]] == ["a blue circle", "a red circle"]
    assert "runner_failed" in caplog.text


def test_captions_whose_flags_have_all_failed_are_captions_all_the_same() -> None:
    doors = Doors(failing_flag)
    answer = doors.captions(("1.png", BLUE), model="gemma", flag_caption_prompt=FLAG)
    assert (answer.status_code, flags(answer)) == (200, [(None, False)])


def test_strict_fails_for_a_flag_too() -> None:
    doors = Doors(failing_flag)
    files = (("1.png", RED), ("2.png", BLUE))
    answer = doors.captions(*files, model="gemma", flag_caption_prompt=FLAG, strict="true")
    assert error(answer) == (502, "runner_failed", None)
    assert [result["caption"] for result in content(answer)["results"]] == ["a red circle", "a blue circle"]
    assert doors.captions(*files, model="gemma", strict="true").status_code == 200


def test_strict_does_not_fail_for_a_flag_that_was_not_understood() -> None:
    doors = Doors(lambda _: "maybe a circle")
    answer = doors.captions(("a.png", RED), model="gemma", flag_caption_prompt=FLAG, strict="true")
    assert (answer.status_code, flags(answer)) == (200, [(None, True)])


def test_bad_files_keep_their_places_among_captions_and_flags() -> None:
    doors = Doors(by_picture)
    answer = doors.captions(
        ("1.png", BLUE), ("2.txt", b"text"), ("3.png", RED), ("4.png", b""), model="gemma", flag_caption_prompt=FLAG
    )
    assert answer.status_code == 200
    blue, text, red, empty = content(answer)["results"]
    assert (blue["caption"], blue["flagged"]) == ("a blue circle", False)
    assert (red["caption"], red["flagged"]) == ("a red circle", True)
    assert (text["error"]["code"], empty["error"]["code"]) == ("unsupported_image_type", "empty_file")


def test_a_picture_without_its_caption_has_no_flag() -> None:
    doors = Doors(lambda job: errors.CorruptImage("Damaged.") if job.task is Task.CAPTION else "yes")
    answer = doors.captions(("a.png", RED), model="gemma", flag_caption_prompt=FLAG)
    assert error(answer) == (400, "corrupt_image", None)
    assert content(answer)["results"] == [
        {"filename": "a.png", "error": {"code": "corrupt_image", "message": "Damaged."}}
    ]


def test_cache_is_the_captions_and_flags_are_cached_by_themselves() -> None:
    doors = Doors(by_picture)
    file = ("a.png", RED)

    def cached(**params: str) -> tuple[bool, bool | None, int]:
        before = sum(len(jobs) for jobs in doors.calls("gemma"))
        result = content(doors.captions(file, model="gemma", **params))["results"][0]
        return result["cache"], result["flagged"], sum(len(jobs) for jobs in doors.calls("gemma")) - before

    assert cached() == (False, False, 1)
    assert cached(flag_caption_prompt=FLAG) == (True, True, 1)  # the caption was there, its flag was not
    assert cached(flag_caption_prompt=FLAG) == (True, True, 0)
    assert cached(flag_caption_prompt="Is it red?") == (True, True, 1)
    assert cached(caption_prompt="Shortly.", flag_caption_prompt=FLAG) == (False, True, 1)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"model": "gpt"}, (422, "unknown_model", "model")),
        ({"model": "gemma", "caption_prompt": "x" * 4001}, (422, "prompt_too_long", "caption_prompt")),
        ({"model": "gemma", "flag_caption_prompt": "x" * 4001}, (422, "prompt_too_long", "flag_caption_prompt")),
        ({"model": "blip", "flag_caption_prompt": "x" * 4001}, (422, "prompt_too_long", "flag_caption_prompt")),
        ({"model": "gemma", "strict": "perhaps"}, (422, "invalid_value", "strict")),
    ],
)
def test_wrong_requests_reach_no_model(params: dict[str, str], expected: tuple[int, str, str]) -> None:
    doors = Doors()
    assert error(doors.captions(("a.png", RED), **params)) == expected
    assert not any(doors.calls(name) for name in doors.proxies)


@pytest.mark.parametrize(("task", "param"), [(Task.CAPTION, "caption_prompt"), (Task.QUERY, "flag_caption_prompt")])
def test_a_prompt_that_is_too_long_for_the_model_is_named_as_the_caller_knows_it(task: Task, param: str) -> None:
    doors = Doors(lambda job: errors.PromptTooLong("Too long.", param="prompt") if job.task is task else "a circle")
    answer = doors.captions(("a.png", RED), model="gemma", flag_caption_prompt=FLAG, strict="true")
    assert error(answer) == (422, "prompt_too_long", param)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_the_native_api_says_the_same() -> None:
    doors = Doors(by_picture)
    images = [encoded(RED), f"data:image/png;base64,{encoded(BLUE)}", encoded(b"text"), "no base64!"]
    answer = doors.native(Task.CAPTION, images=images, model="gemma", flag_caption_prompt=FLAG)
    assert answer.status_code == 200
    red, blue, text, none = content(answer)["results"]
    assert (red["filename"], red["caption"], red["flagged"]) == ("images.0", "a red circle", True)
    assert (blue["filename"], blue["caption"], blue["flagged"]) == ("images.1", "a blue circle", False)
    assert (text["filename"], text["error"]["code"]) == ("images.2", "unsupported_image_type")
    assert (none["filename"], none["error"]["code"]) == ("images.3", "invalid_request")
    assert [job.prompt for job in doors.calls("gemma")[0]][2:] == [prompts.flag("gemma", FLAG)] * 2
    uploaded = doors.captions(("images.0", RED), ("images.1", BLUE), model="gemma", flag_caption_prompt=FLAG)
    assert content(uploaded)["results"] == [{**result, "cache": True} for result in (red, blue)]


def test_a_list_of_what_is_no_text_is_read_to_its_first_element_only() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(bento_methods.Images).validate_python([1] * 1000)
    assert caught.value.error_count() == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"images": []}, (422, "invalid_value", "images")),
        ({"images": ["x"] * 33}, (413, "too_many_files", "images")),
        ({"images": ["no base64!"]}, (400, "invalid_request", "images.0")),
        ({"images": ["https://example.com/a.png"]}, (400, "image_url_not_allowed", "images.0")),
        ({"images": ["\ud800"]}, (400, "invalid_request", "images.0")),
        ({"images": [encoded(RED)], "model": "gpt"}, (422, "unknown_model", "model")),
        ({"images": [encoded(RED)], "caption_prompt": "\ud800"}, (422, "invalid_value", "caption_prompt")),
        ({"images": [encoded(RED)], "flag_caption_prompt": "\udfff"}, (422, "invalid_value", "flag_caption_prompt")),
        ({"images": [encoded(RED)], "caption_prompt": "x" * 4001}, (422, "prompt_too_long", "caption_prompt")),
    ],
)
def test_wrong_native_requests_reach_no_model(body: dict[str, Any], expected: tuple[int, str, str]) -> None:
    doors = Doors()
    assert error(doors.native(Task.CAPTION, **{"model": "gemma", **body})) == expected
    assert not any(doors.calls(name) for name in doors.proxies)
