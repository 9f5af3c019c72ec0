"""Vocabularies of the models that chat: they have what JSON is spelt with, and keep what was learnt with fewer."""

from __future__ import annotations

import functools
import importlib
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from looksee.models.registry import chat_models
from samples.recipes import bpe, chats
from samples.world import exercises, scenes, structures, wordings


def recipe(model: str) -> Any:
    return importlib.import_module(f"samples.recipes.{model}")


@functools.cache
def tokenizer(model: str) -> Any:
    return recipe(model).tokenizer()


def tokens(words: Any, text: str) -> list[str]:
    found: list[str] = words.convert_ids_to_tokens(words(text, add_special_tokens=False).input_ids)
    return found


@pytest.mark.parametrize("model", chat_models())
def test_json_is_spelt_in_few_tokens(model: str) -> None:
    words = tokenizer(model)
    assert [word for word in bpe.JSON_WORDS if len(tokens(words, word)) > 1] == []
    assert len(tokens(words, '{"caption": "a red circle", "count": 1}')) == 14
    for text in ('{"a_b": [1, 2.5]}\n\n"§ ü"', "漢字"):
        assert words.decode(words(text, add_special_tokens=False).input_ids) == text


@pytest.mark.parametrize("model", chat_models())
def test_what_is_said_about_scenes_is_spelt_as_without_json(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = tokenizer(model)
    monkeypatch.setattr(bpe, "JSON_WORDS", ())
    before = recipe(model).tokenizer()
    assert len(before) < len(words)
    rng = random.Random(1)
    for _ in range(50):
        scene = scenes.compose(rng)
        for question, answer in [("", scene.caption()), *exercises.questions(scene, rng)]:
            for text in (answer, question, wordings.question(question, rng)):
                assert tokens(words, text) == tokens(before, text)


def test_weights_go_on_with_a_larger_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    with monkeypatch.context() as patch:
        patch.setattr(bpe, "JSON_WORDS", ())
        before = recipe("intern_vlm").LESSON()
        before.save(tmp_path)
        old = recipe("intern_vlm").tokenizer()
    lesson = recipe("intern_vlm").LESSON()
    lesson.begin(tmp_path)
    words = tokenizer("intern_vlm")
    for name, part in before.model.state_dict().items():
        now = lesson.model.state_dict()[name]
        if part.shape[:1] != (len(old),):
            assert torch.equal(now, part), name
            continue
        for token, number in old.get_vocab().items():
            assert torch.equal(now[words.convert_tokens_to_ids(token)], part[number])
        spelt = old.convert_tokens_to_ids(["{", '"'])
        assert torch.allclose(now[words.convert_tokens_to_ids('{"')], part[spelt].mean(0))


@pytest.mark.parametrize("model", chat_models())
def test_the_lessons_have_answers_in_json(model: str) -> None:
    rng = random.Random(2)
    pairs = []
    for _ in range(4):
        scene = scenes.compose(rng, sides=(64, 80))
        pairs.append((scene, scenes.draw(scene, rng)))
    groups = recipe(model).COLLATE()(pairs, rng)["groups"]
    structured = [rows for rows in groups if structures.STRUCTURED in rows["tasks"]]
    assert sum(len(rows["tasks"]) for rows in structured) == 8
    assert sum(rows["weight"] for rows in structured) == pytest.approx(2)
    assert all(set(rows["tasks"]) == {structures.STRUCTURED} for rows in structured)


def test_the_turn_of_an_exercise_is_that_of_serving() -> None:
    scene = scenes.compose(random.Random(3))
    one = structures.question(scene, random.Random(4))
    exercise = exercises.Exercise(structures.STRUCTURED, (0,), one.prompt, one.answer)
    (turn,) = chats.turns("gemma", exercise)
    assert (turn.role, turn.parts) == ("user", (None, one.prompt))
