"""Which errors say that the device computes nothing any more for this process, whatever it is asked; without torch."""

from __future__ import annotations

_CLASS = "AcceleratorError"  # torch's for whatever a device's library reports

# In lower case, of texts of that class: the call was wrong or found no memory, and the next one may be right.
_OF_THE_CALL = (
    "out of memory",
    "invalid argument",
    "invalid configuration argument",
    "invalid value",
    "invalid device ordinal",
    "invalid device function",
    "invalid resource handle",
    "no kernel image",
    "too many resources requested",
    "not supported",
    "not permitted",
    "not ready",
    "captur",
    "peer access",
    "symbol not found",
)

# In lower case, of texts of any runtime error: what CUDA keeps reporting until the process ends.
_STICKY = (
    "device-side assert",
    "illegal memory access",
    "illegal address",
    "illegal instruction",
    "misaligned address",
    "invalid program counter",
    "shared address space",
    "hardware stack error",
    "launch failure",
    "launch timed out",
    "context is destroyed",
    "context is invalid",
    "uncorrectable",
    "nvlink",
    "cuda error: unknown error",
    "driver shutting down",
    "cublas_status_execution_failed",
    "cudnn_status_execution_failed",
)


def device_is_broken(error: BaseException) -> bool:
    """Whether after this error, or one that it hides, no call of the device can succeed in this process.

    Only for errors of a model's verbs, its loading and its release: their texts are the libraries', while that of
    another error may quote what a client has sent.
    """
    seen: set[int] = set()
    behind: BaseException | None = error
    while behind is not None and id(behind) not in seen:
        seen.add(id(behind))
        if _is_sticky(behind):
            return True
        behind = behind.__cause__ or behind.__context__
    return False


def _is_sticky(error: BaseException) -> bool:
    if not isinstance(error, RuntimeError):
        return False
    text = str(error).lower()
    if type(error).__name__ == _CLASS and not any(name in text for name in _OF_THE_CALL):
        return True
    return any(name in text for name in _STICKY)
