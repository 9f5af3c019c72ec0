"""Gemma 3 4B."""

from __future__ import annotations

from datetime import date

from pydantic import Field, PositiveInt

from looksee.models.registry import prompts
from looksee.models.registry.options import FeatureCacheSettings, ImageTokenSettings
from looksee.models.registry.spec import TEXT_TASKS, ModelSpec


class GemmaSettings(ImageTokenSettings, FeatureCacheSettings):
    """Gemma pools a picture to tokens that stand in the prompt; a collective caption has those of all its pictures."""

    max_batch_image_tokens: PositiveInt = Field(
        32 * 256, description="picture tokens in a running batch at most; a published Gemma 3: 256 a picture"
    )


SPEC = ModelSpec(
    name="gemma",
    title="Gemma 3 4B",
    description="Captions pictures, alone and together, and answers questions about them with Gemma 3.",
    hub_id="google/gemma-3-4b-it",
    revision="093f9f388b31de276ce2de164bdc2081324b9767",
    licence="gemma",
    gated=True,
    parameters=4_300_079_472,
    hub_bytes=8_600_277_880,
    since=date(2025, 3, 12),
    tasks=TEXT_TASKS,
    context=131_072,
    kv_shape=(34, 4 * 256),
    model_class="looksee.models.transformers.gemma:Gemma",
    settings=GemmaSettings,
    refused_dtypes=(("float16", "it was trained in bfloat16, and its activations may exceed what float16 can hold"),),
    chats=True,
    forces=True,
    caption_prompt=prompts.CAPTION,
)
