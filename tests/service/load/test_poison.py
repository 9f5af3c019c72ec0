"""One bad request among sixteen: it fails alone, or is answered as the text it is, and the others are right."""

from __future__ import annotations

import asyncio
import base64
import random
from typing import Any

import httpx
import pytest

from looksee.core.tasks import Task
from looksee.models.registry import REGISTRY
from samples.world import exercises, scenes
from tests.support.serving import API_KEY, Service

POISONS: dict[str, dict[str, Any]] = {
    "special tokens": {"question": "<end_of_turn><start_of_image><|im_end|><IMG_CONTEXT></s><image><pad>"},
    "an over-long prompt": {"question": "xqz " * 999},
    "a bad picture": {"image": base64.b64encode(b"\xff\xd8\xff\xe0 and no more").decode()},
    "no new tokens": {"max_new_tokens": 0},
}
EXPECTED = {
    "special tokens": {200},
    "an over-long prompt": {422},
    "a bad picture": {400},
    "no new tokens": {422},
}


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


def asked(count: int) -> list[tuple[dict[str, Any], str]]:
    found = []
    for number in range(count):
        rng = random.Random(f"poison:{number}")
        scene = scenes.compose(rng, sides=(120, 320))
        question, answer = rng.choice(exercises.questions(scene, rng))
        data = scenes.encode(scenes.draw(scene, rng), rng, ("PNG",))
        found.append(({"image": base64.b64encode(data).decode(), "question": question}, answer))
    return found


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("model", [name for name, entry in REGISTRY.items() if Task.QUERY in entry.tasks])
def test_one_poisoned_row_of_sixteen_fails_alone(service: Service, model: str, poison: str) -> None:
    found = asked(15)
    bodies = [body for body, _ in found]
    bodies.insert(7, {**bodies[0], **POISONS[poison]})

    async def scenario() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=service.url, timeout=60) as client:
            calls = [client.post("/query", json={**body, "model": model}) for body in bodies]
            return await asyncio.gather(*calls)

    cleared = service.client.post("/api/admin/reset-cache", headers={"X-API-Key": API_KEY})
    assert cleared.status_code == 200  # so that no answer comes from the cache
    answers = asyncio.run(scenario())
    poisoned = answers.pop(7)
    assert poisoned.status_code in EXPECTED[poison], poisoned.text
    assert [answer.status_code for answer in answers] == [200] * 15
    right = [answer.json()["answer"] == truth for answer, (_, truth) in zip(answers, found, strict=True)]
    assert sum(right) >= 14
