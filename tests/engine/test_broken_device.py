"""Which errors mean that a device is lost, by the texts that torch, CUDA, cuBLAS and cuDNN have for it."""

from __future__ import annotations

import pytest

from looksee.core import errors
from looksee.engine.broken_device import device_is_broken
from looksee.models.interface import out_of_memory
from tests.engine.toy import AcceleratorError

STICKY = [
    "CUDA error: device-side assert triggered",
    "CUDA error: an illegal memory access was encountered",
    "CUDA error: an illegal instruction was encountered",
    "CUDA error: misaligned address",
    "CUDA error: invalid program counter",
    "CUDA error: operation not supported on global/shared address space",
    "CUDA error: hardware stack error",
    "CUDA error: unspecified launch failure",
    "CUDA error: the launch timed out and was terminated",
    "CUDA error: context is destroyed",
    "CUDA error: uncorrectable ECC error encountered",
    "CUDA error: unknown error",
    "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, opa, opb, m, n, k, ...)`",
    "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
]
OF_THE_CALL = [
    "CUDA error: out of memory",
    "CUDA out of memory. Tried to allocate 2.00 GiB.",
    "CUDA error: invalid argument",
    "CUDA error: invalid configuration argument",
    "CUDA error: operation not permitted when stream is capturing",
    "CUDA error: operation failed due to a previous error during capture",
    "CUDA error: no kernel image is available for execution on the device",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
]


@pytest.mark.parametrize("text", STICKY)
@pytest.mark.parametrize("kind", [RuntimeError, AcceleratorError])
def test_a_device_that_is_lost(text: str, kind: type[Exception]) -> None:
    assert device_is_broken(kind(text))
    assert not out_of_memory(kind(text))


@pytest.mark.parametrize("text", OF_THE_CALL)
@pytest.mark.parametrize("kind", [RuntimeError, AcceleratorError])
def test_a_call_that_failed_by_itself(text: str, kind: type[Exception]) -> None:
    if kind is AcceleratorError and "CUBLAS" in text:
        pytest.skip("cuBLAS has no error of that class")
    assert not device_is_broken(kind(text))


def test_an_error_of_the_accelerator_that_nobody_knows() -> None:
    assert device_is_broken(AcceleratorError("CUDA error: something that a later driver says"))
    assert not device_is_broken(RuntimeError("something that a later driver says"))


def test_it_is_found_behind_the_error_that_hides_it() -> None:
    """As where the end of a context raises."""
    hides = ValueError("capture was invalidated")
    hides.__context__ = RuntimeError(STICKY[0])
    assert device_is_broken(hides)


@pytest.mark.parametrize("kind", [ValueError, errors.RunnerFailed, OSError, MemoryError])
def test_what_a_client_has_sent_breaks_nothing(kind: type[Exception]) -> None:
    """Errors about a text may quote it."""
    assert not device_is_broken(kind(STICKY[0]))


def test_errors_in_a_circle_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert not device_is_broken(first)
