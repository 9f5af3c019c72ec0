"""Many questions about many pictures in one request, answered line by line as they come: `POST /v1/batch`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, OnErrorOmit, ValidationError, create_model
from starlette.responses import Response

from looksee.core import errors
from looksee.http import error_responses, examples
from looksee.http.answers import sse
from looksee.http.context import ContextFactory, RequestContext
from looksee.http.dialects.batch import items
from looksee.http.dialects.batch.concurrency import BatchConcurrency, retry_while_busy
from looksee.http.dialects.batch.items import BatchDefaults, BatchItem, BatchPictures
from looksee.http.dialects.batch.several import SeveralTries
from looksee.http.disconnect import stop
from looksee.http.error_sentences import SET_BY, Accepted, raised
from looksee.http.inputs import bodies, parameters
from looksee.http.request_info import Deadline
from looksee.settings import Settings

logger = logging.getLogger("looksee.api")

_LINES = "application/x-ndjson"
_ROUND = 0.5  # seconds
_SET: dict[str, Any] = {SET_BY: "LOOKSEE_MAX_BATCH_ITEMS"}
_DESCRIBED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One line for each item, as it comes, and a last one",
        "content": {_LINES: {"schema": {"type": "string"}, "example": examples.BATCH}},
    }
}


class _Lines(Response):
    media_type = _LINES


def _tolerant(schema: dict[str, Any]) -> None:
    schema["items"] = {"anyOf": [schema["items"], {}]}


_Picture = Annotated[str, Field(json_schema_extra=parameters.PICTURE)]


class BatchRequest(BatchDefaults):
    """Items, and what holds for all of them that do not say otherwise."""

    images: dict[str, _Picture] = Field(
        {}, description="pictures that items refer to by name, so that each is sent once"
    )
    items: list[BatchItem] = Field(
        description="each by itself: one that is wrong or fails spoils no other, so anything may stand here",
        json_schema_extra=_tolerant,
    )


def router(contexts: ContextFactory) -> APIRouter:
    """The route."""
    settings = contexts.settings
    routes = APIRouter(prefix="/v1", tags=["batch"])
    concurrency = BatchConcurrency(settings)
    most = settings.max_batch_items
    bounded: type[BatchRequest] = create_model(
        "Batch",
        __base__=BatchRequest,
        images=(Annotated[dict[str, _Picture], Field(max_length=most, json_schema_extra=_SET)], {}),
        items=(Annotated[list[BatchItem], Field(min_length=1, max_length=most, json_schema_extra=_SET)], ...),
    )

    @routes.post(
        "/batch",
        summary="Many pictures and questions in one request",
        response_class=_Lines,
        responses=_DESCRIBED,
        openapi_extra=bodies.described(BatchRequest),
    )
    async def batch(request: Request) -> Response:
        """Lines of JSON in the order in which the items end: `{"index", "id", "status": 200, ...}` with what the
        route of the item's task answers, or `{"index", "id", "status", "error"}`; at the end
        `{"done": true, "succeeded", "failed"}`. A model that is busy is waited for.
        """
        body, bad = _understood(await bodies.content(request), bounded, settings)
        body.check_values(settings)
        lines = _Work(contexts.of(request.receive), concurrency, body, bad).lines()
        # In front of a line of JSON a space means nothing; an empty line would be one that is no JSON.
        return sse.response(lines, every=settings.heartbeat_seconds, beat=b" ", media_type=_LINES)

    return routes


class _Tolerant(BatchRequest):
    """Without the items that cannot be understood."""

    items: list[OnErrorOmit[BatchItem]]


class _Named(BaseModel):
    id: str | int | None = None


class _Names(BaseModel):
    items: list[OnErrorOmit[_Named]]


Bad = tuple[str | int | None, errors.LookseeError]


def _understood(content: bytes, bounded: type[BatchRequest], settings: Settings) -> tuple[BatchRequest, dict[int, Bad]]:
    """The batch with the items that can be understood, and by their places the others' ids and what is wrong with them.

    Raises InvalidRequest, InvalidValue or TooManyItems for a body that is no batch.
    """
    try:
        return bounded.model_validate_json(content, strict=True), {}
    except ValidationError as error:
        most = settings.max_batch_items
        if error.error_count() > most * len(BatchItem.model_fields):  # unknown members, by the million
            raise errors.InvalidRequest("The body is not a batch: it must be a JSON object with 'items'.") from None
        problems = bodies.problems(error, content)
    accepted = Accepted.of(bounded, parameters.limits(settings))
    of_items = Accepted.of(BatchItem, accepted.limits)
    bad: dict[int, errors.LookseeError] = {}
    nameless: set[int] = set()
    for problem in problems:
        match problem["loc"]:
            case ("items", int(place), *rest):
                if place not in bad:
                    bad[place] = _of_item({**problem, "loc": rest}, of_items)
                if rest[:1] in ([], ["id"]):
                    nameless.add(place)
            case ("items" | "images" as what,) if problem["type"] == "too_long":
                variable = raised("LOOKSEE_MAX_BATCH_ITEMS")
                raise errors.TooManyItems(f"The batch has more than {most} {what}{variable}.", param=what)
            case _:
                raise error_responses.of_validation([problem], accepted)
    body = _Tolerant.model_validate_json(content, strict=True)
    names = iter(_Names.model_validate_json(content, strict=True).items)
    by_place = {place: next(names).id for place in range(len(body.items) + len(bad)) if place not in nameless}
    return body, {place: (by_place.get(place), error) for place, error in bad.items()}


def _of_item(problem: Mapping[str, Any], accepted: Accepted) -> errors.LookseeError:
    if not problem["loc"]:
        return errors.InvalidValue("An item must be a JSON object.")
    if problem["type"] == "extra_forbidden":
        return errors.InvalidValue(f"There is no '{problem['loc'][0]}' in an item.", param=str(problem["loc"][0]))
    return error_responses.of_validation([problem], accepted)


class _Work:
    """The work on one batch."""

    def __init__(
        self,
        context: RequestContext,
        concurrency: BatchConcurrency,
        body: BatchRequest,
        bad: Mapping[int, Bad],
    ) -> None:
        settings = context.settings
        self._context, self._settings, self._concurrency = context, settings, concurrency
        self._ended: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._waiting: dict[str, deque[int]] = defaultdict(deque)  # places by model
        self._open: dict[int, BatchItem] = {}
        self._count = len(body.items) + len(bad)
        self._deadline = context.deadline or Deadline(context.time_left())
        self._pictures = BatchPictures(body.images, context.detached(Deadline(self._deadline.left())))
        good = iter(body.items)
        for place in range(self._count):
            if place in bad:
                name, error = bad[place]
                self._ended.put_nowait(_failed(place, name, error))
                continue
            given = next(good)
            item = self._open[place] = given.completed(body)
            try:
                given.check_own(item.task)
                item.check(settings)
            except errors.LookseeError as error:
                self._end(_failed(place, item.id, error))
            else:
                self._waiting[item.asked].append(place)

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """The answer, line by line. Closing it cancels the items in flight."""
        working = asyncio.create_task(self._work())
        succeeded = 0
        try:
            for _ in range(self._count):
                line = await self._next()
                succeeded += line["status"] == 200
                yield _line(line)
            yield _line({"done": True, "succeeded": succeeded, "failed": self._count - succeeded})
        finally:
            await stop(working, *self._pictures.examining)

    async def _next(self) -> dict[str, Any]:
        """The line of the next item that ends; after the deadline every other item fails."""
        while self._ended.empty() and self._deadline.left() > 0:
            # In short rounds: a service that is being stopped shortens the time.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(self._deadline.left(), _ROUND)):
                    return await self._ended.get()
        if self._ended.empty():
            overdue = errors.DeadlineExceeded("The batch's time was over before this item was answered.")
            for place, item in list(self._open.items()):
                self._end(_failed(place, item.id, overdue))
        return self._ended.get_nowait()

    def _end(self, line: dict[str, Any]) -> None:
        if self._open.pop(line["index"], None) is not None:
            self._ended.put_nowait(line)

    async def _work(self) -> None:
        # No more models at a time than fit into memory, so that they are not loaded in turns.
        room = asyncio.Semaphore(self._settings.model_capacity or len(self._waiting) or 1)
        await asyncio.gather(*(self._go(model, room) for model in self._waiting))

    async def _go(self, model: str, room: asyncio.Semaphore) -> None:
        """Have all items for one model answered."""
        waiting, slots = self._waiting[model], self._concurrency.slots(model)

        async def go() -> None:
            while waiting:
                async with slots:
                    if waiting:
                        await self._answer(waiting.popleft())

        async with room:
            await asyncio.gather(*(go() for _ in range(min(len(waiting), self._concurrency.width(model)))))

    async def _answer(self, place: int) -> None:
        item = self._open.get(place)
        if item is None:
            return  # the batch's time is over and the item's line is written

        several = SeveralTries(self._concurrency.slots(item.asked))

        async def once() -> dict[str, Any]:
            # An item may take no longer than a request of its own.
            left = min(self._deadline.left(), self._settings.request_timeout_seconds)
            return await items.answer(self._context.detached(Deadline(left)), item, self._pictures, several)

        try:
            content = await retry_while_busy(once, time.monotonic() + self._deadline.left())
        except errors.LookseeError as error:
            self._end(_failed(place, item.id, error))
        except Exception:  # each item needs its line
            logger.exception("an item of a batch failed")
            self._end(_failed(place, item.id, error_responses.of_status(500)))
        else:
            self._end({"index": place, "id": item.id, "status": 200, **content})


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def _failed(place: int, name: str | int | None, error: errors.LookseeError) -> dict[str, Any]:
    return {"index": place, "id": name, "status": error.status, "error": error_responses.body(error)["error"]}
