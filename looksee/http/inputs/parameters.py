"""JSON Schema keywords that tell generated clients which values are accepted.

For the document alone: values are checked elsewhere, with errors that say what is wrong.
"""

from __future__ import annotations

from typing import Any

from looksee.core.tasks import Task
from looksee.http.error_sentences import SET_BY
from looksee.models.registry import REGISTRY
from looksee.settings import Settings
from looksee.settings.limits import LimitSettings
from looksee.settings.tables import variable

# Not a standard format: a picture's file in base64, mostly as a data URI.
PICTURE: dict[str, Any] = {"format": "picture"}
NAMED_PICTURE: dict[str, Any] = {"format": "picture-or-name"}  # such, or its name among those of a batch
WORDS: dict[str, Any] = {"minLength": 1, "pattern": r"\S"}


def able(task: Task) -> dict[str, Any]:
    """The models that can do `task`."""
    return {"enum": [entry.name for entry in REGISTRY.values() if task in entry.tasks]}


def model(task: Task) -> dict[str, Any]:
    """The same as options of a field: its description too."""
    known = able(task)
    return {"description": f"one of: {', '.join(known['enum'])}", "json_schema_extra": known}


def at_most(most: int, *, usual: int | None = None) -> dict[str, Any]:
    """A count, 1 to `most`.

    The documents' page fills an optional field of a form with its example, else with its minimum.
    """
    return {"minimum": 1, "maximum": most, **({"examples": [usual]} if usual else {})}


def set_by(name: str, keyword: str) -> dict[str, Any]:
    """An upper limit that the setting `name` is: its default, and the variable that may say otherwise."""
    return {keyword: Settings.model_fields[name].default, SET_BY: variable(name)}


NEW_TOKENS: dict[str, Any] = {"minimum": 1, **set_by("max_new_tokens", "maximum"), "examples": [200]}
MOST_NAMES = 32  # of objects that one request looks for
OBJECTS: dict[str, Any] = {"minItems": 1, "maxItems": MOST_NAMES}
OBJECT_OR_OBJECTS: dict[str, Any] = {  # null is as not there
    "oneOf": [
        {"required": ["object"], "properties": {"object": {"type": "string"}}},
        {"required": ["objects"], "properties": {"objects": {"type": "array"}}},
    ]
}
SEED: dict[str, Any] = {"minimum": -(2**63), "maximum": 2**63 - 1}


def limits(settings: Settings) -> dict[str, int]:
    """The limits that the operator sets, by variable: what the schemas' defaults really are."""
    return {
        variable(name): value
        for name in LimitSettings.model_fields
        if isinstance(value := getattr(settings, name), int)
    }
