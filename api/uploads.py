"""Several pictures out of a form or a list of base64: read, examined in a thread, each with its own result."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

import errors
from settings import Settings
from vision.images import ImageLimits, Picture, examine, from_base64, mib

_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it came: its picture, or what is wrong with it."""

    filename: str
    picture: Picture | errors.LookseeError


def image_limits(settings: Settings) -> ImageLimits:
    return ImageLimits(settings.max_file_bytes, settings.max_pixels, settings.min_side)


async def read(request: Request, field: str, settings: Settings) -> list[Upload]:
    """The pictures in the repeated form field `field`, in order.

    Raises UnsupportedMediaType, InvalidValue (no file there) or TooManyFiles; what is wrong with one file is in its
    Upload.
    """
    content_type = request.headers.get("content-type", "")
    if content_type and not content_type.lower().startswith("multipart/form-data"):
        raise errors.UnsupportedMediaType("Send the pictures as multipart/form-data.")
    form = await _form(request)
    try:
        files = [part for part in form.getlist(field) if isinstance(part, UploadFile)]
        if not files:
            raise errors.InvalidValue(f"Send at least one file in the form field '{field}'.", param=field)
        _check_count(len(files), field, settings)
        # A file over the limit is not read: its size alone refuses it.
        contents = [
            await file.read() if (file.size or 0) <= settings.max_file_bytes else file.size or 0 for file in files
        ]
    finally:
        await form.close()
    limits = image_limits(settings)

    def examine_all() -> list[Upload]:
        pairs = zip(files, contents, strict=True)
        return [_examined(file.filename or "", content, limits, field) for file, content in pairs]

    return await asyncio.to_thread(examine_all)


async def decode(images: Sequence[str], field: str, settings: Settings) -> list[Upload]:
    """The pictures in a list of base64 texts or data URIs; their names are their places, `images.0` and so on.

    Raises InvalidValue (an empty list) or TooManyFiles; what is wrong with one picture is in its Upload.
    """
    if not images:
        raise errors.InvalidValue(f"Send at least one picture in '{field}'.", param=field)
    _check_count(len(images), field, settings)
    limits = image_limits(settings)

    def decode_all() -> list[Upload]:
        return [_decoded(f"{field}.{number}", text, limits) for number, text in enumerate(images)]

    return await asyncio.to_thread(decode_all)


def _check_count(count: int, field: str, settings: Settings) -> None:
    if count > settings.max_files:
        raise errors.TooManyFiles(
            f"The request has {count} pictures; at most {settings.max_files} are accepted.", param=field
        )


async def _form(request: Request) -> FormData:
    try:
        return await request.form()
    except (HTTPException, ClientDisconnect):
        raise
    except Exception as error:  # a hostile boundary or header makes the parser raise nearly anything
        raise errors.InvalidRequest("The form could not be read.") from error


def _examined(filename: str, content: bytes | int, limits: ImageLimits, field: str) -> Upload:
    picture: Picture | errors.LookseeError
    try:
        if isinstance(content, int):
            raise errors.FileTooLarge(f"The file has more than {mib(limits.file_bytes)}.", param=field)
        picture = examine(content, limits, param=field)
    except errors.LookseeError as error:
        picture = error
    return Upload(filename[:_LONGEST_NAME], picture)


def _decoded(name: str, text: str, limits: ImageLimits) -> Upload:
    try:
        return Upload(name, from_base64(text, limits, param=name))
    except errors.LookseeError as error:
        return Upload(name, error)
