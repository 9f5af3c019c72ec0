"""What the running rows may cost together: what is set, and less for a while after memory ran out."""

from __future__ import annotations

_QUIET_STEPS = 500  # without trouble, until a lowered cap rises
_RISE = 1.1


class BatchBudget:
    """`now` is the cap in force, `most` the one that is set."""

    def __init__(self, most: int) -> None:
        self.most = self.now = most
        self._quiet = 0

    def lower(self, cost: int) -> None:
        """No more than `cost`, and less than before."""
        self.now = max(1, min(cost, self.now - 1))
        self._quiet = 0

    def recover(self) -> None:
        """A step went well; after many of them the cap rises towards what is set."""
        if self.now == self.most:
            return
        self._quiet += 1
        if self._quiet == _QUIET_STEPS:
            self._quiet = 0
            self.now = min(self.most, int(self.now * _RISE) + 1)
