"""The Moondream client API, `/v1/...`: what the `moondream` packages send to an `endpoint`.

Answers are whole or, for texts, streams of server-sent events. Beside the client's own members they say what every
answer of this service says of itself. Without `settings` answers are greedy, so that they can be had again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, FailFast, Field, WithJsonSchema
from starlette.responses import JSONResponse, Response

from looksee.core import errors
from looksee.core.images import Picture
from looksee.core.tasks import GREEDY, Length, Reasoning, Sampling, Task
from looksee.gateway.answering import AnsweringService, CacheableJob, ServedAnswer
from looksee.http import asking
from looksee.http.answers import sse
from looksee.http.answers.metadata import whose
from looksee.http.answers.server_timing import server_timing
from looksee.http.context import REQUEST_ID
from looksee.http.inputs import bodies, jobs, uploads
from looksee.http.inputs.bodies import Integer
from looksee.http.openapi import parameters
from looksee.models.registry import ALIASES, offer_for, offers
from looksee.settings import Settings

MODEL = "moondream"
_TOKENS = 768  # of an answer, where a request does not say
_MOST_REFERENCES = 64
_IMAGE = "a data URI, bare base64, or an address that LOOKSEE_IMAGE_URL_HOSTS allows"

_PART = {"type": "number", "minimum": 0, "maximum": 1}
Reference = Annotated[
    list[float],
    FailFast(),
    Field(min_length=2, max_length=4),
    WithJsonSchema(
        {"anyOf": [{"type": "array", "items": _PART, "minItems": size, "maxItems": size} for size in (2, 4)]}
    ),
]
# The first bad one ends the reading: pydantic would describe each of millions.
References = Annotated[list[Reference], FailFast(), Field(max_length=_MOST_REFERENCES)]


class SettingsBody(BaseModel):
    """`settings` of a request; whatever else is in it is ignored, as the vendor's servers do."""

    temperature: float = Field(0.0, ge=0, le=2, description="0: the likeliest word each time")
    top_p: float = Field(0.3, ge=0, le=1, description="with a temperature: of the likeliest words, so much in all")
    max_tokens: Integer | None = Field(None, ge=1, description=f"new tokens at most; {_TOKENS} if not given")
    max_objects: Integer = Field(jobs.MAX_OBJECTS, ge=1, le=jobs.MOST_OBJECTS, description="boxes or points at most")

    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_p) if self.temperature else GREEDY


class Body(BaseModel):
    """What all of them have."""

    model_config = ConfigDict(protected_namespaces=())

    model: str
    settings: SettingsBody = SettingsBody()


def _one_of(task: Task) -> Any:
    return Field(MODEL, **parameters.model(task))


class CaptionBody(Body):
    model: str = _one_of(Task.CAPTION)
    image_url: str = Field(description=_IMAGE, json_schema_extra=parameters.PICTURE)
    length: Length = "normal"
    stream: bool = False


class QueryBody(Body):
    model: str = _one_of(Task.QUERY)
    question: str = Field(json_schema_extra=parameters.WORDS)
    image_url: str | None = Field(
        None, description=f"{_IMAGE}; without one the question stands alone", json_schema_extra=parameters.PICTURE
    )
    stream: bool = False
    reasoning: bool = Field(False, description="think first; the thoughts, and places in them, are told too")
    spatial_refs: References = Field([], description="[x, y] or [x_min, y_min, x_max, y_max], each 0 to 1")


class DetectBody(Body):
    model: str = _one_of(Task.DETECT)
    image_url: str = Field(description=_IMAGE, json_schema_extra=parameters.PICTURE)
    object: str = Field(description="what is to be found, in a word or a few", json_schema_extra=parameters.WORDS)


class PointBody(DetectBody):
    spatial_refs: References = []


