"""What a model computes with: which device, which dtype, which form of its linear layers. All rules are here.

dtype      cpu                              cuda                             mps
auto       bfloat16 with AMX or AVX-512 for bfloat16 from capability 8.0 on, bfloat16
           bfloat16, else float32; float32  else float32
           for the sample weights
float32    plain linear layers everywhere
bfloat16   blocked weights with AMX or      plain                            plain
           AVX-512 for bfloat16, else plain
float16    plain, but for models that have it among their `refused_dtypes`
int8       with AMX the decoder's linear    refused                          refused
           layers, the rest bfloat16;
           without all of them, the rest
           float32
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from looksee.core import errors
from looksee.models.arithmetic.machine import Machine
from looksee.models.registry import ModelSpec


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`device` is a torch device. `dtype` names that of activations and of all weights that `linears` leaves.

    `blocked`: weights are laid out for oneDNN once, at loading. `int8`: linear layers of 8 bits, those of the decoder
    only with `amx`. `note` is for the log.
    """

    device: str
    dtype: str
    linears: Literal["plain", "blocked", "int8"] = "plain"
    amx: bool = False
    note: str = ""

    @property
    def key(self) -> str:
        """What answers depend on, for the keys of cached ones: `cpu float32`, `cpu int8 amx`, `cuda bfloat16`.

        AMX changes roundings, which layers have 8 bits, and in which dtype Moondream attends; not in float32.
        """
        kind = self.device.partition(":")[0]
        chosen = "int8" if self.linears == "int8" else self.dtype
        return f"{kind} {chosen} amx" if self.amx and chosen in ("bfloat16", "int8") else f"{kind} {chosen}"

    def without_int8(self) -> Arithmetic:
        """The same with linear layers of the other weights' dtype."""
        return replace(self, linears="blocked" if self.amx else "plain")


def resolve(spec: ModelSpec, machine: Machine, *, device: str, dtype: str, samples: bool = False) -> Arithmetic:
    """What the settings `device` and `dtype` mean for a model on a machine.

    `samples`: the weights are the sample ones. They are so small that a CPU gains nothing by bfloat16, and in float32
    their answers are the same on every CPU.

    Raises WeightsUnavailable for what the model or the device cannot do.
    """
    chosen = machine.device if device == "auto" else device
    on_cpu, note = chosen == "cpu", ""
    if dtype == "auto":
        native = (machine.amx or machine.avx512_bf16) and not samples if on_cpu else machine.native_bfloat16
        dtype = "bfloat16" if native else "float32"
        if not on_cpu and not native:
            note = "float32, for the device does not compute in bfloat16"
    elif dtype == "bfloat16" and chosen.startswith("cuda") and not machine.native_bfloat16:
        note = "slow, for the device does not compute in bfloat16"
    if why := dict(spec.refused_dtypes).get(dtype):
        _refuse(spec.name, dtype, f"the model has not been proven in it: {why}")
    if dtype == "int8":
        if not on_cpu:
            _refuse(spec.name, dtype, f"that is for CPUs alone, and the device is '{chosen}'")
        return Arithmetic(chosen, "bfloat16" if machine.amx else "float32", "int8", machine.amx)
    blocked = on_cpu and dtype == "bfloat16" and (machine.amx or machine.avx512_bf16)
    return Arithmetic(chosen, dtype, "blocked" if blocked else "plain", on_cpu and machine.amx, note)


def _refuse(model: str, dtype: str, why: str) -> None:
    raise errors.WeightsUnavailable(
        f"'{model}' cannot be loaded in {dtype}: {why}. Set LOOKSEE_{model.upper()}_DTYPE, or LOOKSEE_DTYPE for all "
        "models, to another dtype or to auto.",
        retry_after=30,
    )
