"""The catalogue as OpenAI's clients list models: `GET /v1/models` and `GET /v1/models/{id}`."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from looksee.core.tasks import Length
from looksee.http.context import ContextFactory
from looksee.http.inputs import model_path
from looksee.models.registry import REGISTRY, ModelSpec, other_names, resolved, served
from looksee.models.weights.source import resolve
from looksee.settings import Settings


class ModelCard(BaseModel):
    """One model. The first four members are OpenAI's."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="day from which transformers has the architecture, as a Unix time")
    owned_by: str = Field(description="who published the weights")
    title: str
    hub_id: str
    revision: str = Field(description="the commit on the hub that is served unless another one is set")
    licence: str = Field(description="the publisher's word for it")
    gated: bool = Field(description="whether the hub asks for an accepted licence and a token")
    parameters: int
    bf16_bytes: int = Field(description="memory of the weights as bfloat16")
    tasks: list[str]
    continues_prompt: bool = Field(description="whether a caption's prompt is its beginning; else it is an instruction")
    names: list[str] = Field(description="further names that requests may have for it")
    max_model_len: int | None = Field(
        description="tokens of prompt and answer together, as vLLM names it; null while only weights say it that are "
        "not here yet"
    )
    lengths: list[Length] = Field(description="the lengths of captions that can be asked for")
    weights: Literal["sample", "hub", "local"] = Field(description="where the weights come from that answer here")


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


def router(contexts: ContextFactory) -> APIRouter:
    """The routes. They list what is on offer, loaded or not."""
    settings = contexts.settings
    routes = APIRouter(prefix="/v1/models", tags=["openai"])

    @routes.get("", summary="The models on offer")
    async def listed() -> ModelList:
        return ModelList(data=[_model(entry, settings) for entry in served().values()])

    @routes.get(f"/{model_path.KNOWN}", summary="One model")
    async def one(name: model_path.KnownName) -> ModelCard:
        """Also by the other names that the chat takes; `id` is the name that was asked for."""
        entry = REGISTRY[model_path.checked(resolved(name))]
        return _model(entry, settings).model_copy(update={"id": name})

    return routes


def _model(entry: ModelSpec, settings: Settings) -> ModelCard:
    weights = resolve(entry.name, settings.weights, settings.model(entry.name).weights)
    return ModelCard(
        id=entry.name,
        created=int(datetime.combine(entry.since, time(), UTC).timestamp()),
        owned_by=entry.hub_id.partition("/")[0],
        title=entry.title,
        hub_id=entry.hub_id,
        revision=entry.revision,
        licence=entry.licence,
        gated=entry.gated,
        parameters=entry.parameters,
        bf16_bytes=entry.bf16_bytes,
        tasks=sorted(entry.tasks),
        continues_prompt=entry.continues_prompt,
        names=[name for name, model in other_names().items() if model == entry.name],
        max_model_len=weights.context(),
        lengths=list(entry.lengths),
        weights=weights.kind,
    )
