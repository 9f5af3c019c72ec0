"""The settings that every model has, and what several models share beyond them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from looksee.models.registry import runner_urls

Dtype = Literal["auto", "float32", "bfloat16", "float16", "int8"]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]


class ModelSettings(BaseModel):
    """The settings that every model has: LOOKSEE_<MODEL>_WEIGHTS and so on. Each model's class adds its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str = Field("", description="`<hub id>[@revision]`, a directory, or `sample`; empty: LOOKSEE_WEIGHTS")
    url: Annotated[str, AfterValidator(runner_urls.checked)] = Field(
        "",
        description="where the model's runner is served alone, several of them comma separated, as "
        "`http://a:3001,http://b:3001`; empty: on this machine",
    )
    device: Literal[""] | Device = Field("", description="as LOOKSEE_DEVICE, for this model; empty: LOOKSEE_DEVICE")
    dtype: Literal[""] | Dtype = Field("", description="as LOOKSEE_DTYPE, for this model; empty: LOOKSEE_DTYPE")
    cuda_graphs: Literal[""] | bool = Field(
        "", description="as LOOKSEE_CUDA_GRAPHS, for this model; empty: LOOKSEE_CUDA_GRAPHS"
    )
    max_batch_rows: PositiveInt = Field(32, description="rows that decode together at most")
    max_batch_bytes: NonNegativeInt = Field(
        0,
        description="bytes of keys and values that the rows that decode together take at most, each counted with the "
        "longest answer it may get; 0: 60 % of what is free once the weights are loaded, a part for each model of "
        "MODEL_CAPACITY",
    )
    max_prefill_rows: PositiveInt = Field(8, description="new rows that are prefilled together at most")

    @property
    def batch_cost(self) -> int:
        """What the rows of a running batch may cost together, in the unit of the model's `Row.cost`."""
        raise NotImplementedError

    def options(self, *, sample: bool) -> dict[str, Any]:
        """What else the model is loaded with; `sample` weights may want other defaults."""
        return {}

    def without_effect(self) -> frozenset[str]:
        """The names of those `options` that change no answer: they are no part of what a cached answer depends on."""
        return frozenset()


class ImageTokenSettings(ModelSettings):
    """A model whose running batch takes memory by the tokens of its pictures, which stay as long as their rows run."""

    max_batch_image_tokens: PositiveInt

    @property
    def batch_cost(self) -> int:
        return self.max_batch_image_tokens


class FeatureCacheSettings(ModelSettings):
    """A model that keeps what its vision tower and its decoder made of a picture for further questions about it."""

    feature_cache_bytes: NonNegativeInt = Field(
        64 * 2**20, description="memory for the features of the latest pictures; 0: none are kept"
    )

    prefix_cache_bytes: NonNegativeInt = Field(
        256 * 2**20,
        description="memory for what the decoder made of the latest prompts, pictures included; 0: nothing is kept",
    )

    def options(self, *, sample: bool) -> dict[str, Any]:
        return {"feature_bytes": self.feature_cache_bytes, "prefix_bytes": self.prefix_cache_bytes}

    def without_effect(self) -> frozenset[str]:
        return frozenset({"feature_bytes", "prefix_bytes"})
