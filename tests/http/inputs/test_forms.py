"""Parameters beside pictures: in the form or in the query, each once, and an empty field is none."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.http.app import Doors, content, error
from tests.support.files import plain

PICTURE = plain()
CAPTIONS, TOGETHER = "/api/caption-images", "/api/caption-collective-images"
FORMS: dict[str, dict[str, str]] = {
    CAPTIONS: {},
    TOGETHER: {},
    "/upload/caption": {},
    "/upload/query": {"question": "What?"},
    "/upload/detect": {"object": "circle"},
    "/upload/point": {"object": "circle"},
}


def ask(path: str, query: Any = "", doors: Any = None, /, **fields: Any) -> httpx.Response:
    target = f"{path}?{query}" if isinstance(query, str) and query else path
    options: dict[str, Any] = {"params": query} if isinstance(query, dict) else {}
    return (doors or Doors()).send(target, files={"image": ("a.png", PICTURE)}, data=fields, **options)


@pytest.mark.parametrize(
    ("path", "asked", "model"),
    [
        (CAPTIONS, {"model": "gemma", "caption_prompt": "Describe it.", "flag_caption_prompt": "Is it red?"}, "gemma"),
        (TOGETHER, {"model": "intern_vlm", "flag_caption_prompt": "Is it red?", "strict": "true"}, "intern_vlm"),
        ("/upload/caption", {"model": "blip", "prompt": "a photo of", "max_new_tokens": "3"}, "blip"),
        ("/upload/query", {"model": "gemma", "question": "Is it red?"}, "gemma"),
        ("/upload/detect", {"object": "circle", "max_objects": "2", "format": "coco"}, "moondream"),
        ("/upload/point", {"object": "circle", "format": "pixel"}, "moondream"),
    ],
)
def test_a_parameter_counts_wherever_it_stands(path: str, asked: dict[str, str], model: str) -> None:
    doors = Doors()
    by_query = ask(path, asked, doors)
    assert by_query.status_code == 200, by_query.text
    first = doors.calls(model)
    assert first
    assert not any(doors.calls(name) for name in doors.proxies if name != model)
    names = sorted(asked)
    for split in (0, 1, len(names)):
        other = Doors()
        query = {name: asked[name] for name in names[:split]}
        answer = ask(path, query, other, **{name: asked[name] for name in names[split:]})
        assert content(answer) == content(by_query)
        assert other.calls(model) == first


def test_a_flag_that_is_asked_for_in_the_form_is_answered() -> None:
    answer = ask(CAPTIONS, model="gemma", flag_caption_prompt="Is there a triangle?")
    assert content(answer)["results"][0]["flagged"] is True


@pytest.mark.parametrize("path", [CAPTIONS, TOGETHER])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": "nonsense"}, (422, "unknown_model", "model")),
        ({"strict": "maybe"}, (422, "invalid_value", "strict")),
        ({"caption_prompt": "x" * 4001}, (422, "prompt_too_long", "caption_prompt")),
        ({"flag_caption_prompt": "x" * 4001}, (422, "prompt_too_long", "flag_caption_prompt")),
        ({"modle": "gemma"}, (400, "unsupported_parameter", "modle")),
        ({"prompt": "x"}, (400, "unsupported_parameter", "prompt")),
        ({"max_new_tokens": "5"}, (400, "unsupported_parameter", "max_new_tokens")),
    ],
)
def test_a_field_is_checked_as_the_query_is(path: str, fields: dict[str, str], expected: tuple[int, str, str]) -> None:
    assert error(ask(path, **fields)) == expected
    assert error(ask(path, fields)) == expected


@pytest.mark.parametrize("path", FORMS)
def test_two_values_of_one_parameter_are_refused_unless_they_are_equal(path: str) -> None:
    fields = {**FORMS[path], "model": "gemma" if path == TOGETHER else "moondream"}
    assert ask(path, fields, **fields).status_code == 200
    for name in fields:
        answer = ask(path, fields, **{**fields, name: "other"})
        assert error(answer) == (400, "invalid_request", name)
        assert f"'{name}'" in content(answer)["detail"]
        twice = ask(path, f"{name}=a&{name}=b", **{other: fields[other] for other in fields if other != name})
        assert error(twice) == (400, "invalid_request", name)
        assert error(ask(path, **fields | {name: [fields[name], "other"]})) == (400, "invalid_request", name)
        assert ask(path, **fields | {name: [fields[name], fields[name]]}).status_code == 200


@pytest.mark.parametrize("path", FORMS)
def test_an_empty_field_is_as_not_given(path: str) -> None:
    doors = Doors()
    empty = {"model": "", "max_new_tokens": "", "max_objects": "", "prompt": "", "strict": "", "caption_prompt": ""}
    known = {
        name: value
        for name, value in empty.items()
        if error_or_none(ask(path, **{**FORMS[path], name: "?"})) != "unsupported_parameter"
    }
    assert len(known) >= 2
    answer = ask(path, "", doors, **{**FORMS[path], **known})
    assert content(answer) == content(ask(path, **FORMS[path]))


def error_or_none(answer: httpx.Response) -> str | None:
    code: str | None = content(answer).get("error", {}).get("code")
    return code


@pytest.mark.parametrize(("path", "name"), [("/upload/query", "question"), ("/upload/detect", "object")])
def test_an_empty_field_that_is_needed_is_missing(path: str, name: str) -> None:
    answer = ask(path, **{name: ""})
    assert error(answer) == (422, "invalid_value", name)
    assert "missing" in content(answer)["detail"]


def test_a_wrong_query_is_told_before_anything_is_read() -> None:
    doors = Doors()
    answer = doors.send(f"{CAPTIONS}?model=nonsense", content=b"no form")
    assert error(answer) == (422, "unknown_model", "model")
