"""Moondream2, revision 2025-06-21."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import Field, NonNegativeInt, PositiveInt

from looksee.core.tasks import Length, Task
from looksee.models.registry.options import ImageTokenSettings
from looksee.models.registry.spec import ModelSpec

LENGTHS: tuple[Length, ...] = ("short", "normal", "long")


class MoondreamSettings(ImageTokenSettings):
    """Moondream2 sees a picture whole and in overlapping crops and makes of it a fixed number of tokens before the
    prompt, whose keys and values are kept for further questions about it.
    """

    max_batch_image_tokens: PositiveInt = Field(
        32 * 730, description="picture tokens in a running batch at most; a published Moondream2: 730 a picture"
    )
    max_crops: NonNegativeInt = Field(
        0,
        le=12,
        description="crops that a picture is cut into at most; 0: the checkpoint's number (published: 12), but on a "
        "CPU 2 except for samples",
    )
    prefix_cache_bytes: NonNegativeInt = Field(
        2**30, description="memory for what the decoder made of the latest pictures; 0: nothing is kept"
    )
    cloud_url: str = Field(
        "https://api.moondream.ai/v1",
        pattern=r"^https?://\S+$",
        description="where `moondream-cloud` is, with MOONDREAM_CLOUD_API_KEY",
    )

    def options(self, *, sample: bool) -> dict[str, Any]:
        # On two CPU cores the published vision tower takes 2.5 s a crop in float32: 13 crops would be half a minute.
        return {
            "max_crops": self.max_crops or None,
            "cpu_crops": None if sample else 2,
            "prefix_bytes": self.prefix_cache_bytes,
        }

    def without_effect(self) -> frozenset[str]:
        return frozenset({"prefix_bytes"})


SPEC = ModelSpec(
    name="moondream",
    title="Moondream2",
    description="Captions pictures, answers questions about them, and finds things in them with Moondream2.",
    hub_id="vikhyatk/moondream2",
    revision="9a7d4024050840e001defacec2b00727e89149e6",  # the tag 2025-06-21
    licence="apache-2.0",
    gated=False,
    parameters=1_927_237_104,
    hub_bytes=3_854_538_968,
    since=date(2025, 6, 21),
    tasks=frozenset({Task.CAPTION, Task.QUERY, Task.DETECT, Task.POINT, Task.CLASSIFY}),
    tokenizer=("moondream/starmie-v1", "35192e10a54e36eabe0a7cc57a2c1aab371cafc5"),
    context=2048,
    kv_shape=(24, 2048),
    model_class="looksee.models.moondream.model:Moondream",
    settings=MoondreamSettings,
    one_line=True,
    instructed=True,
    lengths=LENGTHS,
    reasons=True,
    forces=True,
)
