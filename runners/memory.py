"""The memory of this process: how much it takes, and releasing what it does not need."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Import large libraries in this context: their objects are then exempt from garbage collection.

    Storage of keys and values grows and shrinks. In segments of a fixed size a GPU's memory would fragment, so torch is
    told to let them grow, unless the operator has told it something. It reads that once, for CUDA alone.

    They stay anyway, and walking all of torch at each collection takes time. The collector is off meanwhile, which
    saves a quarter of the import. No model may be loaded in it: a model has reference cycles, which would stay too.
    """
    if not any(variable in os.environ for variable in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")):
        os.environ["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


def release_unused() -> None:
    """Return unreferenced memory to the system and the device. Takes some milliseconds."""
    gc.collect()
    torch = _torch()
    if torch is not None and torch.cuda.is_initialized():
        # The workspaces that cuBLAS keeps for each thread are in use for the allocator. Builds without it have none.
        getattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: None)()
        torch.cuda.empty_cache()
    if torch is not None and torch.backends.mps.is_available():
        torch.mps.empty_cache()
    # glibc keeps freed memory for later allocations; other C libraries have no such call and need none.
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def resident_bytes() -> int | None:
    """The resident set size of this process; None on other systems than Linux."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def device_bytes() -> int | None:
    """What torch has allocated on all accelerators; None where none is in use."""
    torch = _torch()
    if torch is not None and torch.cuda.is_initialized():
        return sum(int(torch.cuda.memory_allocated(index)) for index in range(torch.cuda.device_count()))
    if torch is not None and torch.backends.mps.is_available():
        return int(torch.mps.current_allocated_memory())
    return None


def device_use(device: str) -> tuple[int, int] | None:
    """The bytes of a CUDA device (`cuda:1`) that no program has, and that it has in all; None for other devices."""
    torch = _torch()
    if torch is None or not device.startswith("cuda"):
        return None
    free, capacity = torch.cuda.mem_get_info(device)
    return int(free), int(capacity)


def _torch() -> Any:
    """torch, if this process has imported it: only one that runs a model does."""
    return sys.modules.get("torch")