def router(answering: AnsweringService, settings: Settings) -> APIRouter:
    """The routes, bound to the answering service."""
    routes = APIRouter(prefix="/v1", tags=["moondream"])

    @routes.post("/caption", summary="A caption", responses=sse.DESCRIBED, openapi_extra=bodies.described(CaptionBody))
    async def caption(request: Request) -> Response:
        """`{"caption": ...}`, or with `stream` events `{"chunk": ...}`."""
        body = await bodies.read(request, CaptionBody)
        model = _model(body, Task.CAPTION)
        length = jobs.checked_length(body.length, model, prompt="")
        picture = await _picture(body.image_url, settings, request)
        asked = jobs.caption(model, picture, settings, length=length, **_style(body.settings))
        return await _text(request, model, asked, "caption", stream=body.stream)

    @routes.post("/query", summary="An answer", responses=sse.DESCRIBED, openapi_extra=bodies.described(QueryBody))
    async def query(request: Request) -> Response:
        """`{"answer": ...}`, or with `stream` events `{"chunk": ...}`."""
        body = await bodies.read(request, QueryBody)
        model = _model(body, Task.QUERY)
        if not offers()[model].reasons and (body.reasoning or body.spatial_refs or body.image_url is None):
            raise errors.TaskNotSupported(f"'{model}' answers plain questions about pictures only.", param="model")
        jobs.check_question(body.question, settings, param="question")
        picture = None if body.image_url is None else await _picture(body.image_url, settings, request)
        asked = jobs.query(
            model,
            picture,
            body.question,
            settings,
            reasoning=body.reasoning,
            spatial_refs=_references(body.spatial_refs),
            **_style(body.settings),
        )
        return await _text(request, model, asked, "answer", stream=body.stream)

    @routes.post("/detect", summary="Boxes of things", openapi_extra=bodies.described(DetectBody))
    async def detect(request: Request) -> Response:
        """`{"objects": [{"x_min", "y_min", "x_max", "y_max"}]}`, normalised."""
        body = await bodies.read(request, DetectBody)
        model = _model(body, Task.DETECT)
        jobs.check_question(body.object, settings, param="object")
        picture = await _picture(body.image_url, settings, request)
        asked = jobs.detect(picture, body.object, max_objects=body.settings.max_objects)
        served = await asking.ask(answering, settings, request.receive, model, asked, param="object")
        return _answer(served, objects=[box._asdict() for box in served.answer.boxes])

    @routes.post("/point", summary="Points on things", openapi_extra=bodies.described(PointBody))
    async def point(request: Request) -> Response:
        """`{"points": [{"x", "y"}]}`, normalised."""
        body = await bodies.read(request, PointBody)
        model = _model(body, Task.POINT)
        jobs.check_question(body.object, settings, param="object")
        picture = await _picture(body.image_url, settings, request)
        references = _references(body.spatial_refs)
        asked = jobs.point(picture, body.object, max_objects=body.settings.max_objects, spatial_refs=references)
        served = await asking.ask(answering, settings, request.receive, model, asked, param="object")
        return _answer(served, points=[point._asdict() for point in served.answer.points])

    async def _text(request: Request, model: str, asked: CacheableJob, called: str, *, stream: bool) -> Response:
        param = "question" if called == "answer" else "image_url"
        if not stream:
            served = await asking.ask(answering, settings, request.receive, model, asked, param=param)
            return _answer(served, **{called: served.answer.text}, **thoughts(served.answer.reasoning))
        pieces = await asking.follow(answering, settings, request.receive, model, asked, param=param)
        return sse.response(_chunks(pieces))

    return routes


async def _chunks(pieces: AsyncGenerator[str | ServedAnswer, None]) -> AsyncGenerator[bytes, None]:
    """The client's events."""
    request_id = REQUEST_ID.get()
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                if isinstance(piece, str):
                    yield sse.data({"chunk": piece, "completed": False, "request_id": request_id})
                else:
                    last = {"chunk": "", "completed": True, "request_id": request_id}
                    yield sse.data({**last, **ended(piece), **thoughts(piece.answer.reasoning)})
    except errors.LookseeError as error:
        yield sse.broken_off(error)


def _model(body: Body, task: Task) -> str:
    name = ALIASES.get(body.model, body.model)
    return offer_for(name, task).name


async def _picture(text: str, settings: Settings, request: Request) -> Picture:
    return await uploads.picture(text, settings, request.receive, param="image_url")


def _style(style: SettingsBody) -> dict[str, Any]:
    return {"max_new_tokens": style.max_tokens or _TOKENS, "sampling": style.sampling()}


def _references(given: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, given))


def thoughts(reasoning: Reasoning | None) -> dict[str, Any]:
    """The member that tells what was thought; none where nothing was."""
    if reasoning is None:
        return {}
    grounding = [
        {"start_idx": part.start, "end_idx": part.end, "points": [list(point) for point in part.points]}
        for part in reasoning.grounding
    ]
    return {"reasoning": {"text": reasoning.text, "grounding": grounding}}


def ended(served: ServedAnswer) -> dict[str, Any]:
    """How the answer ended, and whose it is."""
    return {"finish_reason": served.answer.finish, **whose(served)}


def _answer(served: ServedAnswer, **own: Any) -> Response:
    content = {"request_id": REQUEST_ID.get(), **own, **ended(served)}
    return JSONResponse(content, headers=server_timing([served]))
