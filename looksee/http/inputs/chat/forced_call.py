"""A call of a function that a request forces: an answer in JSON of the function's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from looksee.core import errors
from looksee.http.inputs.structured_output import JsonSchema, ResponseFormat


def arguments_format(function: Mapping[str, Any], schema: str, place: str) -> ResponseFormat:
    """The format of the arguments; the function's member `schema` has theirs, which `place` is the caller's name of.

    The model reads the name and the purpose of the function in it. Raises InvalidValue for what is no schema of an
    object.
    """
    given = function.get(schema) or {"additionalProperties": False}
    if not isinstance(given, dict) or given.get("type", "object") != "object":
        raise errors.InvalidValue(f"'{place}' must be an object, a JSON Schema of the type object.", param=place)
    purpose = function.get("description")
    about = {"title": function["name"], **({"description": purpose} if isinstance(purpose, str) else {})}
    wanted = JsonSchema.model_validate({"name": function["name"], "schema": {**about, "type": "object", **given}})
    return ResponseFormat(type="json_schema", json_schema=wanted)
