"""A decoded picture as a person sees it: 8-bit sRGB, with what is transparent on a white ground.

White, since browsers and most viewers show it so, and since a cut-out is mostly drawn to be seen on a light ground.
"""

from __future__ import annotations

import hashlib
import io
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache, cached
from PIL import Image, ImageCms

_WHITE = (255, 255, 255)
_SRGB = ImageCms.createProfile("sRGB")
_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}  # a profile's colour space, by the mode that it is for
_BAND = 256  # rows that are scaled at a time: floats take several times the memory of the picture
_SAME = 2  # of 255: a profile that changes no channel by more is not applied
_PROBE = Image.fromarray(np.stack(np.meshgrid(*[np.linspace(0, 255, 6)] * 3), -1).astype(np.uint8).reshape(12, 18, 3))


def rendered(image: Image.Image, profile: bytes = b"", *, depth: int = 8) -> Image.Image:
    """The picture in mode RGB. `profile` is its ICC profile, `depth` the bits of a channel in its file."""
    colours, alpha = _separate(image, depth)
    colours = _in_srgb(colours, profile)
    if alpha is None or alpha.getextrema() == (255, 255):
        return colours
    ground = Image.new("RGB", colours.size, _WHITE)
    ground.paste(colours, mask=alpha)
    return ground


def _separate(image: Image.Image, depth: int) -> tuple[Image.Image, Image.Image | None]:
    """The colours in 8 bits, and the alpha channel (mode L) where there is one."""
    see_through = image.info.get("transparency")
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        alpha = (
            None if see_through is None else Image.fromarray(np.where(values == see_through, 0, 255).astype(np.uint8))
        )
        return Image.fromarray(_eight_bits(values, image.mode)), alpha
    if image.mode in ("1", "L") and isinstance(see_through, int):
        grey = image.convert("L")
        hidden = see_through * 255 // (2**depth - 1)  # Pillow scales the greys to 8 bits, but not this one
        return grey, grey.point([0 if value == hidden else 255 for value in range(256)])
    if image.mode == "RGB" and isinstance(see_through, tuple):
        if depth == 16 and any(value >> 8 != value & 0xFF for value in see_through):
            return image, None  # Pillow has read 8 of 16 bits, and no colour of 8 bits is that one
        hidden_colour = [value & 0xFF for value in see_through]
        return image, _mask((np.asarray(image) != hidden_colour).any(-1))
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.mode == "PA" or image.has_transparency_data else "RGB")
    elif image.mode in ("La", "RGBa"):  # the colours are multiplied by alpha
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    if image.format == "BMP" and image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB"), None  # written by programs that leave alpha alone
    if image.mode in ("RGBA", "LA"):
        return image.convert(image.mode[:-1]), image.getchannel("A")
    return (image.convert("L") if image.mode == "1" else image), None


def _mask(shown: npt.NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(np.where(shown, np.uint8(255), np.uint8(0)))


def _eight_bits(values: npt.NDArray[Any], mode: str) -> npt.NDArray[np.uint8]:
    """Greys of more than 8 bits scaled to 8. Pillow would clip them, and nearly all of them turn white.

    Modes `I` and `F` do not say what white is: it is 1 (of floats), 255 or 65535, the first of them that no value
    exceeds, of floats by more than twice, since sharpened ones overshoot; else the largest value.
    """
    white = 65535.0
    if not mode.startswith("I;16"):
        largest = float(np.max(values, initial=0, where=np.isfinite(values)))
        steps = ((1.0, 2.0), (255.0, 510.0), (65535.0, 131070.0)) if mode == "F" else ((255.0,) * 2, (65535.0,) * 2)
        white = next((step for step, most in steps if largest <= most), largest)
    eight_bits = np.empty(values.shape, dtype=np.uint8)
    for top in range(0, len(values), _BAND):
        band = np.clip(np.nan_to_num(values[top : top + _BAND].astype(np.float32)), 0, white)
        eight_bits[top : top + _BAND] = np.rint(band * (255 / (white or 1)))
    return eight_bits


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """In mode RGB, by the colour profile if it is one for this picture and can be read."""
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(image, lab, _SRGB, outputMode="RGB") or image.convert("L").convert("RGB")
    if profile and _differs(profile, image.mode):
        return _transform(profile, image.mode).apply(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _key(profile: bytes, mode: str) -> tuple[bytes, str]:
    return hashlib.blake2b(profile).digest(), mode


# Most pictures have one of a few profiles, nearly all of sRGB. Reading one takes longer than decoding a small picture.
@cached(LRUCache(1024), key=_key, lock=threading.Lock())
def _differs(profile: bytes, mode: str) -> bool:
    """Whether pictures of this mode have other colours by the profile than without it. One that cannot be read: no."""
    if mode not in _SPACES:
        return False
    try:
        if ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip() != _SPACES[mode]:
            return False
        probe = _PROBE.convert(mode)
        found = np.asarray(_transform(profile, mode).apply(probe)).astype(np.int16)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False
    return bool(np.abs(found - np.asarray(probe.convert("RGB"))).max() > _SAME)


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """From the profile to sRGB: the same white, and black where the profile has its darkest."""
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(ImageCms.ImageCmsProfile(io.BytesIO(profile)), _SRGB, mode, "RGB", intent, flags)
