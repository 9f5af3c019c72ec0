"""When waiting rows are prefilled: at once when nothing runs, else when their waiting has cost what a prefill costs."""

from __future__ import annotations

import pytest

from looksee.engine.prefill_policy import PrefillPolicy


def steps_waited(policy: PrefillPolicy, waiting: int, free: int, running: int) -> int:
    """How many steps these rows wait when no further ones arrive."""
    waited = 0
    while policy.should_defer(waiting, free, running):
        waited += 1
    return waited


@pytest.mark.parametrize(
    ("waiting", "free", "running", "steps"),
    [
        (1, 8, 0, 0),  # no row is delayed
        (1, 8, 1, 1),
        (1, 8, 4, 4),
        (2, 8, 4, 2),
        (2, 8, 24, 8),  # at most eight steps
        (3, 8, 24, 8),
        (6, 8, 24, 4),
        (8, 8, 24, 0),  # no further row could join them
        (2, 2, 30, 0),
        (0, 8, 24, 0),
    ],
)
def test_how_long_rows_wait(waiting: int, free: int, running: int, steps: int) -> None:
    policy = PrefillPolicy()
    assert steps_waited(policy, waiting, free, running) == steps
    assert steps_waited(policy, waiting, free, running) == steps  # the count starts anew after each prefill


def test_rows_that_arrive_meanwhile_shorten_the_wait() -> None:
    policy = PrefillPolicy()
    assert policy.should_defer(1, 8, 10)
    assert policy.should_defer(4, 8, 10)
    assert policy.should_defer(5, 8, 10)
    assert not policy.should_defer(6, 8, 10)
