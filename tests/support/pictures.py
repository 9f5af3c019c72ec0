"""Pictures for tests: drawn scenes with their captions, and files that are no pictures."""

from __future__ import annotations

import io
import random
import struct
import zlib

from PIL import Image

from samples.world import scenes

CORRUPT = b"\x89PNG\r\n\x1a\n" + b"\x00" * 64
TEXT = b"This is no picture, whatever its name says.\n"


def scene(seed: int | str, *, count: int = 1, kind: str = "PNG") -> tuple[bytes, str]:
    """A drawn scene as a file, and its caption."""
    rng = random.Random(f"test:{seed}")
    composed = scenes.compose(rng, count=count, sides=(120, 320))
    return scenes.encode(scenes.draw(composed, rng), rng, (kind,)), composed.caption()


def truncated(seed: int | str = 0) -> bytes:
    """A picture whose header is good and whose body ends half-way."""
    data, _ = scene(seed, kind="JPEG")
    return data[: len(data) // 2]


def tiny() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1, 1), "red").save(file, "PNG")
    return file.getvalue()


def bomb(side: int = 10_000) -> bytes:
    """A PNG of `side` x `side` pixels in a few kilobytes: 100 megapixels by default."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"\x00" * ((side // 8 + 1) * side), 9)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
