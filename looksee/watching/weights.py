"""Figures of the weights that a runner's process has in memory, and of the memory that they are in."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import Gauge

from looksee.core.tasks import Identity

_DEVICE_CAPACITY = Gauge(
    "looksee_device_capacity_bytes",
    "Bytes of the accelerator that a model runs on; models on one accelerator share them",
    ["model", "device"],
    multiprocess_mode="livemostrecent",
)
_DEVICE_FREE = Gauge(
    "looksee_device_free_bytes",
    "Bytes of that accelerator that no program has, at most a second old while the model is at work",
    ["model", "device"],
    multiprocess_mode="livemostrecent",
)
_PROCESS_MEMORY = Gauge(
    "looksee_runner_memory_bytes",
    "Bytes of this machine's memory that a model's process has, at most a second old while it is at work",
    ["model"],
    multiprocess_mode="livesum",
)
_LOADED = Gauge(
    "looksee_model_loaded",
    "1 while the weights are in memory, else 0; the labels say which these are and where",
    ["model", "weights", "revision", "device"],
    multiprocess_mode="livemax",
)


class WeightsInMemory:
    """Tells of one model's weights, from their load until `released`. Callable on any thread."""

    def __init__(
        self,
        identity: Identity,
        device: str,
        process_bytes: Callable[[], int | None],
        device_use: Callable[[str], tuple[int, int] | None],
    ) -> None:
        """`device_use` has the bytes of an accelerator that are free, and that there are; None for other devices."""
        self._model, self._device = identity.model, device
        self._process_bytes, self._device_use = process_bytes, device_use
        self._loaded = _LOADED.labels(identity.model, identity.weights, identity.revision, device)
        self._loaded.set(1)
        self.measure()

    def measure(self) -> None:
        """Measure the memory. Takes less than a millisecond."""
        if (held := self._process_bytes()) is not None:
            _PROCESS_MEMORY.labels(self._model).set(held)
        if (use := self._device_use(self._device)) is not None:
            free, capacity = use
            _DEVICE_FREE.labels(self._model, self._device).set(free)
            _DEVICE_CAPACITY.labels(self._model, self._device).set(capacity)

    def released(self) -> None:
        """The weights are not in memory any more."""
        self._loaded.set(0)
        self.measure()
