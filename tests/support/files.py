"""Picture files made in memory, for tests."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The picture as the bytes of a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def plain(kind: str = "PNG", size: tuple[int, int] = (20, 10), colour: tuple[int, int, int] = (200, 30, 40)) -> bytes:
    """A file with one colour all over."""
    return encoded(Image.new("RGB", size, colour), kind)


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def wide_png(width: int, height: int) -> bytes:
    """A whole and valid PNG of black 1-bit pixels, made without ever holding its pixels: small for its size."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(1)
    row = bytes(1 + (width + 7) // 8)
    body = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def wide_webp(width: int, height: int) -> bytes:
    """A lossless WebP of a few bytes whose header claims any size up to 16383 x 16383."""
    size = struct.pack("<I", (width - 1) | (height - 1) << 14)
    body = b"\x2f" + size + bytes.fromhex("071011118888fe0700000000")
    body += bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBPVP8L" + struct.pack("<I", len(body)) + body
