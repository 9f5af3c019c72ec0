"""The circuit breaker, with a clock that the test moves."""

from __future__ import annotations

import inspect
import time

import pytest

from cache.breaker import CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(failures=3, cooldown=1.0, max_cooldown=5.0, clock=clock)


def trip(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        assert breaker.allow()
        breaker.failed()


def test_it_starts_closed(breaker: CircuitBreaker) -> None:
    assert not breaker.tripped
    assert all(breaker.allow() for _ in range(10))


def test_it_trips_at_the_third_failure_and_not_before(breaker: CircuitBreaker) -> None:
    breaker.failed()
    breaker.failed()
    assert not breaker.tripped
    assert breaker.allow()
    breaker.failed()
    assert breaker.tripped
    assert not breaker.allow()


def test_only_failures_in_a_row_count(breaker: CircuitBreaker) -> None:
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert not breaker.tripped
    assert breaker.allow()


def test_after_the_cooldown_one_call_is_allowed(breaker: CircuitBreaker, clock: Clock) -> None:
    trip(breaker)
    clock.now += 0.999
    assert not breaker.allow()
    clock.now += 0.001
    assert [breaker.allow() for _ in range(5)] == [True, False, False, False, False]
    assert breaker.tripped


def test_a_successful_trial_closes_it(breaker: CircuitBreaker, clock: Clock) -> None:
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
    assert breaker.allow()  # after the first, short cooldown again


def test_each_failed_trial_doubles_the_cooldown_up_to_the_maximum(breaker: CircuitBreaker, clock: Clock) -> None:
    trip(breaker)
    for cooldown in (1.0, 2.0, 4.0, 5.0, 5.0):
        clock.now += cooldown - 0.001
        assert not breaker.allow(), cooldown
        clock.now += 0.001
        assert breaker.allow(), cooldown
        breaker.failed()


def test_a_trial_that_never_ends_is_followed_by_another(breaker: CircuitBreaker, clock: Clock) -> None:
    """Its caller may have been cancelled: then no result is reported."""
    trip(breaker)
    clock.now += 1
    assert breaker.allow()
    clock.now += 5
    assert breaker.allow()


def test_one_failure_may_be_enough(clock: Clock) -> None:
    breaker = CircuitBreaker(failures=1, cooldown=2.0, clock=clock)
    breaker.failed()
    assert not breaker.allow()
    clock.now += 2
    assert breaker.allow()


def test_the_default_cooldown_is_one_second_and_at_most_fifteen(clock: Clock) -> None:
    breaker = CircuitBreaker(clock=clock)
    trip(breaker)
    cooldowns = []
    for _ in range(6):
        start = clock.now
        while not breaker.allow():
            clock.now += 0.125
        cooldowns.append(clock.now - start)
        breaker.failed()
    assert cooldowns == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


def test_the_default_clock_cannot_be_set_back() -> None:
    assert inspect.signature(CircuitBreaker).parameters["clock"].default is time.monotonic
