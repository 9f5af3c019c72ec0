"""The life of one model's weights in a runner: who wants them, their load, the calls that they serve, their release.

    unloaded -> loading    -> waiting       -> loading   -> ready     -> unloaded
                (download)    (for a lease)    (weights)    (serving)

A load that fails ends in `failed`, and the next call that comes later than LOOKSEE_LOAD_RETRY_SECONDS tries again; for
a model that is preloaded nobody has to call. Weights that are loaded for no request answer a drawn picture before they
are ready (`runners.keeping.warming`).

When the device is broken, weights cannot be released, or the work stands still, the process ends (`runners.guarding`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from concurrent.futures import Future
from contextvars import Context
from pathlib import Path

from bentoml._internal.configuration.containers import BentoMLContainer

from looksee.core import errors
from looksee.core.tasks import Failure, Identity, State
from looksee.engine.broken_device import device_is_broken
from looksee.engine.metrics import LOAD_SECONDS, drop_dead_processes
from looksee.settings import settings
from runners import memory
from runners.admission_gate import AdmissionGate
from runners.background import in_daemon_thread
from runners.capacity import CapacityManager, Lease
from runners.guarding.ending import Ending, stop_process
from runners.guarding.watchdog import Watchdog
from runners.guarding.watched_model import WatchedModel
from runners.keeping.residency import Residency
from runners.model_loader import AnyEngine, ImportsFailed, ModelLoader

logger = logging.getLogger("looksee.runner")

_POLL_SECONDS = 0.05  # how often a loaded model checks whether another one waits for its lease
_MIN_TURN = 2.0  # seconds a busy model keeps its lease while others wait, or as long as its loading took
_IDLE_AFTER = 0.1  # seconds without a call that make a model idle: callers that send one by one leave small gaps
_LONGEST_WAIT = 3600.0  # seconds of one wait for a change


class WeightsLife:
    """The weights of one model and the gate that calls come to them by. For one event loop; loading runs in threads.

    One task at a time, `_lifecycle`, takes the weights through their states; it ends when nobody wants them.
    """

    def __init__(self, name: str) -> None:
        drop_dead_processes()
        self.name = name
        self._loader = ModelLoader(name)
        home = Path(BentoMLContainer.bentoml_home.get())
        self._stay = Residency(name, home / "looksee")
        capacity = settings().model_capacity
        self._capacity = CapacityManager(home / "looksee", capacity, name, pinned=self._stay.pinned)
        self._gate: AdmissionGate[AnyEngine] = AdmissionGate(self._on_gate_change)
        self._identity: Identity | None = None
        self._state: State = "unloaded"
        self._engine: AnyEngine | None = None
        self._lease: Lease | None = None
        self._lifecycle: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._failure: Failure | None = None  # of the last load
        self._failed_at = 0.0
        self._wanted_until = 0.0  # a caller was told to retry by then: the weights are wanted without a waiting call
        self._loads, self._unloads = 0, 0  # calls of `load` and of `unload` under way
        self._released = asyncio.Event()  # a new one for each load; set once those weights are released
        self._released.set()
        self._closing = asyncio.Event()
        self._ending = Ending(name, self._refuse_all)
        self._watchdog = Watchdog(settings().stall_seconds, lambda: self._gate.active > 0, self._ending.begin)

    @property
    def is_prepared(self) -> bool:
        """Whether the model was preloaded, where it is to be."""
        return not self._stay.is_due

    def begin(self) -> None:
        """Load the weights, if this runner does so by itself. On the event loop."""
        if self._stay.last_try_died:
            logger.warning(
                "the process that preloaded %s before this one died; it is tried again in a while", self.name
            )
            self._failed_at = time.monotonic()
        if self._stay.is_due:
            self._live()

    def _on_gate_change(self) -> None:
        if self._lease is not None and self._state == "ready":
            self._lease.mark(busy=self._gate.active > 0)
        if not self._gate.is_open:
            self._changed.set()
            self._live()

    def _live(self) -> None:
        if self._lifecycle is None:
            # In an empty context: the request id of the call that happens to be first is not the weights'.
            self._lifecycle = asyncio.create_task(self._run_lifecycle(), context=Context())

    def _is_wanted(self) -> bool:
        over = self._closing.is_set() or self._ending.failure is not None
        asked = self._gate.waiting > 0 or time.monotonic() < self._wanted_until
        return not over and (asked or self._stay.is_due)

    async def _is_time(self) -> bool:
        """Whether the weights are wanted; after a load that failed, once somebody asks or it is time to try again."""
        again = self._failed_at + settings().load_retry_seconds
        while self._is_wanted() and not self._gate.waiting and (left := again - time.monotonic()) > 0:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LONGEST_WAIT)):
                    await self._changed.wait()
        return self._is_wanted()

    async def _run_lifecycle(self) -> None:
        """Load, serve and release the weights, again as long as they are wanted."""
        try:
            while await self._is_time():
                released = self._released = asyncio.Event()
                try:
                    await self._load_and_serve()
                    if self._ending.failure is None:
                        self._state = "unloaded"
                except Exception as error:
                    if device_is_broken(error):
                        self._ending.begin("the device is broken, as loading found", error)
                    else:
                        self._fail(error)
                finally:
                    released.set()
        finally:
            self._lifecycle = None

    async def _load_and_serve(self) -> None:
        """One load of the weights, from their download to their release. Raises what the loading raises."""
        self._state = "loading"
        # Before the lease, since it takes no model's memory. No end of the process waits for a download of hours.
        directory = await in_daemon_thread(self._loader.fetch, self._closing)
        self._state = "waiting"
        if directory is None or (lease := await self._capacity.acquire(self._is_wanted)) is None:
            return
        self._state = "loading"
        with self._watchdog.on_guard():
            await self._serve_with(lease, directory)

    async def _serve_with(self, lease: Lease, directory: Path) -> None:
        """Load, serve and release under a lease, which is released whatever fails."""
        started = time.monotonic()
        self._ending.attend(lease)
        try:
            warm = self._stay.is_due or self._loads > 0
            with self._stay.loading():
                begun = await asyncio.to_thread(self._start, directory, warm)
                seconds = time.monotonic() - started
                LOAD_SECONDS.labels(self.name).observe(seconds)
                logger.info("loaded %s from %s in %.1f s", self.name, self._loader.source.kind, seconds)
                await asyncio.wrap_future(begun)
            self._stay.ready(warm=warm)
            self._lease, self._state, self._failure, self._wanted_until = lease, "ready", None, 0.0
            await self._serve(lease, turn=max(_MIN_TURN, seconds))
        finally:
            self._gate.close()
            self._lease = None
            try:
                await asyncio.to_thread(self._stop)
            except Exception as error:  # the memory comes back with the end of the process, if with nothing else
                self._ending.begin("the weights could not be released", error)
            finally:
                lease.release()

    async def _serve(self, lease: Lease, *, turn: float) -> None:
        """Admit calls until the weights should be released and no call is active.

        They are released when the runner closes or `unload` is called, when nobody has asked for long, and for a
        waiting model when this one is idle or has had its `turn`, in seconds.
        """
        assert self._engine is not None  # it was started
        ready = time.monotonic()
        lease.mark(busy=False)
        self._gate.open(self._engine)  # the calls that waited are served, whatever is requested by now
        while not self._closing.is_set() and self._ending.failure is None:
            requested, now = lease.seconds_requested(), time.monotonic()
            turn_over = requested is not None and min(requested, now - ready) > turn
            if turn_over or self._unloads:
                self._gate.close()
                if not self._gate.active:
                    return
            elif not self._gate.is_open:
                self._gate.open(self._engine)
            idle = self._stay.idle_seconds(self._gate)
            if self._stay.is_over(idle) or (requested is not None and idle > _IDLE_AFTER):
                return
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._changed.wait()

    def _fail(self, error: Exception) -> None:
        """Reject the waiting calls, and for a while those to come."""
        useless = isinstance(error, ImportsFailed)  # this process cannot load anything any more
        if useless:
            # Not at once: a library that is broken for good would have every request start a process.
            asyncio.get_running_loop().call_later(settings().load_retry_seconds, stop_process)
        if isinstance(error, errors.LookseeError):
            logger.warning("%s could not be loaded: %s", self.name, error)
        else:
            logger.error("loading %s failed", self.name, exc_info=error)
            error = errors.WeightsUnavailable(
                f"The weights of '{self.name}' could not be loaded; the server's log says why."
            )
        error.retry_after = error.retry_after or math.ceil(settings().load_retry_seconds)
        # As data: an exception's frames would keep what was loaded of the weights.
        self._failure, self._failed_at = Failure.of(error), math.inf if useless else time.monotonic()
        self._state, self._wanted_until = "failed", 0.0
        self._gate.reject(self._failure)

    def _start(self, directory: Path, warm: bool) -> Future[None]:
        """Load the weights and start the engine; returns its beginning. In a thread."""
        with self._watchdog.watching("loading"):
            model = WatchedModel(self._loader.load(directory), self.name, self._watchdog, self._ending.begin)
            self._identity = self._loader.identify()  # again: a branch may have moved while it was downloaded
            self._engine = self._loader.start(model, warm=warm)
            return self._engine.begun

    def _stop(self) -> None:
        """Stop the engine, if it was started, and release the memory. In a thread."""
        with self._watchdog.watching("releasing"):
            if self._engine is not None:
                self._loader.stop(self._engine)
            self._engine = None
            memory.release_unused()

    def _refuse_all(self) -> None:
        """This process ends: the calls that wait get that failure, and so do those to come."""
        assert self._ending.failure is not None
        self._state, self._failure = "failed", self._ending.failure
        self._gate.close()
        self._gate.reject(self._failure)
        self._changed.set()
