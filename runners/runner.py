"""A runner: one model's weights, loaded while they are needed, and the engine that batches for them.

    unloaded -> loading -> waiting -> loading -> ready -> unloaded
                (fetching) (for a slot) (weights)

Everything a caller may need to know of a failure travels in the answers as data: BentoML does not carry an exception's
text from one service to another.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
import traceback
from collections.abc import Callable
from contextvars import Context
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from bentoml._internal.configuration.containers import BentoMLContainer

from looksee.core import errors
from looksee.core.logs import REQUEST_ID
from looksee.core.tasks import Ask, Failure, Identity, Reply, State, Status
from looksee.engine.engine import Engine, EngineLimits
from looksee.engine.metrics import LOAD_SECONDS, MetricsObserver, forget_the_dead
from looksee.models.interface import Model
from looksee.models.weights import source
from looksee.settings import settings
from runners import memory
from runners.admission_gate import AdmissionGate
from runners.capacity import CapacityManager, Lease

logger = logging.getLogger("looksee.runner")

_RETRY_LOAD_AFTER = 10  # seconds a failed load is remembered, so that every request does not try again
_RETRY_AFTER = 5  # seconds after which a caller that was sent away should come again
_UNLOAD_PATIENCE = 30.0  # seconds that calls in flight have to end before an unload is given up
_POLL_SECONDS = 0.05  # how often a model that is loaded looks whether another one needs its place
_LEAST_TURN = 2.0  # seconds a model under load keeps its place while others wait, or as long as its loading took
_LINGER = 0.1  # seconds without a call that make a model idle: callers that come one by one leave small gaps

_AnyEngine: TypeAlias = Engine[Any, Any]


class Runner:
    """Answers calls for one model. Lives on one event loop; loading and decoding happen in threads."""

    def __init__(self, name: str) -> None:
        forget_the_dead()
        config = settings()
        own = config.model(name)
        self.name = name
        self.source = source.resolve(name, config.weights, own.weights)
        self.device, self.dtype = own.device or config.device, own.dtype or config.dtype
        self.options = own.options(sample=self.source.kind == "sample")
        self._without_effect = own.without_effect()
        self.limits = EngineLimits(
            queue=config.max_queue, rows=own.max_batch_rows, cost=own.batch_cost, prefill=own.max_prefill_rows
        )
        home = Path(BentoMLContainer.bentoml_home.get())
        self._residency = CapacityManager(home / "looksee", config.model_capacity, name)
        self._calls: AdmissionGate[_AnyEngine] = AdmissionGate(self._on_change)
        self._identity: Identity | None = None
        self._state: State = "unloaded"
        self._engine: _AnyEngine | None = None
        self._slot: Lease | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._failure: Failure | None = None
        self._failed = 0.0
        self._kept_until = 0.0
        self._unloading = 0  # how many ask for it
        self._gone = asyncio.Event()  # a new one for each time the weights are loaded; set when they are gone
        self._gone.set()
        self._closing = False

    async def infer(self, ask: Ask, listener: Callable[[str], None] | None = None) -> Reply:
        """Answer a job; a `listener` hears its text as it comes.

        Never raises for the job's own troubles. Cancelling it (the caller left) drops its row at the next step.
        """
        REQUEST_ID.set(ask.request_id)  # for the log
        deadline = time.monotonic() + ask.timeout
        try:
            if self._failure is not None and time.monotonic() < self._failed + _RETRY_LOAD_AFTER:
                raise self._failure.error()
            engine = await self._enter(ask.timeout)
        except errors.LookseeError as error:
            return Reply(failure=Failure.of(error))
        try:
            return await engine.submit(ask.job, timeout=deadline - time.monotonic(), listener=listener)
        finally:
            self._calls.leave()

    async def load(self) -> None:
        """Have the weights loaded. Raises ModelNotReady when that takes too long, and WeightsUnavailable."""
        await self._enter(settings().request_timeout_seconds)
        self._calls.leave()

    async def unload(self) -> None:
        """Release the weights once the calls in flight have ended; new ones wait, and load them again.

        Raises ModelNotReady when those calls take too long, and then nothing changes.
        """
        gone = self._gone
        self._unloading += 1
        try:
            async with asyncio.timeout(_UNLOAD_PATIENCE):
                await gone.wait()
        except TimeoutError:
            message = f"'{self.name}' is at work and was not unloaded; try again."
            raise errors.ModelNotReady(message, retry_after=_RETRY_AFTER) from None
        finally:
            self._unloading -= 1

    async def status(self) -> Status:
        """Which weights, whether they are loaded, and what they take."""
        identity, engine, calls = await self.identity(), self._engine, self._calls
        device = getattr(engine.model, "device", self.device) if engine is not None else self.device
        return Status(
            identity,
            self._state,
            str(device),
            memory_bytes=memory.resident(),
            device_bytes=memory.on_device() if engine is not None else None,
            last_use=time.time() - (0 if calls.inside else time.monotonic() - calls.left) if calls.left else None,
            in_flight=calls.inside,
            queued=calls.waiting,
            failure=self._failure,
        )

    async def identity(self) -> Identity:
        """Which weights answer; known for good once they are loaded."""
        if self._identity is None or self._identity.fingerprint is None:
            found = await asyncio.to_thread(self._identify)
            if self._identity is None or self._identity.fingerprint is None:  # loading may have found it meanwhile
                self._identity = found
        return self._identity

    async def close(self) -> None:
        """Release the weights for good; calls in flight are answered with an error."""
        self._closing = True
        self._changed.set()
        self._calls.refuse(Failure.of(self._not_ready("is being stopped")))
        if self._keeper is not None:
            await asyncio.wait((self._keeper,))

    async def _enter(self, patience: float) -> _AnyEngine:
        """The engine, its weights loaded; for a call that is in flight until it leaves."""
        if self._closing:
            raise self._not_ready("is being stopped")
        try:
            return await self._calls.enter(min(patience, settings().load_wait_seconds))
        except TimeoutError:
            # It is expected back: until then the place in the queue is kept.
            self._kept_until = time.monotonic() + 2 * _RETRY_AFTER
            doing = "waits for its turn to be loaded" if self._state == "waiting" else "is still loading"
            raise self._not_ready(doing) from None

    def _not_ready(self, doing: str) -> errors.ModelNotReady:
        return errors.ModelNotReady(f"'{self.name}' {doing}; try again.", retry_after=_RETRY_AFTER)

    def _on_change(self) -> None:
        """A first call went in, a last one left, or one waits."""
        if self._slot is not None and self._state == "ready":
            self._slot.note(busy=self._calls.inside > 0)
        if not self._calls.is_open:
            self._changed.set()
            if self._keeper is None:
                # Without the context of the call that happens to be first: its id is not that of the weights.
                self._keeper = asyncio.create_task(self._keep(), context=Context())

    # -- the life of the weights

    def _is_wanted(self) -> bool:
        return not self._closing and (self._calls.waiting > 0 or time.monotonic() < self._kept_until)

    async def _keep(self) -> None:
        """Load and serve, again after each release, as long as somebody waits."""
        try:
            while self._is_wanted():
                gone = self._gone = asyncio.Event()
                try:
                    await self._live()
                    self._state = "unloaded"
                except Exception as error:
                    self._fail(error)
                finally:
                    gone.set()
        finally:
            self._keeper = None

    async def _live(self) -> None:
        """The weights' way into memory and out of it."""
        self._state = "loading"
        directory = await asyncio.to_thread(self._fetch)  # what takes no memory takes no slot either
        self._state = "waiting"
        slot = await self._residency.acquire(self._is_wanted)
        if slot is None:
            return
        self._state = "loading"
        started = time.monotonic()
        try:
            await asyncio.to_thread(self._start, directory)
            took = time.monotonic() - started
            LOAD_SECONDS.labels(self.name).observe(took)
            logger.info("loaded %s from %s in %.1f s", self.name, self.source.kind, took)
            self._slot, self._state, self._failure, self._kept_until = slot, "ready", None, 0.0
            await self._serve(slot, turn=max(_LEAST_TURN, took))
        finally:
            self._calls.shut()
            self._slot = None
            await asyncio.to_thread(self._stop)
            slot.release()

    async def _serve(self, slot: Lease, *, turn: float) -> None:
        """Answer calls until the weights should go and no call is in flight."""
        assert self._engine is not None  # it was started
        ready = time.monotonic()
        slot.note(busy=False)
        self._calls.open(self._engine)  # whoever waited is served, whatever is asked for now
        while not self._closing:
            asked, now = slot.wanted(), time.monotonic()
            over = asked is not None and min(asked, now - ready) > turn
            if over or self._unloading:
                self._calls.shut()
                if not self._calls.inside:
                    return
            elif not self._calls.is_open:
                self._calls.open(self._engine)
            idle = 0.0 if self._calls.inside else now - max(ready, self._calls.left)
            if asked is not None and idle > _LINGER:
                return
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._changed.wait()

    def _fail(self, error: Exception) -> None:
        """Tell those who wait, and those who come soon."""
        if not isinstance(error, errors.LookseeError):
            logger.error("loading %s failed", self.name, exc_info=error)
            error = errors.WeightsUnavailable(
                f"The weights of '{self.name}' could not be loaded; the server's log says why.", retry_after=30
            )
        # As data: an exception would keep whatever of the weights its frames refer to.
        self._failure, self._failed = Failure.of(error), time.monotonic()
        self._state, self._kept_until = "failed", 0.0
        self._calls.refuse(self._failure)

    # -- in threads

    def _fetch(self) -> Path:
        directory = self.source.directory()
        _import_libraries(self.name)
        return directory

    def _identify(self) -> Identity:
        found = self.source.identity()
        if found.fingerprint is None:
            return found
        matter = {name: value for name, value in self.options.items() if name not in self._without_effect}
        # Answers depend on all of it: bfloat16 does not say quite what float32 says.
        return replace(found, fingerprint=f"{found.fingerprint} {self.device} {self.dtype} {matter}")

    def _start(self, directory: Path) -> None:
        try:
            model = _load(
                self.name, directory, device=self.device, dtype=self.dtype, **self.options, **self.source.files()
            )
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # they refer to what was loaded of the weights
            raise
        self._identity = self._identify()  # again: a branch may have moved while it was fetched
        observer = MetricsObserver(self.name, model.reuse)
        self._engine = Engine(model, self.limits, prepare_threads=settings().prepare_thread_count(), observer=observer)

    def _stop(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine.observer.waiting(0)
            self._engine.observer.running(0)
            logger.info("released %s", self.name)
        self._engine = None
        memory.give_back()


@functools.cache
def _import_libraries(name: str) -> None:
    with memory.importing():
        # Imported here alone: only a process that runs a model pays for torch.
        import torch

        from looksee.models.loading import module, refuse_broken_torchvision

        refuse_broken_torchvision()
        import_module(module(name))
    torch.set_num_threads(settings().torch_thread_count())


def _load(name: str, directory: Path, **how: Any) -> Model[Any, Any]:
    from looksee.models.loading import load

    return load(name, directory, **how)
