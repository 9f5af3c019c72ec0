"""Forms (`multipart/form-data`) as clients write them, into files and texts; nothing in them is passed over.

A file name is optional (RFC 7578, section 4.2). Starlette takes a part without one for a text and decodes it, which
destroys a picture. Here a part is a file also by its field's name or its type, and its bytes stay as they came.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import unquote

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from looksee.core import errors

# The usual names of a picture's field; of several also as images[], images[0].
PICTURE_FIELDS = ("images", "image", "files", "file")
_PICTURE_FIELD = re.compile(rf"(?:{'|'.join(PICTURE_FIELDS)})(?:\[[0-9]{{0,4}}\])?")
_EXTENDED_NAME = re.compile(rb"""filename\*\s*=\s*"?(utf-8|iso-8859-1)'[^']*'([^;"\s]+)""", re.IGNORECASE)
_MOST_PARTS = 1000
_CLIENT = "Let the client write the Content-Type header itself, with the boundary that it puts between the parts."


def is_picture_field(name: str) -> bool:
    return _PICTURE_FIELD.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class FormPart:
    """A part of a form, by its field's `name`: a text or a file. `filename` is empty where the client sent none."""

    name: str
    value: str | UploadFile
    filename: str = ""

    async def content(self, most: int) -> bytes | int:
        """The file's bytes; its size where it has more than `most`."""
        assert isinstance(self.value, UploadFile)
        size = self.value.size or 0
        encoding = self.value.headers.get("content-transfer-encoding", "").strip().lower()
        if encoding != "base64":
            return await self.value.read() if size <= most else size
        if size > most * 3 // 2:  # base64 in lines has less than half as much again
            return size
        try:
            data = base64.b64decode(await self.value.read())
        except binascii.Error:
            raise errors.InvalidRequest(
                f"The part '{self.name}' is not in base64, as it says.", param=self.name
            ) from None
        return data if len(data) <= most else len(data)


@asynccontextmanager
async def parts(request: Request, *, instead: str = "") -> AsyncIterator[list[FormPart]]:
    """The parts of the request's form, in order; empty ones are left out, as a form with nothing chosen sends them.

    Raises UnsupportedMediaType, with the sentence `instead` about what takes other bodies, InvalidRequest or
    TooManyFiles.
    """
    boundary = await _boundary(request, instead)
    if boundary is None:
        yield []
        return
    parser = _Parser(request, boundary)
    try:
        await _parsed(parser)
        yield parser.found()
    finally:
        parser.close()


async def _parsed(parser: _Parser) -> None:
    try:
        await parser.parse()
    except (HTTPException, ClientDisconnect, errors.LookseeError):
        raise
    except Exception as error:  # a hostile header makes the parser raise nearly anything
        raise parser.refusal(error) from error


async def _boundary(request: Request, instead: str) -> bytes | None:
    """The boundary that the header names; None where nothing at all was sent."""
    header = request.headers.get("content-type", "")
    kind, options = parse_options_header(header.encode("latin-1"))
    if kind != b"multipart/form-data":
        if not header and not await request.body():
            return None
        shown = f", not as {kind.decode('latin-1')[:100]}" if kind else ""
        raise errors.UnsupportedMediaType(
            f"Send pictures as multipart/form-data{shown} (curl -F images=@a.png).{instead}"
        )
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise errors.InvalidRequest(f"The header Content-Type: multipart/form-data has no boundary. {_CLIENT}")
    return boundary


class _Parser(MultiPartParser):
    """Parts without a file name may be files too, text may stand in front of the first part, and an end that is missing
    is noticed.
    """

    def __init__(self, request: Request, boundary: bytes) -> None:
        self._delimiter = b"--" + boundary
        self._read = 0  # bytes
        self._begun = self._ended = False
        self._names: dict[int, str] = {}  # that are written with filename*, by their parts' places
        self._count = 0
        kind = b'multipart/form-data; boundary="' + boundary.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        headers = Headers(raw=[(b"content-type", kind)])
        super().__init__(headers, self._from_the_first_part(request), max_files=_MOST_PARTS, max_fields=_MOST_PARTS)

    async def _from_the_first_part(self, request: Request) -> AsyncGenerator[bytes, None]:
        """The body without what may stand in front of its first part (RFC 2046, section 5.1.1)."""
        held = b"\n"  # a line begins here
        async for chunk in request.stream():
            self._read += len(chunk)
            if not self._begun:
                held += chunk
                start = held.find(b"\n" + self._delimiter)
                if start < 0:
                    held = held[-len(self._delimiter) :]
                    continue
                self._begun, chunk = True, held[start + 1 :]
            if chunk:
                yield chunk

    def on_headers_finished(self) -> None:
        part = self._current_part
        disposition = part.content_disposition or b""
        _, options = parse_options_header(disposition)
        if b"name" not in options:
            raise errors.InvalidRequest("A part of the form has no name: each needs Content-Disposition with name=.")
        extended = _EXTENDED_NAME.search(disposition)
        if extended:
            self._names[self._count] = unquote(extended[2].decode("latin-1"), extended[1].decode(), "replace")
        kind = dict(part.item_headers).get(b"content-type", b"").strip().lower()
        if b"filename" not in options and (
            extended or kind.startswith(b"image/") or is_picture_field(options[b"name"].decode("latin-1"))
        ):
            part.content_disposition = disposition + b'; filename=""'
        self._count += 1
        super().on_headers_finished()

    def on_end(self) -> None:
        self._ended = True

    def close(self) -> None:
        """Give the files back, those of a broken form too."""
        for file in self._files_to_close_on_error:
            file.close()

    def refusal(self, error: Exception) -> errors.LookseeError:
        """The error for a form that `parse` failed on."""
        if isinstance(error, MultiPartException) and "Too many files" in error.message:
            return errors.TooManyFiles(f"The form has more than {_MOST_PARTS} files.")
        if isinstance(error, MultiPartException) and "exceeded" in error.message:
            return errors.InvalidRequest("A text in the form has more than 1 MiB.")
        if isinstance(error, MultiPartException) and "Too many" in error.message:
            return errors.InvalidRequest(f"The form has more than {_MOST_PARTS} fields.")
        return errors.InvalidRequest(f"The form could not be read: it is not as its boundary says. {_CLIENT}")

    def found(self) -> list[FormPart]:
        """The parts that are not empty. Raises InvalidRequest for a form that is not whole."""
        if not self._begun and self._read:
            raise errors.InvalidRequest(f"The boundary in Content-Type does not occur in the body. {_CLIENT}")
        if self._begun and not self._ended:
            raise errors.InvalidRequest("The form breaks off: its last boundary is missing.")
        named = [FormPart(name, value, self._filename(place)) for place, (name, value) in enumerate(self.items)]
        return [part for part in named if not _is_empty(part)]

    def _filename(self, place: int) -> str:
        if place in self._names:
            return self._names[place]
        _, value = self.items[place]
        # Browsers and most packages write a quote so.
        return (value.filename or "").replace("%22", '"') if isinstance(value, UploadFile) else ""


def _is_empty(part: FormPart) -> bool:
    """Whether nothing was chosen or written; a file with a name or a picture's type was meant, though it is empty."""
    if isinstance(part.value, str):
        return not part.value
    return not (part.value.size or part.filename or part.value.headers.get("content-type", "").startswith("image/"))
