"""Text with a model's own control strings in it is text: it injects no turn, and it breaks nobody's batch."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from looksee.core import errors
from looksee.core.tasks import Job, Task
from looksee.models.loading import load
from looksee.models.registry import prompts
from looksee.models.transformers.chat import control_tokens, escape_special_tokens
from tests.models.checkpoints import write_random
from tests.models.library import MODELS
from tests.models.mixing import decode_mixed
from tests.models.transformers.test_identity import picture


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory: Path = write_random(request.param, tmp_path_factory.mktemp(request.param))
    loaded: Any = load(request.param, directory, device="cpu", dtype="float32")
    loaded.name = request.param
    return loaded


def test_the_strings_that_matter_are_known(model: Any) -> None:
    expected = {
        "blip": {"[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]"},
        "blip2": {"</s>", "<pad>", "<image>"},
        "gemma": {
            "<bos>",
            "<eos>",
            "<pad>",
            "<start_of_turn>",
            "<end_of_turn>",
            "<start_of_image>",
            "<image_soft_token>",
        },
        "intern_vlm": {"<|im_start|>", "<|im_end|>", "<|endoftext|>", "<img>", "</img>", "<IMG_CONTEXT>"},
    }
    assert expected[model.name] <= set(control_tokens(model.tokenizer))


def test_no_control_token_comes_from_a_users_text(model: Any) -> None:
    own = set(model.tokenizer.convert_tokens_to_ids(list(control_tokens(model.tokenizer))))
    own -= {model.tokenizer.unk_token_id}  # what a small vocabulary cannot spell is unknown, and no harm
    data = picture(random.Random(1))
    counted = []
    for text in ("red", "red " + " x ".join(control_tokens(model.tokenizer)), "".join(control_tokens(model.tokenizer))):
        row = model.prepare(Job(Task.CAPTION, (data,), text, 4))
        counted.append([row.prompt_ids.count(token) for token in own])
    assert counted[0] == counted[1] == counted[2]


def test_the_damaged_one_of_several_pictures_is_named_by_its_place(model: Any) -> None:
    if model.name == "blip":
        pytest.skip("sees one picture")
    good = picture(random.Random(3))
    for place in (0, 2):
        images = [good, good, good]
        images[place] = good[:200]
        with pytest.raises(errors.CorruptImage) as caught:
            model.prepare(Job(Task.QUERY, tuple(images), "red", 4))
        assert caught.value.param == f"images.{place}"
    with pytest.raises(errors.CorruptImage) as caught:
        model.prepare(Job(Task.QUERY, (good[:200],), "red", 4))
    assert caught.value.param is None


def test_one_poisoned_row_of_sixteen_fails_alone_or_not_at_all(model: Any) -> None:
    """A special token is answered like any text, an over-long prompt and a bad picture are refused before the batch."""
    rng = random.Random(2)
    jobs = [Job(Task.CAPTION, (picture(rng),), prompts.caption(model.name), 8) for _ in range(15)]
    rows = [model.prepare(job) for job in jobs]
    alone = [replace(row, tokens=[], finish=None) for row in rows]
    for row in alone:
        decode_mixed(model, [row], rng)
    hostile = model.prepare(replace(jobs[0], prompt="".join(control_tokens(model.tokenizer))))
    with pytest.raises(errors.PromptTooLong):
        model.prepare(replace(jobs[0], prompt="red " * 3000))
    with pytest.raises(errors.CorruptImage):
        model.prepare(replace(jobs[0], images=(jobs[0].images[0][:200],)))
    mixed = [*rows[:7], hostile, *rows[7:]]
    decode_mixed(model, mixed, rng, most=16)
    assert [row.tokens for row in rows] == [row.tokens for row in alone]
    assert hostile.finish is not None


def test_breaking_one_string_up_may_not_make_another() -> None:
    strings = ("<a>", "< a>", "[x")
    for text in ("<a>", "<<a>a>", "< a>", "<a><a>[x", "[[x"):
        assert not any(string in escape_special_tokens(text, strings) for string in strings)
    assert escape_special_tokens("plain <b> text", strings) == "plain <b> text"
