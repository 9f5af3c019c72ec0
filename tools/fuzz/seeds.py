"""Sound files of every format, and of the modes that people's files are in."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageDraw

from looksee.core.image_formats import readable
from looksee.core.images import decode

_SIZE = (61, 43)  # odd, so that rows and blocks have rests


@dataclass(frozen=True)
class Seed:
    """A file that is whole, and what it is decoded to."""

    name: str
    data: bytes = field(repr=False)

    @property
    def kind(self) -> str:
        return self.name.split()[0]

    @functools.cached_property
    def pixels(self) -> tuple[bytes, bytes]:
        """What is seen of it, and the same where the file no longer says which way up it is."""
        seen = decode(self.data)
        return seen.tobytes(), seen.transpose(Image.Transpose.ROTATE_90).tobytes()


def picture() -> Image.Image:
    """RGBA with smooth and sharp parts, opaque, half transparent and clear ones."""
    across, down = np.meshgrid(np.arange(_SIZE[0]), np.arange(_SIZE[1]))
    channels = [across * 4 % 256, down * 6 % 256, (across * down) % 256, np.where(down > 20, 255, across * 4 % 256)]
    drawn = Image.fromarray(np.stack(channels, -1).astype(np.uint8), "RGBA")
    pen = ImageDraw.Draw(drawn)
    pen.rectangle((5, 5, 25, 20), fill=(220, 40, 40, 255))
    pen.ellipse((30, 10, 55, 35), fill=(40, 170, 60, 128))
    return drawn


def _file(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    others = [one.copy() for one in options.pop("append_images", [])]
    # Copies: Pillow leaves the options of one format's encoder on the image, where the next one finds them.
    image.copy().save(file, kind, append_images=others, **options)
    return file.getvalue()


@functools.cache
def seeds() -> tuple[Seed, ...]:
    """All of them, always in the same order."""
    full = picture()
    rgb, grey, palette = full.convert("RGB"), full.convert("L"), full.convert("RGB").quantize(17)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    floats = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    frames = [rgb.rotate(90 * turn) for turn in range(1, 4)]
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    side = {"exif": exif.tobytes(), "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}
    files: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "jpeg": (rgb, "JPEG", {"quality": 80}),
        "jpeg progressive": (rgb, "JPEG", {"progressive": True, **side}),
        "jpeg grey": (grey, "JPEG", {"restart_marker_blocks": 2}),
        "jpeg cmyk": (rgb.convert("CMYK"), "JPEG", {"quality": 90}),
        "jpeg of several": (rgb, "MPO", {"save_all": True, "append_images": frames[:1]}),
        "png": (rgb, "PNG", side),
        "png alpha": (full, "PNG", {}),
        "png palette": (palette, "PNG", {"transparency": bytes(range(0, 255, 15))}),
        "png bits": (grey.convert("1"), "PNG", {}),
        "png grey": (grey, "PNG", {"transparency": 40}),
        "png grey and alpha": (full.convert("LA"), "PNG", {}),
        "png deep": (deep, "PNG", {}),
        "png of several": (rgb, "PNG", {"save_all": True, "append_images": frames}),
        "webp": (rgb, "WEBP", {"quality": 80, **side}),
        "webp lossless": (full, "WEBP", {"lossless": True}),
        "webp alpha": (full, "WEBP", {"quality": 70}),
        "webp of several": (rgb, "WEBP", {"save_all": True, "append_images": frames}),
        "gif": (palette, "GIF", {"comment": b"a comment"}),
        "gif clear": (palette, "GIF", {"transparency": 3, "interlace": 1}),
        "gif of several": (palette, "GIF", {"save_all": True, "append_images": [one.quantize(9) for one in frames]}),
        "tiff": (rgb, "TIFF", {}),
        "tiff lzw": (full, "TIFF", {"compression": "tiff_lzw"}),
        "tiff deflate": (rgb, "TIFF", {"compression": "tiff_adobe_deflate", **side}),
        "tiff jpeg": (rgb, "TIFF", {"compression": "jpeg"}),
        "tiff bits": (grey.convert("1"), "TIFF", {"compression": "group4"}),
        "tiff packed": (grey, "TIFF", {"compression": "packbits"}),
        "tiff deep": (deep, "TIFF", {}),
        "tiff floats": (floats, "TIFF", {}),
        "tiff cmyk": (rgb.convert("CMYK"), "TIFF", {}),
        "tiff lab": (ImageCms.profileToProfile(rgb, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"),
                                               outputMode="LAB") or rgb, "TIFF", {}),
        "tiff of several": (rgb, "TIFF", {"save_all": True, "append_images": frames}),
        "bmp": (rgb, "BMP", {}),
        "bmp alpha": (full, "BMP", {}),
        "bmp palette": (palette, "BMP", {}),
        "bmp bits": (grey.convert("1"), "BMP", {}),
        "avif": (rgb, "AVIF", {"quality": 70, "speed": 10}),
        "avif alpha": (full, "AVIF", {"quality": 70, "speed": 10}),
    }  # fmt: skip
    found = [Seed(name, _file(image, kind, **options)) for name, (image, kind, options) in files.items()]
    if readable("heic"):
        import pillow_heif

        pillow_heif.register_heif_opener()
        found += [Seed("heic", _file(rgb, "HEIF", quality=70)), Seed("heic alpha", _file(full, "HEIF", quality=70))]
    return tuple(found)
