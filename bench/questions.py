"""Questions about scenes for a benchmark: each about a picture of its own, or many about a few pictures."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Sequence

import aiohttp

from bench.load import Send
from samples import scenes
from samples.scenes import COLOURS, SHAPES

Asked = tuple[str, str, str]  # a picture in base64, a question about it, the answer

_SIDES = (160, 480)  # pixels


def cold(count: int, seed: int) -> list[Asked]:
    """`count` questions, each about another picture."""
    return [_ask(*_scene(f"{seed}:{number}"), random.Random(number)) for number in range(count)]


def repeated(count: int, seed: int, pictures: int = 20) -> list[Asked]:
    """`count` questions about `pictures` pictures, no question twice about the same one."""
    rng = random.Random(seed)
    found: dict[tuple[str, str], Asked] = {}
    known = [_scene(f"repeated:{seed}:{number}") for number in range(pictures)]
    while len(found) < count:
        asked = _ask(*rng.choice(known), rng)
        found[asked[:2]] = asked
    return list(found.values())


def queries(url: str, model: str) -> Send[Asked]:
    """Asks them one by one."""

    async def send(session: aiohttp.ClientSession, group: Sequence[Asked]) -> tuple[int, int]:
        right = cached = 0
        for image, question, answer in group:
            # As a file: aiohttp would write a large body in one piece.
            sent = io.BytesIO(json.dumps({"image": image, "question": question, "model": model}).encode())
            headers = {"Content-Type": "application/json"}
            async with session.post(f"{url}/query", data=sent, headers=headers) as response:
                body = await response.json()
                response.raise_for_status()
            right += body["answer"] == answer
            cached += bool(body.get("cache"))
        return right, cached

    return send


def _scene(name: str) -> tuple[scenes.Scene, str]:
    rng = random.Random(f"bench:questions:{name}")
    scene = scenes.compose(rng, sides=_SIDES)
    data = scenes.encode(scenes.draw(scene, rng), rng, ("JPEG",))
    return scene, base64.b64encode(data).decode()


def _ask(scene: scenes.Scene, image: str, rng: random.Random) -> Asked:
    name = f"{rng.choice(sorted(COLOURS))} {rng.choice(SHAPES)}"
    there = name in {thing.name for thing in scene.things}
    return image, f"Is there a {name}?", "yes" if there else "no"
