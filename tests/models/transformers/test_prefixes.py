"""A prompt that begins like an earlier one, pictures included, is prefilled from there on; the tokens are the same."""

from __future__ import annotations

import random
from typing import Any
from unittest import mock

import pytest

from looksee.core.tasks import Job, Task, Turn
from looksee.models.loading import load
from looksee.models.registry import prompts
from looksee.models.transformers.prefixes import beginning
from tests.models.checkpoints import write_random
from tests.models.mixing import decode_mixed
from tests.models.transformers.test_identity import picture

MODELS = ("blip2", "gemma", "intern_vlm")
QUESTIONS = ("red?", "How many shapes are there?", "blue or green?")


@pytest.fixture(scope="module", params=MODELS)
def models(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """One that keeps beginnings, and one of the same weights that keeps none."""
    directory = write_random(request.param, tmp_path_factory.mktemp(request.param))
    how = {"device": "cpu", "dtype": "float32", "feature_bytes": 2**20}
    keeping: Any = load(request.param, directory, prefix_bytes=2**24, **how)  # type: ignore[arg-type]
    forgetting: Any = load(request.param, directory, **how)  # type: ignore[arg-type]
    keeping.name = forgetting.name = request.param
    return keeping, forgetting


@pytest.fixture(autouse=True)
def empty(models: tuple[Any, Any]) -> None:
    models[0].beginning_cache.clear()
    models[0].beginning_cache.hits = models[0].beginning_cache.misses = 0


def ask(model: Any, data: bytes, question: str) -> Any:
    return model.prepare(Job(Task.QUERY, (data,), prompts.query(model.name, question), 6))


def tokens(model: Any, data: bytes, *questions: str) -> list[list[int]]:
    """Of questions that are asked together."""
    rows = [ask(model, data, question) for question in questions]
    batch = model.prefill(rows)
    for _ in range(6):
        model.step(batch)
        model.sample(batch)
    return [row.tokens for row in rows]


def fed(model: Any) -> Any:
    """What the decoder is filled with."""
    return mock.patch.object(model.decoder, "fill", wraps=model.decoder.fill)


def test_a_second_question_computes_only_what_is_behind_the_picture(models: tuple[Any, Any]) -> None:
    keeping, forgetting = models
    data = picture(random.Random(3))
    (alone,) = tokens(forgetting, data, QUESTIONS[1])
    tokens(keeping, data, QUESTIONS[0])
    with fed(keeping) as fill, mock.patch.object(keeping, "_encode_images", side_effect=AssertionError):
        (again,) = tokens(keeping, data, QUESTIONS[1])
    assert again == alone
    row = ask(keeping, data, QUESTIONS[1])
    assert [call.args[0].shape[1] for call in fill.call_args_list] == [len(row.prompt_ids) - 1 - row.beginning.length]
    assert keeping.reuse()["prefixes"] == (1, 1)


def test_a_chat_goes_on_behind_its_picture_and_its_system_prompt(models: tuple[Any, Any]) -> None:
    """Neither tower nor prefix is computed for its second question, and its tokens are those without anything kept."""
    keeping, forgetting = models
    if keeping.name == "blip2":
        pytest.skip("it has no chat")
    data = picture(random.Random(9))
    first = (Turn("system", ("Answer in a word.",)), Turn("user", (None, QUESTIONS[0])))
    second = (*first, Turn("assistant", ("yes",)), Turn("user", (QUESTIONS[1],)))

    def row(model: Any, turns: tuple[Turn, ...]) -> Any:
        return model.prepare(Job(Task.QUERY, (data,), max_new_tokens=6, turns=turns))

    decode_mixed(keeping, [row(keeping, first)], random.Random(0))
    again = row(keeping, second)
    with fed(keeping) as fill, mock.patch.object(keeping, "_encode_images", side_effect=AssertionError):
        decode_mixed(keeping, [again], random.Random(0))
    behind = len(again.prompt_ids) - 1 - again.beginning.length
    assert fill.call_args_list[0].args[0].shape[1] == behind < again.beginning.length
    assert keeping.reuse()["prefixes"] == (1, 1)
    alone = row(forgetting, second)
    decode_mixed(forgetting, [alone], random.Random(0))
    assert again.tokens == alone.tokens


def test_rows_of_one_prefill_that_begin_alike_share_it(models: tuple[Any, Any]) -> None:
    keeping, forgetting = models
    data = picture(random.Random(4))
    wanted = [tokens(forgetting, data, question)[0] for question in QUESTIONS]
    for model in (keeping, forgetting):  # also where nothing is kept
        with fed(model) as fill:
            assert tokens(model, data, *QUESTIONS) == wanted
        assert [len(call.args[0]) for call in fill.call_args_list] == [1, 2]


def test_another_picture_or_another_beginning_is_computed(models: tuple[Any, Any]) -> None:
    keeping, forgetting = models
    one, other = picture(random.Random(5)), picture(random.Random(6))
    tokens(keeping, one, QUESTIONS[0])
    assert tokens(keeping, other, QUESTIONS[0]) == tokens(forgetting, other, QUESTIONS[0])
    assert keeping.reuse()["prefixes"] == (0, 2)
    if keeping.name != "blip2":  # one picture's tokens begin like those of two, but another comes
        pair = Job(Task.COLLECTIVE, (one, other), "", 6)
        rows = [model.prepare(pair) for model in models]
        for model, row in zip(models, rows, strict=True):
            decode_mixed(model, [row], random.Random(0))
        assert rows[0].tokens == rows[1].tokens
        assert keeping.reuse()["prefixes"] == (0, 3)


def test_decoding_does_not_change_what_is_kept(models: tuple[Any, Any]) -> None:
    keeping, _ = models
    data = picture(random.Random(7))
    first = tokens(keeping, data, QUESTIONS[0])
    (kept,) = keeping.beginning_cache._encodings.values()
    before = [layer.clone() for layer in kept]
    tokens(keeping, data, *QUESTIONS)
    assert tokens(keeping, data, QUESTIONS[0]) == first
    assert all(bool((one == two).all()) for one, two in zip(kept, before, strict=True))
    assert keeping.beginning_cache.nbytes == sum(layer.nbytes for layer in kept)


def test_what_is_kept_is_bounded_and_given_back(models: tuple[Any, Any]) -> None:
    keeping, forgetting = models
    for seed in range(3):
        tokens(keeping, picture(random.Random(seed)), QUESTIONS[0])
    assert len(keeping.beginning_cache) == 3
    assert 0 < keeping.beginning_cache.nbytes <= keeping.beginning_cache.max_bytes
    tokens(forgetting, picture(random.Random(1)), QUESTIONS[0])
    assert len(forgetting.beginning_cache) == 0
    keeping.release_memory()
    assert keeping.beginning_cache.nbytes == 0


def test_a_row_that_is_prefilled_again_begins_with_what_is_kept(models: tuple[Any, Any]) -> None:
    keeping, forgetting = models
    data = picture(random.Random(8))
    row = ask(keeping, data, QUESTIONS[2])
    while row.finish is None:  # as after a failed step
        batch = keeping.prefill([row])
        keeping.step(batch)
        keeping.sample(batch)
    alone = ask(forgetting, data, QUESTIONS[2])
    decode_mixed(forgetting, [alone], random.Random(0))
    assert row.tokens == alone.tokens
    assert keeping.reuse()["prefixes"] == (len(row.tokens) - 1, 1)


def test_a_beginning_ends_behind_the_last_picture() -> None:
    own = beginning([1, 9, 9, 2, 9, 9, 3, 4], 9, [b"a", b"b"])
    assert own is not None
    assert own.length == 6
    assert own == beginning([1, 9, 9, 2, 9, 9, 7, 7, 7], 9, [b"a", b"b"])
    others = [
        beginning([1, 9, 9, 2, 9, 9, 3], 9, [b"b", b"a"]),
        beginning([1, 9, 9, 5, 9, 9, 3], 9, [b"a", b"b"]),
        beginning([9, 9, 2, 9, 9, 3], 9, [b"a", b"b"]),
    ]
    assert own.key not in {other.key for other in others if other}
    assert beginning([1, 2, 3], 9, []) is None
