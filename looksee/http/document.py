"""The one OpenAPI document: the mounted routes and BentoML's native ones, with the one shape of errors."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from looksee.http.dialects import bento_methods
from looksee.http.edge.route_table import RouteTable
from looksee.http.examples import ANSWERS, REQUESTS
from looksee.http.inputs import bodies
from looksee.http.request_info import ErrorShape
from looksee.models.registry import names_served

_ERROR = {
    "type": "object",
    "required": ["detail", "error"],
    "properties": {
        "detail": {"type": "string", "description": "one sentence a person can act on"},
        "error": {
            "type": "object",
            "required": ["code", "message", "type", "param", "request_id"],
            "properties": {
                "code": {"type": "string", "description": "stable name of the error"},
                "message": {"type": "string"},
                "type": {"type": "string", "description": "whose fault it is, as OpenAI's clients know it"},
                "param": {"type": ["string", "null"], "description": "which parameter is meant"},
                "request_id": {"type": "string"},
            },
        },
    },
}
_ENVELOPED_ERROR = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"type": "string", "enum": ["error"]},
        "error": {
            "type": "object",
            "required": ["type", "message", "code", "param"],
            "properties": {
                "type": {"type": "string", "description": "one of Anthropic's types"},
                "message": {"type": "string", "description": "one sentence a person can act on"},
                "code": {"type": "string", "description": "stable name of the error"},
                "param": {"type": ["string", "null"], "description": "which parameter is meant"},
            },
        },
        "request_id": {"type": "string"},
    },
}
_PLAIN_ERROR = {
    "type": "object",
    "required": ["error", "code", "param", "request_id"],
    "properties": {
        "error": {"type": "string", "description": "one sentence a person can act on"},
        "code": {"type": ["string", "integer"], "description": "stable name of the error, or the status"},
        "reason": {"type": "string", "description": "stable name of the error, where `code` is the status"},
        "param": {"type": ["string", "null"], "description": "which parameter is meant"},
        "request_id": {"type": "string"},
    },
}
_SCHEMAS: dict[ErrorShape, str] = {"text": "PlainError", "numbered": "PlainError", "enveloped": "EnvelopedError"}
_ERRORS = {"Error": _ERROR, "PlainError": _PLAIN_ERROR, "EnvelopedError": _ENVELOPED_ERROR}


def _any_error(schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": "Any error", "content": content}


# Of the three headers that take a client's key the documents' pages fill in this one.
_KEY = {"type": "http", "scheme": "bearer", "description": "a client key, where LOOKSEE_CLIENT_KEYS is set"}


def document(app: FastAPI, routes: RouteTable, methods: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.1 of `app`'s routes and of `methods`, the paths that BentoML describes."""
    found = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    paths = {**found["paths"], **{path: _native(path, item, found["paths"]) for path, item in methods.items()}}
    for path, item in paths.items():
        for operation in item.values():
            succeeded = {
                str(code): answer for code, answer in operation["responses"].items() if str(code).startswith("2")
            }
            shape = _SCHEMAS.get(routes.error_shapes.get(path, "object"), "Error")
            operation["responses"] = {**succeeded, "default": _any_error(shape)}
            if routes.needs_client_key(path):
                operation["security"] = [{}, {"key": []}]
            if path in ANSWERS:
                succeeded["200"]["content"]["application/json"]["example"] = ANSWERS[path]
            if path in REQUESTS:
                operation["requestBody"]["content"]["application/json"]["example"] = REQUESTS[path]
    schemas = found.get("components", {}).get("schemas", {})
    kept = {name: schema for name, schema in schemas.items() if "ValidationError" not in name}
    whole = {
        **found,
        "paths": paths,
        "components": {
            **found.get("components", {}),
            "schemas": {**kept, **bodies.SCHEMAS, **_ERRORS},
            "securitySchemes": {"key": _KEY},
        },
    }
    described: dict[str, Any] = _of_served(whole)
    return described


def _of_served(part: Any) -> Any:
    """A copy in which the lists of models have only those that there are here: schemas are made before that is known.

    Where none is left there is no list.
    """
    if isinstance(part, list):
        return [_of_served(one) for one in part]
    if not isinstance(part, dict):
        return part
    copy = {name: _of_served(value) for name, value in part.items()}
    if isinstance(names := copy.get("enum"), list) and (here := names_served(names)) != names:
        copy["enum"] = here
        if isinstance(words := copy.get("description"), str):
            copy["description"] = words.replace(", ".join(names), ", ".join(here) or "none that there is")
        if not here:
            del copy["enum"]
    return copy


def _native(path: str, item: dict[str, Any], mounted: dict[str, Any]) -> dict[str, Any]:
    """BentoML sees neither a method's query parameters nor its answer, nor what may be null: all of it is as the form
    at `/upload` has it.
    """
    twin = mounted.get(f"/upload{path}", {}).get("post", {})
    shared = {name: deepcopy(twin[name]) for name in ("parameters", "responses") if name in twin}
    shared["requestBody"] = {"required": True, "content": {"application/json": {"schema": bento_methods.schema(path)}}}
    return {
        method: {**operation, **shared, "tags": ["native"], "summary": operation.get("description", "")}
        for method, operation in item.items()
    }
