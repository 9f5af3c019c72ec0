"""What the gateway needs of a cache of answers. The package `cache` has one in Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from looksee.core.tasks import Answer, Identity, Job

State = Literal["up", "down", "off"]


class AnswerCache(Protocol):
    """A store of answers that may fail at any time: no method raises, a failed lookup is a miss."""

    @property
    def state(self) -> State:
        """Whether the last calls worked; `off` where there is no store."""

    def key(self, job: Job, digests: Sequence[str], identity: Identity) -> str | None:
        """What the answer to `job` is stored under; None where it is not stored.

        `digests` are the SHA-256s of the job's pictures in hex, in their order.
        """

    async def get(self, keys: Sequence[str]) -> dict[str, Answer]:
        """The answers stored under `keys`, without those that are missing."""

    async def put(self, answers: Mapping[str, Answer]) -> None:
        """Store whole answers by their keys."""

    async def ping(self) -> State:
        """Ask the store itself."""

    async def clear(self, *, whole_database: bool) -> int | None:
        """Delete this service's entries, or everything in the database; how many, or None if the store failed."""

    async def size(self) -> tuple[int, int] | None:
        """The number of entries of this service and the bytes they take; None if the store failed."""
