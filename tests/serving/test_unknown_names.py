"""No route passes over what it does not know: a query parameter, a form's field, a JSON member, at any depth."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest

from tests.serving.gateway import Gateway
from tests.support.files import plain

PICTURE = plain()
IMAGE = base64.b64encode(PICTURE).decode()
URL = f"data:image/png;base64,{IMAGE}"
KEY = {"X-API-Key": "admin"}
ODD = "unknwon"
SEEN = {"type": "image_url", "image_url": {"url": URL}}
JSON: dict[str, dict[str, Any]] = {
    "/caption": {"image": IMAGE},
    "/query": {"image": IMAGE, "question": "What?"},
    "/detect": {"image": IMAGE, "object": "circle"},
    "/point": {"image": IMAGE, "object": "circle"},
    "/classify": {"image": IMAGE, "labels": ["a", "b"]},
    "/caption_images": {"images": [IMAGE]},
    "/collective": {"images": [IMAGE, IMAGE]},
    "/v1/caption": {"image_url": URL, "settings": {"max_tokens": 9}},
    "/v1/query": {"image_url": URL, "question": "What?", "settings": {"temperature": 0}},
    "/v1/detect": {"image_url": URL, "object": "circle", "settings": {"max_objects": 2}},
    "/v1/classify": {"image_url": URL, "labels": ["a", "b"], "settings": {}},
    "/v1/point": {"image_url": URL, "object": "circle", "settings": {}},
    "/v1/chat/completions": {
        "model": "gemma",
        "messages": [
            {"role": "system", "content": "Answer briefly."},
            {"role": "user", "content": [{"type": "text", "text": "?"}, SEEN]},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "response_format": {"type": "text", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    },
    "/v1/batch": {"items": [{"image": IMAGE}]},
    "/v1/responses": {
        "model": "gemma",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "?"}]}],
        "text": {"format": {"type": "text"}},
    },
    "/v1/messages": {"model": "gemma", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]},
    "/api/generate": {"model": "gemma", "prompt": "?", "options": {"top_k": 1}},
    "/api/chat": {"model": "gemma", "messages": [{"role": "user", "content": "?"}]},
    "/api/show": {"model": "gemma"},
    "/api/pull": {"model": "gemma"},
    "/api/v1/vision/caption": {"images": [URL], "options": {"top_k": 1}},
    "/api/v1/vision/labels": {"images": [URL]},
    "/x-anylabeling/v1/predict": {"model": "moondream", "image": URL, "params": {"text_prompt": "circle"}},
}  # fmt: skip
FORMS: dict[str, dict[str, Any]] = {
    "/api/caption-images": {},
    "/api/caption-collective-images": {},
    "/upload/caption": {},
    "/upload/query": {"question": "What?"},
    "/upload/detect": {"object": "circle"},
    "/upload/point": {"object": "circle"},
    "/upload/classify": {"labels": ["a", "b"]},
    "/v1/pictures": {},
}
KEPT = f"sha256:{hashlib.sha256(PICTURE).hexdigest()}"
FREE = {"/v1/chat/completions": ("schema",)}  # objects whose members are the caller's


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    return Gateway(api_key="admin")


def described(gateway: Gateway) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation of every route in the document, with the name of a model or a picture in the path."""
    paths = gateway.send("GET", "/openapi.json").json()["paths"]
    return [
        (method.upper(), path.replace("{name}", "blip").replace("{id}", KEPT), operation)
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]


def refused(answer: httpx.Response, place: str = ODD) -> None:
    """The answer says by name that there is no such parameter."""
    if answer.status_code == 200:  # a batch, whose items have results of their own
        assert answer.headers["content-type"] == "application/x-ndjson", answer.text
        error = json.loads(answer.text.partition("\n")[0])["error"]
    else:
        told = answer.json()
        error = told["error"]
        if isinstance(error, str):  # as some programs read it
            error = {**told, "message": error, "code": told.get("reason", told["code"])}
    assert error["code"] in ("unsupported_parameter", "invalid_value"), error
    assert place.rpartition(".")[2] in error["param"], error
    assert ODD in error["message"], error


