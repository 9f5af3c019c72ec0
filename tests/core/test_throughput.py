"""Retry-After follows the throughput of late."""

from __future__ import annotations

from looksee.core.throughput import ThroughputEstimate


def test_the_wait_follows_the_pace() -> None:
    pace = ThroughputEstimate()
    for _ in range(100):
        pace.finished(2, 0.2)  # ten a second
    assert pace.wait(95) == 10
    for _ in range(100):
        pace.finished(1, 2.0)
    assert pace.wait(3) == 6


def test_the_wait_is_whole_seconds_and_at_least_one() -> None:
    pace = ThroughputEstimate()
    for _ in range(200):
        pace.finished(1, 0.0)
    assert pace.wait(1000) == 1
    assert pace.wait(0) == 1
