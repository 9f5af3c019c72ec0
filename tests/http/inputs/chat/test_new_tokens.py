"""A request for more new tokens than there may be is answered with as many as there may be, and told so."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from looksee.http.inputs.chat.new_tokens import HEADER
from tests.http.app import Doors, content, error
from tests.http.dialects.test_openai import chat, image, user
from tests.support.files import plain

URI = f"data:image/png;base64,{base64.b64encode(plain()).decode()}"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(
    ("count", "given", "told"), [(1, 1, None), (64, 64, None), (65, 64, "64"), (4096, 64, "64"), (-1, 64, "64")]
)
def test_a_chat(stream: bool, name: str, count: int, given: int, told: str | None) -> None:
    doors = Doors(max_new_tokens=64)
    answer = chat(doors, "gemma", user("Who?"), stream=stream, **{name: count})
    assert answer.status_code == 200
    assert answer.headers.get(HEADER) == told
    ((job,),) = doors.calls("gemma")
    assert job.max_new_tokens == given


def test_who_asks_for_no_number_is_told_none() -> None:
    assert HEADER not in chat(Doors(max_new_tokens=8), "moondream", user(image())).headers


@pytest.mark.parametrize("count", [0, -2, -(10**20)])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_what_is_no_number_of_tokens(name: str, count: int) -> None:
    answer = chat(Doors(), "gemma", user("Who?"), **{name: count})
    assert error(answer) == (400, "invalid_value", name)
    assert content(answer)["detail"] == (
        f"'{name}' must be a whole number of at least 1, or -1 for as many as there may be."
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("count", "given", "told"), [(None, 64, None), (64, 64, None), (2048, 64, "64")])
def test_moondreams_clients(stream: bool, count: int | None, given: int, told: str | None) -> None:
    doors = Doors(max_new_tokens=64)
    settings: dict[str, Any] = {} if count is None else {"settings": {"max_tokens": count}}
    for path, more in (("caption", {}), ("query", {"question": "Who?"})):
        body = {"model": "moondream", "image_url": URI, "stream": stream, **more, **settings}
        answer = doors.send(f"/v1/{path}", json=body)
        assert answer.status_code == 200
        assert answer.headers.get(HEADER) == told
    assert {job.max_new_tokens for jobs in doors.calls("moondream") for job in jobs} == {given}


def test_the_native_routes_refuse_what_they_always_did() -> None:
    doors = Doors(max_new_tokens=64)
    answer = doors.upload("caption", plain(), max_new_tokens=65)
    assert error(answer) == (422, "invalid_value", "max_new_tokens")
