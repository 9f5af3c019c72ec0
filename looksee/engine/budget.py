"""The batch budget: what the running rows may cost together. It is lowered after memory ran out and recovers slowly."""

from __future__ import annotations

_STEPS_TO_RECOVER = 500  # successful steps after which a lowered budget rises once
_RISE = 1.1  # the factor it rises by


class BatchBudget:
    """`limit` is the configured budget, `current` the one in force: 1 <= `current` <= `limit`.

    Both are in the unit of `Row.cost`. For the device thread alone.
    """

    def __init__(self, limit: int) -> None:
        self.limit = self.current = limit
        self._steps_since_change = 0

    def lower(self, cost: int) -> None:
        """Set the budget to at most `cost`, and below its present value."""
        self.current = max(1, min(cost, self.current - 1))
        self._steps_since_change = 0

    def recover(self) -> None:
        """Count a successful step; each `_STEPS_TO_RECOVER` of them raise a lowered budget towards the limit."""
        if self.current == self.limit:
            return
        self._steps_since_change += 1
        if self._steps_since_change == _STEPS_TO_RECOVER:
            self._steps_since_change = 0
            self.current = min(self.limit, int(self.current * _RISE) + 1)
