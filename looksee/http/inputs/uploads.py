"""Pictures of a request, from a form, base64 or an address: read, and examined in a thread. Of several pictures each
has its own result.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from looksee.core import errors
from looksee.core.addresses import is_address
from looksee.core.images import ImageLimits, Picture, examine, from_base64, mib
from looksee.http.context import RequestContext
from looksee.http.error_sentences import raised
from looksee.http.inputs.fetching import Fetcher
from looksee.settings import Settings

_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a request: its picture, or the error about it."""

    filename: str
    picture: Picture | errors.LookseeError


def image_limits(settings: Settings) -> ImageLimits:
    return ImageLimits(settings.max_file_bytes, settings.max_pixels, settings.min_side, settings.image_format_names())


async def read(request: Request, field: str, context: RequestContext) -> list[Upload]:
    """The pictures in the repeated form field `field`, in order.

    Raises UnsupportedMediaType, InvalidValue (no file there) or TooManyFiles; what is wrong with one file is in its
    Upload.
    """
    settings = context.settings
    async with _form(request) as form:
        files = _files(form, field, settings.max_files)
        contents = [await _content(file, settings) for file in files]
    limits = image_limits(settings)

    def examine_all() -> list[Upload]:
        pairs = zip(files, contents, strict=True)
        return [_examined(file.filename or "", content, limits, field) for file, content in pairs]

    return await asyncio.to_thread(examine_all)


async def read_one(
    request: Request, field: str, context: RequestContext
) -> tuple[Callable[[], Awaitable[Picture]], dict[str, Any]]:
    """A function that examines the one picture in the form field `field`, and the other fields: texts or files.

    Raises UnsupportedMediaType, InvalidValue (no file there) or TooManyFiles; what is wrong with the picture is raised
    when it is examined.
    """
    settings = context.settings
    async with _form(request) as form:
        (file,) = _files(form, field, 1)
        content = await _content(file, settings)
        fields = {name: value for name, value in form.items() if name != field}

    async def examined() -> Picture:
        found = await asyncio.to_thread(_examined, file.filename or "", content, image_limits(settings), field)
        if isinstance(found.picture, errors.LookseeError):
            raise found.picture
        return found.picture

    return examined, fields


async def picture(text: str, context: RequestContext, *, param: str) -> Picture:
    """The picture in a text: in base64, bare or as a data URI, or at the address that the text is.

    Raises what `Fetcher.fetch`, `from_base64` and `examine` raise, and Cancelled when the caller left meanwhile.
    """
    work = _picture(text, context.settings, param)
    return await (context.while_connected(work) if is_address(text) else work)


def encoded(text: str, context: RequestContext) -> Callable[[], Awaitable[Picture]]:
    """A function that reads the `picture` of the parameter `image`."""
    return functools.partial(picture, text, context, param="image")


async def decode(images: Sequence[str], field: str, context: RequestContext) -> list[Upload]:
    """The pictures of a list of texts, each as in `picture`; their names are their indices, `images.0` and so on.

    Raises InvalidValue (an empty list), TooManyFiles, RequestTooLarge (what was fetched is more than a request may
    have) or Cancelled; what is wrong with one picture is in its Upload.
    """
    if not images:
        raise errors.InvalidValue(
            f"Send at least one picture in '{field}', and at most {context.settings.max_files}.", param=field
        )
    check_count(len(images), field, context.settings.max_files)
    return await _pictures({f"{field}.{number}": text for number, text in enumerate(images)}, field, context)


async def pictures(texts: Mapping[str, str], field: str, context: RequestContext) -> list[Picture]:
    """The pictures of texts by the caller's names of them, in order, each as in `picture`.

    Raises the error of the first bad one, RequestTooLarge (as `decode`) or Cancelled.
    """
    found: list[Picture] = []
    for upload in await _pictures(texts, field, context):
        if not isinstance(upload.picture, Picture):
            raise upload.picture
        found.append(upload.picture)
    return found


async def _pictures(texts: Mapping[str, str], field: str, context: RequestContext) -> list[Upload]:
    work = _uploads(texts, field, context.settings)
    return await (context.while_connected(work) if any(map(is_address, texts.values())) else work)


async def _uploads(texts: Mapping[str, str], field: str, settings: Settings) -> list[Upload]:
    left = settings.max_request_bytes

    async def upload(name: str, text: str) -> Upload:
        nonlocal left
        try:
            found = await _picture(text, settings, name)
        except errors.LookseeError as error:
            return Upload(name, error)
        left -= len(found.data)
        if left < 0:
            most = f"{mib(settings.max_request_bytes)} together{raised('LOOKSEE_MAX_REQUEST_BYTES')}"
            raise errors.RequestTooLarge(f"The pictures have more than {most}.", param=field)
        return Upload(name, found)

    tasks = [asyncio.create_task(upload(name, text)) for name, text in texts.items()]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


async def _picture(text: str, settings: Settings, param: str) -> Picture:
    limits = image_limits(settings)
    if not is_address(text):
        return await asyncio.to_thread(from_base64, text, limits, param=param)
    data = await Fetcher.of(settings).fetch(text, param=param)
    return await asyncio.to_thread(examine, data, limits, param=param)


def check_count(count: int, field: str, most: int) -> None:
    """Raises TooManyFiles."""
    if count > most:
        accepted = "is accepted" if most == 1 else f"are accepted{raised('LOOKSEE_MAX_FILES')}"
        raise errors.TooManyFiles(f"The request has {count} pictures; at most {most} {accepted}.", param=field)


def _files(form: FormData, field: str, most: int) -> list[UploadFile]:
    files = [part for part in form.getlist(field) if isinstance(part, UploadFile)]
    if not files:
        number = "one file" if most == 1 else "at least one file"
        raise errors.InvalidValue(f"Send {number} in the form field '{field}'.", param=field)
    check_count(len(files), field, most)
    return files


async def _content(file: UploadFile, settings: Settings) -> bytes | int:
    """The file's bytes, or the size of one that is too large."""
    size = file.size or 0
    return await file.read() if size <= settings.max_file_bytes else size


@asynccontextmanager
async def _form(request: Request) -> AsyncIterator[FormData]:
    """The request's form. Raises UnsupportedMediaType or InvalidRequest."""
    content_type = request.headers.get("content-type", "")
    if content_type and not content_type.lower().startswith("multipart/form-data"):
        raise errors.UnsupportedMediaType("Send pictures as multipart/form-data.")
    form = await _parsed(request)
    try:
        yield form
    finally:
        await form.close()


async def _parsed(request: Request) -> FormData:
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
            raise errors.FileTooLarge(f"The file {limits.too_long}.", param=field)
        picture = examine(content, limits, param=field)
    except errors.LookseeError as error:
        picture = error
    return Upload(filename[:_LONGEST_NAME], picture)
