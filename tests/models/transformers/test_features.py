"""A picture passes the vision tower once, however often and with whomever it is asked about."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from torch import Tensor

from looksee.core.tasks import Job, Task
from looksee.models.loading import load
from looksee.models.registry import prompts
from looksee.models.transformers import decoder
from tests.models.checkpoints import write_random
from tests.models.mixing import decode_mixed
from tests.models.transformers.test_identity import picture

MODELS = ("blip2", "gemma", "intern_vlm")


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = write_random(request.param, tmp_path_factory.mktemp(request.param))
    loaded: Any = load(request.param, directory, device="cpu", dtype="float32", feature_bytes=2**20)
    loaded.name = request.param
    return loaded


def ask(model: Any, data: bytes, question: str) -> Any:
    return model.prepare(Job(Task.QUERY, (data,), prompts.query(model.name, question), 6))


def test_the_tower_sees_a_picture_once(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    look = model.image_features

    def counted(crops: Tensor) -> Tensor:
        looked.append(len(crops))
        found: Tensor = look(crops)
        return found

    monkeypatch.setattr(model, "image_features", counted)
    rng = random.Random(4)
    one, other = picture(rng), picture(rng)
    together = [ask(model, one, "red?"), ask(model, other, "blue?"), ask(model, one, "How many shapes are there?")]
    decode_mixed(model, together, random.Random(0), most=3)
    again = ask(model, one, "red?")
    decode_mixed(model, [again], rng)
    assert sum(looked) == 2
    assert again.tokens == together[0].tokens
    model.feature_cache.clear()
    anew = ask(model, one, "red?")
    decode_mixed(model, [anew], rng)
    assert sum(looked) == 3
    assert anew.tokens == again.tokens


def test_a_row_that_is_prefilled_again_needs_no_second_look(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row = ask(model, picture(random.Random(5)), "red?")
    model.prefill([row])
    model.feature_cache.clear()
    monkeypatch.setattr(model, "image_features", None)
    model.prefill([row])


@pytest.mark.parametrize("name", ["blip", *MODELS])
@pytest.mark.parametrize(
    "bound",
    [lambda pixels: ("CROPS_AT_ONCE", 2), lambda pixels: ("PIXELS_AT_ONCE", 3 * pixels - 1)],
    ids=["crops", "pixels"],
)
def test_a_vision_tower_takes_a_bounded_number_of_pictures_at_once(
    name: str, bound: Callable[[int], tuple[str, int]], tmp_path: Path
) -> None:
    model: Any = load(name, write_random(name, tmp_path), device="cpu", dtype="float32")
    rng = random.Random(6)
    pictures = [picture(rng) for _ in range(5)]
    jobs = [Job(Task.CAPTION, (data,), "red", 4) for data in pictures]
    alone = [model.prepare(job) for job in jobs]
    for row in alone:
        decode_mixed(model, [row], rng)
    tower = model.net.vision_model if name == "blip" else model
    seen: list[int] = []
    call = "forward" if name == "blip" else "image_features"
    look = getattr(tower, call)

    def counted(*args: Tensor, **named: Tensor) -> Any:
        seen.append(len([*args, *named.values()][0]))
        return look(*args, **named)

    rows = [model.prepare(job) for job in jobs]
    with (
        mock.patch.object(decoder, *bound(int(model.pixels.height) * model.pixels.width)),
        mock.patch.object(tower, call, counted),
    ):
        batch = model.prefill(rows)
    assert seen == [2, 2, 1]
    for _ in range(4):
        model.step(batch)
        model.sample(batch)
    assert [row.tokens[: len(one.tokens)] for row, one in zip(rows, alone, strict=True)] == [
        one.tokens for one in alone
    ]


@pytest.mark.parametrize(("side", "at_once"), [(224, 16), (384, 16), (448, 16), (896, 4), (5000, 1)])
def test_the_larger_the_pictures_the_fewer_pass_a_vision_tower_together(side: int, at_once: int) -> None:
    """Published: BLIP-2, BLIP, InternVL, Gemma."""
    assert decoder.in_passes(at_once + 1, side, side) == [slice(0, at_once), slice(at_once, 2 * at_once)]
