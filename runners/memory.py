"""The memory of this process: how much it has, and how it goes back to the system."""

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
    """Large libraries are imported here, and stay: the collector need not walk all of torch again and again.

    It is off meanwhile, which saves a quarter of the time. No model may be loaded here: it has cycles, which would then
    stay too.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


def give_back() -> None:
    """Return what nothing refers to any more, on the device too. Takes some milliseconds."""
    gc.collect()
    torch = _torch()
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch is not None and torch.backends.mps.is_available():
        torch.mps.empty_cache()
    # glibc keeps freed memory for later; other C libraries have no such call and need none.
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def resident() -> int | None:
    """Bytes of this process that are in memory; None where the system does not tell (it is not Linux)."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def on_device() -> int | None:
    """Bytes that torch has allocated on accelerators; None where none is in use."""
    torch = _torch()
    if torch is not None and torch.cuda.is_initialized():
        return sum(int(torch.cuda.memory_allocated(index)) for index in range(torch.cuda.device_count()))
    if torch is not None and torch.backends.mps.is_available():
        return int(torch.mps.current_allocated_memory())
    return None


def _torch() -> Any:
    """The library, if this process has loaded it: only a process that runs a model pays for it."""
    return sys.modules.get("torch")
