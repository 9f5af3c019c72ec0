"""Pictures in text: base64 as the web writes it, bare or as a data URI."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from looksee.core import errors
from looksee.core.image_formats import sniff
from looksee.core.images.examine import ImageLimits, Picture, examine

# The parameters of the media type say nothing here; a media type may be left out.
_DATA_URI = re.compile(r"data:(?P<type>[^,;]*)(?P<parameters>(?:;[^,;]*)*),", re.IGNORECASE)
_LONGEST_PREFIX = 1000  # characters of a data URI in front of its data
_LONGEST_PATH = 300  # characters
_LONGEST_QUOTED = 2**20  # characters of bytes that are written as they are, most of them percent-encoded
_PATH = re.compile(r"(file:|~?/|\.\.?/|[A-Za-z]:[\\/])|[^\s]{1,255}\.\w{3,4}$")
_URL_SAFE = str.maketrans("-_", "+/")
_SPACE = b" \t\r\n\f\v"
_QUOTED = {"%2B": "+", "%2F": "/", "%3D": "=", "%2D": "-", "%5F": "_", "%0A": "", "%0D": "", "%20": ""}
_OTHERS = re.compile(r"[^A-Za-z0-9+/]")


def from_base64(text: str, limits: ImageLimits, *, param: str = "image") -> Picture:
    """Examine a picture given as a data URI or bare base64. Raises InvalidRequest beside the errors of `examine`.

    Both alphabets are read, with or without padding, with white space anywhere, and percent-encoded.
    """
    if len(text) > 4 * limits.file_bytes + _LONGEST_PREFIX:  # however it is written
        raise errors.FileTooLarge(f"The picture {limits.too_long}.", param=param)
    text = text.strip()
    if text[:5].lower() == "data:":
        text, is_base64 = _data_of(text, param)
        # One that does not say base64 has its bytes as they are, unless the word was forgotten.
        if not is_base64 and len(text) <= _LONGEST_QUOTED and sniff(data := unquote_to_bytes(text)):
            return examine(data, limits, param=param)
    return examine(_decoded(text, limits, param), limits, param=param)


def _data_of(uri: str, param: str) -> tuple[str, bool]:
    """What stands behind the comma, and whether that is base64."""
    prefix = _DATA_URI.match(uri[:_LONGEST_PREFIX])
    if prefix is None:
        raise errors.InvalidRequest(
            f"'{param}' begins as a data URI, but has no comma before its data: write data:image/png;base64,....",
            param=param,
        )
    words = [word.strip().lower() for word in prefix["parameters"].split(";")]
    return uri[prefix.end() :], "base64" in words


def _decoded(text: str, limits: ImageLimits, param: str) -> bytes:
    if "%" in text:
        for quoted, character in _QUOTED.items():
            text = text.replace(quoted, character).replace(quoted.lower(), character)
    if text.isascii():
        text = text.encode().translate(None, _SPACE).decode()
    text = text.translate(_URL_SAFE)
    bare = text.rstrip("=")
    if len(bare) * 3 // 4 > limits.file_bytes:
        raise errors.FileTooLarge(f"The picture {limits.too_long}.", param=param)
    if wrong := _OTHERS.search(bare):
        raise _refused(param, f"character {wrong.start() + 1} is {wrong[0]!r}, which is none of base64", bare)
    if len(bare) % 4 == 1:
        raise _refused(param, f"{len(bare)} characters are no whole number of bytes; some are missing", bare)
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError) as error:
        raise _refused(param, str(error), bare) from error
    if len(bare) < _LONGEST_PATH and "/" in bare and sniff(data) is None:  # as in /etc/hosts, whose letters are base64
        raise _refused(param, "it is no picture's beginning", bare, path=True)
    return data


def _refused(param: str, reason: str, text: str, *, path: bool = False) -> errors.InvalidRequest:
    """What is wrong with it, and what it seems to be instead."""
    hint = ""
    if path or (len(text) < _LONGEST_PATH and _PATH.match(text)):
        hint = " It looks like a path: send what is in the file."
    elif text.lower().startswith(("http:", "https:")):
        hint = " It looks like an address that is not whole."
    return errors.InvalidRequest(
        f"'{param}' must be a picture in base64, bare or as a data URI: {reason}.{hint}", param=param
    )
