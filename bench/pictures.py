"""Distinct scenes for a benchmark, as JPEG files with their captions; and how captions are asked for."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence

import aiohttp

from bench.load import Send
from samples.world import scenes

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


def captions(url: str, model: str) -> Send[Picture]:
    """Asks for captions of uploaded files."""

    async def send(session: aiohttp.ClientSession, group: Sequence[Picture]) -> tuple[int, int]:
        form = aiohttp.FormData()
        for data, _ in group:
            form.add_field("images", io.BytesIO(data), filename="scene")
        async with session.post(f"{url}/api/caption-images", params={"model": model}, data=form) as response:
            body = await response.json()
            response.raise_for_status()
        results = body["results"]
        right = sum(result.get("caption") == caption for (_, caption), result in zip(group, results, strict=True))
        return right, sum(bool(result.get("cache")) for result in results)

    return send
