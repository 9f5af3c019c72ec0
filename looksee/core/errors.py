"""Every error the service answers with: a class for each, with its HTTP status and its stable code.

Errors cross the gateway/runner boundary as data (`Failure` in `looksee.core.tasks`) and are told apart by `code` alone,
so a code never changes its meaning and never moves to another class.
"""

from __future__ import annotations

from typing import ClassVar


class LookseeError(Exception):
    """Base of all. `message` is one sentence that the caller can act on; it never quotes a library or a path."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, param: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after


class InvalidRequest(LookseeError):
    status, code = 400, "invalid_request"


class EmptyFile(LookseeError):
    status, code = 400, "empty_file"


class CorruptImage(LookseeError):
    status, code = 400, "corrupt_image"


class ImageUrlNotAllowed(LookseeError):
    """An address that no picture may be fetched from, seen from its text alone: nothing was looked up."""

    status, code = 400, "image_url_not_allowed"


class TaskNotSupported(LookseeError):
    status, code = 400, "task_not_supported"


class UnsupportedParameter(LookseeError):
    """A parameter that a dialect has elsewhere, that would change the answer, and that nothing here heeds."""

    status, code = 400, "unsupported_parameter"


class MissingKey(LookseeError):
    status, code = 401, "missing_key"


class WrongKey(LookseeError):
    status, code = 403, "wrong_key"


class AdminClosed(LookseeError):
    status, code = 403, "admin_closed"


class NotFound(LookseeError):
    status, code = 404, "not_found"


class ModelNotFound(LookseeError):
    """An address that names a model which is not there; a parameter that does is an UnknownModel."""

    status, code = 404, "model_not_found"


class MethodNotAllowed(LookseeError):
    status, code = 405, "method_not_allowed"


class RequestTooLarge(LookseeError):
    status, code = 413, "request_too_large"


class FileTooLarge(LookseeError):
    status, code = 413, "file_too_large"


class TooManyFiles(LookseeError):
    status, code = 413, "too_many_files"


class TooManyItems(LookseeError):
    status, code = 413, "too_many_items"


class ImageTooLarge(LookseeError):
    status, code = 413, "image_too_large"


class UnsupportedImageType(LookseeError):
    status, code = 415, "unsupported_image_type"


class UnsupportedMediaType(LookseeError):
    status, code = 415, "unsupported_media_type"


class InvalidValue(LookseeError):
    status, code = 422, "invalid_value"


class ImageNotFetched(LookseeError):
    """An allowed address that gave no picture, whatever the reason: telling reasons apart would let callers look around
    in the network that this machine sees. Not a 5xx, which many clients repeat unasked.
    """

    status, code = 422, "image_not_fetched"


class ImageTooSmall(LookseeError):
    status, code = 422, "image_too_small"


class UnknownModel(LookseeError):
    status, code = 422, "unknown_model"


class PromptTooLong(LookseeError):
    status, code = 422, "prompt_too_long"


class StructuredOutputFailed(LookseeError):
    """The model did not write the JSON that was asked for. Not a 5xx: clients would ask again, and to no avail."""

    status, code = 422, "structured_output_failed"


class Overloaded(LookseeError):
    status, code = 429, "overloaded"


class RateLimited(LookseeError):
    status, code = 429, "rate_limited"


class NotOffered(LookseeError):
    """Something that a dialect has elsewhere and that none of these models can do."""

    status, code = 501, "not_offered"


class RunnerFailed(LookseeError):
    status, code = 502, "runner_failed"


class CloudFailed(LookseeError):
    status, code = 502, "cloud_failed"


class CloudKeyRefused(LookseeError):
    """The vendor's 401: the operator's affair, not the caller's."""

    status, code = 502, "cloud_key_refused"


class ModelNotReady(LookseeError):
    status, code = 503, "model_not_ready"


class WeightsUnavailable(LookseeError):
    status, code = 503, "weights_unavailable"


class OutOfMemory(LookseeError):
    status, code = 503, "out_of_memory"


class CacheUnavailable(LookseeError):
    status, code = 503, "cache_unavailable"


class DeadlineExceeded(LookseeError):
    status, code = 504, "deadline_exceeded"


class Cancelled(LookseeError):
    """The caller left; nobody reads this answer (499 is the field's usual number for it)."""

    status, code = 499, "cancelled"


def _descendants(cls: type[LookseeError]) -> list[type[LookseeError]]:
    return [cls, *(below for child in cls.__subclasses__() for below in _descendants(child))]


BY_CODE: dict[str, type[LookseeError]] = {cls.code: cls for cls in _descendants(LookseeError)}
