"""Pictures that were sent once and are named afterwards, by the hash of their bytes.

An owner (a client's key, or nobody in particular where none is asked for) sees its own pictures alone: whoever knows a
file's hash from elsewhere neither uses it nor learns that it was sent.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from prometheus_client import Counter, Gauge

from looksee.core import errors
from looksee.core.images import Picture, mib
from looksee.core.kept_pictures import Holdings, KeptPicture
from looksee.gateway.local_pictures import LocalPictures

_SECONDS = 3600  # that a picture is kept where nothing else is said
_RETRY_AFTER = 5  # seconds
# All gateways keep them in one place, or there is one: so the latest word counts.
_PICTURES = Gauge(
    "looksee_kept_pictures", "Pictures kept by their ids, as of the last change", multiprocess_mode="livemostrecent"
)
_BYTES = Gauge("looksee_kept_picture_bytes", "Their bytes, as of the last change", multiprocess_mode="livemostrecent")
_LOOKUPS = Counter("looksee_kept_picture_lookups_total", "Uses of pictures' ids by result: hit, gone", ["result"])


class PictureStore(Protocol):
    """Keeps pictures by texts, for a time, as many as it has room for: the oldest give way.

    Every method raises ConnectionError when the store fails.
    """

    async def put(self, name: str, picture: Picture) -> tuple[KeptPicture, Holdings]:
        """Keep a picture, anew if it is there."""

    async def get(self, name: str) -> bytes | None:
        """The file; None where it is not kept."""

    async def about(self, name: str) -> KeptPicture | None:
        """What is known of it; None where it is not kept."""

    async def drop(self, name: str) -> Holdings | None:
        """Keep it no longer; None where it was not kept."""

    async def close(self) -> None:
        """With the process."""


class KeptPictures:
    """For all dialects; one for each gateway process."""

    def __init__(
        self, store: PictureStore | None = None, *, max_pictures: int = 4096, max_bytes: int = 256 * 2**20
    ) -> None:
        """`max_pictures` 0: none are kept. `max_bytes` bounds their bytes together, and so those of one."""
        self._store: PictureStore = store or LocalPictures(
            max_pictures=max_pictures, max_bytes=max_bytes, seconds=_SECONDS
        )
        self._max_pictures, self._max_bytes = max_pictures, max_bytes

    async def keep(self, owner: str, picture: Picture) -> KeptPicture:
        """Keep a picture for its owner. Raises NotOffered, FileTooLarge or CacheUnavailable."""
        if not self._max_pictures:
            raise errors.NotOffered("This service keeps no pictures: LOOKSEE_MAX_KEPT_PICTURES is 0.")
        if len(picture.data) > self._max_bytes:
            raise errors.FileTooLarge(
                f"At most {mib(self._max_bytes)} of pictures are kept; LOOKSEE_MAX_KEPT_BYTES raises the limit."
            )
        async with _told():
            kept, holdings = await self._store.put(_name(owner, picture.digest), picture)
        _show(holdings)
        return kept

    async def file(self, owner: str, digest: str, *, param: str) -> bytes:
        """The bytes of a picture that `param` names. Raises PictureNotFound or CacheUnavailable."""
        async with _told():
            data = await self._store.get(_name(owner, digest)) if self._max_pictures else None
        # What others may write to is not believed.
        if data is None or await asyncio.to_thread(_digest, data) != digest:
            _LOOKUPS.labels("gone").inc()
            raise _gone(param)
        _LOOKUPS.labels("hit").inc()
        return data

    async def about(self, owner: str, digest: str, *, param: str) -> KeptPicture:
        """What is known of a picture. Raises PictureNotFound or CacheUnavailable."""
        async with _told():
            kept = await self._store.about(_name(owner, digest)) if self._max_pictures else None
        if kept is None:
            raise _gone(param)
        return kept

    async def drop(self, owner: str, digest: str, *, param: str) -> None:
        """Keep a picture no longer. Raises PictureNotFound or CacheUnavailable."""
        async with _told():
            holdings = await self._store.drop(_name(owner, digest)) if self._max_pictures else None
        if holdings is None:
            raise _gone(param)
        _show(holdings)

    async def close(self) -> None:
        """With the process."""
        await self._store.close()


@asynccontextmanager
async def _told() -> AsyncIterator[None]:
    try:
        yield
    except ConnectionError as error:
        raise errors.CacheUnavailable(
            "Redis, which keeps the pictures, does not answer; send the picture itself with the request.",
            retry_after=_RETRY_AFTER,
        ) from error


def _name(owner: str, digest: str) -> str:
    return f"{owner}:{digest}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _gone(param: str) -> errors.LookseeError:
    return errors.PictureNotFound(
        "There is no picture of this id, or none any more: send it again with PUT /v1/pictures.", param=param
    )


def _show(holdings: Holdings) -> None:
    _PICTURES.set(holdings.pictures)
    _BYTES.set(holdings.nbytes)
