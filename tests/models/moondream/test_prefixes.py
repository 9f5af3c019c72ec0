"""A second question about a picture needs no encoder, and what is kept of pictures is bounded."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from unittest import mock

import pytest
import torch

from looksee.core.tasks import Job, Reply, Task
from looksee.engine.engine import Engine
from looksee.engine.limits import EngineLimits
from looksee.models.moondream import prefixes
from looksee.models.moondream.crops import image, tiling
from looksee.models.moondream.model import Moondream
from looksee.models.moondream.row_builder import TextOptions
from tests.models.mixing import decode_mixed
from tests.models.moondream import vectors
from tests.support.loops import run

ONE = 2 * 2 * 26 * 64 * 4  # bytes of a small picture's prefix: layers, keys and values, positions, width, float32


def ask(model: Moondream, *names: str, question: str = "what?") -> list[list[int]]:
    rows = [model.row_builder.query(vectors.image(name), question, TextOptions(6)) for name in names]
    decode_mixed(model, rows, random.Random(0))
    return [row.tokens for row in rows]


def test_a_second_question_skips_the_encoder() -> None:
    model = vectors.model("mini70")
    first = ask(model, "im-200x100.png")
    ask(model, "im-200x100.png", question="why?")
    with (
        mock.patch.object(model.encoder, "crop_features", side_effect=AssertionError("encoded again")),
        mock.patch.object(image, "cut", side_effect=AssertionError("cut again")),
    ):
        assert ask(model, "im-200x100.png") == first
    assert (model.prefixes.hits, model.prefixes.misses) == (2, 1)
    assert model.prefixes.nbytes == ONE


def test_newcomers_with_one_picture_encode_it_once() -> None:
    model = vectors.model("mini70")
    with mock.patch.object(model.encoder, "crop_features", wraps=model.encoder.crop_features) as features:
        rows = [model.row_builder.query(vectors.image("im-50x40.png"), "what?", TextOptions(4)) for _ in range(3)]
        model.prefill(rows)
    assert [len(call.args[0]) for call in features.call_args_list] == [1]  # its only crop is the whole too
    assert (model.prefixes.hits, model.prefixes.misses) == (2, 1)


def test_the_least_recently_used_goes_first() -> None:
    model = vectors.model("mini70", prefix_bytes=2 * ONE)
    names = ("im-200x100.png", "im-50x40.png", "im-30x300.png")
    answers = ask(model, *names[:2])
    ask(model, names[0])
    ask(model, names[2])  # the second has to go
    assert (len(model.prefixes), model.prefixes.nbytes) == (2, 2 * ONE)
    before = model.prefixes.misses
    assert ask(model, names[0]) == answers[:1]
    assert model.prefixes.misses == before
    assert ask(model, names[1]) == answers[1:]
    assert model.prefixes.misses == before + 1


def test_without_room_nothing_is_kept_and_all_is_answered() -> None:
    keeping, forgetting = vectors.model("mini70"), vectors.model("mini70", prefix_bytes=ONE - 1)
    names = ("im-200x100.png", "im-200x100.png", "im-50x40.png")
    assert ask(forgetting, *names) == ask(keeping, *names)
    assert (len(forgetting.prefixes), forgetting.prefixes.nbytes) == (0, 0)


def test_a_prefix_that_went_between_preparing_and_prefilling_is_made_again() -> None:
    model = vectors.model("mini70", prefix_bytes=ONE)
    first = ask(model, "im-200x100.png")
    row = model.row_builder.query(vectors.image("im-200x100.png"), "what?", TextOptions(6))
    ask(model, "im-50x40.png")
    decode_mixed(model, [row], random.Random(0))
    assert [row.tokens] == first


def test_decoding_does_not_change_what_is_kept() -> None:
    model = vectors.model("mini70")
    ask(model, "im-200x100.png")
    (kept,) = model.prefixes._encodings.values()
    before = [layer.clone() for layer in kept]
    ask(model, "im-200x100.png", "im-50x40.png", "im-200x100.png")
    assert all(torch.equal(one, other) for one, other in zip(kept, before, strict=True))


def test_memory_can_be_given_back() -> None:
    model = vectors.model("mini70")
    first = ask(model, "im-200x100.png")
    model.release_memory()
    assert (len(model.prefixes), model.prefixes.nbytes) == (0, 0)
    assert ask(model, "im-200x100.png") == first
    assert model.prefixes.misses == 2


def test_rows_that_run_hold_no_crops() -> None:
    model = vectors.model("mini70")
    row = model.row_builder.query(vectors.image("im-640x480.png"), "what?")
    assert row.image is not None
    assert row.image.has_crops
    model.prefill([row])
    assert not row.image.has_crops
    assert not model.row_builder._shared._cuts


def test_jobs_about_one_picture_at_the_same_time_cut_and_encode_it_once() -> None:
    """As those of several objects are, through the engine: in whichever ticks they are prefilled."""
    model = vectors.model("mini70")
    data = vectors.image("im-640x480.png")
    things = ["cat", "dog", "bird", "fish", "cow"]
    jobs = [Job(task, (data,), thing, max_objects=2) for thing in things for task in (Task.DETECT, Task.POINT)]
    limits = EngineLimits(rows=4, cost=10**6, memory=2**30, prepared=2**30, queue=64)

    async def main() -> list[Reply]:
        engine = Engine(model, limits)
        try:
            return await asyncio.gather(*(engine.submit(job, timeout=60) for job in jobs))
        finally:
            await asyncio.to_thread(engine.close)

    with (
        mock.patch.object(model.encoder, "crop_features", wraps=model.encoder.crop_features) as features,
        mock.patch.object(image, "cut", wraps=tiling.cut) as cut,
    ):
        replies = run(main())
    assert (features.call_count, cut.call_count) == (1, 1)
    assert model.reuse()["pictures"] == (len(jobs) - 1, 1)
    alone = vectors.model("mini70")
    for job, reply in zip(jobs, replies, strict=True):
        row = alone.prepare(job)
        decode_mixed(alone, [row], random.Random(0))
        expected = alone.answer(row)
        assert reply.answer is not None
        assert reply.answer.confidences == pytest.approx(expected.confidences, abs=1e-4)
        assert replace(reply.answer, confidences=()) == replace(expected, confidences=())


def test_no_more_pictures_are_read_at_once_than_may_be() -> None:
    names = ("im-200x100.png", "im-50x40.png", "im-30x300.png", "im-640x480.png", "im-378x378.png")
    together = ask(vectors.model("mini70"), *names)
    with mock.patch.object(prefixes, "_BYTES_AT_ONCE", 2 * ONE + 1):
        model = vectors.model("mini70")
    with mock.patch.object(model.net, "image_prefixes", wraps=model.net.image_prefixes) as read:
        rows = [model.row_builder.query(vectors.image(name), "what?", TextOptions(6)) for name in names]
        batch = model.prefill(rows)
    assert [len(call.args[0]) for call in read.call_args_list] == [2, 2, 1]
    while any(row.finish is None for row in rows):
        model.step(batch)
        model.sample(batch)
    assert [row.tokens[: len(tokens)] for row, tokens in zip(rows, together, strict=True)] == together


def test_the_encoder_takes_no_more_crops_at_once_than_it_may() -> None:
    model = vectors.model("mini70", crops_at_once=3)
    with mock.patch.object(model.net.vision, "forward", wraps=model.net.vision.forward) as forward:
        ask(model, "im-200x100.png", "im-640x480.png")
    assert sum(len(call.args[0]) for call in forward.call_args_list) == 11 + 9
    assert max(len(call.args[0]) for call in forward.call_args_list) == 3


def test_fewer_crops_are_less_work() -> None:
    model = vectors.model("mini70", max_crops=2)
    row = model.row_builder.query(vectors.image("im-640x480.png"), "what?", TextOptions(4))
    with mock.patch.object(model.net.vision, "forward", wraps=model.net.vision.forward) as forward:
        decode_mixed(model, [row], random.Random(0))
    assert sum(len(call.args[0]) for call in forward.call_args_list) <= 3
