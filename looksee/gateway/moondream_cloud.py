"""Moondream's cloud as one more model to ask, in the vendor's own protocol, for those who have a key of theirs.

Off unless that key is set. This is the one way on which a picture leaves the machine, and only a request that names the
model takes it. Nothing of it is cached: nobody here knows when the vendor's model changes.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import fields
from typing import Any

import aiohttp
from pydantic import BaseModel, FiniteFloat, ValidationError

from looksee.core import errors
from looksee.core.geometry import Box, Point, point_within, within
from looksee.core.image_formats import FORMATS
from looksee.core.images import decode, sniff
from looksee.core.tasks import GREEDY, Answer, Finish, Grounding, Identity, Job, Reasoning, Reply, Sampling, Task
from looksee.gateway.broadcast import Listener
from looksee.models.registry import REMOTE_MODELS, ModelOffer, moondream
from looksee.settings import Settings
from looksee.version import VERSION

logger = logging.getLogger("looksee.gateway")

NAME = "moondream-cloud"
_TASKS = frozenset({Task.CAPTION, Task.QUERY, Task.DETECT, Task.POINT})
_IDENTITY = Identity(NAME, "cloud", revision="unknown", fingerprint=None)
_LARGEST = 2**20  # bytes of an answer
_FORMATS = ("jpeg", "png", "webp")  # that the vendor's documents name
_CONNECT_SECONDS = 10.0
_RETRY_AFTER = 5  # seconds, where the vendor names none
_LONGEST_WAIT = 3600


class _Place(BaseModel):
    x: FiniteFloat
    y: FiniteFloat

    def point(self) -> Point:
        return point_within(Point(self.x, self.y))


class _Area(BaseModel):
    x_min: FiniteFloat
    y_min: FiniteFloat
    x_max: FiniteFloat
    y_max: FiniteFloat

    def box(self) -> Box:
        return within(Box(self.x_min, self.y_min, self.x_max, self.y_max))


class _Part(BaseModel):
    start_idx: int
    end_idx: int
    points: list[tuple[FiniteFloat, FiniteFloat]]


class _Thoughts(BaseModel):
    text: str
    grounding: list[_Part] = []


class _Said(BaseModel):
    """An answer, or an event of one that is streamed, as far as it is understood here."""

    caption: str | None = None
    answer: str | None = None
    objects: list[_Area] | None = None
    points: list[_Place] | None = None
    reasoning: _Thoughts | None = None
    finish_reason: str | None = None
    chunk: str = ""
    completed: bool = False
    error: Any = None

    @property
    def finish(self) -> Finish:
        return "length" if self.finish_reason == "length" else "stop"

    def thoughts(self) -> Reasoning | None:
        if self.reasoning is None:
            return None
        parts = self.reasoning.grounding
        grounding = (
            Grounding(one.start_idx, one.end_idx, tuple(Point(*place) for place in one.points)) for one in parts
        )
        return Reasoning(self.reasoning.text, tuple(grounding))


def offered(settings: Settings) -> dict[str, MoondreamCloud]:
    """The cloud by its name where there is a key for it, and from then on a model that is known; else nothing."""
    key = settings.moondream_cloud_api_key.strip()
    if not key:
        return {}
    REMOTE_MODELS[NAME] = ModelOffer(name=NAME, tasks=_TASKS, lengths=moondream.LENGTHS, reasons=True)
    own = settings.model("moondream")
    assert isinstance(own, moondream.MoondreamSettings)  # as the registry has it
    return {NAME: MoondreamCloud(own.cloud_url, key)}


class MoondreamCloud:
    """Asks as `looksee.gateway.runners.client.RunnerClient` does. For one event loop."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {
            "X-Moondream-Auth": key,
            "Content-Type": "application/json",
            "User-Agent": f"looksee/{VERSION}",
            "Accept-Encoding": "identity",  # a small answer that unfolds to a large one is none
        }
        self._session: aiohttp.ClientSession | None = None

    async def identity(self) -> Identity:
        """Without a fingerprint, so that nothing is cached."""
        return _IDENTITY

    async def ask(
        self, job: Job, *, timeout: float, request_id: str, listener: Listener | None = None
    ) -> tuple[Reply, Identity]:
        """The vendor's answer; a `listener` hears the pieces of a text.

        Raises TaskNotSupported, InvalidRequest, Overloaded, CloudKeyRefused, CloudFailed or DeadlineExceeded.
        """
        streamed = listener is not None and job.task in (Task.CAPTION, Task.QUERY)
        path, body = _request(job, stream=streamed)
        try:
            async with asyncio.timeout(timeout):
                content = await asyncio.to_thread(_written, body, job.images)
                async with self._open().post(
                    f"{self._url}/{path}", data=content, headers=self._headers, allow_redirects=False
                ) as response:
                    _check(response)
                    if streamed and listener is not None:
                        outcome = await _followed(response, listener)
                    else:
                        outcome = _outcome(job.task, path, await _whole(response))
        except aiohttp.ClientError as error:
            raise _failed(f"{type(error).__name__}") from error
        except TimeoutError:
            raise errors.DeadlineExceeded("Moondream's cloud did not answer in time.") from None
        except (OSError, ValueError) as error:
            raise _failed(f"{type(error).__name__}") from error
        return Reply(outcome), _IDENTITY

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            )
        return self._session


