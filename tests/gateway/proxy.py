"""A runner's proxy without a runner."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from looksee.core.tasks import Answer, Call, Event, Failure, Identity, Job, Reply, Status, Timing

IDENTITY = Identity("blip", "local", "0123456789ab", "0123456789abcdef")
NEWER = Identity("blip", "local", "ba9876543210", "fedcba9876543210")


def line(event: Event) -> bytes:
    return TypeAdapter(Event).dump_json(event) + b"\n"


def answer_to(job: Job) -> Reply:
    """What the fake says of a job."""
    return Reply(Answer(f"a {job.images[0].decode()}{job.prompt}", "stop", 1, 2), None, Timing(0.1, 0.2, 0.3, 4.0))


@dataclass
class Sent:
    """A call as it came, in short."""

    call: Call

    @property
    def jobs(self) -> list[Job]:
        return [ask.job for ask in self.call.asks]

    @property
    def timeout(self) -> float:
        return self.call.asks[0].timeout

    @property
    def request_id(self) -> str:
        return self.call.asks[0].request_id


@dataclass
class FakeStatusReply:
    status: Status
    failure: Failure | None = None


class FakeProxy:
    """Answers like BentoML's proxy; `troubles` are raised first, one for each call.

    `before` is awaited while a call is on its way; `after` tells what happens in it once it has come.
    """

    def __init__(
        self,
        *,
        identity: Identity = IDENTITY,
        answer: Callable[[Job], Reply] = answer_to,
        troubles: list[Exception] | None = None,
        status_troubles: list[Exception] | None = None,
        before: Callable[[Call], Awaitable[Any]] | None = None,
        after: Callable[[Call], AsyncIterator[Event]] | None = None,
        before_status: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        self.identity, self.answer = identity, answer
        self.troubles, self.status_troubles = troubles or [], status_troubles or []
        self.before, self.before_status = before, before_status
        self.after = after
        self.calls: list[Sent] = []
        self.cancelled: list[tuple[str, int]] = []
        self.on_cancel: Callable[[], Awaitable[Any]] | None = None
        self.asked = 0
        self.orders: list[str] = []
        self.refusal: Failure | None = None
        self.described: dict[str, Any] = {}  # what its status says beside the usual

    @property
    def to_async(self) -> FakeProxy:
        return self

    async def infer(self, *, call: Call) -> AsyncIterator[bytes]:
        self.calls.append(Sent(call))
        if self.before is not None:
            await self.before(call)
        if self.troubles:
            raise self.troubles.pop(0)
        yield b"\n"
        if self.after is not None:
            async for event in self.after(call):
                yield line(event)
            return
        for number, ask in enumerate(call.asks):
            yield line(Event(number, reply=self.answer(ask.job), identity=self.identity))

    async def cancel(self, *, ask_ids: list[tuple[str, int]]) -> None:
        self.cancelled += ask_ids
        if self.on_cancel is not None:
            await self.on_cancel()

    async def status(self) -> FakeStatusReply:
        self.asked += 1
        if self.before_status is not None:
            await self.before_status()
        if self.status_troubles:
            raise self.status_troubles.pop(0)
        return FakeStatusReply(
            Status(**{"identity": self.identity, "state": "ready", "device": "cpu", **self.described})
        )

    async def load(self) -> FakeStatusReply:
        return self._ordered("load")

    async def unload(self) -> FakeStatusReply:
        return self._ordered("unload")

    def _ordered(self, order: str) -> FakeStatusReply:
        self.orders.append(order)
        if self.troubles:
            raise self.troubles.pop(0)
        return FakeStatusReply(Status(self.identity, "ready" if order == "load" else "unloaded", "cpu"), self.refusal)
