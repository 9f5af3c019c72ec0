"""One model's weights: where they come from, their identity, and the engine that is made of them.

Its methods block, for minutes where weights are downloaded: a runner calls them in threads.
"""

from __future__ import annotations

import functools
import logging
import math
import traceback
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from looksee.core import errors, heartbeat
from looksee.core.tasks import Identity
from looksee.engine.engine import Engine
from looksee.engine.limits import EngineLimits
from looksee.engine.metrics import MetricsObserver
from looksee.models.arithmetic import machine
from looksee.models.arithmetic.rules import resolve
from looksee.models.interface import Model
from looksee.models.registry import REGISTRY
from looksee.models.weights import source
from looksee.settings import settings
from looksee.watching.weights import WeightsInMemory
from runners import free_memory, memory
from runners.keeping import warming

logger = logging.getLogger("looksee.runner")

_IMPORT_SECONDS = 600.0  # that the system may take to read one of torch's libraries, while the event loop stands still

AnyEngine: TypeAlias = Engine[Any, Any]


class ImportsFailed(Exception):
    """A library was imported half-way, as where memory ran out: a further import in this process would fail too."""


class ModelLoader:
    """Fetches, identifies, loads and releases one model, as the settings have it."""

    def __init__(self, name: str) -> None:
        config = settings()
        own = config.model(name)
        self.name = name
        self.source = source.resolve(name, config.weights, own.weights)
        self.device = own.device or config.device
        self._arithmetic: dict[str, Any] = {
            "device": self.device,
            "dtype": own.dtype or config.dtype,
            "samples": self.source.kind == "sample",
        }
        self.cuda_graphs = config.cuda_graphs if own.cuda_graphs == "" else own.cuda_graphs
        self.options = own.options(sample=self.source.kind == "sample")
        self._loaded = False  # once at least
        self._told: WeightsInMemory | None = None
        self._without_effect = own.without_effect()
        self.limits = EngineLimits(
            queue=config.max_queue,
            rows=own.max_batch_rows,
            cost=own.batch_cost,
            prefill=own.max_prefill_rows,
            prepared=config.max_prepared_bytes,
        )
        self._memory = own.max_batch_bytes
        self._models = config.model_capacity or len(REGISTRY)  # that share what is free

    def fetch(self) -> Path:
        """The directory of the weights, downloaded if need be. Imports the libraries too.

        Raises WeightsUnavailable, and ImportsFailed.
        """
        directory = self.source.directory()
        try:
            _import_libraries(self.name)
        except errors.LookseeError:
            raise
        except Exception as error:
            raise ImportsFailed from error
        return directory

    def identify(self) -> Identity:
        """Which weights these are. The fingerprint covers the device, dtype and options on which answers depend.

        It is None while that is not known: for a branch that was not fetched, and for int8 before the first load, at
        which it is tried out.
        """
        found = self.source.identity()
        computed = self._computed()
        if found.fingerprint is None or computed is None:
            return replace(found, fingerprint=None)
        options = {name: value for name, value in self.options.items() if name not in self._without_effect}
        # bfloat16 gives slightly other answers than float32, and so may another device: what `auto` is here counts.
        return replace(found, fingerprint=f"{found.fingerprint} {computed} {options}")

    def _computed(self) -> str | None:
        """What is computed with, as a part of the fingerprint; None while it is not known."""
        try:
            chosen = resolve(REGISTRY[self.name], machine.found(self.device), **self._arithmetic)
            if chosen.linears != "int8":
                return chosen.key
            return _settled(self.name, **self._arithmetic) if self._loaded else None
        except errors.WeightsUnavailable:  # nothing can be answered: loading says why
            return None

    def load(self, directory: Path) -> Model[Any, Any]:
        """The model, its weights in memory. Raises WeightsUnavailable, and what the libraries raise."""
        try:
            with heartbeat.patience(settings().stall_seconds or math.inf):
                model = _load(
                    self.name,
                    directory,
                    **self._arithmetic,
                    graph_rows=self.limits.rows if self.cuda_graphs else 0,
                    **self.options,
                    **self.source.files(),
                )
            self._loaded = True
            return model
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # they refer to what was loaded of the weights
            raise

    def start(self, model: Model[Any, Any], *, warm: bool = False) -> AnyEngine:
        """An engine that runs the model, whose weights were loaded just now. To be `warm`, it begins with a picture
        that nobody sent; `Engine.begun` says how that ended.
        """
        device = str(getattr(model, "device", "cpu"))
        self._told = WeightsInMemory(self.source.identity(), device, memory.resident_bytes, memory.device_use)
        observer = MetricsObserver(self.name, model.reuse, memory.device_bytes, self._told.measure)
        limits = replace(self.limits, memory=self._memory or self._default_memory(model))
        logger.info("batches of %s may hold %d MiB", self.name, limits.memory // 2**20)

        def warm_up() -> None:
            warming.warm_up(self.name, model)
            observer.begin()

        threads = settings().prepare_thread_count()
        beginning = warm_up if warm else None
        return Engine(model, limits, prepare_threads=threads, observer=observer, beginning=beginning)

    def _default_memory(self, model: Model[Any, Any]) -> int:
        kept = sum(self.options.get(name, 0) for name in ("feature_bytes", "prefix_bytes"))
        device = str(getattr(model, "device", "cpu"))
        return free_memory.batch_memory(device, kept=kept, models=self._models)

    def stop(self, engine: AnyEngine) -> None:
        """End an engine; its rows are answered with ModelNotReady. The caller drops its own references to it."""
        engine.close()
        engine.observer.released()
        if self._told is not None:
            self._told.released()
        logger.info("released %s", self.name)


@functools.cache
def _import_libraries(name: str) -> None:
    with memory.importing(), heartbeat.patience(_IMPORT_SECONDS):
        # Imported here alone: only a process that runs a model pays for torch.
        import torch

        from looksee.models.loading import module, refuse_broken_torchvision

        refuse_broken_torchvision()
        import_module(module(name))
    torch.set_num_threads(settings().torch_thread_count())


def _load(name: str, directory: Path, **how: Any) -> Model[Any, Any]:
    from looksee.models.loading import load

    return load(name, directory, **how)


def _settled(name: str, **how: Any) -> str:
    """What a loaded model computes with, as a part of the fingerprint."""
    from looksee.models.loading import settled

    return settled(name, **how).key
