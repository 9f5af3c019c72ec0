"""BLIP-2 with OPT 2.7B."""

from __future__ import annotations

from datetime import date

from pydantic import Field, PositiveInt

from looksee.core.tasks import Task
from looksee.models.registry.options import FeatureCacheSettings, ImageTokenSettings
from looksee.models.registry.spec import ModelSpec


class Blip2Settings(ImageTokenSettings, FeatureCacheSettings):
    """BLIP-2's Q-Former makes a few tokens of a picture, which stand before the prompt."""

    max_batch_image_tokens: PositiveInt = Field(
        32 * 32, description="picture tokens in a running batch at most; a published BLIP-2: 32 a picture"
    )


SPEC = ModelSpec(
    name="blip2",
    title="BLIP-2 OPT 2.7B",
    description="Captions pictures and answers questions about them with BLIP-2.",
    hub_id="Salesforce/blip2-opt-2.7b",
    revision="59a1ef6c1e5117b3f65523d1c6066825bcf315e3",
    licence="mit",
    gated=False,
    parameters=3_744_761_856,
    hub_bytes=14_979_207_136,
    since=date(2023, 2, 9),
    tasks=frozenset({Task.CAPTION, Task.QUERY, Task.CLASSIFY}),
    context=2048,
    kv_shape=(32, 2560),
    model_class="looksee.models.transformers.blip2:Blip2",
    settings=Blip2Settings,
    one_line=True,
    chained=True,
    continues_prompt=True,
    forces=True,
    question_format="Question: {question} Answer:",
)
