"""The breaker, with a clock that is moved by hand."""

from __future__ import annotations

import inspect
import time

import pytest

from cache.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(failures=3, rest=1.0, longest=5.0, clock=clock)


def trip(breaker: Breaker) -> None:
    for _ in range(3):
        assert breaker.allow()
        breaker.failed()


def test_it_starts_closed(breaker: Breaker) -> None:
    assert not breaker.tripped
    assert all(breaker.allow() for _ in range(10))


def test_it_trips_at_the_third_failure_and_not_before(breaker: Breaker) -> None:
    breaker.failed()
    breaker.failed()
    assert not breaker.tripped
    assert breaker.allow()
    breaker.failed()
    assert breaker.tripped
    assert not breaker.allow()


def test_only_failures_in_a_row_count(breaker: Breaker) -> None:
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert not breaker.tripped
    assert breaker.allow()


def test_after_the_rest_one_call_is_let_through(breaker: Breaker, clock: Clock) -> None:
    trip(breaker)
    clock.now += 0.999
    assert not breaker.allow()
    clock.now += 0.001
    assert [breaker.allow() for _ in range(5)] == [True, False, False, False, False]
    assert breaker.tripped


def test_a_good_trial_closes_it(breaker: Breaker, clock: Clock) -> None:
    trip(breaker)
    clock.now += 1
    assert breaker.allow()
    breaker.succeeded()
    assert not breaker.tripped
    assert all(breaker.allow() for _ in range(10))
    trip(breaker)  # and it takes three failures again
    clock.now += 0.999
    assert not breaker.allow()
    clock.now += 0.001
    assert breaker.allow()  # after the first, short rest again


def test_each_bad_trial_doubles_the_rest_up_to_the_longest(breaker: Breaker, clock: Clock) -> None:
    trip(breaker)
    for rest in (1.0, 2.0, 4.0, 5.0, 5.0):
        clock.now += rest - 0.001
        assert not breaker.allow(), rest
        clock.now += 0.001
        assert breaker.allow(), rest
        breaker.failed()


def test_a_trial_that_never_ends_is_followed_by_another(breaker: Breaker, clock: Clock) -> None:
    """Its caller may have been cancelled: then nobody tells the breaker."""
    trip(breaker)
    clock.now += 1
    assert breaker.allow()
    clock.now += 5
    assert breaker.allow()


def test_one_failure_may_be_enough(clock: Clock) -> None:
    breaker = Breaker(failures=1, rest=2.0, clock=clock)
    breaker.failed()
    assert not breaker.allow()
    clock.now += 2
    assert breaker.allow()


def test_the_usual_one_rests_a_second_and_at_most_fifteen(clock: Clock) -> None:
    breaker = Breaker(clock=clock)
    trip(breaker)
    rests = []
    for _ in range(6):
        start = clock.now
        while not breaker.allow():
            clock.now += 0.125
        rests.append(clock.now - start)
        breaker.failed()
    assert rests == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


def test_the_real_clock_is_one_that_nobody_sets() -> None:
    assert inspect.signature(Breaker).parameters["clock"].default is time.monotonic
