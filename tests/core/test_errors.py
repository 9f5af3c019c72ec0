"""Codes and statuses are a promise to clients, so all of them are written down here once more."""

from __future__ import annotations

import inspect
import re

import pytest

from looksee.core import errors
from looksee.core.tasks import Failure

PROMISED: dict[str, tuple[type[errors.LookseeError], int]] = {
    "internal_error": (errors.LookseeError, 500),
    "invalid_request": (errors.InvalidRequest, 400),
    "picture_not_found": (errors.PictureNotFound, 404),
    "empty_file": (errors.EmptyFile, 400),
    "corrupt_image": (errors.CorruptImage, 400),
    "image_url_not_allowed": (errors.ImageUrlNotAllowed, 400),
    "image_not_fetched": (errors.ImageNotFetched, 422),
    "task_not_supported": (errors.TaskNotSupported, 400),
    "unsupported_parameter": (errors.UnsupportedParameter, 400),
    "context_length_exceeded": (errors.ContextLengthExceeded, 400),
    "missing_key": (errors.MissingKey, 401),
    "wrong_key": (errors.WrongKey, 403),
    "admin_closed": (errors.AdminClosed, 403),
    "foreign_origin": (errors.ForeignOrigin, 403),
    "not_found": (errors.NotFound, 404),
    "model_not_found": (errors.ModelNotFound, 404),
    "method_not_allowed": (errors.MethodNotAllowed, 405),
    "request_too_large": (errors.RequestTooLarge, 413),
    "file_too_large": (errors.FileTooLarge, 413),
    "too_many_files": (errors.TooManyFiles, 413),
    "too_many_items": (errors.TooManyItems, 413),
    "image_too_large": (errors.ImageTooLarge, 413),
    "unsupported_image_type": (errors.UnsupportedImageType, 415),
    "unsupported_media_type": (errors.UnsupportedMediaType, 415),
    "invalid_value": (errors.InvalidValue, 422),
    "image_too_small": (errors.ImageTooSmall, 422),
    "unknown_model": (errors.UnknownModel, 422),
    "prompt_too_long": (errors.PromptTooLong, 422),
    "structured_output_failed": (errors.StructuredOutputFailed, 422),
    "overloaded": (errors.Overloaded, 429),
    "cancelled": (errors.Cancelled, 499),
    "not_offered": (errors.NotOffered, 501),
    "runner_failed": (errors.RunnerFailed, 502),
    "cloud_failed": (errors.CloudFailed, 502),
    "cloud_key_refused": (errors.CloudKeyRefused, 502),
    "model_not_ready": (errors.ModelNotReady, 503),
    "weights_unavailable": (errors.WeightsUnavailable, 503),
    "out_of_memory": (errors.OutOfMemory, 503),
    "service_stopping": (errors.ServiceStopping, 503),
    "cache_unavailable": (errors.CacheUnavailable, 503),
    "rate_limited": (errors.RateLimited, 429),
    "deadline_exceeded": (errors.DeadlineExceeded, 504),
}

CLASSES = [
    thing for thing in vars(errors).values() if inspect.isclass(thing) and issubclass(thing, errors.LookseeError)
]


@pytest.mark.parametrize("code", PROMISED)
def test_codes_and_statuses_are_as_promised(code: str) -> None:
    kind, status = PROMISED[code]
    assert (kind.code, kind.status) == (code, status)


def test_every_class_is_promised_and_found_by_its_code() -> None:
    assert {kind for kind, _ in PROMISED.values()} == set(CLASSES)
    assert {code: kind for code, (kind, _) in PROMISED.items()} == errors.BY_CODE


def test_the_docstring_draws_every_class_under_its_base_by_status() -> None:
    drawn = re.findall(r"^    (\+- )?(\w+) +(\d{3}) (\w+)$", errors.__doc__ or "", re.MULTILINE)
    assert {(name, int(status), code) for _, name, status, code in drawn} == {
        (kind.__name__, kind.status, kind.code) for kind in CLASSES
    }
    assert len(drawn) == len(CLASSES)
    assert drawn[0][:2] == ("", "LookseeError")
    below = [name for branch, name, _, _ in drawn if branch]
    assert set(below) == {kind.__name__ for kind in errors.LookseeError.__subclasses__()}
    statuses = [int(status) for _, _, status, _ in drawn[1:]]
    assert statuses == sorted(statuses)


def test_codes_are_unique() -> None:
    assert len({kind.code for kind in CLASSES}) == len(CLASSES)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(("param", "retry_after"), [(None, None), ("images", 7)])
def test_an_error_survives_the_way_through_a_failure(
    kind: type[errors.LookseeError], param: str | None, retry_after: int | None
) -> None:
    error = kind("Something to act on.", param=param, retry_after=retry_after)
    again = Failure.of(error).error()
    assert type(again) is kind
    assert (again.message, again.param, again.retry_after) == ("Something to act on.", param, retry_after)
    assert str(again) == "Something to act on."


def test_an_unknown_code_is_a_plain_runner_failure() -> None:
    error = Failure("from_the_future", "New trouble.", "images", 3).error()
    assert type(error) is errors.RunnerFailed
    assert (error.message, error.param, error.retry_after) == ("New trouble.", "images", 3)
