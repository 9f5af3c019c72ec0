"""How long one model's weights are in memory: what the operator wants of it, and what has happened so far."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from looksee.settings import settings
from runners.admission_gate import AdmissionGate


class Residency:
    """Of one runner, for its event loop. `directory` is where the runners of a machine keep their files.

    A model that is preloaded is loaded by its own process, before anybody asks, and once in that process: one that made
    room for another later comes back with its next request.

    - `preloaded` says whether that was done; None for a model that is not to be.
    - `pinned`: it is released for no other model, and not for want of requests.
    - `warm`: it has answered since it was loaded.
    """

    def __init__(self, name: str, directory: Path) -> None:
        config = settings()
        self.pinned = name in config.pinned_models()
        self.preloaded = False if name in config.preloaded_models() else None
        self.warm = False
        self._keep_alive = 0.0 if self.pinned else config.keep_alive_seconds
        self._since = 0.0  # when the weights were ready; monotonic seconds
        self._mark = directory / f"{name}.preloading"

    @property
    def is_due(self) -> bool:
        """Whether the weights are to be loaded, though nobody asks."""
        return self.preloaded is False

    @property
    def last_try_died(self) -> bool:
        """Whether the process that tried last to preload this model ended in it, as where memory ran out."""
        return self.is_due and self._mark.exists()

    def loading(self) -> contextlib.AbstractContextManager[None]:
        """Mark a try to preload, if it is one, until the context is left: not if the process dies."""
        return self._marked() if self.is_due else contextlib.nullcontext()

    def ready(self, *, warm: bool) -> None:
        """The weights are loaded."""
        self._since, self.warm = time.monotonic(), warm
        if self.is_due:
            self.preloaded = True

    def idle_seconds(self, gate: AdmissionGate[Any]) -> float:
        """For how long the weights have had nothing to do since they were ready."""
        return 0.0 if gate.active else time.monotonic() - max(self._since, gate.idle_since)

    def is_over(self, idle: float) -> bool:
        """Whether weights that were idle for so long are to be released."""
        return 0 < self._keep_alive < idle

    def seconds_left(self, idle: float) -> float | None:
        """The seconds until that, for weights that are idle for so long; None if they stay."""
        return max(0.0, self._keep_alive - idle) if self._keep_alive else None

    @contextlib.contextmanager
    def _marked(self) -> Iterator[None]:
        with contextlib.suppress(OSError):
            self._mark.touch()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                self._mark.unlink(missing_ok=True)
