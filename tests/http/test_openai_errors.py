"""Errors on the OpenAI API's routes have its statuses and codes; on all others they are what they were."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from looksee.core import errors
from looksee.http import openai_errors
from looksee.http.app import ROUTES
from looksee.http.dialects.openai import NOT_OFFERED
from tests.http.app import Doors, content, error
from tests.support.files import plain

URI = f"data:image/png;base64,{base64.b64encode(plain()).decode()}"
CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("found", "status", "code"),
    [
        (errors.UnknownModel("x"), 404, "model_not_found"),
        (errors.PromptTooLong("x"), 400, "context_length_exceeded"),
        (errors.InvalidValue("x"), 400, "invalid_value"),
        (errors.TooManyFiles("x"), 400, "too_many_files"),
        (errors.ImageTooLarge("x"), 400, "image_too_large"),
        (errors.UnsupportedImageType("x"), 400, "unsupported_image_type"),
        (errors.UnsupportedMediaType("x"), 400, "unsupported_media_type"),
        (errors.StructuredOutputFailed("x"), 400, "structured_output_failed"),
        (errors.InvalidRequest("x"), 400, "invalid_request"),
        (errors.RequestTooLarge("x"), 413, "request_too_large"),
        (errors.MissingKey("x"), 401, "missing_key"),
        (errors.Overloaded("x"), 429, "overloaded"),
        (errors.RunnerFailed("x"), 502, "runner_failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_statuses_and_codes(found: errors.LookseeError, status: int, code: str) -> None:
    own = openai_errors.own(found)
    assert (openai_errors.status(own), own.code) == (status, code)


def test_an_error_keeps_what_it_says() -> None:
    own = openai_errors.own(errors.PromptTooLong("Too long.", param="messages", retry_after=3))
    assert (own.message, own.param, own.retry_after) == ("Too long.", "messages", 3)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (errors.InvalidValue("x"), "invalid_request_error"),
        (errors.NotFound("x"), "invalid_request_error"),
        (errors.MissingKey("x"), "authentication_error"),
        (errors.WrongKey("x"), "permission_error"),
        (errors.RateLimited("x"), "rate_limit_error"),
        (errors.ModelNotReady("x"), "server_error"),
        (errors.LookseeError("x"), "server_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_types(found: errors.LookseeError, kind: str) -> None:
    assert openai_errors.kind(found) == kind


def test_a_chat_and_the_other_routes_tell_the_same_mistake_each_in_its_way() -> None:
    doors = Doors()
    bodies: dict[str, dict[str, Any]] = {
        CHAT: {"model": "nope", "messages": [{"role": "user", "content": "Who?"}]},
        "/v1/query": {"model": "nope", "question": "Who?"},
        "/v1/batch": {"model": "nope", "items": [{"image": URI}]},
    }
    told = {path: error(doors.send(path, json=body)) for path, body in bodies.items()}
    assert told == {
        CHAT: (404, "model_not_found", "model"),
        "/v1/query": (422, "unknown_model", "model"),
        "/v1/batch": (422, "unknown_model", "model"),
    }


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_beyond_the_context_is_told_as_clients_look_for_it(stream: bool) -> None:
    doors = Doors(lambda _: errors.PromptTooLong("This model's maximum context length is 8 tokens.", param="prompt"))
    body = {"model": "gemma", "messages": [{"role": "user", "content": "Who?"}], "stream": stream}
    answer = doors.send(CHAT, json=body)
    assert error(answer) == (400, "context_length_exceeded", "messages")
    assert content(answer)["error"]["type"] == "invalid_request_error"
    query = doors.send("/v1/query", json={"model": "moondream", "question": "Who?"})
    assert error(query) == (422, "prompt_too_long", "question")


def test_bodies_of_a_chat_that_are_no_requests() -> None:
    doors = Doors()
    for body in ("{", "[]", '{"model": 5, "messages": []}', '{"messages": 5}'):
        assert doors.send(CHAT, content=body).status_code == 400, body
    assert doors.send(CHAT, content="who", headers={"content-type": "text/plain"}).status_code == 400


def test_who_leaves_out_the_version_is_told_the_address() -> None:
    for path in ("/chat/completions", "/models"):
        unknown = ROUTES.unknown(path)
        assert isinstance(unknown, errors.NotFound)
        assert f"/v1{path} is meant" in unknown.message
    assert ROUTES.unknown("/nope").message == "There is nothing at this address."


@pytest.mark.parametrize("path", [*NOT_OFFERED, "/v1/images/generations", "/v1/audio/speech", "/v1/files/file-1"])
def test_what_else_openai_has_says_what_to_ask_instead(path: str) -> None:
    found = ROUTES.unknown(path)
    assert (found.status, found.code) == (501, "not_offered")
    assert found.message in NOT_OFFERED.values()
