"""Chats of several turns: the ids that the library makes of them, and no control token from anybody's text."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from bench.library import Library
from looksee.core import errors
from looksee.core.images import decode
from looksee.core.tasks import Job, Role, Task, Turn
from looksee.models.loading import load
from looksee.models.transformers.chat import control_tokens
from looksee.models.weights.source import SAMPLES
from tests.models.mixing import decode_mixed
from tests.models.transformers.test_identity import picture

CHATS: dict[str, tuple[Turn, ...]] = {
    "instructions": (Turn("system", ("Answer briefly.",)), Turn("user", (None, "What color is the circle?"))),
    "history": (
        Turn("user", (None, "How many shapes are there?")),
        Turn("assistant", ("two",)),
        Turn("user", ("Is there a red circle?",)),
    ),
    "pictures at their places": (
        Turn("system", ("Be brief.",)),
        Turn("user", ("The first:", None, "the second:", None, "What changed?")),
        Turn("assistant", ("a circle",)),
        Turn("user", (None,)),
    ),
    "no picture": (Turn("user", ("red",)), Turn("assistant", ("blue",)), Turn("user", (" green ",))),
}


@pytest.fixture(scope="module", params=["gemma", "intern_vlm"])
def model(request: pytest.FixtureRequest) -> Any:
    loaded: Any = load(request.param, SAMPLES / request.param, device="cpu", dtype="float32")
    loaded.name = request.param
    return loaded


def asked(turns: tuple[Turn, ...], rng: random.Random) -> Job:
    count = sum(part is None for turn in turns for part in turn.parts)
    return Job(Task.QUERY, tuple(picture(rng) for _ in range(count)), max_new_tokens=8, turns=turns)


def from_the_library(model: Any, job: Job) -> list[int]:
    library = Library(model.name, SAMPLES / model.name)
    pictures = iter([decode(image) for image in job.images])
    messages = [
        {
            "role": turn.role,
            "content": [
                {"type": "image", "image": next(pictures)} if part is None else {"type": "text", "text": part}
                for part in turn.parts
            ],
        }
        for turn in job.turns
    ]
    options = {"crop_to_patches": False} if model.name == "intern_vlm" and job.images else {}
    made = library.processor.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True, processor_kwargs=options
    )
    ids: list[int] = made["input_ids"][0]
    return ids


@pytest.mark.parametrize("chat", CHATS)
def test_a_chat_is_the_librarys(model: Any, chat: str) -> None:
    job = asked(CHATS[chat], random.Random(chat))
    row = model.prepare(job)
    assert row.prompt_ids == list(from_the_library(model, job))
    assert row.prompt_tokens == len(row.prompt_ids)


def test_a_chat_of_one_turn_is_a_question(model: Any) -> None:
    rng = random.Random(5)
    images = (picture(rng), picture(rng))
    turns = (Turn("user", (None, None, "What changed?")),)
    assert model.prepare(Job(Task.QUERY, images, turns=turns)).prompt_ids == (
        model.prepare(Job(Task.QUERY, images, "What changed?")).prompt_ids
    )


def test_who_is_beside_a_chat_changes_no_answer(model: Any) -> None:
    rng = random.Random(6)
    rows = [model.prepare(asked(turns, rng)) for turns in CHATS.values()]
    alone = [replace(row, tokens=[], finish=None, images=[replace(one) for one in row.images]) for row in rows]
    for row in alone:
        decode_mixed(model, [row], rng)
    decode_mixed(model, rows, rng)
    assert [row.tokens for row in rows] == [row.tokens for row in alone]


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_no_control_token_comes_from_the_text_of_any_turn(model: Any, role: Role) -> None:
    own = set(model.tokenizer.convert_tokens_to_ids(list(control_tokens(model.tokenizer)))) - {
        model.tokenizer.unk_token_id
    }
    plain = CHATS["pictures at their places"]
    hostile = tuple(
        Turn(turn.role, tuple(part and part + " x ".join(control_tokens(model.tokenizer)) for part in turn.parts))
        if turn.role == role
        else turn
        for turn in plain
    )
    assert hostile != plain
    counted = []
    for turns in (plain, hostile):
        ids = model.prepare(asked(turns, random.Random(7))).prompt_ids
        counted.append([ids.count(token) for token in own])
    assert counted[0] == counted[1]


def test_turns_that_a_template_refuses_are_the_callers_mistake(model: Any) -> None:
    turns = (Turn("user", ("red",)), Turn("system", ("Be brief.",)), Turn("user", ("blue",)))
    if model.name == "intern_vlm":  # whose template takes instructions anywhere
        assert model.prepare(asked(turns, random.Random(8))).prompt_ids
        return
    with pytest.raises(errors.TaskNotSupported) as caught:
        model.prepare(asked(turns, random.Random(8)))
    assert caught.value.param == "messages"
