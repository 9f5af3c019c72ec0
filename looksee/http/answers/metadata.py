"""What every answer says of itself: whose it is, and whether the cache had it."""

from __future__ import annotations

from typing import Any

from looksee.gateway.answering import ServedAnswer


def whose(served: ServedAnswer) -> dict[str, Any]:
    """The members `cache`, `model`, `revision` and `weights`."""
    return {
        "cache": served.cached,
        "model": served.identity.model,
        "revision": served.identity.revision,
        "weights": served.identity.weights,
    }
