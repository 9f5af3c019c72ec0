"""One of the runners of a model: how busy it is, and whether it answers.

Runners on other hosts are watched: each is asked for its status every second. One that does not answer is left out and
asked again after growing pauses. What its host says to a connection tells two kinds of silence apart. Where it says
nothing it is cut off, and whatever it was given is handed over. Where it takes or refuses it, what the runner has begun
is waited for: its process may be busy, starting again or being stopped, or its connections break.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Literal
from zlib import crc32

import aiohttp
from bentoml.exceptions import BentoMLException
from prometheus_client import Counter, Gauge

from looksee.core.tasks import Job, Status
from looksee.gateway.runners.channel import RunnerChannel

logger = logging.getLogger("looksee.gateway")

Contact = Literal["taken", "refused", "none"]
Reach = Callable[[], Awaitable[Contact]]

_EVERY = 1.0  # seconds between two questions to a runner that answers
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds before one that does not is asked again; doubled each time
_STATUS_TIMEOUT = 2.0
_MOST_SILENCES = 3  # in a row of a runner whose host takes connections, and from which nothing else comes
_NO_WAY = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT})
_TAIL = 1024  # bytes at a picture's end that tell it from others

_UP = Gauge(
    "looksee_replica_up", "1 where a runner is given jobs, 0 where it is left out", ["model", "replica"],
    multiprocess_mode="livemin",
)  # fmt: skip
_JOBS = Gauge(
    "looksee_replica_jobs", "Jobs given to a runner that it has not answered", ["model", "replica"],
    multiprocess_mode="livesum",
)  # fmt: skip
_RETRIES = Counter(
    "looksee_replica_retries_total", "Jobs that a runner did not answer and another one was given", ["model", "replica"]
)


class Replica:
    """A runner, by a `name` that logs and metrics show. For one event loop."""

    def __init__(
        self,
        model: str,
        name: str,
        proxy: Any,
        *,
        room: int,
        rows: int = 1,
        elsewhere: Callable[[Replica], bool] = lambda _: False,
        reach: Reach | None = None,
    ) -> None:
        """`rows` decode together at most. `elsewhere` says whether another replica would take a job now.

        `reach` says what the host does with a connection; without it the replica is not watched, and always in use.
        """
        self.model, self.name, self.proxy = model, name, proxy
        self.up = True
        self.reported: Status | None = None
        self.channel = RunnerChannel(model, proxy, room, elsewhere=lambda: elsewhere(self), on_loss=self.doubt)
        self._rows, self._reach = rows, reach
        self._own_when_reported = 0
        self._silences = self._failures = 0
        self._doubted = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        if reach is not None:
            _UP.labels(model, name).set(1)
            self.count_jobs()

    def load(self) -> int:
        """Jobs that a further one would wait beside: ours, and those of other gateways when it last reported.

        A runner whose weights are not loaded counts as one with a full batch, so that it is started once the others
        have as much to do; one that failed to load them as one with many.
        """
        own, reported = self.channel.pending, self.reported
        if reported is None:
            return own
        others = max(0, reported.in_flight + reported.queued - self._own_when_reported)
        full_batches = {"ready": 0, "failed": 100}.get(reported.state, 1) + self.channel.is_on_trial
        return own + others + full_batches * self._rows

    @property
    def is_ready(self) -> bool:
        """Whether its weights were loaded when it last reported."""
        return self.reported is None or self.reported.state == "ready"

    def affinity(self, job: Job) -> int:
        """A number that is always the same for the same picture here: of runners that are equally busy the one with
        the largest may have it encoded already.
        """
        first = job.images[0] if job.images else job.prompt.encode()
        return crc32(first[-_TAIL:], crc32(self.name.encode()))

    def count_jobs(self) -> None:
        """Show how many jobs it has."""
        if self._reach is not None:
            _JOBS.labels(self.model, self.name).set(self.channel.pending)

    def count_retry(self) -> None:
        """A job went from here to another replica."""
        _RETRIES.labels(self.model, self.name).inc()

    def watch(self) -> None:
        """Begin to ask how it is, if that was not begun yet. From within the event loop."""
        if self._reach is not None and self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._keep_asking())

    async def close(self) -> None:
        """Stop asking, and close the connections to a runner on another host."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait((self._watching,))
        if self._reach is not None:
            await self.proxy.close()

    def doubt(self) -> None:
        """A call failed: leave it out until it has answered a question, which is asked at once."""
        if self._reach is not None and self.up:
            self._set_up(False)
            self._doubted.set()

    async def status(self) -> Status | None:
        """The runner's state; None when it does not answer at once."""
        with suppress(aiohttp.ClientError, BentoMLException, OSError):  # a TimeoutError is an OSError
            return await self._ask()
        return None

    async def check(self) -> None:
        """Ask once, and draw the conclusions."""
        began = time.monotonic()
        self.count_jobs()
        try:
            status = await self._ask()
        except BentoMLException as refusal:
            # Of a wrong key too, which neither side writes down.
            self._leave_out(f"it answers with status {int(refusal.error_code)}")
        except (aiohttp.ClientError, OSError) as trouble:
            assert self._reach is not None
            contact = await self._reach()
            if contact == "none":
                self._leave_out("its host cannot be reached")
                self.channel.give_up()
            elif contact == "refused" or not isinstance(trouble, TimeoutError):
                self._leave_out("its host refuses connections" if contact == "refused" else "connections to it break")
                self.channel.spare_unbegun()
            elif self.channel.last_heard < began:
                self._silences += 1
                if self._silences >= _MOST_SILENCES:
                    self._leave_out("it does not answer")
                    self.channel.spare_unbegun()
        else:
            self._silences = 0
            if status.identity.model != self.model:
                self._leave_out(f"it serves {status.identity.model}")
                return
            if not self.up:
                logger.info("the runner of %s at %s answers", self.model, self.name)
            self._failures = 0
            self._set_up(True)

    @property
    def pause(self) -> float:
        """Seconds until it is asked again."""
        if self.up and not self._silences:
            return _EVERY
        return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** max(0, self._failures - 1))

    async def _ask(self) -> Status:
        async with asyncio.timeout(_STATUS_TIMEOUT):
            status: Status = (await self.proxy.to_async.status()).status
        self.reported, self._own_when_reported = status, self.channel.pending
        return status

    async def _keep_asking(self) -> None:
        while True:
            self._doubted.clear()
            try:
                await self.check()
            except Exception:  # it would never be asked again
                logger.exception("the runner of %s at %s could not be asked", self.model, self.name)
                self._leave_out("its answer is not understood")
            with suppress(TimeoutError):
                async with asyncio.timeout(self.pause):
                    await self._doubted.wait()

    def _leave_out(self, why: str) -> None:
        self._failures = min(self._failures + 1, 30)
        if self._failures == 1:
            logger.warning("the runner of %s at %s is left out: %s", self.model, self.name, why)
        self._set_up(False)

    def _set_up(self, up: bool) -> None:
        self.up = up
        _UP.labels(self.model, self.name).set(up)


async def contact(host: str, port: int, seconds: float = 1.5) -> Contact:
    """What a host does with a connection. The time lets the first packet be sent a second time.

    A name that cannot be looked up counts as a refusal: it says nothing of the host.
    """
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return "none"
    except OSError as error:
        return "none" if error.errno in _NO_WAY else "refused"
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return "taken"
