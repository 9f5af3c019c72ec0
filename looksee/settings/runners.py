"""Settings of every runner: weights, device, threads, capacity. A model's own are in `looksee.models.registry`."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
)

from looksee.models.registry import REGISTRY
from looksee.models.registry.names import named
from looksee.models.registry.options import Device, Dtype
from looksee.settings.cpu import half_of_the_cores


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")]


def _models(names: str) -> str:
    for name in _split(names) if names else ():
        if name not in REGISTRY:
            near = difflib.get_close_matches(name, REGISTRY, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(REGISTRY)}"
            raise ValueError(f"'{name}' is no model; {hint}" if name else f"a name in the list is empty; {hint}")
    return names


def _served(names: str, info: ValidationInfo) -> str:
    here = _split(info.data.get("models", ""))
    for name in _split(_models(names)) if names else ():
        if here != [""] and name not in here:
            raise ValueError(f"'{name}' is not among LOOKSEE_MODELS; there are: {', '.join(here)}")
    return names


def _aliases(pairs: str, info: ValidationInfo) -> str:
    here = [name for name in _split(info.data.get("models", "")) if name] or list(REGISTRY)
    seen = set()
    for pair in _split(pairs) if pairs else ():
        alias, separator, model = (part.strip() for part in pair.partition("="))
        if not (alias and separator and model):
            raise ValueError(f"'{pair}' is no pair; write name=model, as gpt-4o=gemma")
        name = named(model, here)
        if name not in here:
            raise ValueError(f"'{alias}' is to mean '{model}', which is no model; there are: {', '.join(here)}")
        if alias.lower() in REGISTRY:
            raise ValueError(f"'{alias}' is a model's own name already")
        if alias.lower() in seen:
            raise ValueError(f"'{alias}' is there twice")
        seen.add(alias.lower())
    return pairs


class RunnerSettings(BaseModel):
    """What holds for every model that does not say otherwise."""

    models: Annotated[str, AfterValidator(_models)] = Field(
        "", description="the models that there are, comma separated, as `blip,moondream`; empty: all"
    )
    model_aliases: Annotated[str, AfterValidator(_aliases)] = Field(
        "", description="further names for models, comma separated, as `gpt-4o=gemma, default=intern_vlm`"
    )
    weights: Literal["hub", "sample"] = Field(
        "hub", description="published weights from the hub, or the bundled sample weights that know drawn scenes only"
    )
    device: Device = Field(
        "auto", description="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`; auto takes a GPU if it finds one"
    )
    dtype: Dtype = Field(
        "auto",
        description="`auto`, `float32`, `bfloat16`, `float16`, and on a CPU `int8`; auto is bfloat16 on a GPU and on a "
        "CPU with AMX or AVX-512 for bfloat16, else float32; on a CPU float32 for sample weights",
    )
    cuda_graphs: bool = Field(
        False, description="replay decode steps as CUDA graphs, on a CUDA device; off until measured on one"
    )
    torch_threads: NonNegativeInt = Field(0, description="CPU threads of each runner; 0: half of the cores")
    prepare_threads: NonNegativeInt = Field(
        0, description="threads of each runner that decode pictures; 0: half of the cores"
    )
    max_prepared_bytes: PositiveInt = Field(
        256 * 2**20, description="bytes of decoded pictures that wait in a runner, beyond which no more are decoded"
    )
    preload: Annotated[str, AfterValidator(_served)] = Field(
        "",
        description="models that are loaded and warmed up before /readyz says ready, comma separated, as "
        "`blip,moondream`; empty: none",
    )
    pin: Annotated[str, AfterValidator(_served)] = Field(
        "", description="models that once loaded are never released for another one, comma separated; empty: none"
    )
    keep_alive_seconds: NonNegativeFloat = Field(
        0,
        description="seconds without a request after which a model is released, unless it is pinned; 0: never",
    )
    load_wait_seconds: PositiveFloat = Field(
        60,
        description="seconds a request waits for weights that are loading, beside its own time; then 503",
    )
    load_retry_seconds: PositiveFloat = Field(
        10, description="seconds that requests are refused after weights could not be loaded; then one tries again"
    )
    stall_seconds: NonNegativeFloat = Field(
        120,
        description="seconds that a model may stand still in one operation before its process is ended and started "
        "again; 0: for ever",
    )
    silence_seconds: NonNegativeFloat = Field(
        30, description="seconds that a process may not react before it is killed and started again; 0: for ever"
    )
    model_capacity: NonNegativeInt = Field(
        1, validation_alias="MODEL_CAPACITY", description="models loaded at a time on this machine; 0: no limit"
    )

    def served_models(self) -> list[str]:
        """The names of the models that there are, in the registry's order."""
        return [name for name in REGISTRY if not self.models or name in _split(self.models)]

    def preloaded_models(self) -> list[str]:
        """The names of the models that are loaded before anybody asks them, in the registry's order."""
        return [name for name in REGISTRY if self.preload and name in _split(self.preload)]

    def pinned_models(self) -> list[str]:
        """The names of the models that give no place to others, in the registry's order."""
        return [name for name in REGISTRY if self.pin and name in _split(self.pin)]

    def aliases(self) -> dict[str, str]:
        """The model by each of its further names, which are in lower case."""
        pairs = [pair.split("=", 1) for pair in _split(self.model_aliases) if pair]
        return {alias.strip().lower(): named(model.strip(), REGISTRY) for alias, model in pairs}

    def torch_thread_count(self) -> int:
        """CPU threads of a runner: what is set, else half of the cores this process may use."""
        return self.torch_threads or half_of_the_cores()

    def prepare_thread_count(self) -> int:
        """Threads of a runner that decode pictures: what is set, else half of the cores this process may use."""
        return self.prepare_threads or half_of_the_cores()
