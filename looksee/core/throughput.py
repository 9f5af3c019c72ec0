"""The pace at which work is finished, for who has to be told when to come again."""

from __future__ import annotations

import math
from dataclasses import dataclass

_FORGETS = 0.1  # how much of the pace each finished job renews


@dataclass(slots=True)
class ThroughputEstimate:
    """How fast jobs are finished, for Retry-After: an average of busy seconds a job that forgets slowly."""

    seconds_a_job: float = 0.05

    def finished(self, jobs: int, seconds: float) -> None:
        for _ in range(jobs):
            self.seconds_a_job += _FORGETS * (seconds / jobs - self.seconds_a_job)

    def wait(self, jobs: int) -> int:
        """Whole seconds, at least one, until `jobs` more jobs are finished."""
        return max(1, math.ceil(jobs * self.seconds_a_job))
