"""A runner: one model's weights, loaded on first use, and the engine that batches for them.

Everything a caller may need to know of a failure travels in the answers as data: BentoML does not carry an exception's
text from one service to another.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from typing import Any

from pydantic import BaseModel

import errors
from framework import LeanService
from models import weights
from runners.engine import Engine, EngineLimits
from runners.metrics import LOAD_SECONDS, MetricsObserver, forget_the_dead
from settings import settings
from vision.tasks import Answer, Call, Failure, Identity, Reply, Status

logger = logging.getLogger("looksee.runner")

# Options of every runner's BentoML service. Left alone, BentoML 1.4.39 closes the gateway's session to a runner every
# 100 requests with the calls in flight on it, which fail (28 % of them at concurrency 32).
SERVICE: dict[str, Any] = {
    "service_class": LeanService,
    "runner_connection": {"max_requests": 2_000_000_000, "max_age": 1e9},
    "traffic": {"timeout": 120},  # what the gateway's calls may take in all
}

_RETRY_LOAD_AFTER = 10  # seconds a failed load is remembered, so that every request does not try again


class Replied(BaseModel):
    """A reply on its way back.

    For a method that returns anything but a pydantic model BentoML 1.4.39 makes a JSON schema at each answer, which
    took two thirds of a busy runner's event loop.
    """

    reply: Reply


class Reported(BaseModel):
    """A status on its way back."""

    status: Status


class Runner:
    """Answers calls for one model. Lives on one event loop; loading and decoding happen in threads."""

    def __init__(self, name: str) -> None:
        forget_the_dead()
        config = settings()
        own = config.model(name)
        self.name = name
        self.source = weights.resolve(name, config.weights, own.weights)
        self.device, self.dtype = own.device or config.device, own.dtype or config.dtype
        self.limits = EngineLimits(queue=config.max_queue, rows=own.max_batch_rows, cost=own.batch_cost)
        self._identity: Identity | None = None
        self._engine: Engine[Any, Any] | None = None
        self._loading: asyncio.Task[Engine[Any, Any]] | None = None
        self._failure: tuple[errors.LookseeError, float] | None = None

    async def infer(self, call: Call) -> Reply:
        """Answer a call's jobs. Cancelling it (the caller left) drops their rows at the next step."""
        deadline = time.monotonic() + call.timeout
        try:
            engine = await self._loaded(min(call.timeout, settings().load_wait_seconds))
        except errors.LookseeError as error:
            answers = [Answer(failure=Failure.of(error))] * len(call.jobs)
        else:
            rest = deadline - time.monotonic()
            answers = await asyncio.gather(*(engine.submit(job, timeout=rest) for job in call.jobs))
        return Reply(answers, await self.identity())

    async def status(self) -> Status:
        """Which weights, and whether they are loaded."""
        if self._engine is not None:
            state, device = "ready", str(self._engine.model.device)  # type: ignore[attr-defined]
        else:
            state, device = ("loading" if self._loading else "failed" if self._failure else "unloaded"), self.device
        return Status(await self.identity(), state, device)  # type: ignore[arg-type]

    async def identity(self) -> Identity:
        """Which weights answer; known for good once they are loaded."""
        if self._identity is None or self._identity.fingerprint is None:
            self._identity = await asyncio.to_thread(self.source.identity)
        return self._identity

    async def close(self) -> None:
        if self._engine is not None:
            await asyncio.to_thread(self._engine.close)

    async def _loaded(self, patience: float) -> Engine[Any, Any]:
        """The engine, its weights loaded. Requests that come meanwhile wait for the same load."""
        if self._engine is not None:
            return self._engine
        if self._loading is None:
            if self._failure is not None and time.monotonic() < self._failure[1] + _RETRY_LOAD_AFTER:
                raise self._failure[0]
            self._loading = asyncio.create_task(self._load())
        try:
            async with asyncio.timeout(patience):
                return await asyncio.shield(self._loading)
        except TimeoutError:
            raise errors.ModelNotReady(f"'{self.name}' is still loading; try again.", retry_after=5) from None

    async def _load(self) -> Engine[Any, Any]:
        started = time.monotonic()
        try:
            self._engine = await asyncio.to_thread(self._start_engine)
            self._identity = None  # a branch may have moved while it was fetched
            self._failure = None
        except Exception as error:
            if not isinstance(error, errors.LookseeError):
                logger.exception("loading %s failed", self.name)
                error = errors.WeightsUnavailable(
                    f"The weights of '{self.name}' could not be loaded; the server's log says why.", retry_after=30
                )
            self._failure = (error, time.monotonic())
            raise error from None
        finally:
            self._loading = None
        LOAD_SECONDS.labels(self.name).observe(time.monotonic() - started)
        logger.info("loaded %s from %s in %.1f s", self.name, self.source.kind, time.monotonic() - started)
        return self._engine

    def _start_engine(self) -> Engine[Any, Any]:
        directory = self.source.directory()
        # Imported here alone: only a process that runs a model pays for torch.
        import torch

        from models.loading import load

        torch.set_num_threads(settings().threads())
        model = load(self.name, directory, device=self.device, dtype=self.dtype)
        observer = MetricsObserver(self.name)
        # What is loaded now stays: the collector, which would walk all of torch again and again, may forget it.
        gc.collect()
        gc.freeze()
        return Engine(model, self.limits, prepare_threads=settings().prepare_threads, observer=observer)
