"""What every answer says of itself: which weights gave it, whether the cache had it, and how it ended."""

from __future__ import annotations

from typing import Any

from looksee.gateway.answering import ServedAnswer


def source(served: ServedAnswer) -> dict[str, Any]:
    """The members `cache`, `model`, `revision` and `weights`."""
    return {
        "cache": served.cached,
        "model": served.identity.model,
        "revision": served.identity.revision,
        "weights": served.identity.weights,
    }


def ending(served: ServedAnswer) -> dict[str, Any]:
    """The members of `source` behind `finish_reason`, as `/v1` and a batch have them."""
    return {"finish_reason": served.answer.finish, **source(served)}
