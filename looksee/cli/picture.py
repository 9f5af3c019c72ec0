"""Pictures as the service takes them in JSON: `picture` makes a data URI of whatever a program has."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from PIL.Image import Image

WeightsSource: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image"

_ADDRESSES = ("data:", "http://", "https://")
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def picture(source: WeightsSource) -> str:
    """A data URI of a path, the bytes of a file, an open binary file, or a PIL image.

    Files stay as they are. A PIL image becomes a PNG, or a JPEG if it was opened from one; upright, as its EXIF data
    say. A data URI or an http(s) URL is returned as it is; whether the service fetches URLs is its operator's affair.

    Raises ValueError for what is no JPEG, PNG or WebP file, and OSError for a file that cannot be read.
    """
    if isinstance(source, str) and source.lower().startswith(_ADDRESSES):
        return source
    data = _content(source)
    # Imported here: it brings Pillow, which `looksee --help` need not wait for.
    from looksee.core.images import media_type

    kind = media_type(data)
    if kind is None:
        name = f"'{os.fspath(source)}'" if isinstance(source, str | os.PathLike) else "This"
        raise ValueError(f"{name} is not a JPEG, PNG or WebP file.")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def trouble(error: Exception) -> str:
    """What to tell a person of a picture that could not be had, or of another file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error)


def _content(source: WeightsSource) -> bytes:
    if isinstance(source, str | os.PathLike):
        return Path(source).read_bytes()
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if hasattr(source, "read"):
        return source.read()
    if hasattr(source, "save"):
        return _file(source)
    raise TypeError(f"A picture is a path, bytes, a binary file or a PIL image, not a {type(source).__name__}.")


def _file(image: Image) -> bytes:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    file = io.BytesIO()
    if image.format in ("JPEG", "MPO"):  # as PNG a photograph would be several times its size
        (upright if upright.mode in ("L", "RGB") else upright.convert("RGB")).save(file, "JPEG", quality=95)
    else:
        (upright if upright.mode in _PNG_MODES else upright.convert("RGB")).save(file, "PNG")
    return file.getvalue()
