"""What every answer says of itself: which weights gave it, whether the cache had it, and how it ended."""

from __future__ import annotations

from typing import Any

from looksee.gateway.answering import ServedAnswer


def source(served: ServedAnswer) -> dict[str, Any]:
    """The members `finish_reason`, `cache`, `model`, `revision` and `weights`."""
    return {
        "finish_reason": served.answer.finish,
        "cache": served.cached,
        "model": served.identity.model,
        "revision": served.identity.revision,
        "weights": served.identity.weights,
    }
