"""How likely each of some labels is, by the probabilities of their texts."""

from __future__ import annotations

import math
from collections.abc import Sequence


def shares(logprobs: Sequence[float]) -> list[float]:
    """The probabilities of texts, of which one is said: they are in the ratio of `exp(logprobs)`, and sum to 1."""
    most = max(logprobs)
    weights = [math.exp(one - most) for one in logprobs]
    return [weight / sum(weights) for weight in weights]
