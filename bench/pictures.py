"""Distinct scenes for a benchmark, as JPEG files with their captions."""

from __future__ import annotations

import random

from samples import scenes

Picture = tuple[bytes, str]  # a file and its caption

_SIDES = (160, 480)  # pixels


def drawn(count: int, seed: int) -> list[Picture]:
    """`count` scenes; other seeds give others."""
    found = []
    for number in range(count):
        rng = random.Random(f"bench:{seed}:{number}")
        scene = scenes.compose(rng, sides=_SIDES)
        found.append((scenes.encode(scenes.draw(scene, rng), rng, ("JPEG",)), scene.caption()))
    return found
