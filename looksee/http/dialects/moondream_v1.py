"""The Moondream client API, `/v1/...`: what the `moondream` packages send to an `endpoint`.

Answers are whole or, for texts, streams of server-sent events. Beside the client's own members they say what every
answer of this service says of itself. Without `settings` answers are greedy, so that they can be had again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, FailFast, Field, WithJsonSchema
from starlette.responses import JSONResponse, Response

from looksee.core import errors
from looksee.core.tasks import GREEDY, Length, Sampling, Task
from looksee.gateway.answering import ServedAnswer
from looksee.http import error_responses
from looksee.http.answers import sse
from looksee.http.answers.metadata import source
from looksee.http.answers.reasoning import reasoning_member
from looksee.http.answers.server_timing import server_timing
from looksee.http.apis import one_answer, several_objects
from looksee.http.context import ContextFactory, RequestContext
from looksee.http.inputs import bodies, parameters, uploads
from looksee.http.inputs.bodies import Integer
from looksee.http.inputs.chat import new_tokens
from looksee.http.inputs.forced import texts
from looksee.http.inputs.validation import MOST_OBJECTS
from looksee.http.inputs.wording.fields import LANGUAGE, MAX_WORDS, STRIP_OPENING
from looksee.http.skills import CaptionSkill, ClassifySkill, DetectSkill, PointSkill, QuerySkill, Skill
from looksee.http.skills.classify import LABELS, MULTIPLE, QUESTION, Labels
from looksee.http.skills.localization import (
    MAX_OBJECTS,
    OBJECT_FIELD,
    OBJECTS_FIELD,
    THRESHOLD_FIELD,
    LocalizationSkill,
    Name,
    Names,
)
from looksee.http.skills.skill import SCORES_FIELD, TextSkill
from looksee.models.registry import DEFAULT_MODEL, offer_for
from looksee.settings import Settings

_TOKENS = 768  # of an answer, where a request does not say
_MOST_REFERENCES = 64
# What the vendor's packages may send beside: the name of a fine-tune, which this service does not have.
_WITHOUT_EFFECT = frozenset({"variant"})
_IMAGE = "a data URI, bare base64, or an address that LOOKSEE_IMAGE_URL_HOSTS allows"

_PART = {"type": "number", "minimum": 0, "maximum": 1}
Reference = Annotated[
    list[Annotated[float, Field(ge=0, le=1)]],
    FailFast(),
    Field(min_length=2, max_length=4),
    WithJsonSchema(
        {"anyOf": [{"type": "array", "items": _PART, "minItems": size, "maxItems": size} for size in (2, 4)]}
    ),
]
# FailFast: pydantic would describe each of millions of bad ones.
References = Annotated[list[Reference], FailFast(), Field(max_length=_MOST_REFERENCES)]


class SettingsBody(BaseModel):
    """`settings` of a request."""

    without_effect: ClassVar[frozenset[str]] = _WITHOUT_EFFECT

    temperature: float = Field(0.0, ge=0, le=2, description="0: the likeliest word each time")
    top_p: float = Field(0.3, ge=0, le=1, description="with a temperature: of the likeliest words, so much in all")
    max_tokens: Integer | None = Field(
        None,
        ge=1,
        description=f"new tokens at most; {_TOKENS} if not given",
        json_schema_extra={"minimum": 1},
    )
    max_objects: Integer = Field(MAX_OBJECTS, ge=1, le=MOST_OBJECTS, description="boxes or points at most")
    threshold: float = THRESHOLD_FIELD

    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_p) if self.temperature else GREEDY


class Body(BaseModel):
    """What all of them have."""

    model_config = ConfigDict(protected_namespaces=())
    prompt_param: ClassVar[str] = "object"  # which member an error about the prompt names
    without_effect: ClassVar[frozenset[str]] = _WITHOUT_EFFECT

    model: str
    settings: SettingsBody = SettingsBody()

    def skill(self, settings: Settings) -> Skill:
        """The skill that is asked for, with its parameters."""
        raise NotImplementedError


class TextBody(Body):
    """What those for texts have."""

    stream: bool = False
    scores: bool = SCORES_FIELD
    max_words: Integer = MAX_WORDS
    strip_opening: bool = STRIP_OPENING
    language: str = LANGUAGE

    def text(self, settings: Settings) -> dict[str, Any]:
        """The parameters of a TextSkill; too many tokens are no error here, and the answer's headers tell of them."""
        count = new_tokens.bounded(self.settings.max_tokens or _TOKENS, settings)
        words = {"max_words": self.max_words, "strip_opening": self.strip_opening, "language": self.language}
        return {"max_new_tokens": count, "sampling": self.settings.sampling(), "scores": self.scores, **words}


