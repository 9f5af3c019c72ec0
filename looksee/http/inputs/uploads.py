"""Pictures of a request, from a form, base64 or an address: read, and examined in a thread. Of several pictures each
has its own result.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from looksee.core import errors, kept_pictures
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

    def __init__(self, files: Sequence[_File], texts: forms.Texts, context: RequestContext) -> None:
        self._files, self._context = files, context
        self.texts = texts

    async def pictures(self) -> list[Upload]:
        """The pictures, in order; what is wrong with one is in its Upload.

        Raises RequestTooLarge where ids are those of more than a request may have.
        """
        limits = image_limits(self._context.settings)
        room = _Room(self._context.settings, "")
        kept = {place: await _kept(file, self._context, room) for place, file in enumerate(self._files) if file.id}
        return await asyncio.to_thread(
            lambda: [kept.get(place) or _examined(file, limits) for place, file in enumerate(self._files)]
        )

    async def picture(self) -> Picture:
        """The first picture. Raises what is wrong with it."""
        (found, *_) = await self.pictures()
        if isinstance(found.picture, errors.LookseeError):
            raise found.picture
        return found.picture


async def read(
    request: Request, field: str, context: RequestContext, *, most: int, names: Sequence[str] = (), instead: str = ""
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
        most_bytes = context.settings.max_file_bytes
        files = [
            _File(part.name, part.filename, await part.content(most_bytes), f"{part.name}.{place}")
            for place, part in enumerate(pictures)
        ]
    return ReadForm(files, texts, context)


async def picture(text: str, context: RequestContext, *, param: str) -> Picture:
    """The picture in a text: in base64, bare or as a data URI, at the address or of the id that the text is.

    Raises what `Fetcher.fetch`, `from_base64`, `KeptPictures.file` and `examine` raise, and Cancelled when the caller
    left meanwhile.
    """
    work = _picture(text, context, param)
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
    work = _uploads(texts, field, context)
    return await (context.while_connected(work) if any(map(is_address, texts.values())) else work)


async def _uploads(texts: Mapping[str, str], field: str, context: RequestContext) -> list[Upload]:
    room = _Room(context.settings, field)

    async def upload(name: str, text: str) -> Upload:
        try:
            found = await _picture(text, context, name)
        except errors.LookseeError as error:
            return Upload(name, error)
        room.take(found)
        return Upload(name, found)

    tasks = [asyncio.create_task(upload(name, text)) for name, text in texts.items()]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        await stop(*tasks)


class _Room:
    """What the pictures of a request may have together: the limit on the body does not bound what texts lead to."""

    def __init__(self, settings: Settings, field: str) -> None:
        self._most, self._field = settings.max_request_bytes, field
        self._left = self._most

    def take(self, found: Picture) -> None:
        """Raises RequestTooLarge."""
        self._left -= len(found.data)
        if self._left < 0:
            most = f"{mib(self._most)} together{raised('LOOKSEE_MAX_REQUEST_BYTES')}"
            raise errors.RequestTooLarge(f"The pictures have more than {most}.", param=self._field or None)


async def _picture(text: str, context: RequestContext, param: str) -> Picture:
    """Every reference to a picture is read here, but a file in a form."""
    limits = image_limits(context.settings)
    if kept_pictures.is_id(text):  # which an address could begin like
        digest = kept_pictures.digest_of(text, param=param)
        data = await context.gateway.pictures.file(context.client, digest, param=param)
    elif is_address(text):
        data = await Fetcher.of(context.settings).fetch(text, param=param)
    else:
        return await asyncio.to_thread(from_base64, text, limits, param=param)
    context.held(len(data))
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

    @property
    def shown(self) -> str:
        return self.filename[:_LONGEST_NAME] or self.place

    @property
    def id(self) -> str:
        """The text of a part that is the id of a picture, else an empty one."""
        if self.filename or not isinstance(self.content, bytes) or len(self.content) > kept_pictures.LONGEST_ID:
            return ""
        text = self.content.decode("ascii", "replace")
        return text if kept_pictures.is_id(text) else ""


async def _kept(file: _File, context: RequestContext, room: _Room) -> Upload:
    """Raises RequestTooLarge."""
    try:
        found = await _picture(file.id, context, file.field)
    except errors.LookseeError as error:
        return Upload(file.shown, error)
    room.take(found)
    return Upload(file.shown, found)


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
    return Upload(file.shown, picture)


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
