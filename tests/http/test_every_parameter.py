"""Every parameter of every route, with wrong types, values out of range, unknown choices, null, and left out: each is
refused with a status and a code of the contract, its place, and a sentence that says what is accepted there.

The requests are made from the document, and go through the whole gateway, with BentoML and the edge around it.
"""

from __future__ import annotations

import base64
import copy
import gc
import json
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import pytest

from looksee.core import errors, logs
from looksee.http import openai_errors
from looksee.serving.gateway_service import gateway_service
from tests.http.app import Doors
from tests.http.every_parameter import Walk, Wrong
from tests.support.files import plain
from tests.support.loops import run

# BentoML reads pydantic's `model_fields` of an instance.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields':DeprecationWarning")

CODES = {
    *("invalid_request", "invalid_value", "unknown_model", "model_not_found", "unsupported_parameter"),
    *("too_many_files", "too_many_items", "empty_file", "prompt_too_long"),
    "context_length_exceeded",
}


class NoRedis:
    async def close(self) -> None:
        """Nothing to close."""


class WholeGateway:
    """The gateway's service with all that BentoML puts around it, in this process; the models are stand-ins."""

    def __init__(self, **settings: Any) -> None:
        doors = Doors(debug=True, **settings)
        self._answering, self._runners = doors.answering, doors.answering.runners
        made = gateway_service(doors.settings, doors.answering, {}, NoRedis(), on_start=lambda: None)
        self._edge: Any = made.to_asgi(is_main=True)
        self._app = self._edge  # BentoML's, which stands inside
        while not hasattr(self._app, "router"):
            self._app = self._app.app
        own = self._app.user_middleware  # its figures can be registered once in a process
        self._app.user_middleware = [layer for layer in own if "Metrics" not in layer.cls.__name__]
        self.document: dict[str, Any] = self.answers(lambda client: [client.build_request("GET", "/openapi.json")])[
            0
        ].json()

    def answers(self, requests: Any) -> list[httpx.Response]:
        """The answer to each of the requests that `requests` makes with a client."""

        async def main() -> list[httpx.Response]:
            async with self._app.router.lifespan_context(self._app):
                self._answering.runners = self._runners
                transport = httpx.ASGITransport(self._edge, raise_app_exceptions=False)
                async with httpx.AsyncClient(transport=transport, base_url="http://looksee") as client:
                    return [await client.send(request) for request in requests(client)]

        return run(main())

    def refused(self, wrong: Iterable[Wrong]) -> Iterator[tuple[Wrong, int, dict[str, Any]]]:
        """The status of each wrong request, and its error."""
        all_wrong = list(wrong)
        answers = self.answers(lambda client: (one.request(client) for one in all_wrong))
        for one, answer in zip(all_wrong, answers, strict=True):
            lines = [json.loads(line) for line in answer.text.splitlines()]
            lines = [line for line in lines if line.get("error")]
            yield (one, answer.status_code, {}) if not lines else (one, *_told(answer, lines[0]))


def _told(answer: httpx.Response, line: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The status of a refusal, which for an item of a batch is in its line, and the error."""
    error = line if isinstance(line["error"], str) else line["error"]  # as some clients read it
    if "reason" in line:
        error = {**line, "code": line["reason"]}  # as PhotoPrism does
    return line.get("status", answer.status_code), {"message": line["error"], **error}


@pytest.fixture(scope="module", autouse=True)
def process() -> Iterator[None]:
    """Without what the gateway does to a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "configure", lambda _: None)
        patch.setattr(gc, "freeze", lambda: None)
        yield


@pytest.fixture(scope="module")
def gateway(process: None) -> WholeGateway:
    return WholeGateway()


OF_RANGES = ("invalid_value", "prompt_too_long", "context_length_exceeded")  # errors of what is too much
_OPENAI = ("/v1/chat/completions", "/v1/models/{name}", "/v1/responses")  # whose statuses their clients know


def shortcomings(gateway: WholeGateway, walk: Walk) -> dict[str, str]:
    """What was not refused as it should be. Of several requests for one mistake one has to be: the others may have
    another mistake that is told first.
    """
    found: dict[str, str] = {}
    good = set()
    for wrong, status, error in gateway.refused(walk):
        lacking = [words for words in walk.words(wrong) if not any(word in error.get("message", "") for word in words)]
        if wrong.why == "far" and not (error and _same_place(wrong, error["param"])):
            good.add(str(wrong))  # there is no range, or the error is about something else
        elif wrong.why == "far" and error["code"] not in OF_RANGES:
            good.add(str(wrong))  # as where the member is refused whatever it says
        elif not error or error["code"] not in CODES or _status(wrong, error["code"]) != status:
            found[str(wrong)] = f"{status} {error}"
        elif lacking or not _same_place(wrong, error["param"]):
            found.setdefault(str(wrong), f"{error['param']}: {error['message']} lacks {lacking}")
        else:
            good.add(str(wrong))
    return {wrong: told for wrong, told in found.items() if wrong not in good}


def _status(wrong: Wrong, code: str) -> int:
    """The status of an error, as the clients of a route know it."""
    if wrong.path == "/v1/messages":
        return 404 if code == "unknown_model" else 400
    error = errors.BY_CODE[code]("")
    return openai_errors.status(error) if wrong.path in _OPENAI else error.status


