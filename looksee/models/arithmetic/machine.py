"""What this machine can compute with, found out without torch where that is possible.

A runner has to know it before it loads anything, for the keys of cached answers. Importing torch takes a second and
200 MB, and several runners may never load their model.
"""

from __future__ import annotations

import ctypes
import functools
import runpy
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_CPU_FACTS = Path("/proc/cpuinfo")
_NVIDIA_DRIVER = "libcuda.so.1"


@dataclass(frozen=True, slots=True)
class Machine:
    """`device` is the torch device that `auto` stands for.

    `amx`: the CPU multiplies bfloat16 matrices in hardware, and the kernel lets programs do so. `avx512_bf16`: it has
    instructions for vectors of bfloat16. `native_bfloat16`: so has the accelerator in question; CUDA devices do from
    compute capability 8.0 on.
    """

    device: str = "cpu"
    amx: bool = False
    avx512_bf16: bool = False
    native_bfloat16: bool = True


def found(device: str) -> Machine:
    """This machine, for the setting `device`. Imports torch if an accelerator may be meant."""
    if device == "cpu" or (device == "auto" and without_accelerator()):
        return Machine("cpu", amx(), avx512_bf16())
    import torch

    chosen = device
    if device == "auto":
        chosen = "cuda:0" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    native = True
    if chosen.startswith("cuda") and torch.cuda.is_available():
        native = torch.cuda.get_device_capability(torch.device(chosen)) >= (8, 0)
    return Machine(chosen, amx(), avx512_bf16(), native)


def amx() -> bool:
    """Whether programs may use the CPU's AMX instructions for bfloat16."""
    return "amx_bf16" in _cpu_flags()


def avx512_bf16() -> bool:
    """Whether programs may use the CPU's AVX-512 instructions for bfloat16."""
    return "avx512_bf16" in _cpu_flags()


@functools.cache
def _cpu_flags() -> frozenset[str]:
    """What the kernel lets programs use: an older one does not let them use all that the CPU has."""
    try:
        lines = _CPU_FACTS.read_text().splitlines()
    except OSError:  # not Linux
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())


@functools.cache
def without_accelerator() -> bool:
    """Whether torch certainly finds nothing but the CPU: it is built for that alone, or there is no NVIDIA driver."""
    spec = find_spec("torch")
    if sys.platform == "darwin" or spec is None or spec.origin is None:
        return False
    build = runpy.run_path(str(Path(spec.origin).with_name("version.py")))
    if build.get("hip") or build.get("xpu"):
        return False
    if not build.get("cuda"):
        return True
    try:
        ctypes.CDLL(_NVIDIA_DRIVER)
    except OSError:
        return True
    return False
