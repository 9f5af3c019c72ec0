"""PhotoPrism's vision API, `/api/v1/vision/...`: captions and labels of its pictures.

PhotoPrism sends its own instruction with every request, the same for every service. A caption follows it where the
model can be instructed; labels are the words of a caption, whatever is sent.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from looksee.core import errors
from looksee.core.tags import tags
from looksee.core.tasks import Sampling, Task
from looksee.gateway.answering import ServedAnswer
from looksee.http.context import ContextFactory, RequestContext
from looksee.http.inputs import bodies, neutral_values, parameters, uploads
from looksee.http.inputs.bodies import Integer
from looksee.http.inputs.sampling_fields import SamplingFields
from looksee.http.skills import CaptionSkill
from looksee.models.registry import DEFAULT_MODEL, REGISTRY, offer_for

_PREFIX = "/api/v1/vision"
# Errors at these paths have their message as the member `error` and their status as `code`, as PhotoPrism reads them.
PATHS = frozenset(f"{_PREFIX}/{name}" for name in ("caption", "labels"))
NOT_OFFERED = {
    f"{_PREFIX}/nsfw": "No model here rates pictures as unsafe; leave PhotoPrism's own model for that.",
    f"{_PREFIX}/face": "No model here tells faces apart; leave PhotoPrism's own model for that.",
}
_TAG = ":latest"
_MOST_STOPS = 16
# How PhotoPrism's other services load and run a model, and what it says of a request as such.
_WITHOUT_EFFECT = frozenset(
    {
        *("combine_outputs", "detail", "force_json", "low_vram", "main_gpu", "num_batch", "num_ctx", "num_gpu"),
        *("num_keep", "num_thread", "numa", "penalize_newline", "schema_version", "use_mlock", "use_mmap"),
        "vocab_only",
    }
)


_OFF = (None, False, "", "false")
_MOST_PICTURES = 256  # that are read, to say how many there are
_Picture = Annotated[str, Field(json_schema_extra=parameters.PICTURE)]


class PhotoPrismOptions(SamplingFields):
    """How a caption is sampled. PhotoPrism leaves out what is 0."""

    model_config = ConfigDict(extra="allow")

    temperature: float = Field(0.0, ge=0, le=2, description="0: the likeliest word each time")
    top_p: float = Field(1.0, gt=0, le=1)
    seed: Integer | None = Field(None, ge=-(2**63), lt=2**63, json_schema_extra=parameters.SEED)
    repeat_penalty: float | None = Field(None, ge=0.1, le=10, description="as `repetition_penalty`")
    num_predict: Integer | None = Field(None, description="new tokens at most; 0 and less: the usual number")
    max_output_tokens: Integer | None = Field(None, description="the same")
    stop: Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=_MOST_STOPS)] = []

    def check(self) -> None:
        """Raises UnsupportedParameter for an option that would change the answer and is not here."""
        more = {name: value for name, value in (self.model_extra or {}).items() if name not in _WITHOUT_EFFECT}
        neutral_values.check(more, type(self).model_fields)

    def sampling(self) -> Sampling:
        """Raises InvalidValue."""
        penalty = 1.0 if self.repeat_penalty is None else self.repeat_penalty
        return self.applied(Sampling(self.temperature, self.top_p, seed=self.seed, repetition_penalty=penalty))

    def new_tokens(self, most: int) -> int | None:
        """How many an answer may have; more than there may be are no error."""
        wanted = max(self.num_predict or 0, self.max_output_tokens or 0)
        return min(wanted, most) if wanted > 0 else None


class VisionBody(BaseModel):
    """What PhotoPrism sends for a picture."""

    model_config = ConfigDict(protected_namespaces=())
    without_effect: ClassVar[frozenset[str]] = frozenset({"normalize", "org", "project", "service_tier", "tier"})

    id: str = Field("", description="comes back in the answer")
    model: str = Field("", max_length=256, description=f"with or without `{_TAG}`; {DEFAULT_MODEL} if not given")
    version: str = Field("", description="without effect: a model is here once")
    images: Annotated[list[_Picture], Field(max_length=_MOST_PICTURES)] = Field([], description="one, as a data URI")
    url: str = Field("", description="instead: an address that LOOKSEE_IMAGE_URL_HOSTS allows")
    system: str = Field("", description="stands before the prompt")
    prompt: str = Field("", description="an instruction, for a caption by a model that takes one")
    format: str = Field("", description="must not be json for a caption")
    json_schema: dict[str, Any] | str | None = Field(None, alias="schema", description="of labels: without effect")
    options: PhotoPrismOptions | None = None
    think: bool | str | None = Field(None, description="must be off")
    suffix: str = Field("", description="must be empty")
    context: list[int] | None = Field(None, description="must be empty")
    stream: bool = Field(False, description="must not be true")

    def check(self) -> None:
        """Raises UnsupportedParameter for what would change the answer and is not here."""
        for name in ("suffix", "context", "stream"):
            if getattr(self, name):
                raise errors.UnsupportedParameter(f"'{name}' is not supported; leave it out.", param=name)
        if self.think not in _OFF:
            raise errors.UnsupportedParameter("'think' is not supported; leave it out or send false.", param="think")

    def instruction(self) -> str:
        """What a caption is to be like."""
        return "\n\n".join(filter(None, (self.system.strip(), self.prompt.strip())))


def router(contexts: ContextFactory) -> APIRouter:
    """The routes."""
    settings = contexts.settings
    routes = APIRouter(prefix=_PREFIX, tags=["photoprism"])

    @routes.post("/caption", summary="A caption, for PhotoPrism", openapi_extra=bodies.described(VisionBody))
    async def caption(request: Request) -> dict[str, Any]:
        """`{"id", "code", "model": {"type", "name", "version"}, "result": {"caption": {"text"}}}`"""
        context, body = contexts.of(request.receive), await bodies.read(request, VisionBody, settings)
        if body.format.lower() == "json" or body.json_schema:
            name = "format" if body.format else "schema"
            raise errors.UnsupportedParameter(f"A caption is a text; leave '{name}' out.", param=name)
        served = await _asked(context, body, body.instruction(), body.options or PhotoPrismOptions())
        return _answer(body, served, "caption", {"caption": {"text": served.answer.text}})

    @routes.post("/labels", summary="Labels, for PhotoPrism", openapi_extra=bodies.described(VisionBody))
    async def labels(request: Request) -> dict[str, Any]:
        """`{"id", "code", "model", "result": {"labels": [{"name", "source"}]}}`: the nouns and adjectives of a caption.
        The prompt, the schema and the options have no effect.
        """
        context, body = contexts.of(request.receive), await bodies.read(request, VisionBody, settings)
        served = await _asked(context, body, "", PhotoPrismOptions())
        words = [tag for tag in tags(served.answer.text) if "_" not in tag]
        return _answer(body, served, "labels", {"labels": [{"name": word, "source": "image"} for word in words]})

    return routes


async def _asked(
    context: RequestContext, body: VisionBody, instruction: str, options: PhotoPrismOptions
) -> ServedAnswer:
    settings = context.settings
    body.check()
    options.check()
    name = body.model.strip().lower().removesuffix(_TAG) or DEFAULT_MODEL
    model = offer_for(name, Task.CAPTION).name
    if model in REGISTRY and REGISTRY[model].continues_prompt:
        instruction = ""  # which it would take for the beginning of the caption
    tokens = options.new_tokens(settings.max_new_tokens)
    skill = CaptionSkill(prompt=instruction, max_new_tokens=tokens, sampling=options.sampling())
    skill.check(model, settings)
    picture = await uploads.picture(_source(body), context, param="images" if body.images else "url")
    job = skill.job(model, [picture], settings, stop=tuple(filter(None, options.stop)))
    return await context.ask(model, job, param="prompt")


def _source(body: VisionBody) -> str:
    uploads.check_count(len(body.images), "images", 1)
    found = [*body.images, *filter(None, [body.url])]
    if len(found) != 1:
        raise errors.InvalidValue("Send one picture: in 'images', or its address as 'url'.", param="images")
    return found[0]


def _answer(body: VisionBody, served: ServedAnswer, kind: str, result: dict[str, Any]) -> dict[str, Any]:
    model = {"type": kind, "name": served.identity.model, "version": served.identity.revision}
    return {"id": body.id or str(uuid.uuid4()), "code": 200, "model": model, "result": result}
