"""What a store of pictures says of one that it keeps."""

from __future__ import annotations

from dataclasses import dataclass

from looksee.core.images import Picture


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
