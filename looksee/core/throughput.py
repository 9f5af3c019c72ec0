"""An estimate of throughput, from which a refused caller is told when to retry."""

from __future__ import annotations

import math
from dataclasses import dataclass

_WEIGHT = 0.1  # of each finished job in the moving average


@dataclass(slots=True)
class ThroughputEstimate:
    """An exponential moving average of `seconds_per_job`: busy seconds divided by the jobs finished in them."""

    seconds_per_job: float = 0.05

    def finished(self, jobs: int, seconds: float) -> None:
        """Count `jobs` jobs that were finished in `seconds` busy seconds."""
        for _ in range(jobs):
            self.seconds_per_job += _WEIGHT * (seconds / jobs - self.seconds_per_job)

    def wait(self, jobs: int) -> int:
        """Whole seconds, at least one, until `jobs` more jobs are finished; for Retry-After."""
        return max(1, math.ceil(jobs * self.seconds_per_job))
