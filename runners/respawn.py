"""Bring a dead runner back sooner: BentoML 1.4.39 looks for dead processes every 10 s and has no setting for it."""

from __future__ import annotations

from typing import Any

from bentoml._internal.utils import circus

_LOOK_EVERY = 2.0  # seconds


class _Watchful(circus.Arbiter):
    def __init__(self, *args: Any, check_delay: float, **kwargs: Any) -> None:
        super().__init__(*args, check_delay=min(check_delay, _LOOK_EVERY), **kwargs)


class _WatchfulThread(circus.ThreadedArbiter):
    def __init__(self, *args: Any, check_delay: float, **kwargs: Any) -> None:
        super().__init__(*args, check_delay=min(check_delay, _LOOK_EVERY), **kwargs)


def watch_closely() -> None:
    """Has an effect in the supervising process, which makes its arbiter after it has imported the service."""
    circus.Arbiter = _Watchful  # type: ignore[misc]
    circus.ThreadedArbiter = _WatchfulThread  # type: ignore[misc]
