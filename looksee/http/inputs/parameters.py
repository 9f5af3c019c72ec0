"""JSON Schema keywords that tell generated clients which values are accepted.

For the document alone: values are checked elsewhere, with errors that say what is wrong.
"""

from __future__ import annotations

from typing import Any

from looksee.core.tasks import Task
from looksee.models.registry import REGISTRY
from looksee.settings import Settings

# Not a standard format: a picture's file in base64, mostly as a data URI.
PICTURE: dict[str, Any] = {"format": "picture"}
WORDS: dict[str, Any] = {"minLength": 1, "pattern": r"\S"}


def able(task: Task) -> dict[str, Any]:
    """The models that can do `task`."""
    return {"enum": [entry.name for entry in REGISTRY.values() if task in entry.tasks]}


def model(task: Task) -> dict[str, Any]:
    """The same as options of a field: its description too."""
    known = able(task)
    return {"description": f"one of: {', '.join(known['enum'])}", "json_schema_extra": known}


def at_most(most: int, usual: int) -> dict[str, Any]:
    """A count, 1 to `most`.

    The documents' page fills an optional field with its example, else with its minimum: an answer of one token.
    """
    return {"minimum": 1, "maximum": most, "examples": [usual]}


NEW_TOKENS = at_most(Settings.model_fields["max_new_tokens"].default, 200)  # LOOKSEE_MAX_NEW_TOKENS may be another
