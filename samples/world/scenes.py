"""Drawn scenes: one to three coloured shapes on a light ground, and what a model should say of them.

A scene is composed first (what is where) and drawn afterwards, so that the truth about a picture never depends on its
pixels. Everything is driven by one `random.Random`: the same seed gives the same scene and the same picture.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (50, 80, 220),
    "yellow": (235, 205, 40),
    "purple": (140, 60, 170),
    "black": (25, 25, 25),
}
SHAPES = ("circle", "square", "triangle", "cross")
NUMBERS = ("one", "two", "three")
PLACES = ("on the left", "in the middle", "on the right")
MAX_THINGS = len(NUMBERS)

_COLOUR_SHIFT = 20  # each channel may be off by this much
_RADIUS = (0.09, 0.20)  # half-width, in parts of the short side
_GAP = 0.03  # between bounding boxes, in parts of the short side
_ORDER_GAP = 0.05  # between centres' x, in parts of the width
_SMOOTHING = 4  # supersampling of anti-aliased edges


@dataclass(frozen=True)
class Thing:
    """One object. Lengths are in parts: `x` and `half_width` of the width, `y` and `half_height` of the height."""

    colour: str
    shape: str
    x: float
    y: float
    half_width: float
    half_height: float

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """A composed picture: its size in pixels and its things from left to right."""

    width: int
    height: int
    things: tuple[Thing, ...]

    def caption(self) -> str:
        """`a red circle` / `a red circle and a blue square` / `a red circle, a blue square and a green cross`."""
        return _listed([f"a {thing.name}" for thing in self.things])

    def short_caption(self) -> str:
        """`one shape` / `two shapes` / `three shapes`."""
        count = len(self.things)
        return f"{NUMBERS[count - 1]} shape{'s' * (count > 1)}"

    def long_caption(self) -> str:
        """The caption with places: `a red circle on the left and a blue square on the right`.

        Of several things the first is on the left and the last on the right, as they are beside each other. One thing
        alone has the place of the third of the width in which its centre is.
        """
        alone = PLACES[int(3 * self.things[0].x)]
        places = {1: (alone,), 2: PLACES[::2], 3: PLACES}[len(self.things)]
        return _listed([f"a {thing.name} {place}" for thing, place in zip(self.things, places, strict=True)])

    def find(self, words: str) -> tuple[Thing, ...]:
        """The things that are meant by `red circle`, `circle` or `shape`, from left to right."""
        return tuple(thing for thing in self.things if words in (thing.name, thing.shape, "shape"))

    def with_size(self, width: int, height: int) -> Scene:
        return replace(self, width=width, height=height)


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def compose(rng: random.Random, *, count: int | None = None, sides: tuple[int, int] = (64, 1024)) -> Scene:
    """Draw up a scene of `count` things (1 to 3 at random when None) whose sides lie within `sides` pixels."""
    while True:
        width, height = _canvas(rng, sides)
        things = _place(rng, rng.randint(1, MAX_THINGS) if count is None else count, width, height)
        if things is not None:
            return Scene(width, height, tuple(sorted(things, key=lambda thing: thing.x)))


def _canvas(rng: random.Random, sides: tuple[int, int]) -> tuple[int, int]:
    low, high = sides
    while True:
        long = round(math.exp(rng.uniform(math.log(low), math.log(high))))
        short = round(long * rng.uniform(0.75, 1.0))
        if low <= short and long * 3 <= short * 4:
            return (long, short) if rng.random() < 0.5 else (short, long)


def _place(rng: random.Random, count: int, width: int, height: int) -> list[Thing] | None:
    short = min(width, height)
    things: list[Thing] = []
    for _ in range(60):
        if len(things) == count:
            return things
        radius = rng.uniform(*_RADIUS) * short
        shape = rng.choice(SHAPES)
        half_height = radius * (rng.uniform(0.8, 1.0) if shape == "triangle" else 1.0)
        thing = Thing(
            colour=rng.choice(tuple(COLOURS)),
            shape=shape,
            x=rng.uniform(radius + 1, width - radius - 1) / width,
            y=rng.uniform(half_height + 1, height - half_height - 1) / height,
            half_width=radius / width,
            half_height=half_height / height,
        )
        if all(_apart(thing, other, width, height) for other in things):
            things.append(thing)
    return things if len(things) == count else None


def _apart(one: Thing, other: Thing, width: int, height: int) -> bool:
    gap = _GAP * min(width, height)
    clear_x = abs(one.x - other.x) * width - (one.half_width + other.half_width) * width >= gap
    clear_y = abs(one.y - other.y) * height - (one.half_height + other.half_height) * height >= gap
    return (clear_x or clear_y) and abs(one.x - other.x) >= _ORDER_GAP


def draw(scene: Scene, rng: random.Random) -> Image.Image:
    """Draw a scene as an RGB picture; ground, colour shifts, edges and noise vary with `rng`."""
    noise = rng.uniform(1.0, 7.0) if rng.random() < 0.4 else 0.0
    noise_over_things = rng.random() < 0.5
    picture = _ground(scene, rng)
    if noise and not noise_over_things:
        picture = _noisy(picture, noise, rng)
    smooth = rng.random() < 0.7
    for thing in scene.things:
        colour = tuple(
            min(255, max(0, channel + rng.randint(-_COLOUR_SHIFT, _COLOUR_SHIFT))) for channel in COLOURS[thing.colour]
        )
        mask, corner = _mask(thing, scene, smooth, rng)
        picture.paste(colour, corner, mask)
    if noise and noise_over_things:
        picture = _noisy(picture, noise, rng)
    return picture


def cut_out(scene: Scene, rng: random.Random) -> Image.Image:
    """A scene as an RGBA picture of its things alone; as many editors store it, what is transparent is black."""
    picture = Image.new("RGBA", (scene.width, scene.height), (0, 0, 0, 0))
    for thing in scene.things:
        mask, corner = _mask(thing, scene, True, rng)
        shape = Image.new("RGBA", mask.size, (*COLOURS[thing.colour], 255))
        shape.putalpha(mask)
        picture.alpha_composite(shape, corner)
    return picture


def _ground(scene: Scene, rng: random.Random) -> Image.Image:
    light = [rng.randint(190, 255) for _ in range(3)] if rng.random() < 0.7 else [rng.randint(235, 255)] * 3
    if rng.random() < 0.5:
        return Image.new("RGB", (scene.width, scene.height), tuple(light))
    other = [rng.randint(190, 255) for _ in range(3)]
    angle = rng.uniform(0, 2 * math.pi)
    across = np.linspace(-0.5, 0.5, scene.width)[None, :] * math.cos(angle)
    down = np.linspace(-0.5, 0.5, scene.height)[:, None] * math.sin(angle)
    part = np.clip((across + down) / (abs(math.cos(angle)) + abs(math.sin(angle))) + 0.5, 0, 1)[..., None]
    return Image.fromarray(np.rint(np.array(light) * (1 - part) + np.array(other) * part).astype(np.uint8))


def _noisy(picture: Image.Image, strength: float, rng: random.Random) -> Image.Image:
    pixels = np.asarray(picture, dtype=np.float32)
    grain = np.random.default_rng(rng.getrandbits(64)).normal(0.0, strength, pixels.shape).astype(np.float32)
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


def _mask(thing: Thing, scene: Scene, smooth: bool, rng: random.Random) -> tuple[Image.Image, tuple[int, int]]:
    """The thing's coverage (mode L) and where its top left corner goes."""
    half_width, half_height = thing.half_width * scene.width, thing.half_height * scene.height
    left, top = thing.x * scene.width - half_width, thing.y * scene.height - half_height
    corner = (math.floor(left), math.floor(top))
    size = (math.ceil(left + 2 * half_width) - corner[0] + 1, math.ceil(top + 2 * half_height) - corner[1] + 1)
    scale = _SMOOTHING if smooth else 1
    mask = Image.new("L", (size[0] * scale, size[1] * scale), 0)
    pen = ImageDraw.Draw(mask)
    x0, y0 = (left - corner[0]) * scale, (top - corner[1]) * scale
    x1, y1 = x0 + 2 * half_width * scale - 1, y0 + 2 * half_height * scale - 1
    if thing.shape == "circle":
        pen.ellipse((x0, y0, x1, y1), fill=255)
    elif thing.shape == "square":
        pen.rectangle((x0, y0, x1, y1), fill=255)
    elif thing.shape == "triangle":
        pen.polygon(((x0, y1), (x1, y1), ((x0 + x1) / 2, y0)), fill=255)
    else:
        part = (1 - rng.uniform(0.28, 0.40)) / 2
        in_x, in_y = (x1 - x0) * part, (y1 - y0) * part
        pen.rectangle((x0 + in_x, y0, x1 - in_x, y1), fill=255)
        pen.rectangle((x0, y0 + in_y, x1, y1 - in_y), fill=255)
    return (mask.reduce(scale) if scale > 1 else mask), corner


def encode(picture: Image.Image, rng: random.Random, kinds: Sequence[str] = ("PNG", "JPEG", "WEBP")) -> bytes:
    """The picture as the bytes of a file of one of `kinds`."""
    file = io.BytesIO()
    kind = rng.choice(kinds)
    if kind == "PNG":
        picture.save(file, kind, compress_level=1)
    else:
        picture.save(file, kind, quality=rng.randint(75, 95))
    return file.getvalue()
