"""JSON bodies: read whole, validated in one go, described in the document.

A body holds pictures as base64 and may be large: pydantic reads it into a record without an object for each member.
"""

from __future__ import annotations

import codecs
import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, Strict, ValidationError
from pydantic_core import PydanticKnownError, from_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from looksee.core import errors
from looksee.http import error_responses
from looksee.http.error_sentences import Accepted
from looksee.http.inputs import known, parameters
from looksee.settings import Settings

_SCHEMA = "#/components/schemas/{model}"
MOST_NAMES = 50_000  # and texts of a body; a thousand messages with pictures have some ten thousand
_FORM = "application/x-www-form-urlencoded"  # what curl -d says of anything
_HOW = "Send JSON, and say so: curl -H 'Content-Type: application/json' -d ..."


def _as_integer(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticKnownError("int_type")
    return int(value) if isinstance(value, float) and value.is_integer() else value


# JSON has one kind of number: 5.0 is an integer as well, though true is none; nor is "5", but where a form may say it.
Integer = Annotated[int, BeforeValidator(_as_integer)]


def _as_number(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticKnownError("float_type")
    return value


Number = Annotated[float, BeforeValidator(_as_number)]


def _as_boolean(value: Any) -> Any:
    words = {"true": True, "false": False}
    return words.get(value.lower(), value) if isinstance(value, str) else value


# Not 1, "yes" and whatever else pydantic takes for true; but "true" where a form may say it.
Boolean = Annotated[bool, Strict(), BeforeValidator(_as_boolean)]

BodyT = TypeVar("BodyT", bound=BaseModel)


async def content(request: Request) -> bytes:
    """The body, which is JSON in UTF-8 by its first bytes, without a byte order mark.

    Raises UnsupportedMediaType for what is plainly something else, and InvalidRequest for another encoding of texts.
    """
    body = (await request.body()).removeprefix(codecs.BOM_UTF8)
    if body[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or (_is_json(request) and 0 in body[:2]):
        raise errors.InvalidRequest("The body is in UTF-16 or UTF-32; send JSON in UTF-8.")
    if not _is_json(request) and body.lstrip()[:1] not in (b"{", b"["):
        if body:
            raise errors.UnsupportedMediaType(f"The body is {_media_type(request)[:100]}, not JSON. {_HOW}")
        raise errors.InvalidRequest(f"The body is empty. {_HOW}")
    return body


async def read(request: Request, kind: type[BodyT], settings: Settings) -> BodyT:
    """The request's body. Raises UnsupportedMediaType, InvalidRequest, InvalidValue and UnsupportedParameter, with the
    limits of the `settings`.
    """
    body = await content(request)
    _check_names(body)
    try:
        found = kind.model_validate_json(body, strict=True, extra="allow")
    except ValidationError as error:
        raise invalid(error, body, Accepted.of(kind, parameters.limits(settings))) from error
    known.refuse_members(found)
    return found


async def read_native(request: Request, kind: type[BodyT], accepted: Accepted) -> BodyT:
    """The body of a native method, whose types are read less strictly: JSON, or fields of a form as curl -d sends them.

    Raises what `read` raises, in the words of `accepted`.
    """
    fields = await _fields(request, kind)
    body = b"" if fields is not None else await _native_content(request) or b"{}"
    _check_names(body)
    try:
        if fields is not None:
            found = kind.model_validate(fields, extra="allow")
        else:
            found = kind.model_validate_json(body, extra="allow")
    except ValidationError as error:
        raise invalid(error, body if fields is None else fields, accepted) from error
    known.refuse_members(found)
    return found


def invalid(error: ValidationError, body: bytes | dict[str, Any], accepted: Accepted) -> errors.LookseeError:
    """The error for a body that is not valid: JSON, or the fields of a form."""
    found = problems(error, body)
    if found[0]["type"] == "json_invalid" and isinstance(body, bytes):
        try:
            body.decode()
        except UnicodeDecodeError:
            return errors.InvalidRequest("The body is not valid JSON: it is not in UTF-8.")
    told = error_responses.of_validation(found, accepted)
    match found[0]:
        case {"type": "missing", "loc": (str(name),)}:
            given = from_json(body) if isinstance(body, bytes) else body
            others = [other for other in given if other not in accepted.members(accepted.schema)]
            if other := known.misspelt(name, others):
                return errors.InvalidValue(f"{told.message} There is no member '{other}' here.", param=name)
    return told


def problems(error: ValidationError, body: bytes | dict[str, Any]) -> list[dict[str, Any]]:
    """What is wrong with a body. A problem has its `input` where that is null, and not otherwise: an input may be the
    whole body, for each problem.
    """
    found: list[dict[str, Any]] = [*error.errors(include_input=False, include_url=False)]  # type: ignore[list-item]
    if any(problem["type"] == "json_invalid" for problem in found):
        return found
    content = from_json(body) if isinstance(body, bytes) else body
    for problem in found:
        value: Any = content
        for part in problem["loc"]:
            if isinstance(value, dict):
                value = value.get(part, ...)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
        if value is None:
            problem["input"] = None
    return found


def _check_names(body: bytes) -> None:
    """Raises RequestTooLarge. Every member that a route does not have becomes an object, before it can be named."""
    if body.count(b'"') > 2 * MOST_NAMES:
        raise errors.RequestTooLarge(f"The JSON has more than {MOST_NAMES:,} names and texts.")


def _media_type(request: Request) -> str:
    """The content type as it was sent, without its parameters; empty where there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip()


def _is_json(request: Request) -> bool:
    """Whether the content type says so, or says nothing."""
    kind = _media_type(request).lower()
    return not kind or kind.endswith(("/json", "+json"))


async def _native_content(request: Request) -> bytes:
    body = await request.body()
    return await content(request) if body else body


async def _fields(request: Request, kind: type[BaseModel]) -> dict[str, Any] | None:
    """The fields of an escaped form; None for anything else, JSON in the guise of a form too.

    An empty field is as not given. A value is JSON where it can be, as BentoML reads it.
    """
    if _media_type(request).lower() != _FORM:
        return None
    start = (await request.body())[:100].removeprefix(codecs.BOM_UTF8).lstrip()
    if b"=" not in await request.body() or start[:1] in (b"{", b"[") or 0 in start:
        return None
    try:
        form = await request.form()
    except (HTTPException, ClientDisconnect):
        raise errors.InvalidRequest(f"The form could not be read: a field has 1 MiB at most. {_HOW}") from None
    fields: dict[str, Any] = {}
    for name in form:
        values = list(dict.fromkeys(value for value in map(str, form.getlist(name)) if value))
        listed = name in ("images", "labels", "objects") and not (
            len(values) == 1 and values[0].lstrip().startswith("[")
        )
        if listed:
            fields[name] = [value for value in map(str, form.getlist(name)) if value]
        elif len(values) > 1:
            raise known.differs(name)
        elif values:
            fields[name] = _plain(values[0])
    return fields


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
    except RecursionError:
        raise errors.InvalidRequest("The form could not be read: a field's JSON is nested too deep.") from None


SCHEMAS: dict[str, Any] = {}  # of the document: those of all bodies, and what they are made of


def described(kind: type[BaseModel]) -> dict[str, Any]:
    """The body for the document, which also needs `SCHEMAS`."""
    if kind.__name__ not in SCHEMAS:  # a process may build several apps, as tests do
        schema = kind.model_json_schema(ref_template=_SCHEMA)
        SCHEMAS.update(schema.pop("$defs", {}))
        SCHEMAS[kind.__name__] = schema
    content = {"application/json": {"schema": {"$ref": _SCHEMA.format(model=kind.__name__)}}}
    return {"requestBody": {"required": True, "content": content}}
