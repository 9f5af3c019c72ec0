"""A runner: answers calls for one model, whose weights are in memory only while they are needed (`runners.lifecycle`).

Failures travel in the replies as data: BentoML does not carry an exception's text from one service to another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from looksee.core import errors
from looksee.core.logs import REQUEST_ID
from looksee.core.tasks import Ask, Failure, Identity, Reply, Status
from looksee.settings import settings
from runners import memory
from runners.lifecycle import WeightsLife
from runners.model_loader import AnyEngine

_RETRY_AFTER = 5  # seconds after which a caller that got ModelNotReady should retry
_UNLOAD_TIMEOUT = 30.0  # seconds that active calls have to end before an unload is given up


class Runner(WeightsLife):
    """Answers calls for one model. For one event loop; loading and decoding run in threads."""

    async def infer(
        self,
        ask: Ask,
        listener: Callable[[str], None] | None = None,
        on_wait: Callable[[float], None] = lambda seconds: None,
    ) -> Reply:
        """Answer a job within `ask.timeout` seconds; a `listener` gets its text in pieces.

        Of an ask whose time does not pass while weights load, `on_wait` gets the seconds that it may wait for them, if
        it has to, and 0 once it goes on.

        Every failure of the job is returned in the reply; none is raised. Cancelling drops its row at the next step.
        """
        REQUEST_ID.set(ask.request_id)  # for the log
        started = time.monotonic()
        deadline, most = started + ask.timeout, settings().load_wait_seconds
        waits = ask.waits_apart and not self._gate.is_open
        try:
            if self._failure is not None and started < self._failed_at + settings().load_retry_seconds:
                raise self._failure.error()
            if waits:
                on_wait(most)
            engine = await self._enter(most if ask.waits_apart else min(ask.timeout, most))
        except errors.LookseeError as error:
            return Reply(failure=Failure.of(error))
        if waits:
            deadline += time.monotonic() - started
            on_wait(0.0)
        work = engine.submit(ask.job, timeout=deadline - time.monotonic(), listener=listener)
        try:
            reply = await self._ending.answer(work)
            self._stay.warm |= reply.answer is not None
            return reply
        finally:
            self._gate.leave()

    async def load(self) -> None:
        """Have the weights loaded and warmed up. Raises WeightsUnavailable, and ModelNotReady if it takes too long."""
        self._loads += 1
        try:
            await self._enter(settings().load_wait_seconds)
        finally:
            self._loads -= 1
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
        stay, ready = self._stay, self._state == "ready"
        left = stay.seconds_left(stay.idle_seconds(gate)) if ready else None
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
            warm=ready and stay.warm,
            preloaded=stay.preloaded,
            pinned=stay.pinned,
            expires=None if left is None else time.time() + left,
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
            return await self._gate.enter(timeout)
        except TimeoutError:
            # The caller is told to retry: until then the runner stays in the queue for a lease.
            self._wanted_until = time.monotonic() + 2 * _RETRY_AFTER
            doing = "waits for its turn to be loaded" if self._state == "waiting" else "is still loading"
            raise self._not_ready(doing) from None

    def _not_ready(self, doing: str) -> errors.ModelNotReady:
        return errors.ModelNotReady(f"'{self.name}' {doing}; try again.", retry_after=_RETRY_AFTER)
