"""Bodies of JSON routes, the native ones too, as clients write them: taken, or refused in words that help."""

from __future__ import annotations

import codecs
import gzip
import json

import httpx
import pytest

from tests.http.app import error
from tests.serving.gateway import Gateway
from tests.serving.test_unknown_names import JSON as ALL
from tests.support.files import plain

FORM = "application/x-www-form-urlencoded"
# Routes whose errors have the usual shape; those of other programs have tests of their own.
JSON = {path: body for path, body in ALL.items() if not path.startswith(("/api/", "/v1/messages", "/x-anylabeling"))}
NATIVE = ["/caption", "/query", "/detect", "/point", "/classify", "/caption_images", "/collective"]


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    return Gateway()


def ask(gateway: Gateway, path: str, content: bytes, kind: str | None = "application/json") -> httpx.Response:
    headers = {} if kind is None else {"Content-Type": kind}
    return gateway.send("POST", path, content=content, headers=headers)


def written(path: str, encoding: str = "utf-8") -> bytes:
    return json.dumps(JSON[path]).encode(encoding)


@pytest.mark.parametrize(
    "kind", [FORM, f"{FORM}; charset=UTF-8", "text/plain", "application/json; charset=utf-8", "text/json", None, "x"]
)
@pytest.mark.parametrize("path", JSON)
def test_json_is_json_whatever_its_type_says(gateway: Gateway, path: str, kind: str | None) -> None:
    assert ask(gateway, path, written(path), kind).status_code == 200
    assert ask(gateway, path, b" \r\n" + written(path) + b"\n", kind).status_code == 200


@pytest.mark.parametrize("kind", ["application/json", FORM, "text/plain", None])
@pytest.mark.parametrize("path", JSON)
def test_a_byte_order_mark_is_passed_over(gateway: Gateway, path: str, kind: str | None) -> None:
    assert ask(gateway, path, codecs.BOM_UTF8 + written(path), kind).status_code == 200


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("path", JSON)
def test_utf_16_is_named(gateway: Gateway, path: str, encoding: str) -> None:
    answer = ask(gateway, path, written(path, encoding))
    assert error(answer)[:2] == (400, "invalid_request")
    assert "UTF-16" in answer.json()["detail"]
    assert "UTF-8" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/caption", "/v1/caption"])
def test_what_is_not_utf_8_is_named(gateway: Gateway, path: str) -> None:
    answer = ask(gateway, path, '{"prompt": "caf\u00e9"}'.encode("latin-1"))
    assert "UTF-8" in answer.json()["detail"]


def _no_json(path: str) -> int:
    """The status for a body of another kind, which clients of OpenAI's know as another."""
    return 400 if path in ("/v1/chat/completions", "/v1/responses") else 415


@pytest.mark.parametrize(
    ("kind", "content"),
    [("image/png", plain()), ("text/plain", b"What?"), ("application/octet-stream", b"\x89PNG"), ("text/csv", b"a,b")],
)
@pytest.mark.parametrize("path", JSON)
def test_what_is_no_json_is_told_what_to_send(gateway: Gateway, path: str, kind: str, content: bytes) -> None:
    answer = ask(gateway, path, content, kind)
    assert error(answer)[:2] == (_no_json(path), "unsupported_media_type")
    for word in (kind, "JSON", "-H 'Content-Type: application/json'"):
        assert word in answer.json()["detail"]


@pytest.mark.parametrize("path", [path for path in JSON if path not in NATIVE])
def test_a_form_is_no_json(gateway: Gateway, path: str) -> None:
    expected = (_no_json(path), "unsupported_media_type")
    assert error(gateway.send("POST", path, data={"image": "x"}))[:2] == expected
    assert error(gateway.send("POST", path, files={"image": b"x"}))[:2] == expected


@pytest.mark.parametrize("path", JSON)
def test_packed_json_is_taken(gateway: Gateway, path: str) -> None:
    for kind in ("application/json", FORM):
        headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
        assert gateway.send("POST", path, content=gzip.compress(written(path)), headers=headers).status_code == 200


@pytest.mark.parametrize("path", NATIVE)
def test_an_escaped_form_is_taken_field_by_field(gateway: Gateway, path: str) -> None:
    answer = gateway.send("POST", path, data={**JSON[path], "model": ""})
    assert answer.status_code == 200
    if path == "/collective":
        assert answer.json()["count"] == 2