def _one_of(task: Task) -> Any:
    return Field(DEFAULT_MODEL, **parameters.model(task))


class CaptionBody(TextBody):
    prompt_param: ClassVar[str] = "image_url"  # there is no prompt of the caller's

    model: str = _one_of(Task.CAPTION)
    image_url: str = Field(description=_IMAGE, json_schema_extra=parameters.PICTURE)
    length: Length = "normal"

    def skill(self, settings: Settings) -> Skill:
        return CaptionSkill(length=self.length, **self.text(settings))


class QueryBody(TextBody):
    prompt_param: ClassVar[str] = "question"

    model: str = _one_of(Task.QUERY)
    question: str = Field(json_schema_extra=parameters.WORDS)
    image_url: str | None = Field(
        None, description=f"{_IMAGE}; without one the question stands alone", json_schema_extra=parameters.PICTURE
    )
    reasoning: bool = Field(False, description="think first; the thoughts, and places in them, are told too")
    spatial_refs: References = Field([], description="[x, y] or [x_min, y_min, x_max, y_max], each 0 to 1")

    choices: texts.Choices = texts.CHOICES
    regex: str = texts.REGEX

    def skill(self, settings: Settings) -> Skill:
        refs = tuple(map(tuple, self.spatial_refs))
        form: dict[str, Any] = {"choices": self.choices, "regex": self.regex}
        return QuerySkill(
            question=self.question, reasoning=self.reasoning, spatial_refs=refs, **form, **self.text(settings)
        )


class DetectBody(Body):
    model_config = ConfigDict(json_schema_extra=parameters.OBJECT_OR_OBJECTS)
    # The vendor's packages say of some of these too that they want no stream, or one: the answer is whole anyhow.
    without_effect: ClassVar[frozenset[str]] = _WITHOUT_EFFECT | {"stream"}

    model: str = _one_of(Task.DETECT)
    image_url: str = Field(description=_IMAGE, json_schema_extra=parameters.PICTURE)
    object: Name | None = OBJECT_FIELD
    objects: Names | None = OBJECTS_FIELD

    def skill(self, settings: Settings) -> Skill:
        how = self.settings
        return DetectSkill(
            object=self.object, objects=self.objects, max_objects=how.max_objects, threshold=how.threshold
        )


class ClassifyBody(Body):
    prompt_param: ClassVar[str] = "question"

    model: str = _one_of(Task.CLASSIFY)
    image_url: str = Field(description=_IMAGE, json_schema_extra=parameters.PICTURE)
    labels: Labels = LABELS
    question: str = QUESTION
    multiple: bool = MULTIPLE

    def skill(self, settings: Settings) -> Skill:
        return ClassifySkill(labels=self.labels, question=self.question, multiple=self.multiple)


class PointBody(DetectBody):
    spatial_refs: References = []

    def skill(self, settings: Settings) -> Skill:
        refs, how = tuple(map(tuple, self.spatial_refs)), self.settings
        return PointSkill(
            object=self.object,
            objects=self.objects,
            max_objects=how.max_objects,
            threshold=how.threshold,
            spatial_refs=refs,
        )


