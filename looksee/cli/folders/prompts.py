"""Prompts with places for what is known of each picture: `{name}`, `{folder}`, `{existing}` and `{tags}`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping

FIELDS = ("name", "folder", "existing", "tags")

# A word in single braces; whatever else stands in braces, JSON as a rule, is the prompt's own.
_PLACE = re.compile(r"\{\{([a-z_]+)\}\}|\{([a-z_]+)\}")


def fields(text: str) -> list[str]:
    """The fields that a prompt has. Raises ValueError for a word in braces that is none."""
    found = [match[2] for match in _PLACE.finditer(text) if match[2]]
    for name in found:
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, 1)
            meant = f" Did you mean {{{near[0]}}}?" if near else ""
            places = ", ".join(f"{{{field}}}" for field in FIELDS)
            raise ValueError(
                f"There is no {{{name}}}; a prompt may have {places}, and {{{{{name}}}}} for the word.{meant}"
            )
    return found


def filled(text: str, values: Mapping[str, Callable[[], str]]) -> str:
    """A prompt with its fields' values; only those that it has are looked up."""
    return _PLACE.sub(lambda match: values[match[2]]() if match[2] else f"{{{match[1]}}}", text)
