"""The one shape of errors, and what becomes of those that the frameworks make."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from looksee.core import errors
from looksee.http import error_responses
from looksee.http.error_sentences import Accepted
from looksee.http.request_info import REQUEST_ID


@pytest.fixture(autouse=True)
def request_id() -> Iterator[str]:
    token = REQUEST_ID.set("id-1")
    yield "id-1"
    REQUEST_ID.reset(token)


def test_the_body_has_the_message_twice_and_all_there_is_to_know() -> None:
    error = errors.FileTooLarge("Too long.", param="images", retry_after=3)
    assert error_responses.body(error) == {
        "detail": "Too long.",
        "error": {
            "code": "file_too_large",
            "message": "Too long.",
            "type": "invalid_request_error",
            "param": "images",
            "request_id": "id-1",
        },
    }


def test_a_message_that_is_no_text_can_be_sent_all_the_same() -> None:
    answer = error_responses.response(errors.UnknownModel("There is no model '\ud800\u00e9'."))
    assert json.loads(bytes(answer.body))["error"]["message"] == "There is no model '?\u00e9'."


def test_the_response_has_status_and_shape() -> None:
    answer = error_responses.response(errors.UnknownModel("No such model."))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(bytes(answer.body))["error"]["code"] == "unknown_model"
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(("retry_after", "header"), [(None, None), (5, "5")])
def test_when_to_try_again_is_a_header(retry_after: int | None, header: str | None) -> None:
    answer = error_responses.response(errors.Overloaded("Busy.", retry_after=retry_after))
    assert answer.headers.get("retry-after") == header


def test_more_stands_beside_the_error() -> None:
    content = json.loads(bytes(error_responses.response(errors.CorruptImage("Damaged."), {"results": [1]}).body))
    assert content["results"] == [1]
    assert content["error"]["message"] == "Damaged."


@pytest.mark.parametrize(
    ("status", "code", "answered"),
    [
        (400, "invalid_request", 400),
        (401, "missing_key", 401),
        (403, "wrong_key", 403),
        (404, "not_found", 404),
        (405, "method_not_allowed", 405),
        (413, "request_too_large", 413),
        (415, "unsupported_media_type", 415),
        (422, "invalid_value", 422),
        (429, "overloaded", 429),
        (500, "internal_error", 500),
        (503, "model_not_ready", 503),
        (504, "deadline_exceeded", 504),
    ],
)
def test_a_bare_status_becomes_an_error_of_the_same_status(status: int, code: str, answered: int) -> None:
    error = error_responses.of_status(status)
    assert (error.code, error.status) == (code, answered)
    assert error.message.endswith(".")
    assert (error.retry_after is not None) == (status in (429, 503))


@pytest.mark.parametrize("status", [406, 408, 409, 411, 414, 416, 417, 426, 431])
def test_a_callers_mistake_stays_the_callers(status: int) -> None:
    assert 400 <= error_responses.of_status(status).status < 500


@pytest.mark.parametrize("status", [501, 502, 505, 507])
def test_a_mistake_of_the_service_stays_the_services(status: int) -> None:
    assert error_responses.of_status(status).status >= 500


class ErrorBody(BaseModel):
    image: str
    length: Literal["short", "long"] = "short"
    count: int = Field(1, ge=1, le=9)
    inner: list[int] = []


def problems(**given: Any) -> list[dict[str, Any]]:
    """pydantic's own problems, located as FastAPI does."""
    with pytest.raises(ValidationError) as caught:
        ErrorBody(**given)
    return [{**problem, "loc": ("body", *problem["loc"])} for problem in caught.value.errors()]


@pytest.mark.parametrize(
    ("given", "param", "message"),
    [
        ({}, "image", "'image' is missing; it must be a text."),
        ({"image": "x", "length": "wide"}, "length", "'length' must be one of: short, long."),
        ({"image": "x", "count": 0}, "count", "'count' must be a whole number from 1 to 9."),
        ({"image": "x", "count": "y"}, "count", "'count' must be a whole number from 1 to 9."),
        ({"image": 5}, "image", "'image' must be a text."),
        ({"image": None}, "image", "'image' is null; it must be a text."),
        ({"image": "x", "inner": [1, "y"]}, "inner.1", "'inner.1' must be a whole number."),
        ({"image": "x", "inner": 5}, "inner", "'inner' must be a list of whole numbers."),
    ],
)
def test_validation_is_told_in_our_own_words(given: dict[str, Any], param: str, message: str) -> None:
    error = error_responses.of_validation(problems(**given), Accepted.of(ErrorBody))
    assert isinstance(error, errors.InvalidValue)
    assert (error.param, error.message) == (param, message)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"image": "x", "length": "wide"}, "'length' must be one of: short, long."),
        ({"image": "x", "count": 0}, "'count' must be a number of at least 1."),
        ({"image": "x", "count": 10}, "'count' must be a number of at most 9."),
        ({"image": "x", "count": []}, "'count' must be a whole number."),
        ({"image": 5}, "'image' must be a text."),
        ({"image": "x", "inner": "y"}, "'inner' must be a list of values."),
        ({}, "'image' is missing; it must be a value."),
    ],
)
def test_without_a_schema_the_problem_itself_says_what_it_can(given: dict[str, Any], message: str) -> None:
    assert error_responses.of_validation(problems(**given)).message == message