def router(contexts: ContextFactory) -> APIRouter:
    """A route for each body."""
    routes = APIRouter(prefix="/v1", tags=["moondream"])

    @routes.post("/caption", summary="A caption", responses=sse.DESCRIBED, openapi_extra=bodies.described(CaptionBody))
    async def caption(request: Request) -> Response:
        """`{"caption": ...}`, or with `stream` events `{"chunk": ...}`."""
        return await _answer(contexts.of(request.receive), await bodies.read(request, CaptionBody, contexts.settings))

    @routes.post("/query", summary="An answer", responses=sse.DESCRIBED, openapi_extra=bodies.described(QueryBody))
    async def query(request: Request) -> Response:
        """`{"answer": ...}`, or with `stream` events `{"chunk": ...}`."""
        return await _answer(contexts.of(request.receive), await bodies.read(request, QueryBody, contexts.settings))

    @routes.post("/detect", summary="Boxes of things", openapi_extra=bodies.described(DetectBody))
    async def detect(request: Request) -> Response:
        """`{"objects": [{"x_min", "y_min", "x_max", "y_max", "confidence"}]}`, normalised; of several in `results`."""
        return await _answer(contexts.of(request.receive), await bodies.read(request, DetectBody, contexts.settings))

    @routes.post("/point", summary="Points on things", openapi_extra=bodies.described(PointBody))
    async def point(request: Request) -> Response:
        """`{"points": [{"x", "y", "confidence"}]}`, normalised; of several objects in `results`."""
        return await _answer(contexts.of(request.receive), await bodies.read(request, PointBody, contexts.settings))

    @routes.post("/classify", summary="Which of some labels fits", openapi_extra=bodies.described(ClassifyBody))
    async def classify(request: Request) -> Response:
        """`{"label", "score", "labels": [{"label", "score", "logprob"}]}`, the best label first."""
        return await _answer(contexts.of(request.receive), await bodies.read(request, ClassifyBody, contexts.settings))

    return routes


async def _answer(context: RequestContext, body: CaptionBody | QueryBody | DetectBody | ClassifyBody) -> Response:
    settings, skill = context.settings, body.skill(context.settings)
    told = new_tokens.headers(body.settings.max_tokens, settings) if isinstance(body, TextBody) else {}
    model = offer_for(body.model, skill.task).name
    skill.check(model, settings, pictures=0 if body.image_url is None else 1)
    pictures = []
    if body.image_url is not None:
        pictures.append(await uploads.picture(body.image_url, context, param="image_url"))
    if isinstance(skill, LocalizationSkill) and skill.objects is not None:
        found = await several_objects.results(context, model, skill, pictures[0])
        entries = several_objects.shown(skill, found, lambda one, answer: one.members(answer, pictures), told=False)
        return several_objects.response({"request_id": context.request_id}, entries, found)
    if isinstance(body, TextBody) and body.stream:
        job = skill.job(model, pictures, settings)
        pieces = await context.follow(model, job, param=body.prompt_param)
        lines = _chunks(context.request_id, pieces, skill)
        return sse.response(lines, every=settings.heartbeat_seconds, headers=told)
    served = await one_answer.asked(context, model, skill, pictures)
    content = {"request_id": context.request_id, **skill.members(served.answer, pictures), **source(served)}
    return JSONResponse(content, headers={**server_timing([served]), **told})


async def _chunks(
    request_id: str, pieces: AsyncGenerator[str | ServedAnswer, None], skill: Skill
) -> AsyncGenerator[bytes, None]:
    """The client's events."""
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                if isinstance(piece, str):
                    yield sse.data({"chunk": piece, "completed": False, "request_id": request_id})
                else:
                    last = {"chunk": "", "completed": True, "request_id": request_id}
                    scored = skill.scored(piece.answer) if isinstance(skill, TextSkill) else {}
                    yield sse.data({**last, **source(piece), **scored, **reasoning_member(piece.answer.reasoning)})
    except errors.LookseeError as error:
        yield error_responses.broken_off(error)
