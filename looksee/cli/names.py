"""Names of files as text: to be read by a person, and in a record from which they come back the same.

A name is bytes. Those that are no UTF-8 are halves of surrogate pairs in Python's text, which no JSON may hold.
"""

from __future__ import annotations

import base64
import os
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

_MOST_LISTED = 5


def shown(name: str | os.PathLike[str]) -> str:
    """A name as one line of a terminal, where it can do nothing: what cannot be printed is escaped."""
    text = os.fspath(name)
    return "".join(
        character if character.isprintable() or unicodedata.category(character) == "Zs" else _escaped(character)
        for character in text
    )


def listed(names: Collection[str]) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - _MOST_LISTED
    first = ", ".join(shown(name) for name in list(names)[:_MOST_LISTED])
    return f"{first} and {more} more" if more > 0 else first


def members(name: str) -> dict[str, str]:
    """A name as members of a JSON object: `file`, and `file_bytes` (base64) where the name is no Unicode."""
    if is_unicode(name):
        return {"file": name}
    own = os.fsencode(name)
    return {"file": own.decode("utf-8", "backslashreplace"), "file_bytes": base64.b64encode(own).decode()}


def named(found: Mapping[str, Any]) -> str:
    """The name whose `members` these are. Raises ValueError, TypeError or KeyError for what are none."""
    if "file_bytes" in found:
        return os.fsdecode(base64.b64decode(found["file_bytes"], validate=True))
    return str(found["file"])


def is_unicode(text: str) -> bool:
    """Whether it can be written as UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a name that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