def test_a_member_that_there_is_not_is_told_with_those_that_there_are() -> None:
    found = [{"type": "extra_forbidden", "loc": ("body", "imgae")}]
    error = error_responses.of_validation(found, Accepted.of(ErrorBody))
    assert (error.param, error.message) == (
        "imgae",
        "There is no 'imgae' here. Accepted are: image, length, count, inner.",
    )


def test_a_body_that_is_none_is_told_what_it_has_to_have() -> None:
    error = error_responses.of_validation([{"type": "model_type", "loc": ()}], Accepted.of(ErrorBody))
    assert (error.code, error.message) == ("invalid_request", "The body must be a JSON object with 'image'.")


def test_a_place_that_no_schema_has_and_a_name_without_end() -> None:
    error = error_responses.of_validation([{"type": "int_type", "loc": ("a" * 5000, 3)}], Accepted.of(ErrorBody))
    assert (error.param, error.message) == (f"{'a' * 100}.3", f"'{'a' * 100}.3' must be a whole number.")


def test_a_member_may_be_called_as_a_place_of_parameters_is() -> None:
    accepted = Accepted({"type": "object", "properties": {"images": {"type": "object", "additionalProperties": {}}}})
    assert error_responses.of_validation([{"type": "string_type", "loc": ("images", "body")}]).param == "images.body"
    found = error_responses.of_validation([{"type": "string_type", "loc": ("body", "images", "query")}], accepted)
    assert found.param == "images.query"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([{"type": "json_invalid", "loc": ("body", 12)}], "The body is not valid JSON."),
        ([{"type": "model_attributes_type", "loc": ("body",)}], "The body must be a JSON object."),
        ([{"type": "missing", "loc": ("body",)}], "The body must be a JSON object."),
        ([], "The body must be a JSON object."),
    ],
)
def test_a_body_that_is_none(found: list[dict[str, Any]], message: str) -> None:
    error = error_responses.of_validation(found)
    assert isinstance(error, errors.InvalidRequest)
    assert error.message == message


def test_the_first_problem_is_told() -> None:
    found = problems(length="wide", count=0)
    assert len(found) == 3
    assert error_responses.of_validation(found).param == "image"


@pytest.mark.parametrize("where", ["body", "query", "header", "path"])
def test_where_a_value_was_is_not_part_of_its_name(where: str) -> None:
    assert error_responses.of_validation([{"type": "missing", "loc": (where, "model")}]).param == "model"


OURS = json.dumps(error_responses.body(errors.Overloaded("Busy."))).encode()


@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_our_own_shape_is_left_alone(status: int) -> None:
    assert error_responses.reshaped(status, OURS) is None


@pytest.mark.parametrize(
    ("status", "payload", "code"),
    [
        (500, b"Internal Server Error", "internal_error"),
        (500, b"", "internal_error"),
        (500, b"\xff\xfe\x00", "internal_error"),
        (404, b"Not Found", "not_found"),
        (404, b'{"detail": "Not Found"}', "not_found"),
        (405, b'{"detail": "Method Not Allowed"}', "method_not_allowed"),
        (400, b'{"error": "An error occurred", "detail": "no"}', "invalid_request"),
        (500, b'{"error": {"message": "no code"}}', "internal_error"),
        (503, b'"a text"', "model_not_ready"),
        (400, b"[1, 2]", "invalid_request"),
        (400, b"null", "invalid_request"),
        (422, b'{"detail": [{"type": "missing", "loc": ["body", "x"]}]}', "invalid_value"),
    ],
)
def test_what_frameworks_say_becomes_ours(status: int, payload: bytes, code: str) -> None:
    error = error_responses.reshaped(status, payload)
    assert error is not None
    assert (error.code, error.status) == (code, status)


def test_bentomls_validation_is_told_in_our_own_words() -> None:
    payload = {"error": "1 validation error for Input", "detail": [{"type": "missing", "loc": ["image"], "msg": "no"}]}
    error = error_responses.reshaped(400, json.dumps(payload).encode())
    assert isinstance(error, errors.InvalidValue)
    assert (error.param, error.message) == ("image", "'image' is missing; it must be a value.")


@pytest.mark.parametrize(
    "detail",
    [[], [{}], ["text"]],
)
def test_strange_details_raise_nothing(detail: list[Any]) -> None:
    error = error_responses.reshaped(400, json.dumps({"detail": detail}).encode())
    assert isinstance(error, errors.InvalidRequest)
