"""Ids of pictures that are kept: `sha256:` and the hash of the file in hex, which no base64 and no address is."""

from __future__ import annotations

import re

from looksee.core import errors

_PREFIX = "sha256:"
_ID = re.compile(rf"{_PREFIX}([0-9a-f]{{64}})", re.IGNORECASE)
LONGEST = 200  # bytes of a form's part that may be one
PATTERN = rf"^{_PREFIX}[0-9a-f]{{64}}$"  # for the document


def of(digest: str) -> str:
    """The id of a picture by its SHA-256 in hex."""
    return _PREFIX + digest


def is_id(text: str) -> bool:
    """Whether a text is meant as one."""
    return text[:LONGEST].lstrip()[: len(_PREFIX)].lower() == _PREFIX


def digest(text: str, *, param: str) -> str:
    """The SHA-256, in hex, that an id tells. Raises InvalidValue."""
    found = _ID.fullmatch(text.strip())
    if found is None:
        raise errors.InvalidValue(
            f"'{param}' must be the text that PUT /v1/pictures answered as 'id': {_PREFIX} and 64 hex digits.",
            param=param,
        )
    return found[1].lower()
