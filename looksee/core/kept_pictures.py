"""Pictures that are kept to be named afterwards: their ids, and what a store says of them.

An id is `sha256:` and the hash of the file in hex, which no base64 is and no address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from looksee.core import errors
from looksee.core.images import Picture

_PREFIX = "sha256:"
_ID = re.compile(rf"{_PREFIX}([0-9a-f]{{64}})", re.IGNORECASE)
LONGEST_ID = 200  # characters of a text that may be one, with what may stand around it
ID_PATTERN = rf"^{_PREFIX}[0-9a-f]{{64}}$"  # as the service writes it


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """A picture that is kept, without its bytes: `width` and `height` as a person sees it, `expires_at` a Unix time."""

    digest: str
    nbytes: int
    media_type: str
    width: int
    height: int
    expires_at: int

    @classmethod
    def of(cls, picture: Picture, expires_at: int) -> KeptPicture:
        return cls(picture.digest, len(picture.data), picture.media_type, picture.width, picture.height, expires_at)


@dataclass(frozen=True, slots=True)
class Holdings:
    """All that a store keeps: how many pictures, and their bytes."""

    pictures: int
    nbytes: int


def id_of(digest: str) -> str:
    """The id of a picture by its SHA-256 in hex."""
    return _PREFIX + digest


def is_id(text: str) -> bool:
    """Whether a text is meant as one."""
    return text[:LONGEST_ID].lstrip()[: len(_PREFIX)].lower() == _PREFIX


def digest_of(text: str, *, param: str) -> str:
    """The SHA-256, in hex, that an id tells. Raises InvalidValue."""
    found = _ID.fullmatch(text.strip())
    if found is None:
        raise errors.InvalidValue(
            f"'{param}' must be the text that PUT /v1/pictures answered as 'id': {_PREFIX} and 64 hex digits.",
            param=param,
        )
    return found[1].lower()
