"""Measure sample weights through a running service, on scenes that no training has seen.

python -m samples.evaluate blip --url http://localhost:3000 --concurrency 1 32
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
import re
from dataclasses import dataclass, field

import aiohttp
from tqdm import tqdm

from models.weights import SAMPLES
from samples import card, scenes
from samples.scenes import Scene

PROMPTS = ("", "a photo of", "a drawing of")
_SUFFIX = {b"\x89PNG": "png", b"\xff\xd8\xff\xe0": "jpg", b"RIFF": "webp"}


@dataclass
class Result:
    """How many captions were exact, and the first of those that were not."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        return self.right / max(1, self.right + len(self.wrong))


def drawn(count: int, seed: int) -> list[tuple[Scene, bytes]]:
    """Fresh scenes of all sizes, as files."""
    found = []
    for number in range(count):
        rng = random.Random(f"evaluation:{seed}:{number}")
        scene = scenes.compose(rng)
        found.append((scene, scenes.encode(scenes.draw(scene, rng), rng)))
    return found


def normalised(text: str) -> str:
    """Lower case, single spaces, no space before punctuation, no full stop at the end."""
    return re.sub(r"\s+([,;.])", r"\1", " ".join(text.lower().split())).rstrip(".")


async def captions(url: str, model: str, pictures: list[tuple[Scene, bytes]], concurrency: int) -> Result:
    """Caption each picture in a request of its own, `concurrency` at a time; prompts and none are mixed."""
    result = Result()
    gate = asyncio.Semaphore(concurrency)
    bar = tqdm(total=len(pictures), desc=f"captions, {concurrency} at a time", unit="picture")

    async def one(session: aiohttp.ClientSession, number: int, scene: Scene, data: bytes) -> None:
        form = aiohttp.FormData()
        form.add_field("images", io.BytesIO(data), filename=f"scene-{number}.{_SUFFIX.get(data[:4], 'jpg')}")
        params = {"model": model, "caption_prompt": PROMPTS[number % len(PROMPTS)]}
        async with gate, session.post(f"{url}/api/caption-images", params=params, data=form) as response:
            body = await response.json()
            response.raise_for_status()
        caption = normalised(body["results"][0]["caption"])
        if caption == scene.caption():
            result.right += 1
        else:
            result.wrong.append(f"{caption!r} instead of {scene.caption()!r}")
        bar.update()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(one(session, number, *picture) for number, picture in enumerate(pictures)))
    bar.close()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure sample weights through a running service.")
    parser.add_argument("model")
    parser.add_argument("--url", default="http://localhost:3000")
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="other seeds give other scenes")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--card", action="store_true", help="write the figures into the weights' card")
    options = parser.parse_args()
    accuracy = {}
    for offset, concurrency in enumerate(options.concurrency):
        pictures = drawn(options.scenes, options.seed + offset)  # new ones each time: none may come from the cache
        result = asyncio.run(captions(options.url, options.model, pictures, concurrency))
        accuracy["caption", concurrency] = result.accuracy
        print(f"caption, {concurrency} at a time: {result.accuracy:.1%} of {options.scenes} exact")
        for line in result.wrong[:10]:
            print(f"  {line}")
    if options.card:
        print(f"wrote {card.write(SAMPLES / options.model, options.model, options.scenes, accuracy)}")


if __name__ == "__main__":
    main()