def test_these_are_all_routes_that_take_a_body(gateway: Gateway) -> None:
    taking = {path for _, path, operation in described(gateway) if "requestBody" in operation}
    assert taking == JSON.keys() | FORMS.keys()
    assert gateway.paths <= JSON.keys()


def sent(gateway: Gateway, method: str, path: str, query: str = "") -> httpx.Response:
    """A request that is right, but for its query."""
    options: dict[str, Any] = {"headers": KEY}
    if path in JSON:
        options["json"] = JSON[path]
    if path in FORMS:
        options |= {"data": FORMS[path], "files": {"image": ("a.png", PICTURE)}}
    return gateway.send(method, path + query, **options)


PROBES = ("/health", "/healthz", "/livez", "/readyz")


def test_no_route_passes_over_a_query_parameter(gateway: Gateway) -> None:
    routes = described(gateway)
    assert len(routes) > 20
    for method, path, _ in routes:
        answer = sent(gateway, method, path, f"?{ODD}=1")
        if path in PROBES:  # what asks for them adds what it likes: `/livez?verbose`
            assert answer.status_code == 200
            continue
        refused(answer)
        assert answer.status_code == 400
        # Which ask runners that are not there, or for a picture: each request has a gateway's life of its own.
        if not path.startswith(("/api/admin", "/v1/pictures/")):
            assert sent(gateway, method, path).status_code == 200, path


def test_no_route_passes_over_a_field_of_a_form(gateway: Gateway) -> None:
    for path, fields in FORMS.items():
        picture = ("a.png", PICTURE)
        method = "PUT" if path == "/v1/pictures" else "POST"
        text = gateway.send(method, path, data={**fields, ODD: "1"}, files={"image": picture})
        file = gateway.send(method, path, data=fields, files={"image": picture, ODD: picture})
        for answer in (text, file):
            refused(answer)
            assert answer.status_code == 400
    for path in gateway.paths:
        refused(gateway.send("POST", path, data={**JSON[path], ODD: "1"}))


def places(body: Any, free: tuple[str, ...], place: str = "") -> Iterator[str]:
    """The places of all objects in a body, but those that are the caller's own."""
    if isinstance(body, dict):
        yield place
        for name, value in body.items():
            if name not in free:
                yield from places(value, free, f"{place}{name}.")
    if isinstance(body, list):
        for number, value in enumerate(body):
            yield from places(value, free, f"{place}{number}.")


def test_no_route_passes_over_a_member_of_its_json_at_any_depth(gateway: Gateway) -> None:
    seen = 0
    for path, body in JSON.items():
        for place in places(body, FREE.get(path, ())):
            changed = deepcopy(body)
            inner: Any = changed
            for step in filter(None, place.split(".")):
                inner = inner[int(step) if step.isdecimal() else step]
            inner[ODD] = "1"
            answer = gateway.send("POST", path, json=changed, headers=KEY)
            refused(answer, place + ODD)
            seen += 1
    assert seen > len(JSON) + 10


def test_a_route_without_a_body_passes_over_none(gateway: Gateway) -> None:
    for method, path, operation in described(gateway):
        if method == "POST" and "requestBody" not in operation:
            refused(gateway.send(method, path, json={ODD: 1}, headers=KEY))
            form = gateway.send(method, path, data={ODD: "1"}, headers=KEY)
            assert form.status_code == 400, form.text
    answer = gateway.send("POST", "/api/admin/reset-cache", json={"scope": "database"}, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "scope")
    assert "the query takes: scope" in answer.json()["detail"]
    assert gateway.send("POST", "/api/admin/reset-cache", json={}, headers=KEY).json() != answer.json()


