"""The Server-Timing header: where an answer's time went."""

from __future__ import annotations

from collections.abc import Sequence

from looksee.core.tasks import Timing
from looksee.gateway.answering import ServedAnswer


def server_timing(served: Sequence[ServedAnswer]) -> dict[str, str]:
    """The slowest of each part in milliseconds, the mean rows of its batches, and the cache's share of the answers."""
    timings = [one.timing for one in served if not one.cached] or [Timing()]
    parts = [
        f"{name};dur={max(getattr(timing, name) for timing in timings) * 1000:.1f}"
        for name in ("prepare", "queue", "compute")
    ]
    hits = sum(one.cached for one in served)
    rows = max(timing.rows for timing in timings)
    return {"Server-Timing": ", ".join([*parts, f'batch;desc="{rows:.1f}"', f'cache;desc="{hits}/{len(served)}"'])}
