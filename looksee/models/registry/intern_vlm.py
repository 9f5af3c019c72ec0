"""InternVL3 1B."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import Field, NonNegativeInt, PositiveInt

from looksee.models.registry import prompts
from looksee.models.registry.options import FeatureCacheSettings
from looksee.models.registry.spec import TEXT_TASKS, ModelSpec


class InternVlmSettings(FeatureCacheSettings):
    """InternVL cuts a picture into square tiles of its resolution; each goes through the vision tower by itself."""

    max_batch_tiles: PositiveInt = Field(
        64, description="picture tiles in a running batch at most; a published InternVL3: 256 tokens a tile"
    )
    max_tiles: NonNegativeInt = Field(
        0, le=12, description="tiles that a picture is cut into at most, beside a thumbnail; 0: 1 for samples, else 6"
    )

    @property
    def batch_cost(self) -> int:
        return self.max_batch_tiles

    def options(self, *, sample: bool) -> dict[str, Any]:
        # The sample weights were trained on pictures in one tile.
        return {**super().options(sample=sample), "max_tiles": self.max_tiles or (1 if sample else 6)}


SPEC = ModelSpec(
    name="intern_vlm",
    title="InternVL3 1B",
    description="Captions pictures, alone and together, and answers questions about them with InternVL3.",
    hub_id="OpenGVLab/InternVL3-1B-hf",
    revision="014c0583a0d4bedf29fbe2dbff4f865eb998e171",
    licence="Apache-2.0 and Qwen licence",
    gated=False,
    parameters=938_193_024,
    hub_bytes=1_876_478_048,
    since=date(2025, 4, 18),
    tasks=TEXT_TASKS,
    context=32_768,
    kv_shape=(24, 2 * 64),
    model_class="looksee.models.transformers.intern_vlm:InternVlm",
    settings=InternVlmSettings,
    chats=True,
    forces=True,
    caption_prompt=prompts.CAPTION,
)
