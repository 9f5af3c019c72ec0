"""A runner: answers calls for one model, whose weights are in memory only while they are needed.

    unloaded -> loading    -> waiting       -> loading   -> ready     -> unloaded
                (download)    (for a lease)    (weights)    (serving)

A load that fails ends in `failed`, and the next call that comes later than LOOKSEE_LOAD_RETRY_SECONDS tries again.

When the device is broken, weights cannot be released, or the work stands still, the process ends (`runners.guarding`).
Failures travel in the replies as data: BentoML does not carry an exception's text from one service to another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable
from contextvars import Context
from pathlib import Path

from bentoml._internal.configuration.containers import BentoMLContainer

from looksee.core import errors
from looksee.core.logs import REQUEST_ID
from looksee.core.tasks import Ask, Failure, Identity, Reply, State, Status
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
from runners.model_loader import AnyEngine, ImportsFailed, ModelLoader

logger = logging.getLogger("looksee.runner")

_RETRY_AFTER = 5  # seconds after which a caller that got ModelNotReady should retry
_UNLOAD_TIMEOUT = 30.0  # seconds that active calls have to end before an unload is given up
_POLL_SECONDS = 0.05  # how often a loaded model checks whether another one waits for its lease
_MIN_TURN = 2.0  # seconds a busy model keeps its lease while others wait, or as long as its loading took
_IDLE_AFTER = 0.1  # seconds without a call that make a model idle: callers that send one by one leave small gaps


class Runner:
    """Answers calls for one model. For one event loop; loading and decoding run in threads.

    One task at a time, `_lifecycle`, takes the weights through their states; it ends when no call waits for them.
    """

    def __init__(self, name: str) -> None:
        drop_dead_processes()
        self.name = name
        self._loader = ModelLoader(name)
        home = Path(BentoMLContainer.bentoml_home.get())
        self._capacity = CapacityManager(home / "looksee", settings().model_capacity, name)
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
        self._unloads = 0  # calls of `unload` under way
        self._released = asyncio.Event()  # a new one for each load; set once those weights are released
        self._released.set()
        self._closing = asyncio.Event()
        self._ending = Ending(name, self._refuse_all)
        self._watchdog = Watchdog(settings().stall_seconds, lambda: self._gate.active > 0, self._ending.begin)

    async def infer(self, ask: Ask, listener: Callable[[str], None] | None = None) -> Reply:
        """Answer a job within `ask.timeout` seconds; a `listener` gets its text in pieces.

        Every failure of the job is returned in the reply; none is raised. Cancelling drops its row at the next step.
        """
        REQUEST_ID.set(ask.request_id)  # for the log
        deadline = time.monotonic() + ask.timeout
        try:
            if self._failure is not None and time.monotonic() < self._failed_at + settings().load_retry_seconds:
                raise self._failure.error()
            engine = await self._enter(ask.timeout)
        except errors.LookseeError as error:
            return Reply(failure=Failure.of(error))
        work = engine.submit(ask.job, timeout=deadline - time.monotonic(), listener=listener)
        try:
            return await self._ending.answer(work)
        finally:
            self._gate.leave()

    async def load(self) -> None:
        """Have the weights loaded. Raises ModelNotReady when that takes too long, and WeightsUnavailable."""
        await self._enter(settings().request_timeout_seconds)
        self._gate.leave()

    async def unload(self) -> None:
        """Release the weights once the active calls have ended; further calls wait, and load them again.

        Raises ModelNotReady when those calls take too long, and then nothing changes.
        """
        released = self._released
        self._unloads += 1
        try:
            async with asyncio.timeout(_UNLOAD_TIMEOUT):
                await released.wait()
        except TimeoutError:
            message = f"'{self.name}' is at work and was not unloaded; try again."
            raise errors.ModelNotReady(message, retry_after=_RETRY_AFTER) from None
        finally:
            self._unloads -= 1

    async def status(self) -> Status:
        """The model's identity, its state, its calls and the memory it takes."""
        identity, engine, gate = await self.identity(), self._engine, self._gate
        device = getattr(engine.model, "device", self._loader.device) if engine is not None else self._loader.device
        idle_seconds = 0 if gate.active else time.monotonic() - gate.idle_since
        return Status(
            identity,
            self._state,
            str(device),
            memory_bytes=memory.resident_bytes(),
            device_bytes=memory.device_bytes() if engine is not None else None,
            last_use=time.time() - idle_seconds if gate.idle_since else None,
            in_flight=gate.active,
            queued=gate.waiting,
            failure=self._failure,
        )

    async def identity(self) -> Identity:
        """Which weights answer. Its fingerprint is None until it is known, and final once they are loaded."""
        if self._identity is None or self._identity.fingerprint is None:
            found = await asyncio.to_thread(self._loader.identify)
            if self._identity is None or self._identity.fingerprint is None:  # a load may have set it meanwhile
                self._identity = found
        return self._identity

    async def close(self) -> None:
        """Release the weights for good; active calls get ModelNotReady. A download is left behind, to be resumed."""
        self._closing.set()
        self._changed.set()
        self._gate.reject(Failure.of(self._not_ready("is being stopped")))
        if self._lifecycle is not None:
            await asyncio.wait((self._lifecycle,))

    async def _enter(self, timeout: float) -> AnyEngine:
        """The engine, its weights loaded, for a call that is active until it leaves the gate."""
        if self._ending.failure is not None:
            raise self._ending.failure.error()
        if self._closing.is_set():
            raise self._not_ready("is being stopped")
        try:
            return await self._gate.enter(min(timeout, settings().load_wait_seconds))
        except TimeoutError:
            # The caller is told to retry: until then the runner stays in the queue for a lease.
            self._wanted_until = time.monotonic() + 2 * _RETRY_AFTER
            doing = "waits for its turn to be loaded" if self._state == "waiting" else "is still loading"
            raise self._not_ready(doing) from None

    def _not_ready(self, doing: str) -> errors.ModelNotReady:
        return errors.ModelNotReady(f"'{self.name}' {doing}; try again.", retry_after=_RETRY_AFTER)

    def _on_gate_change(self) -> None:
        if self._lease is not None and self._state == "ready":
            self._lease.mark(busy=self._gate.active > 0)
        if not self._gate.is_open:
            self._changed.set()
            if self._lifecycle is None:
                # In an empty context: the request id of the call that happens to be first is not the weights'.
                self._lifecycle = asyncio.create_task(self._run_lifecycle(), context=Context())

    def _is_wanted(self) -> bool:
        over = self._closing.is_set() or self._ending.failure is not None
        return not over and (self._gate.waiting > 0 or time.monotonic() < self._wanted_until)

    async def _run_lifecycle(self) -> None:
        """Load, serve and release the weights, again as long as calls wait for them."""
        try:
            while self._is_wanted():
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
            await asyncio.to_thread(self._start, directory)
            seconds = time.monotonic() - started
            LOAD_SECONDS.labels(self.name).observe(seconds)
            logger.info("loaded %s from %s in %.1f s", self.name, self._loader.source.kind, seconds)
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

        They are released when the runner closes or `unload` is called, and for a waiting model when this one is idle or
        has had its `turn`, in seconds.
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
            idle = 0.0 if self._gate.active else now - max(ready, self._gate.idle_since)
            if requested is not None and idle > _IDLE_AFTER:
                return
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._changed.wait()

    def _fail(self, error: Exception) -> None:
        """Reject the waiting calls, and for a while those to come."""
        if isinstance(error, ImportsFailed):
            # Not at once: a library that is broken for good would have every request start a process.
            asyncio.get_running_loop().call_later(settings().load_retry_seconds, stop_process)
        if not isinstance(error, errors.LookseeError):
            logger.error("loading %s failed", self.name, exc_info=error)
            error = errors.WeightsUnavailable(
                f"The weights of '{self.name}' could not be loaded; the server's log says why."
            )
        error.retry_after = error.retry_after or math.ceil(settings().load_retry_seconds)
        # As data: an exception's frames would keep what was loaded of the weights.
        self._failure, self._failed_at = Failure.of(error), time.monotonic()
        self._state, self._wanted_until = "failed", 0.0
        self._gate.reject(self._failure)

    def _start(self, directory: Path) -> None:
        """Load the weights and start the engine. In a thread."""
        with self._watchdog.watching("loading"):
            model = WatchedModel(self._loader.load(directory), self.name, self._watchdog, self._ending.begin)
            self._identity = self._loader.identify()  # again: a branch may have moved while it was downloaded
            self._engine = self._loader.start(model)

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
