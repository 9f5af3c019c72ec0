"""Pictures of a request, from a form, base64 or an address: read, and examined in a thread. Of several pictures each
has its own result.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from looksee.core import errors
from looksee.core.addresses import is_address
from looksee.core.images import ImageLimits, Picture, examine, from_base64, mib
from looksee.http.context import RequestContext
from looksee.http.disconnect import stop
from looksee.http.error_sentences import raised
from looksee.http.inputs import forms, multipart
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


class ReadForm:
    """A form that has been read: pictures in files, and parameters."""

    def __init__(self, files: Sequence[_File], texts: forms.Texts, settings: Settings) -> None:
        self._files, self._settings = files, settings
        self.texts = texts

    async def pictures(self) -> list[Upload]:
        """The pictures, in order; what is wrong with one is in its Upload."""
        limits = image_limits(self._settings)
        return await asyncio.to_thread(lambda: [_examined(file, limits) for file in self._files])

    async def picture(self) -> Picture:
        """The first picture. Raises what is wrong with it."""
        (found, *_) = await self.pictures()
        if isinstance(found.picture, errors.LookseeError):
            raise found.picture
        return found.picture


async def read(
    request: Request, field: str, settings: Settings, *, most: int, names: Sequence[str] = (), instead: str = ""
) -> ReadForm:
    """The form of a request: up to `most` pictures in `field`, or any other of PICTURE_FIELDS, and texts in `names`.

    Raises UnsupportedMediaType, with the sentence `instead` about what takes other bodies, InvalidRequest,
    UnsupportedParameter, InvalidValue (no file there) or TooManyFiles.
    """
    async with multipart.parts(request, instead=instead) as parts:
        pictures, texts = forms.split(parts, names)
        if not pictures:
            number = "one file" if most == 1 else "at least one file"
            raise errors.InvalidValue(f"Send {number} in the form field '{field}'.", param=field)
        check_count(len(pictures), field, most)
        files = [
            _File(part.name, part.filename, await part.content(settings.max_file_bytes), f"{part.name}.{place}")
            for place, part in enumerate(pictures)
        ]
    return ReadForm(files, texts, settings)


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
        await stop(*tasks)


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


@dataclass(frozen=True, slots=True)
class _File:
    """A file of a form: its bytes, or its size where that is too large. `place` is its name where it has none."""

    field: str
    filename: str
    content: bytes | int
    place: str


def _examined(file: _File, limits: ImageLimits) -> Upload:
    picture: Picture | errors.LookseeError
    try:
        if isinstance(file.content, int):
            raise errors.FileTooLarge(f"The file {limits.too_long}.", param=file.field)
        picture = examine(file.content, limits, param=file.field)
    except errors.UnsupportedImageType as error:
        picture = error if file.filename else _from_text(file, limits, error)
    except errors.LookseeError as error:
        picture = error
    return Upload(file.filename[:_LONGEST_NAME] or file.place, picture)


def _from_text(file: _File, limits: ImageLimits, error: errors.LookseeError) -> Picture | errors.LookseeError:
    """The picture of a part that is a text: base64 or a data URI. What else it may be was not meant to be sent."""
    assert isinstance(file.content, bytes)
    try:
        text = file.content.decode("ascii")
    except UnicodeDecodeError:
        return error
    try:
        return from_base64(text.strip(), limits, param=file.field)
    except (errors.InvalidRequest, errors.UnsupportedImageType):
        return errors.InvalidValue(
            f"The form field '{file.field}' has a text and no picture: send the file itself (curl -F images=@a.png).",
            param=file.field,
        )
    except errors.LookseeError as wrong:
        return wrong