def _request(job: Job, *, stream: bool) -> tuple[str, dict[str, Any]]:
    """The path of a job, and its body but for the picture. Raises TaskNotSupported."""
    how = job.sampling
    if param := _not_known(how, job.stop):
        raise errors.TaskNotSupported(f"The model '{NAME}' does not know '{param}'.", param=param)
    if len(job.images) > 1:
        raise errors.TaskNotSupported(f"The model '{NAME}' looks at one picture at a time.", param="model")
    style: dict[str, Any] = {"max_objects": job.max_objects}
    if job.task in (Task.CAPTION, Task.QUERY):
        style = {"max_tokens": job.max_new_tokens, "temperature": how.temperature}
        if how != GREEDY:
            style["top_p"] = how.top_p
    body: dict[str, Any] = {"settings": style}
    if job.spatial_refs:
        body["spatial_refs"] = job.spatial_refs
    match job.task:
        case Task.CAPTION if not job.prompt:
            return "caption", {**body, "length": job.length, "stream": stream}
        case Task.CAPTION | Task.QUERY:  # any other instruction is asked like a question
            thinking = {"reasoning": True} if job.reasoning else {}
            return "query", {**body, "question": job.prompt, "stream": stream, **thinking}
        case _:
            return str(job.task), {**body, "object": job.prompt}


def _not_known(how: Sampling, stop: tuple[str, ...]) -> str | None:
    """A parameter that is asked for and that the vendor has not."""
    known = {"temperature", "top_p"}
    asked = (field.name for field in fields(Sampling) if getattr(how, field.name) != field.default)
    return next((name for name in asked if name not in known), "stop" if stop else None)


def _written(body: dict[str, Any], images: tuple[bytes, ...]) -> bytes:
    """The body with its picture, as PNG where the vendor may not read its format. Raises CorruptImage."""
    for image in images:
        kind = sniff(image)
        if kind is None or kind.name not in _FORMATS:
            file = io.BytesIO()
            decode(image).save(file, "PNG")
            image, kind = file.getvalue(), FORMATS["png"]
        body = {**body, "image_url": f"data:{kind.media_type};base64,{base64.b64encode(image).decode()}"}
    return json.dumps(body).encode()


def _check(response: aiohttp.ClientResponse) -> None:
    """Raises what a refusal means to our own caller, in our own words."""
    status = response.status
    if status == 200:
        return
    if status in (401, 403):
        logger.error("Moondream's cloud refuses MOONDREAM_CLOUD_API_KEY")
        raise errors.CloudKeyRefused("Moondream's cloud does not accept the key that this service has for it.")
    if status == 429:
        raise errors.Overloaded(
            "Moondream's cloud takes no more requests of this service for now; try again later.",
            retry_after=_seconds(response.headers.get("Retry-After", "")),
        )
    if status in (400, 413, 415, 422):
        raise errors.InvalidRequest("Moondream's cloud does not accept this picture or what is asked about it.")
    raise _failed(f"status {status}")


def _seconds(header: str) -> int:
    given = int(header) if header.isascii() and header.isdigit() and len(header) < 9 else _RETRY_AFTER
    return max(1, min(given, _LONGEST_WAIT))


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The answer's bytes. Raises CloudFailed for too many."""
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > _LARGEST:
            raise _failed("too long an answer")
        yield chunk


async def _whole(response: aiohttp.ClientResponse) -> _Said:
    return _read(b"".join([chunk async for chunk in _chunks(response)]))


async def _followed(response: aiohttp.ClientResponse, listener: Listener) -> Answer:
    """The outcome of a stream of events. Raises CloudFailed for one that ends early."""
    text, unread = "", b""
    async for chunk in _chunks(response):
        *lines, unread = (unread + chunk).split(b"\n")
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            event = _read(line[5:])
            if event.error is not None:
                raise _failed("an error in mid-stream")
            if event.chunk:
                text += event.chunk
                listener(event.chunk)
            if event.completed:
                return Answer(text, event.finish if text.strip() else "empty", 0, 0, reasoning=event.thoughts())
    raise _failed("a stream without an end")


def _read(content: bytes) -> _Said:
    try:
        return _Said.model_validate_json(content)
    except ValidationError:
        raise _failed("an answer that is not understood") from None


def _outcome(task: Task, path: str, said: _Said) -> Answer:
    if task is Task.DETECT and said.objects is not None:
        return Answer("", "stop", 0, 0, boxes=tuple(one.box() for one in said.objects))
    if task is Task.POINT and said.points is not None:
        return Answer("", "stop", 0, 0, points=tuple(one.point() for one in said.points))
    text = {"caption": said.caption, "query": said.answer}.get(path)
    if text is None:
        raise _failed("an answer that is not understood")
    return Answer(text, said.finish if text.strip() else "empty", 0, 0, reasoning=said.thoughts())


def _failed(why: str) -> errors.LookseeError:
    logger.warning("Moondream's cloud failed: %s", why)
    return errors.CloudFailed("Moondream's cloud failed or cannot be reached; try again.", retry_after=_RETRY_AFTER)
