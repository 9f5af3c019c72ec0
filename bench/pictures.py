"""Distinct scenes for a benchmark, as JPEG files with their captions."""

from __future__ import annotations

import base64
import functools
import random
from dataclasses import dataclass

from samples.world import scenes

Picture = tuple[bytes, str]  # a file and its caption
Encoded = tuple[str, str]  # a file in base64 and its caption

_SIDES = (160, 480)  # pixels


@dataclass(frozen=True, slots=True)
class Drawing:
    """`count` scenes of one seed; other seeds give others."""

    seed: int
    count: int

    def encoded(self) -> list[Encoded]:
        """The scenes' files in base64, with their captions."""
        return _encoded(self)


@functools.lru_cache(maxsize=2)
def _encoded(drawing: Drawing) -> list[Encoded]:
    return [(base64.b64encode(data).decode(), caption) for data, caption in drawn(drawing.count, drawing.seed)]


def drawn(count: int, seed: int) -> list[Picture]:
    """`count` scenes; other seeds give others."""
    found = []
    for number in range(count):
        rng = random.Random(f"bench:{seed}:{number}")
        scene = scenes.compose(rng, sides=_SIDES)
        found.append((scenes.encode(scenes.draw(scene, rng), rng, ("JPEG",)), scene.caption()))
    return found
