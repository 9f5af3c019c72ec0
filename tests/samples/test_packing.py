"""Exercises in one sequence; an answer in JSON is found where the question ends."""

from __future__ import annotations

import importlib
import random

import pytest
import torch

from looksee.models.registry import chat_models
from samples.recipes.packing import after_question, packed
from samples.recipes.tower import IGNORED
from samples.world import exercises, fields, scenes, structures
from samples.world.exercises import Exercise
from samples.world.fields import Asked
from samples.world.structures import Structured


def test_a_hint_stays_at_its_place_of_the_prompt() -> None:
    pairs = [([1, 2, 3, 4], [7, 8]), ([1, 2, 5], [9])]
    ids, positions, targets, parts, hinted = packed(pairs, [(2, 70), (2, 90)])
    assert ids == [1, 2, 3, 4, 7, 5]
    assert positions == [0, 1, 2, 3, 4, 2]
    assert targets == [IGNORED, IGNORED, IGNORED, 7, 8, 9]
    assert parts == [0, 0, 1, 1, 1, 2]
    assert hinted == [IGNORED, IGNORED, 70, IGNORED, IGNORED, 90]
    assert set(packed(pairs, [(1, 70), None])[-1]) == {IGNORED}  # what all begin with has no hint of one


@pytest.mark.parametrize("model", chat_models())
def test_the_answer_is_thought_of_where_the_question_ends(model: str) -> None:
    recipe = importlib.import_module(f"samples.recipes.{model}")
    collate, words = recipe.COLLATE(), recipe.tokenizer()
    one = Structured("Is there a red circle?", {"type": "object"}, '{"found": true}', said="yes")
    exercise = Exercise(structures.STRUCTURED, (0,), one.prompt, one.answer, said=one.said)
    hint = after_question(exercise, collate.ids, collate.answer)
    assert hint is not None
    place, token = hint
    read = words.decode(collate.ids(exercise)[: place + 1])
    assert read.endswith("Is there a red circle?\n")
    assert words.decode([token]) in ("yes", "y")
    described = Exercise(structures.STRUCTURED, (0,), one.prompt, one.answer)
    assert after_question(described, collate.ids, collate.answer) is None


def test_a_question_says_what_is_said_to_it_alone() -> None:
    rng = random.Random(6)
    for _ in range(200):
        scene = scenes.compose(rng)
        one = structures.question(scene, rng)
        assert bool(one.said) == (not one.words.startswith(structures.DESCRIBING))


def test_a_flag_is_often_what_was_asked_for() -> None:
    rng = random.Random(7)
    found: list[bool] = []
    while len(found) < 200:
        scene = scenes.compose(rng)
        question, answer = exercises.is_there(scene, rng)
        field = fields._flag(Asked(scene, question, answer), rng)
        found.append(field.about == question)
        assert field.value == (answer == "yes") or field.about != question
    assert 100 < sum(found) < 180


def test_what_is_thought_of_is_learnt() -> None:
    torch.manual_seed(1)
    lesson = importlib.import_module("samples.recipes.intern_vlm").LESSON()
    hidden = torch.randn(1, 3, lesson.model.config.text_config.hidden_size)
    assert float(lesson.thought(hidden, torch.full((1, 3), IGNORED))) == 0
    logits = lesson.model.get_output_embeddings()(hidden[0, 1])
    found = lesson.thought(hidden, torch.tensor([[IGNORED, 5, IGNORED]]))
    assert torch.allclose(found, -logits.log_softmax(-1)[5])
