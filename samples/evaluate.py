"""Measure sample weights through a running service, on scenes that no training has seen.

python -m samples.evaluate --url http://localhost:3000 --concurrency 1 32

All models and tasks are asked in one mixed stream, so that what shares their batches is as mixed as it can be.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from tqdm import tqdm

from looksee.core import errors
from looksee.core.tasks import Task
from looksee.models.registry import REGISTRY
from looksee.models.weights.source import SAMPLES
from samples import card
from samples.questions import FLAG, LENGTH, EvaluationQuestion, mixed
from samples.world import finding

RECALL, PRECISION = ", recall", ", precision"
_SUFFIX = {b"\x89PNG": "png", b"\xff\xd8\xff\xe0": "jpg", b"RIFF": "webp"}


class RefusedError(RuntimeError):
    """The service answered with an error."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


Marks = list[tuple[str, int, int]]  # what is measured, how much of it was right, of how much


@dataclass
class Result:
    """How much was right of how much, and what was not."""

    right: int = 0
    asked: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        return self.right / max(1, self.asked)


def normalised(text: str) -> str:
    """Lower case, single spaces, no space before punctuation, no full stop at the end."""
    return re.sub(r"\s+([,;.])", r"\1", " ".join(text.lower().split())).rstrip(".")


async def marks(session: aiohttp.ClientSession, url: str, ask: EvaluationQuestion) -> tuple[Marks, str]:
    """What the service's answer is worth, and what it was."""
    if ask.task == Task.DETECT:
        assert not isinstance(ask.answer, str)
        body = await _ask_json(session, f"{url}/detect", ask, object=ask.words)
        boxes = [(box["x_min"], box["y_min"], box["x_max"], box["y_max"]) for box in body["detections"]]
        found = finding.matched(ask.answer, boxes)
        name = ask.counted_as
        return [(name + RECALL, found, len(ask.answer)), (name + PRECISION, found, len(boxes))], str(boxes)
    if ask.task == Task.POINT:
        assert not isinstance(ask.answer, str)
        body = await _ask_json(session, f"{url}/point", ask, object=ask.words)
        points = [(point["x"], point["y"]) for point in body["coordinates"]["points"]]
        return [(ask.counted_as, finding.pointed(ask.answer, points), 1)], str(points)
    text = await answer(session, url, ask)
    return [(ask.counted_as, is_right(ask, text), 1)], text


def is_right(ask: EvaluationQuestion, text: str) -> bool:
    """Whether the text is the right answer: the same JSON, or the same words."""
    if ask.response_format is None:
        return normalised(text) == ask.answer
    assert isinstance(ask.answer, str)
    try:
        return bool(json.loads(text, object_pairs_hook=_object) == json.loads(ask.answer))
    except ValueError:
        return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


async def answer(session: aiohttp.ClientSession, url: str, ask: EvaluationQuestion) -> str:
    """What the service says."""
    if ask.instructions or ask.response_format:
        return await _ask_chat(session, url, ask)
    if ask.task == Task.QUERY:
        return str((await _ask_json(session, f"{url}/query", ask, question=ask.words))["answer"])
    if ask.task.startswith(LENGTH):
        return str((await _ask_json(session, f"{url}/caption", ask, length=ask.words))["caption"])
    form = aiohttp.FormData()
    for number, data in enumerate(ask.pictures):
        form.add_field("images", io.BytesIO(data), filename=f"scene-{number}.{_SUFFIX.get(data[:4], 'jpg')}")
    if ask.task == Task.COLLECTIVE:
        found = await _post(session, f"{url}/api/caption-collective-images", params={"model": ask.model}, data=form)
        return str(found["collective_caption"])
    name = "flag_caption_prompt" if ask.task == FLAG else "caption_prompt"
    params = {"model": ask.model, name: ask.words}
    (one,) = (await _post(session, f"{url}/api/caption-images", params=params, data=form))["results"]
    return {True: "yes", False: "no", None: "?"}[one["flagged"]] if ask.task == FLAG else str(one["caption"])


async def _ask_chat(session: aiohttp.ClientSession, url: str, ask: EvaluationQuestion) -> str:
    (picture,) = ask.pictures
    image = {"type": "image_url", "image_url": {"url": f"data:;base64,{base64.b64encode(picture).decode()}"}}
    asked = {"role": "user", "content": [{"type": "text", "text": ask.words}, image]}
    told = [{"role": "system", "content": ask.instructions}] if ask.instructions else []
    body = {"model": ask.model, "messages": [*told, asked], "response_format": ask.response_format}
    try:
        found = await _post_json(session, f"{url}/v1/chat/completions", body)
    except RefusedError as error:
        if error.code == errors.StructuredOutputFailed.code:
            return ""  # it said something, only not what was wanted
        raise
    return str(found["choices"][0]["message"]["content"])


async def _ask_json(session: aiohttp.ClientSession, url: str, ask: EvaluationQuestion, **members: str) -> Any:
    """The answer to a request with its picture in JSON."""
    (picture,) = ask.pictures
    body = {"model": ask.model, "image": base64.b64encode(picture).decode(), **members}
    return await _post_json(session, url, body)


async def _post_json(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> Any:
    # As a file: aiohttp would write a large body in one piece.
    sent = io.BytesIO(json.dumps(body).encode())
    return await _post(session, url, data=sent, headers={"Content-Type": "application/json"})


async def _post(session: aiohttp.ClientSession, url: str, **request: Any) -> Any:
    async with session.post(url, **request) as response:
        body = await response.json()
        if response.status != 200:
            raise RefusedError(f"{url} answered {response.status}: {body.get('detail')}", body["error"]["code"])
        return body


async def measure(url: str, stream: Sequence[EvaluationQuestion], concurrency: int) -> dict[tuple[str, str], Result]:
    """Ask everything, `concurrency` at a time; the results by model and task."""
    results: dict[tuple[str, str], Result] = defaultdict(Result)
    gate = asyncio.Semaphore(concurrency)
    bar = tqdm(total=len(stream), desc=f"{concurrency} at a time", unit="request")

    async def one(session: aiohttp.ClientSession, ask: EvaluationQuestion) -> None:
        async with gate:
            given, said = await marks(session, url, ask)
        for measured, right, asked in given:
            result = results[ask.model, measured]
            result.right += right
            result.asked += asked
            if right < asked:
                result.wrong.append(f"{ask.words!r}: {said} instead of {ask.answer}")
        bar.update()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(one(session, ask) for ask in stream))
    bar.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure sample weights through a running service.")
    parser.add_argument("models", nargs="*", default=list(REGISTRY), help="default: all")
    parser.add_argument("--url", default="http://localhost:3000")
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="other seeds give other scenes")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--card", action="store_true", help="write the figures into the weights' cards")
    options = parser.parse_args()
    accuracy: dict[str, dict[tuple[str, int], float]] = {model: {} for model in options.models}
    for offset, concurrency in enumerate(options.concurrency):
        # New scenes each time: none may come from the cache.
        stream = mixed(options.models, options.scenes, options.seed + offset)
        results = asyncio.run(measure(options.url, stream, concurrency))
        for (model, task), result in sorted(results.items()):
            accuracy[model][task, concurrency] = result.accuracy
            print(f"{model}, {task}, {concurrency} at a time: {result.accuracy:.1%} right")
            for line in result.wrong[:5]:
                print(f"  {line}")
    if options.card:
        for model, figures in accuracy.items():
            print(f"wrote {card.write(SAMPLES / model, model, options.scenes, figures)}")


if __name__ == "__main__":
    main()
