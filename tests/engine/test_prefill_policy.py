"""When newcomers join: an idle model takes them at once, a busy one when their waiting has cost what they would."""

from __future__ import annotations

import pytest

from looksee.engine.prefill_policy import PrefillPolicy


def steps_waited(company: PrefillPolicy, newcomers: int, room: int, running: int) -> int:
    """How many steps these newcomers wait when nobody else comes."""
    waited = 0
    while company.should_defer(newcomers, room, running):
        waited += 1
    return waited


@pytest.mark.parametrize(
    ("newcomers", "room", "running", "steps"),
    [
        (1, 8, 0, 0),  # nobody is held up
        (1, 8, 1, 1),
        (1, 8, 4, 4),
        (2, 8, 4, 2),
        (2, 8, 24, 8),  # never longer than that
        (3, 8, 24, 8),
        (6, 8, 24, 4),
        (8, 8, 24, 0),  # there is no room for more company
        (2, 2, 30, 0),
        (0, 8, 24, 0),
    ],
)
def test_how_long_newcomers_wait(newcomers: int, room: int, running: int, steps: int) -> None:
    company = PrefillPolicy()
    assert steps_waited(company, newcomers, room, running) == steps
    assert steps_waited(company, newcomers, room, running) == steps  # and again for the next ones


def test_who_comes_meanwhile_shortens_the_wait() -> None:
    company = PrefillPolicy()
    assert company.should_defer(1, 8, 10)
    assert company.should_defer(4, 8, 10)
    assert company.should_defer(5, 8, 10)
    assert not company.should_defer(6, 8, 10)
