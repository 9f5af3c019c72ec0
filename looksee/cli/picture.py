"""Pictures as the service takes them in JSON: `picture` makes a data URI of whatever a program has."""

from __future__ import annotations

import base64
import errno
import io
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from PIL.Image import Image

PictureSource: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image"

_ADDRESSES = ("data:", "http://", "https://", "sha256:")  # the last: an id of `PUT /v1/pictures`
_URL_SAFE = str.maketrans("-_", "+/")
_NO_PATH = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL)
_LONGEST_NAME = 255  # bytes of a file's name nearly everywhere, and what is quoted of one at most


def picture(source: PictureSource) -> str:
    """A data URI of a path, the bytes of a file, an open binary file, or a PIL image.

    Files stay as they are. A PIL image becomes what a person sees of it: upright, as its EXIF data say, and on white
    where it is transparent; a PNG, or a JPEG if it was opened from one. A data URI, an http(s) URL and the id
    of a picture that the service keeps are returned as they are; whether it fetches URLs is its operator's affair.
    Base64 is taken too, if no file has that name.

    Raises ValueError for what is no picture of a format that Looksee knows, and OSError for a file that cannot be read.
    """
    if isinstance(source, str) and source.strip().lower().startswith(_ADDRESSES):
        return source.strip()
    data = _content(source)
    from looksee.core.image_formats import FORMATS, sniff

    kind = sniff(data)
    if kind is None and not isinstance(source, str | os.PathLike):
        encoded = data.strip()
        if encoded[:5].lower() == b"data:":
            return encoded.decode("ascii", "replace")
        data = _of_base64(encoded.decode("latin-1")) or data
        kind = sniff(data)
    if kind is None:
        name = f"'{_quoted(os.fspath(source))}'" if isinstance(source, str | os.PathLike) else "This"
        *titles, last = (one.title for one in FORMATS.values())
        known = f"is not a picture ({', '.join(titles)} or {last})"
        raise ValueError(f"{name} {known if data else 'is empty'}.")
    return f"data:{kind.media_type};base64,{base64.b64encode(data).decode()}"


def trouble(error: Exception) -> str:
    """What to tell a person of a picture that could not be had, or of another file."""
    name = error.filename if isinstance(error, OSError) else None
    return f"{reason(error)}: {_quoted(os.fsdecode(name))}" if name else reason(error)


def reason(error: Exception) -> str:
    """The same where the file has been named already."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _content(source: PictureSource) -> bytes:
    if isinstance(source, str | os.PathLike):
        return _of_path(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if hasattr(source, "read"):
        data = source.read()
        if isinstance(data, str):
            raise TypeError("The file was opened as text: open it in binary mode, 'rb'.")
        return data
    if hasattr(source, "save"):
        return _file(source)
    raise TypeError(f"A picture is a path, bytes, a binary file or a PIL image, not a {type(source).__name__}.")


def _of_path(source: str | os.PathLike[str]) -> bytes:
    """A file's bytes; those of base64, where a text is no path."""
    if isinstance(source, str) and not source.strip():
        raise ValueError("A picture is the path of a file, not an empty text.")
    try:
        return Path(source).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte
        if not isinstance(source, str) or getattr(error, "errno", errno.EINVAL) not in _NO_PATH:
            raise
        data = _of_base64(source)
        if data is not None:
            return data
        if isinstance(error, FileNotFoundError | NotADirectoryError) and len(source) <= _LONGEST_NAME:
            raise
    raise ValueError(f"'{_quoted(source)}' is neither the path of a file nor a picture in base64.")


def _of_base64(text: str) -> bytes | None:
    """The picture that a text is in base64: either alphabet, with or without padding, in one line or several."""
    from looksee.core.image_formats import sniff

    letters = "".join(text.split()).translate(_URL_SAFE).rstrip("=")
    try:
        data = base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except ValueError:
        return None
    return data if sniff(data) else None


def _quoted(text: str) -> str:
    from looksee.cli.names import shown

    return shown(text if len(text) <= _LONGEST_NAME else f"{text[:60]}...")


def _file(image: Image) -> bytes:
    from looksee.core.images import rendered

    upright = _upright(image)
    hidden = upright.info.get("transparency")
    # What its file had, as far as an image still says it.
    depth = 1 if upright.mode == "1" else 16 if isinstance(hidden, tuple) and max(hidden) > 255 else 8
    seen = rendered(upright, upright.info.get("icc_profile") or b"", depth=depth).copy()
    seen.info.clear()  # the profile among it: the colours are sRGB now
    file = io.BytesIO()
    if image.format in ("JPEG", "MPO"):  # as PNG a photograph would be several times its size
        seen.save(file, "JPEG", quality=95)
    else:
        seen.save(file, "PNG")
    return file.getvalue()


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    from looksee.core.images import orientation

    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # Pillow reads all of the EXIF data, and damaged ones can make it raise nearly anything
        told = orientation.found(image.info.get("exif") or b"", image.info.get("xmp") or b"")
        return orientation.upright(image, told)
