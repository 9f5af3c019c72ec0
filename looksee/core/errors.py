"""Every error the service answers with: a class for each, with its HTTP status and its stable code.

    LookseeError              500 internal_error
    +- InvalidRequest         400 invalid_request
    +- EmptyFile              400 empty_file
    +- CorruptImage           400 corrupt_image
    +- ImageUrlNotAllowed     400 image_url_not_allowed
    +- TaskNotSupported       400 task_not_supported
    +- UnsupportedParameter   400 unsupported_parameter
    +- ContextLengthExceeded  400 context_length_exceeded
    +- MissingKey             401 missing_key
    +- WrongKey               403 wrong_key
    +- AdminClosed            403 admin_closed
    +- ForeignOrigin          403 foreign_origin
    +- NotFound               404 not_found
    +- ModelNotFound          404 model_not_found
    +- PictureNotFound        404 picture_not_found
    +- MethodNotAllowed       405 method_not_allowed
    +- RequestTooLarge        413 request_too_large
    +- FileTooLarge           413 file_too_large
    +- TooManyFiles           413 too_many_files
    +- TooManyItems           413 too_many_items
    +- ImageTooLarge          413 image_too_large
    +- UnsupportedImageType   415 unsupported_image_type
    +- UnsupportedMediaType   415 unsupported_media_type
    +- InvalidValue           422 invalid_value
    +- ImageNotFetched        422 image_not_fetched
    +- ImageTooSmall          422 image_too_small
    +- UnknownModel           422 unknown_model
    +- PromptTooLong          422 prompt_too_long
    +- StructuredOutputFailed 422 structured_output_failed
    +- Overloaded             429 overloaded
    +- RateLimited            429 rate_limited
    +- Cancelled              499 cancelled
    +- NotOffered             501 not_offered
    +- RunnerFailed           502 runner_failed
    +- CloudFailed            502 cloud_failed
    +- CloudKeyRefused        502 cloud_key_refused
    +- ModelNotReady          503 model_not_ready
    +- WeightsUnavailable     503 weights_unavailable
    +- OutOfMemory            503 out_of_memory
    +- ServiceStopping        503 service_stopping
    +- CacheUnavailable       503 cache_unavailable
    +- DeadlineExceeded       504 deadline_exceeded

Errors cross the boundary between gateway and runners as data (`Failure` in `looksee.core.tasks`) and are told apart by
`code` alone, so a code never changes its meaning and never moves to another class.
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
    """An address that no picture may be fetched from, by its text alone: no name was looked up."""

    status, code = 400, "image_url_not_allowed"


class TaskNotSupported(LookseeError):
    status, code = 400, "task_not_supported"


class UnsupportedParameter(LookseeError):
    """A parameter that there is not, or one of a dialect that would change the answer and is not implemented here."""

    status, code = 400, "unsupported_parameter"


class ContextLengthExceeded(LookseeError):
    """A PromptTooLong as the OpenAI API has it: its clients look for this code, and cut what they send."""

    status, code = 400, "context_length_exceeded"


class MissingKey(LookseeError):
    status, code = 401, "missing_key"


class WrongKey(LookseeError):
    status, code = 403, "wrong_key"


class AdminClosed(LookseeError):
    status, code = 403, "admin_closed"


class ForeignOrigin(LookseeError):
    """A browser's request for a page of an origin that is not allowed."""

    status, code = 403, "foreign_origin"


class NotFound(LookseeError):
    status, code = 404, "not_found"


class ModelNotFound(LookseeError):
    """A path with the name of an unknown model; such a name in a parameter is an UnknownModel."""

    status, code = 404, "model_not_found"


class PictureNotFound(LookseeError):
    """The id of a picture that was never sent, by this caller at least, or is not kept any more."""

    status, code = 404, "picture_not_found"


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
    """An allowed address that gave no picture, whatever the reason: a reason would let callers probe the network that
    this machine is in. Not a 5xx, which many clients repeat by themselves.
    """

    status, code = 422, "image_not_fetched"


class ImageTooSmall(LookseeError):
    status, code = 422, "image_too_small"


class UnknownModel(LookseeError):
    status, code = 422, "unknown_model"


class PromptTooLong(LookseeError):
    status, code = 422, "prompt_too_long"


class StructuredOutputFailed(LookseeError):
    """The model did not write the JSON that was asked for. Not a 5xx: clients would repeat it in vain."""

    status, code = 422, "structured_output_failed"


class Overloaded(LookseeError):
    status, code = 429, "overloaded"


class RateLimited(LookseeError):
    status, code = 429, "rate_limited"


class NotOffered(LookseeError):
    """A feature of a dialect that none of these models has."""

    status, code = 501, "not_offered"


class RunnerFailed(LookseeError):
    status, code = 502, "runner_failed"


class CloudFailed(LookseeError):
    status, code = 502, "cloud_failed"


class CloudKeyRefused(LookseeError):
    """The vendor's 401. The operator has to act, not the caller."""

    status, code = 502, "cloud_key_refused"


class ModelNotReady(LookseeError):
    status, code = 503, "model_not_ready"


class WeightsUnavailable(LookseeError):
    status, code = 503, "weights_unavailable"


class OutOfMemory(LookseeError):
    status, code = 503, "out_of_memory"


class ServiceStopping(LookseeError):
    """The process was told to end: it answers what it has accepted, and takes nothing more."""

    status, code = 503, "service_stopping"


class CacheUnavailable(LookseeError):
    status, code = 503, "cache_unavailable"


class DeadlineExceeded(LookseeError):
    status, code = 504, "deadline_exceeded"


class Cancelled(LookseeError):
    """The client disconnected, so this is logged and not read (499 is the usual status for it)."""

    status, code = 499, "cancelled"


def _descendants(cls: type[LookseeError]) -> list[type[LookseeError]]:
    return [cls, *(below for child in cls.__subclasses__() for below in _descendants(child))]


BY_CODE: dict[str, type[LookseeError]] = {cls.code: cls for cls in _descendants(LookseeError)}
