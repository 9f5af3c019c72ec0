"""Whether the models that are loaded before anybody asks are there, and whether a certain one is loaded now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from looksee.core import errors
from looksee.core.tasks import Status
from looksee.gateway.runners.client import RunnerClient

_RETRY_AFTER = 5  # seconds
_STATES = {
    "unloaded": "is not loaded",
    "waiting": "waits for its turn to be loaded",
    "loading": "is loading",
    "ready": "is loaded and has not answered yet",
    "failed": "could not be loaded",
}

Runners = Mapping[str, RunnerClient]


class Readiness:
    """Of one gateway. A model that was there once counts from then on: one must not take the others away."""

    def __init__(self, preloaded: Iterable[str]) -> None:
        """`preloaded` are the names of the models that have to be loaded first."""
        self._missing = list(preloaded)

    async def check(self, runners: Runners, rehearse: Callable[[str], Awaitable[None]]) -> None:
        """Raises ModelNotReady, which says of each model that is still missing why.

        One that is there now is handed to `rehearse` before it counts.
        """
        found = await _statuses(runners, self._missing)
        reasons = {name: _preloading(name, status) for name, status in found.items()}
        await asyncio.gather(*(rehearse(name) for name in found if not reasons[name]))
        self._missing = [name for name in self._missing if reasons[name]]
        _refuse(reasons.values())


async def check_loaded(runners: Runners, names: Iterable[str]) -> None:
    """Raises ModelNotReady unless these models are loaded and have answered: a request, or to a drawn picture."""
    found = await _statuses(runners, names)
    _refuse(_reason(name, status) for name, status in found.items())


async def _statuses(runners: Runners, names: Iterable[str]) -> dict[str, Status | None]:
    async def status(name: str) -> tuple[str, Status | None]:
        return name, await runners[name].status() if name in runners else None

    return dict(await asyncio.gather(*(status(name) for name in names)))


def _preloading(name: str, status: Status | None) -> str:
    """Why a model that is to be preloaded is not there yet; empty once it was."""
    if status is None or status.preloaded is None:
        missing = "" if status is None or status.warm else ", and LOOKSEE_PRELOAD of its runner does not name it"
        return _reason(name, status) + missing
    return "" if status.preloaded else _reason(name, status)


def _reason(name: str, status: Status | None) -> str:
    """Why a model does not answer at once; empty if it does."""
    if status is None:
        return f"the process of '{name}' does not answer"
    if status.warm:
        return ""
    why = f" ({status.failure.message})" if status.failure else ""
    return f"'{name}' {_STATES[status.state]}{why}"


def _refuse(reasons: Iterable[str]) -> None:
    found = [reason for reason in reasons if reason]
    if found:
        sentence = "; ".join(found)
        raise errors.ModelNotReady(f"{sentence[0].upper()}{sentence[1:]}.", retry_after=_RETRY_AFTER)