def test_a_form_may_have_its_pictures_as_json_or_one_by_one(gateway: Gateway) -> None:
    images = JSON["/collective"]["images"]
    for data in ({"images": images}, {"images": json.dumps(images)}, {"images": [images[0], "", images[1]]}):
        assert gateway.send("POST", "/collective", data=data).json()["count"] == 2
    assert len(gateway.send("POST", "/caption_images", data={"images": images[0]}).json()["results"]) == 1


@pytest.mark.parametrize(
    ("path", "name", "values"), [("/caption", "model", ["blip", "gemma"]), ("/query", "question", ["a", "b"])]
)
def test_two_values_of_a_field_are_refused_unless_they_are_equal(
    gateway: Gateway, path: str, name: str, values: list[str]
) -> None:
    assert error(gateway.send("POST", path, data={**JSON[path], name: values})) == (400, "invalid_request", name)
    assert gateway.send("POST", path, data={**JSON[path], name: ["moondream", "moondream"]}).status_code == 200


@pytest.mark.parametrize("value", ["x" * (2**20 + 1), "[" * 100_000], ids=["too long", "too deep"])
def test_a_form_that_cannot_be_read_is_the_callers_mistake(gateway: Gateway, value: str) -> None:
    assert error(gateway.send("POST", "/caption", data={"image": value}))[:2] == (400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (422, "invalid_value", "image")),
        (b"{}", (422, "invalid_value", "image")),
        (b"[]", (400, "invalid_request", None)),
        (b"null", (400, "invalid_request", None)),
        (b'{"image": 5}', (422, "invalid_value", "image")),
        (b'{"image": ', (400, "invalid_request", None)),
        (b'{"image": {} {}', (400, "invalid_request", None)),
    ],
)
def test_what_is_wrong_is_told_as_before(gateway: Gateway, body: bytes, expected: tuple[int, str, str | None]) -> None:
    assert error(ask(gateway, "/caption", body)) == expected


@pytest.mark.parametrize("path", ["/caption", "/v1/query"])
def test_members_by_the_hundred_thousand_are_not_looked_at(gateway: Gateway, path: str) -> None:
    answer = ask(gateway, path, json.dumps({str(number): 0 for number in range(100_000)}).encode())
    assert error(answer)[:2] == (413, "request_too_large")
    assert "50,000" in answer.json()["detail"]


def test_an_error_with_braces_is_told_as_it_is(gateway: Gateway) -> None:
    answer = ask(gateway, "/caption", json.dumps({**JSON["/caption"], "{words} {x}": 1}).encode())
    assert error(answer) == (400, "unsupported_parameter", "{words} {x}")
    assert "'{words} {x}'" in answer.json()["detail"]


NUMBERS = {"/caption": "max_new_tokens", "/query": "max_new_tokens", "/detect": "max_objects", "/point": "max_objects"}


@pytest.mark.parametrize("path", NUMBERS)
def test_true_is_no_number(gateway: Gateway, path: str) -> None:
    name = NUMBERS[path]
    answer = ask(gateway, path, json.dumps({**JSON[path], name: True}).encode())
    assert answer.status_code == 422
    assert f"'{name}' must be a whole number" in answer.json()["detail"]
    for good in (5, 5.0, "5"):
        assert ask(gateway, path, json.dumps({**JSON[path], name: good}).encode()).status_code == 200


@pytest.mark.parametrize("path", ["/detect", "/point"])
def test_true_is_no_threshold(gateway: Gateway, path: str) -> None:
    for value, status in ((True, 422), (2, 422), ("half", 422), (0, 200), (0.5, 200), ("0.5", 200)):
        assert ask(gateway, path, json.dumps({**JSON[path], "threshold": value}).encode()).status_code == status


@pytest.mark.parametrize("path", ["/caption", "/query"])
def test_a_number_is_no_boolean(gateway: Gateway, path: str) -> None:
    for value, status in ((1, 422), (0, 422), ("yes", 422), ("", 422), (None, 422), (True, 200), ("true", 200)):
        answer = ask(gateway, path, json.dumps({**JSON[path], "scores": value}).encode())
        assert answer.status_code == status
        assert status == 200 or error(answer) == (422, "invalid_value", "scores")