def _same_place(wrong: Wrong, param: str | None) -> bool:
    """Whether the error names the place; an item of a batch names its own members, a text is a list of
    one, and of a chat the words are counted together.
    """
    place = ".".join(map(str, wrong.place))
    return param is not None and (place.endswith(param) or param.startswith(place) or place.startswith(param))


def test_every_wrong_value_is_answered_with_what_is_accepted(gateway: WholeGateway) -> None:
    walk = Walk(gateway.document)
    assert shortcomings(gateway, walk) == {}


def test_no_parameter_is_left_out(gateway: WholeGateway) -> None:
    """But free texts of forms and queries, where every text is one."""
    walk = Walk(gateway.document)
    tried = {(wrong.path, str(wrong.place[0])) for wrong in walk}
    assert len(tried) > 80
    free = {"caption_prompt", "flag_caption_prompt", "prompt", "objects", "labels", "language"}
    assert {name for path, name in walk.parameters() if (path, name) not in tried} <= {*free, "name", "id"}  # in a path


@pytest.mark.parametrize(
    ("path", "name", "keyword", "value"),
    [
        ("/caption", "max_new_tokens", "maximum", 7),
        ("/v1/caption", "length", "enum", ["short", "tiny"]),
        ("/v1/chat/completions", "top_p", "maximum", 0.5),
        ("/v1/batch", "seed", "type", "boolean"),
        ("/upload/detect", "max_objects", "minimum", 3),
        ("/collective", "caption_prompt", "type", "integer"),
    ],
)
def test_a_parameter_whose_sentence_says_something_else_is_found(
    gateway: WholeGateway, path: str, name: str, keyword: str, value: Any
) -> None:
    document = copy.deepcopy(gateway.document)
    content = document["paths"][path]["post"]["requestBody"]["content"]
    schema = next(iter(content.values()))["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    changed = schema["properties"][name]
    for branch in changed.get("anyOf", [changed]):
        branch[keyword] = value
    changed.pop(keyword, None) if "anyOf" in changed else None
    document["paths"] = {path: document["paths"][path]}
    assert shortcomings(gateway, Walk(document)) != {}


URI = f"data:image/png;base64,{base64.b64encode(plain()).decode()}"
CHAT = {"model": "gemma", "messages": [{"role": "user", "content": "Who?"}]}
LIMITED: list[tuple[str, dict[str, Any]]] = [
    ("/caption", {"json": {"image": URI, "max_new_tokens": 8}}),
    ("/caption", {"json": {"image": URI, "max_new_tokens": "many"}}),
    ("/query", {"json": {"image": URI, "question": "Who?", "max_new_tokens": 0}}),
    ("/upload/caption", {"files": {"file": plain()}, "data": {"max_new_tokens": "8"}}),
    ("/upload/caption", {"files": {"file": plain()}, "data": {"max_new_tokens": "many"}}),
    ("/v1/batch", {"json": {"items": [{"image": URI, "max_tokens": 8}]}}),
    ("/v1/batch", {"json": {"items": [{"image": URI, "max_tokens": "many"}]}}),
    ("/v1/batch", {"json": {"items": [{"image": URI}], "max_tokens": "many"}}),
]
OTHERS: list[tuple[str, str, dict[str, Any]]] = [
    ("at most 2 are accepted; LOOKSEE_MAX_FILES", "/caption_images", {"json": {"images": [URI] * 3}}),
    ("a list of 1 to 2 pictures", "/caption_images", {"json": {"images": URI}}),
    ("at most 2 are accepted; LOOKSEE_MAX_FILES", "/api/caption-images", {"files": [("images", plain())] * 3}),
    ("more than 2 items; LOOKSEE_MAX_BATCH_ITEMS", "/v1/batch", {"json": {"items": [{"image": URI}] * 3}}),
    ("a list of 1 to 2 objects; LOOKSEE_MAX_BATCH_ITEMS", "/v1/batch", {"json": {"items": 5}}),
    (
        "at most 9 are accepted; LOOKSEE_MAX_PROMPT_CHARS",
        "/query",
        {"json": {"image": URI, "question": "What is that?"}},
    ),
    ("MAX_CONTENT_LENGTH", "/caption", {"json": {"image": base64.b64encode(bytes(2001)).decode()}}),
    ("MAX_CONTENT_LENGTH", "/upload/caption", {"files": {"file": bytes(2001)}}),
]


def test_limits_that_the_operator_sets_are_told_with_their_numbers_and_variables() -> None:
    limits = {"max_files": 2, "max_batch_items": 2, "max_prompt_chars": 9, "max_file_bytes": 2000}
    small = WholeGateway(max_new_tokens=7, **limits)
    tokens = "must be a whole number from 1 to 7; LOOKSEE_MAX_NEW_TOKENS raises the limit."
    cases = [*((tokens, path, options) for path, options in LIMITED), *OTHERS]
    requests = [(path, options) for _, path, options in cases]
    answers = small.answers(lambda client: (client.build_request("POST", path, **how) for path, how in requests))
    for (wanted, path, _), answer in zip(cases, answers, strict=True):
        assert wanted in answer.text, path
