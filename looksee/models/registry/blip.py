"""BLIP base."""

from __future__ import annotations

from datetime import date

from pydantic import Field, PositiveInt

from looksee.core.tasks import Task
from looksee.models.registry.options import ImageTokenSettings
from looksee.models.registry.spec import ModelSpec


class BlipSettings(ImageTokenSettings):
    """BLIP keeps the cross-attention's keys and values of every picture token in every layer."""

    max_batch_image_tokens: PositiveInt = Field(
        32 * 577, description="picture tokens in a running batch at most; a published BLIP: 577 a picture"
    )


SPEC = ModelSpec(
    name="blip",
    title="BLIP base",
    description="Captions pictures with BLIP.",
    hub_id="Salesforce/blip-image-captioning-base",
    revision="82a37760796d32b1411fe092ab5d4e227313294b",
    licence="bsd-3-clause",
    gated=False,
    parameters=223_971_644,
    hub_bytes=989_820_849,
    since=date(2022, 12, 21),
    tasks=frozenset({Task.CAPTION}),
    context=512,
    kv_shape=(12, 768),
    model_class="looksee.models.transformers.blip:Blip",
    settings=BlipSettings,
    one_line=True,
    continues_prompt=True,
)
