"""The bounds of an engine."""

from __future__ import annotations

from dataclasses import dataclass

UNBOUNDED = 2**62  # bytes


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Bounds, all at least 1.

    `queue`: rows that are admitted beside those of a full batch. The running batch: `rows`; `cost`, in the unit of
    `Row.cost`; `memory`, in bytes that its rows hold on the device. `prefill`: the rows of one prefill, during which
    the running rows wait. `prepared`: bytes of prepared rows that wait, beyond which no further rows are prepared.
    """

    queue: int
    rows: int
    cost: int
    prefill: int = 8
    memory: int = UNBOUNDED
    prepared: int = UNBOUNDED
