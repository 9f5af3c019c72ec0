"""What a benchmark asks about scenes: each request about a picture of its own, or many about a few pictures."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from bench.load import Send
from samples.world import scenes
from samples.world.exercises import searches
from samples.world.scenes import COLOURS, SHAPES

_SIDES = (160, 480)  # pixels


@dataclass(frozen=True, slots=True)
class BenchQuestion:
    """A request and what should come of it: a text, or how many things are found."""

    path: str
    body: dict[str, str]
    answer: str | int


def cold(count: int, seed: int) -> list[BenchQuestion]:
    """`count` questions of yes or no, each about another picture."""
    return [_question(*_scene(f"{seed}:{number}"), random.Random(number)) for number in range(count)]


def repeated(count: int, seed: int, pictures: int = 20) -> list[BenchQuestion]:
    """`count` questions about `pictures` pictures, no question twice about the same one."""
    rng = random.Random(seed)
    found: dict[tuple[str, ...], BenchQuestion] = {}
    known = [_scene(f"repeated:{seed}:{number}") for number in range(pictures)]
    while len(found) < count:
        asked = _question(*rng.choice(known), rng)
        found[tuple(asked.body.values())] = asked
    return list(found.values())


def mixed(count: int, seed: int) -> list[BenchQuestion]:
    """`count` requests of all skills in turn, each about another picture."""
    skills = (_caption, _long_caption, _question, _detect, _point)
    return [
        skills[number % len(skills)](*_scene(f"mixed:{seed}:{number}"), random.Random(number))
        for number in range(count)
    ]


def requests(url: str, model: str) -> Send[BenchQuestion]:
    """Sends them one by one."""

    async def send(session: aiohttp.ClientSession, group: Sequence[BenchQuestion]) -> tuple[int, int]:
        right = cached = 0
        for asked in group:
            # As a file: aiohttp would write a large body in one piece.
            sent = io.BytesIO(json.dumps({**asked.body, "model": model}).encode())
            headers = {"Content-Type": "application/json"}
            async with session.post(f"{url}{asked.path}", data=sent, headers=headers) as response:
                body = await response.json()
                response.raise_for_status()
            right += _said(body) == asked.answer
            cached += bool(body.get("cache"))
        return right, cached

    return send


def _said(body: dict[str, Any]) -> object:
    found = body.get("coordinates", body)
    return next(found[name] for name in ("answer", "caption", "count") if name in found)


def _scene(name: str) -> tuple[scenes.Scene, str]:
    rng = random.Random(f"bench:questions:{name}")
    scene = scenes.compose(rng, sides=_SIDES)
    data = scenes.encode(scenes.draw(scene, rng), rng, ("JPEG",))
    return scene, base64.b64encode(data).decode()


def _question(scene: scenes.Scene, image: str, rng: random.Random) -> BenchQuestion:
    name = f"{rng.choice(sorted(COLOURS))} {rng.choice(SHAPES)}"
    there = name in {thing.name for thing in scene.things}
    return BenchQuestion("/query", {"image": image, "question": f"Is there a {name}?"}, "yes" if there else "no")


def _caption(scene: scenes.Scene, image: str, rng: random.Random) -> BenchQuestion:
    return BenchQuestion("/caption", {"image": image, "length": "normal"}, scene.caption())


def _long_caption(scene: scenes.Scene, image: str, rng: random.Random) -> BenchQuestion:
    return BenchQuestion("/caption", {"image": image, "length": "long"}, scene.long_caption())


def _detect(scene: scenes.Scene, image: str, rng: random.Random) -> BenchQuestion:
    name = rng.choice(searches(scene, rng))
    return BenchQuestion("/detect", {"image": image, "object": name}, len(scene.find(name)))


def _point(scene: scenes.Scene, image: str, rng: random.Random) -> BenchQuestion:
    name = rng.choice(searches(scene, rng))
    return BenchQuestion("/point", {"image": image, "object": name}, len(scene.find(name)))
