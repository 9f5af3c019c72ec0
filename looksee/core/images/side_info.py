"""What a file says beside its pixels, taken apart by its container: PNG chunks, JPEG segments, WebP chunks.

Pillow reads all of it before a picture, and gives a picture up for any of it that is damaged or large. No viewer does.
So the pixels are handed to Pillow without it, and the little that is needed is read here, by the formats' standards:
PNG (W3C, third edition), JPEG (ITU T.81) with the segments of Exif and ICC, WebP (RFC 9649).
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from looksee.core.images import orientation
from looksee.core.images.work import Pieces

_MOST_UNPACKED = 8 * 2**20  # bytes of all compressed texts and profiles of a file; what is larger is passed over
_FILL = re.compile(rb"\xff+")
_TRANSPARENT = {0: (2,), 2: (6,), 3: range(1, 257)}  # bytes of tRNS, by the picture's colour type
_RAW_PROFILE = re.compile(rb"\s*[\w-]+\s+\d+\s+([0-9a-fA-F\s]*)")  # as ImageMagick writes it: name, length, digits
_XMP_NAMESPACE = b"http://ns.adobe.com/xap/1.0/\0"


@dataclass(slots=True)
class SideInfo:
    """A file without what it says beside its pixels (`pixels`), and what it says, as bytes; empty where nothing is.

    `depth` are the bits of one channel as they are stored, where the container says so.
    """

    pixels: bytes
    exif: bytes = b""
    xmp: bytes = b""
    profile: bytes = b""
    depth: int = 8

    @property
    def orientation(self) -> int:
        """How the picture is stored, as a number of the Exif standard."""
        return orientation.found(self.exif, self.xmp)


def split(data: bytes, kind: str) -> SideInfo:
    """Take a JPEG, PNG or WebP apart. Where it is not as its standard says, the rest is left to the decoder.

    Raises ValueError where it is in far too many pieces.
    """
    return _SPLIT[kind](data)


def _png(data: bytes) -> SideInfo:
    found, view, unpack = SideInfo(data), memoryview(data), _Unpacking()
    kept, at, colour_type, pieces = [view[:8]], 8, -1, Pieces(data)
    while at + 8 <= len(data):
        pieces.count()
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        content = b"" if name == b"IDAT" else data[at + 8 : end - 4]
        if name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            if name == b"IHDR" and len(content) > 9:
                found.depth, colour_type = content[8], content[9]
            if name != b"tRNS" or _is_sound(data[at + 4 : end], colour_type):
                kept.append(view[at:end])
        elif name == b"eXIf":
            found.exif = found.exif or content
        elif name == b"iCCP":
            found.profile = found.profile or unpack(content.partition(b"\0")[2][1:])
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            _png_text(name, content, found, unpack)
        elif not name.isalpha():  # no chunk begins here: the decoder says what is wrong
            kept.append(view[at:])
            break
        at = end
    if sum(map(len, kept)) < len(data):
        found.pixels = b"".join(kept)
    return found


def _is_sound(chunk: bytes, colour_type: int) -> bool:
    """Whether a tRNS chunk, from its name to its sum, is as the picture's colour type wants it."""
    right_length = len(chunk) - 8 in _TRANSPARENT.get(colour_type, ())
    return right_length and zlib.crc32(chunk[:-4]) == int.from_bytes(chunk[-4:], "big")


