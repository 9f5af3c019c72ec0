"""Rows of all skills that join and leave at random steps say what each says alone, token for token.

Alone means `alone.decoded`: one row, no cache, no batch.
"""

from __future__ import annotations

import random

import pytest
import torch

from looksee.core.tasks import Sampling
from looksee.models.moondream.model import Moondream
from looksee.models.moondream.row_builder import TextOptions
from looksee.models.moondream.rows import MoondreamRow, TextRow
from tests.models.mixing import decode_mixed
from tests.models.moondream import alone, vectors

PICTURES = [record["image"] for record in vectors.expected("mini70")["images"]]
TRIALS, ROWS = 8, 16
# So that thoughts name places and end, and words do not go on for ever.
BIAS = {"0": 3.0, "3": 2.0, "5": 2.5, "7": 2.5, "9": 2.5}


@pytest.fixture(scope="module")
def model() -> Moondream:
    return vectors.model("mini70", bias=BIAS)


def some_request(rng: random.Random) -> dict[str, object]:
    skill = rng.choice(["caption", "query", "query", "reason", "detect", "point", "text"])
    return {
        "skill": skill,
        "image": None if skill == "text" else rng.choice(PICTURES),
        "words": "".join(rng.choices("abcdefgh ijk?", k=rng.choice((0, 1, 3, 9, 25)))),
        "length": rng.choice(("short", "normal", "long")),
        "most": rng.randint(1, 12),
        "refs": [
            tuple(sorted(rng.random() for _ in range(4))) if rng.random() < 0.5 else (rng.random(), rng.random())
            for _ in range(rng.choice((0, 0, 1, 2)))
        ],
    }


def row_of(model: Moondream, wanted: dict[str, object]) -> MoondreamRow:
    builder, options = model.row_builder, TextOptions(int(str(wanted["most"])))
    picture = vectors.image(str(wanted["image"])) if wanted["image"] else None
    words, refs, most = str(wanted["words"]), wanted["refs"], int(str(wanted["most"]))
    assert isinstance(refs, list)
    if picture is None or wanted["skill"] in ("query", "reason"):
        return builder.query(picture, words, options, spatial_refs=refs, reasoning=wanted["skill"] == "reason")
    if wanted["skill"] == "caption":
        return builder.caption(picture, str(wanted["length"]), options)
    if wanted["skill"] == "detect":
        return builder.detect(picture, words, max_objects=most)
    return builder.point(picture, words, max_objects=most, spatial_refs=refs)


def said(row: MoondreamRow) -> list[object]:
    """What the row was fed, and the end that was not fed."""
    ended = not isinstance(row, TextRow) and row.finish == "stop"
    return [*row.items, 0] if ended else [*row.items]


def test_mixed_rows_are_identical_to_rows_alone(model: Moondream) -> None:
    """128 rows; each of these makes it fail: a mask by the batch's length instead of the row's, positions that start
    at the longest prompt, padding written to a position in use, rows left behind in the wrong order.
    """
    joins, kinds, ends, different = 0, set(), set(), set()
    for trial in range(TRIALS):
        rng = random.Random(trial)
        wanted = [some_request(rng) for _ in range(ROWS)]
        rows = [row_of(model, request) for request in wanted]
        joins += decode_mixed(model, rows, rng)
        for request, row in zip(wanted, rows, strict=True):
            assert said(row) == alone.decoded(model, row_of(model, request)), request
            kinds.add(type(row).__name__)
            ends.add((type(row).__name__, row.finish))
            different.add(tuple(row.tokens))
    assert joins >= TRIALS
    assert kinds == {"TextRow", "ReasoningRow", "DetectRow", "PointRow"}
    assert len(ends) == 8, "each kind ends by itself and by its limit"
    assert len(different) > TRIALS * ROWS // 3


def test_a_row_prefilled_again_goes_on_where_it_was(model: Moondream) -> None:
    rng = random.Random(7)
    for request in [some_request(rng) for _ in range(14)]:
        whole, broken = row_of(model, request), row_of(model, request)
        decode_mixed(model, [whole], rng)
        while broken.finish is None:  # as after a failed step: each token from a fresh prefill
            batch = model.prefill([broken])
            model.step(batch)
            model.sample(batch)
        assert said(broken) == said(whole)


def test_two_batches_of_one_model_do_not_know_each_other(model: Moondream) -> None:
    """The published code keeps its cache inside of the model, and two answers at a time spoil each other."""
    rng = random.Random(9)
    wanted = [some_request(rng) for _ in range(8)]
    rows = [row_of(model, request) for request in wanted]
    batches = [model.prefill(rows[:4]), model.prefill(rows[4:])]
    for _ in range(3):
        for batch in batches:
            model.step(batch)
            model.sample(batch)
    for request, row in zip(wanted, rows, strict=True):
        wanted_items = alone.decoded(model, row_of(model, request))
        length = min(3, len(wanted_items))  # the rows that ended were stepped on
        assert said(row)[:length] == wanted_items[:length]


def test_a_cache_is_as_long_as_its_longest_row_needs(model: Moondream) -> None:
    picture = vectors.image("im-50x40.png")
    short = model.row_builder.query(None, "a", TextOptions(2))
    long = model.row_builder.query(picture, "a" * 30, TextOptions(60))
    batch = model.prefill([short])
    storage = batch.cache.storage
    assert (storage.rows, storage.length) == (1, 64)
    batch = model.add_rows(batch, model.prefill([long]))
    while storage.length < 128:
        model.step(batch)
        assert storage.length - max(row.position for row in batch.rows) <= 64
        for row in batch.rows:
            row.items.append(40)
    assert (storage.rows, storage.length) == (2, 128)
    short.items.clear()
    batch = model.keep_rows(batch, [0])
    assert (storage.rows, storage.length) == (1, 64)


def test_sampled_rows_do_not_depend_on_their_neighbours(model: Moondream) -> None:
    style = TextOptions(10, Sampling(temperature=1.0, top_p=0.9, seed=5))
    picture = vectors.image("im-640x480.png")
    single = model.row_builder.caption(picture, "long", style)
    decode_mixed(model, [single], random.Random(0))
    rng = random.Random(3)
    among = model.row_builder.caption(picture, "long", style)
    decode_mixed(model, [*(row_of(model, some_request(rng)) for _ in range(6)), among], rng)
    assert among.tokens == single.tokens
    greedy = model.row_builder.caption(picture, "long", TextOptions(10))
    decode_mixed(model, [greedy], random.Random(0))
    assert greedy.tokens != single.tokens


def test_a_stop_string_ends_a_row(model: Moondream) -> None:
    whole = model.row_builder.caption(vectors.image("im-640x480.png"), "normal", TextOptions(12))
    decode_mixed(model, [whole], random.Random(0))
    text = model.tokenizer.decode(whole.answer)
    assert len(text) > 3
    row = model.row_builder.caption(vectors.image("im-640x480.png"), "normal", TextOptions(12, stop=(text[2],)))
    decode_mixed(model, [row], random.Random(0))
    assert row.finish == "stop"
    assert model.text(row) == text[: text.index(text[2])].lstrip()
    assert len(row.tokens) < len(whole.tokens)


def test_nothing_is_kept_for_gradients(model: Moondream) -> None:
    batch = model.prefill([model.row_builder.caption(vectors.image("im-50x40.png"))])
    model.step(batch)
    assert not batch.hidden.requires_grad
    assert not any(parameter.requires_grad for parameter in model.net.parameters())
    assert all(torch.isfinite(layer).all() for layer in batch.cache.storage.layers)