@pytest.mark.parametrize(
    ("path", "wrong", "right"),
    [
        ("/caption", "prompt_", "prompt"),
        ("/detect", "max_object", "max_objects"),
        ("/caption_images", "Model", "model"),
        ("/v1/query", "spatial_ref", "spatial_refs"),
        ("/v1/chat/completions", "max_token", "max_tokens"),
    ],
)
def test_the_nearest_name_is_told(gateway: Gateway, path: str, wrong: str, right: str) -> None:
    told = gateway.send("POST", path, json={**JSON[path], wrong: "1"}).json()["detail"]
    assert f"Did you mean '{right}'?" in told


def test_a_misspelt_name_is_told_where_the_right_one_is_missing(gateway: Gateway) -> None:
    for path, body in (("/caption", {"imgae": IMAGE}), ("/v1/caption", {"image_ulr": URL})):
        answer = gateway.send("POST", path, json=body)
        assert answer.status_code == 422
        assert f"There is no member '{next(iter(body))}' here." in answer.json()["detail"]


def test_a_member_in_the_query_is_told_where_it_belongs(gateway: Gateway) -> None:
    answer = gateway.send("POST", "/caption?model=gemma", json=JSON["/caption"])
    assert answer.status_code == 400
    assert "JSON body" in answer.json()["detail"]
    streamed = gateway.send("POST", "/v1/chat/completions?stream=true", json=JSON["/v1/chat/completions"])
    assert "JSON body" in streamed.json()["detail"]


@pytest.mark.parametrize("path", ["/detect", "/point", "/upload/detect"])
def test_two_values_of_a_query_parameter_are_refused_unless_they_are_equal(gateway: Gateway, path: str) -> None:
    answer = sent(gateway, "POST", path, "?format=pixel&format=normalized")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "format")
    assert sent(gateway, "POST", path, "?format=pixel&format=pixel").status_code == 200


def test_a_dangerous_query_is_not_half_read(gateway: Gateway) -> None:
    answer = sent(gateway, "POST", "/api/admin/reset-cache", "?scope=service&scope=database")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "scope")


def test_a_misspelt_picture_of_a_form_is_told(gateway: Gateway) -> None:
    answer = gateway.send("POST", "/upload/caption", files={"imgae": (None, IMAGE)})
    assert "Did you mean 'image'?" in answer.json()["detail"]


def test_a_parameter_of_a_form_may_have_any_type(gateway: Gateway) -> None:
    for kind in ("application/octet-stream", "application/json", "text/plain; charset=utf-8"):
        files = {"model": (None, b"gemma", kind), "images": ("a.png", PICTURE)}
        assert gateway.send("POST", "/api/caption-images", files=files).json()["results"][0]["model"] == "gemma"


@pytest.mark.parametrize(
    ("path", "harmless"),
    [
        ("/v1/caption", {"variant": "x"}),
        ("/v1/detect", {"stream": False}),
        ("/v1/chat/completions", {"user": "me", "metadata": {"a": "b"}, "store": False}),
        ("/caption", {"prompts": None}),
    ],
)
def test_what_clients_send_without_asking_for_anything_is_taken(
    gateway: Gateway, path: str, harmless: dict[str, Any]
) -> None:
    assert gateway.send("POST", path, json={**JSON[path], **harmless}).status_code == 200


def test_what_the_openai_packages_for_azure_add_is_taken(gateway: Gateway) -> None:
    assert gateway.send("GET", "/v1/models?api-version=2024-06-01").status_code == 200
    assert gateway.send("GET", "/api/admin/cache?api-version=2024-06-01", headers=KEY).status_code == 400
    marked = deepcopy(JSON["/v1/chat/completions"])
    marked["messages"][1]["content"][0]["cache_control"] = {"type": "ephemeral"}
    assert gateway.send("POST", "/v1/chat/completions", json=marked).status_code == 200