def _png_text(name: bytes, content: bytes, found: SideInfo, unpack: _Unpacking) -> None:
    """EXIF, XMP and profiles that programs hide in texts, some as hexadecimal digits."""
    keyword, _, text = content.partition(b"\0")
    if not (keyword.startswith(b"Raw profile type ") or keyword == b"XML:com.adobe.xmp"):
        return
    if name == b"zTXt":
        text = unpack(text[1:])
    elif name == b"iTXt":
        packed = text[:1] == b"\1"
        text = text[2:].split(b"\0", 2)[-1]
        text = unpack(text) if packed else text
    if keyword == b"XML:com.adobe.xmp":
        found.xmp = found.xmp or text
        return
    digits = _RAW_PROFILE.match(text)
    kind = keyword.removeprefix(b"Raw profile type ").lower()
    try:
        profile = bytes.fromhex(digits[1].decode()) if digits else b""
    except ValueError:
        return
    if kind in (b"exif", b"app1") and not profile.startswith(_XMP_NAMESPACE):
        found.exif = found.exif or profile
    elif kind in (b"xmp", b"app1"):
        found.xmp = found.xmp or profile
    elif kind in (b"icc", b"icm"):
        found.profile = found.profile or profile


class _Unpacking:
    """Decompresses the texts and profiles of one file, so much of them together."""

    def __init__(self) -> None:
        self._left = _MOST_UNPACKED

    def __call__(self, data: bytes) -> bytes:
        """Decompressed; nothing where that is damaged or too large."""
        if self._left <= 0:
            return b""
        unpacking = zlib.decompressobj()
        try:
            text = unpacking.decompress(data, self._left)
        except zlib.error:
            self._left -= 2**20  # what it took is not told
            return b""
        self._left -= len(text)
        return text if unpacking.eof else b""


def _jpeg(data: bytes) -> SideInfo:
    found, view = SideInfo(data), memoryview(data)
    kept, profile, at, pieces = [view[:2]], dict[int, bytes](), 2, Pieces(data)
    while at + 4 <= len(data) and data[at] == 0xFF:
        pieces.count()
        marker = data[at + 1]
        if marker == 0xFF and (fill := _FILL.match(data, at)):
            at = fill.end() - 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA or length < 2 or at + 2 + length > len(data):  # the scans, or what is no segment
            break
        content = data[at + 4 : at + 2 + length]
        if marker == 0xE1 and content.startswith(b"Exif\0"):
            found.exif = found.exif or content[6:]
        elif marker == 0xE1 and content.startswith(_XMP_NAMESPACE):
            found.xmp = found.xmp or content[len(_XMP_NAMESPACE) :]
        elif marker == 0xE2 and content.startswith(b"ICC_PROFILE\0") and len(content) > 14:
            profile.setdefault(content[12], content[14:])
        elif marker == 0xE0 and content.startswith(b"JFIF") and len(content) < 14:
            pass  # cut short
        elif marker not in (*range(0xE1, 0xEE), 0xEF, 0xFE):  # JFIF and Adobe say what the channels are
            kept.append(view[at : at + 2 + length])
        at += 2 + length
    kept.append(view[at:])
    if sum(map(len, kept)) < len(data):
        found.pixels = b"".join(kept)
    if sorted(profile) == list(range(1, len(profile) + 1)):
        found.profile = b"".join(profile[number] for number in sorted(profile))
    return found


def _webp(data: bytes) -> SideInfo:
    found = SideInfo(data)
    kept, at, lost, pieces = list[bytes](), 12, 0, Pieces(data)
    end_of_file = int.from_bytes(data[4:8], "little") + 8
    while at + 8 <= min(len(data), end_of_file):
        pieces.count()
        name, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2
        content = data[at + 8 : at + 8 + length]
        if name == b"EXIF":
            found.exif = content.removeprefix(b"Exif\0\0")
        elif name == b"XMP ":
            found.xmp = content
        elif name == b"ICCP":
            found.profile = content
        elif name == b"VP8X" and content:
            kept.append(data[at : at + 8] + bytes([content[0] & ~0x2C]) + data[at + 9 : end])  # without the three
        else:
            kept.append(data[at:end])
            if end > len(data):  # a file that is cut in its pixels is to go on saying so
                lost = end - len(data)
        at = end
    body = b"".join(kept)
    found.pixels = b"RIFF" + (4 + len(body) + lost).to_bytes(4, "little") + b"WEBP" + body
    return found


_SPLIT = {"png": _png, "jpeg": _jpeg, "webp": _webp}
