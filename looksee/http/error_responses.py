"""The one shape of every error answer, and the conversion of the frameworks' own errors to it.

{"detail": "<message>", "error": {"code", "message", "type", "param", "request_id"}}

Paths whose clients read it in another shape (`RouteTable.error_shapes`) have that: {"error": "<message>", "code", ...}
for `text`, the same with the status as `code` and the code as `reason` for `numbered`, and for `enveloped` {"type":
"error", "error": {"type", "message", ...}} with the statuses that Anthropic's clients know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse

from looksee.core import errors
from looksee.core.tasks import Failure
from looksee.http import openai_errors
from looksee.http.error_sentences import LONGEST_NAME, Accepted, from_problem
from looksee.http.request_info import REQUEST_ID, REQUEST_INFO

_BY_STATUS: dict[int, tuple[type[errors.LookseeError], str]] = {
    400: (errors.InvalidRequest, "The request could not be understood."),
    401: (errors.MissingKey, "A key is needed."),
    403: (errors.WrongKey, "The key is not accepted."),
    404: (errors.NotFound, "There is nothing at this address."),
    405: (errors.MethodNotAllowed, "This address does not take that method."),
    413: (errors.RequestTooLarge, "The request is too large."),
    415: (errors.UnsupportedMediaType, "The body has a content type that is not accepted here."),
    422: (errors.InvalidValue, "A value is not accepted."),
    429: (errors.Overloaded, "The service is busy; try again later."),
    503: (errors.ModelNotReady, "The service is not ready; try again."),
    504: (errors.DeadlineExceeded, "The request was not answered within its time."),
}
_PLACES = ("body", "query", "header", "path")  # FastAPI puts them before a parameter's name
# The types of errors that Anthropic's clients know, by status.
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_INTERNAL = (errors.LookseeError, "Something went wrong inside; the log says what.")


def body(error: errors.LookseeError) -> dict[str, Any]:
    """The error as JSON: `detail` as in FastAPI's, `error` as in OpenAI's."""
    message = _text(error)
    more = {"param": error.param, "request_id": REQUEST_ID.get()}
    info = REQUEST_INFO.get()
    match "object" if info is None else info.error_shape:
        case "text":
            return {"error": message, "code": error.code, **more}
        case "numbered":
            return {"error": message, "code": error.status, "reason": error.code, **more}
        case "enveloped":
            return enveloped(error)
    return {
        "detail": message,
        "error": {"code": error.code, "message": message, "type": openai_errors.kind(error), **more},
    }


def enveloped(error: errors.LookseeError) -> dict[str, Any]:
    """The error as Anthropic's clients read it; our own code is beside the type."""
    found = _TYPES.get(_known_status(error), "api_error")
    about = {"type": found, "message": _text(error), "code": error.code, "param": error.param}
    return {"type": "error", "error": about, "request_id": REQUEST_ID.get()}


def response(
    error: errors.LookseeError, extra: Mapping[str, Any] | None = None, *, status: int | None = None
) -> JSONResponse:
    """The whole HTTP answer; `extra` members are put beside the error. `status` may be another than the error's."""
    info = REQUEST_INFO.get()
    if info is not None:
        info.error = error.code
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    if info is not None and info.error_shape == "enveloped":
        status = _known_status(error)
    return JSONResponse({**body(error), **(extra or {})}, status or error.status, headers)


def broken_off(error: errors.LookseeError) -> bytes:
    """The last event of a stream of events that failed: the error in its usual shape.

    The moondream package ignores an error event and takes the end of the stream for success, so an unreadable line
    follows, on which it fails.
    """
    return f"data: {json.dumps(body(error), separators=(',', ':'))}\n\ndata: broken off\n\n".encode()


def of_status(status: int) -> errors.LookseeError:
    """The error for a status that a framework answered."""
    fallback = _BY_STATUS[400] if 400 <= status < 500 else _INTERNAL
    kind, message = _BY_STATUS.get(status, fallback)
    return kind(message, retry_after=1 if status in (429, 503) else None)


def of_validation(problems: Sequence[Mapping[str, Any]], accepted: Accepted | None = None) -> errors.LookseeError:
    """The error for the first of pydantic's problems: where the value stands, and what is accepted there.

    Without `accepted` it has only the problem's own words for that.
    """
    problem = problems[0] if problems else {}
    if problem.get("type") == "json_invalid":
        return errors.InvalidRequest("The body is not valid JSON.")
    location = list(problem.get("loc", ()))
    if location and location[0] in _PLACES:
        del location[0]
    if not location:
        wanted = "object" if accepted is None else accepted.words(accepted.schema).removeprefix("an ")
        return errors.InvalidRequest(f"The body must be a JSON {wanted}.")
    whole = ".".join(str(part)[:LONGEST_NAME] for part in location)
    accepted = accepted or Accepted()
    param, schema = accepted.at(location)
    if problem.get("type") == "extra_forbidden":
        known = f" Accepted are: {', '.join(names)}." if (names := accepted.members(schema)) else ""
        return errors.InvalidValue(f"There is no '{whole}' here.{known}", param=whole)
    if not param:
        param, schema = whole, from_problem(problem)
    if problem.get("type") == "missing":
        what = "is missing; it must be"
    else:
        what = "is null; it must be" if problem.get("input", ...) is None else "must be"
    return errors.InvalidValue(accepted.sentence(param, schema, what), param=param)


def of_model(
    error: ValidationError, kind: type[BaseModel], limits: Mapping[str, int] | None = None
) -> errors.LookseeError:
    """The error for values that are none of a model's; `limits` are the operator's, by variable."""
    return of_validation(error.errors(include_url=False), Accepted.of(kind, limits))


_CARRIED = "looksee."


def carried_type(error: errors.LookseeError) -> str:
    """The type of one of pydantic's problems that stands for `error`: frameworks pass those on."""
    return _CARRIED + error.code


def _carried(problems: Any) -> errors.LookseeError | None:
    match problems:
        case [{"type": str(kind), "msg": str(message), "loc": list(place)}] if kind.startswith(_CARRIED):
            param = str(place[0]) if place else None
            return Failure(kind.removeprefix(_CARRIED), message, param).error()
        case _:
            return None


def reshaped(status: int, payload: bytes) -> errors.LookseeError | None:
    """The error for an answer that a framework wrote; None when the answer already has the one shape."""
    try:
        content = json.loads(payload)
    except ValueError:
        return of_status(status)
    if isinstance(content, dict):
        if isinstance(content.get("error"), dict) and "code" in content["error"]:
            return None
        if isinstance(content.get("error"), str) and "code" in content:
            return None
        problems = content.get("detail")
        if carried := _carried(problems):
            return carried
        if status == 400 and isinstance(problems, list) and all(isinstance(problem, dict) for problem in problems):
            return of_validation(problems)
    return of_status(status)


def _text(error: errors.LookseeError) -> str:
    """The message, which may quote the request: JSON can hold half of a surrogate pair, which has no UTF-8."""
    return error.message.encode(errors="replace").decode()


def _known_status(error: errors.LookseeError) -> int:
    """The status that Anthropic's clients have a class for: the same as OpenAI's."""
    return openai_errors.status(openai_errors.own(error))
