"""Vocabularies of the models that chat: they have what JSON is spelt with, and keep what was learnt with fewer."""

from __future__ import annotations

import functools
import importlib
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from looksee.models.registry import chat_models
from samples.recipes import bpe, chats, language
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
        for token, pieces in (('{"', ["{", '"']), ("_cross", [*old.tokenize("_cross"), "\u0120cross"])):
            spelt = old.convert_tokens_to_ids(pieces)
            assert torch.allclose(now[words.convert_tokens_to_ids(token)], part[spelt].mean(0))


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


@pytest.mark.parametrize("model", chat_models())
def test_keys_that_a_grammar_writes_count_little(model: str) -> None:
    words = tokenizer(model)
    answer = '{"caption": "a red circle", "objects": [{"color": "red"}], "has_cross": false}'

    def counted(*, forced: bool) -> str:
        shares = chats.shares(words, exercises.Exercise("", (0,), "", answer, forced=forced))
        told = words(answer, add_special_tokens=False).input_ids
        assert len(shares) == len(told) + 1  # the end
        return "".join(words.decode([one]) for one, share in zip(told, shares, strict=False) if share == 1)

    assert counted(forced=False) == answer
    told = counted(forced=True)
    assert not any(key in told for key in ("caption", "objects", "color", "has"))
    assert all(value in told for value in ("red circle", "red", "false", "}]", "}"))


@pytest.mark.parametrize("model", chat_models())
def test_true_and_false_count_much(model: str) -> None:
    words = tokenizer(model)
    answer = '{"has_cross": true, "truest": false}'
    shares = chats.shares(words, exercises.Exercise(structures.STRUCTURED, (0,), "", answer))
    told = words(answer, add_special_tokens=False).input_ids
    assert [words.decode([one]) for one, share in zip(told, shares, strict=False) if share > 1] == [" true", " false"]


def test_a_token_of_a_small_part_adds_little_to_the_loss() -> None:
    lesson = recipe("intern_vlm").LESSON()
    hidden = torch.randn(1, 2, lesson.model.config.text_config.hidden_size)
    targets = torch.tensor([[5, 7]])

    def loss(*shares: float) -> float:
        found, _ = lesson.judge(hidden, {"targets": targets, "shares": torch.tensor([shares])})
        return float(found.detach())

    assert loss(1.0, 0.5) == pytest.approx((loss(1.0, 0.0) + 0.5 * loss(0.0, 1.0)) / 1.5, rel=1e-4)


@pytest.mark.parametrize("model", chat_models())
def test_each_answers_shares_are_at_its_own_tokens(model: str) -> None:
    collate = recipe(model).COLLATE()
    answer = '{"count": 1}'
    exercise = exercises.Exercise(structures.STRUCTURED, (0,), "Count.", answer)
    group = collate._group([[exercise, replace(exercise, forced=True)]])
    shares = group["shares"][group["targets"] >= 0].tolist()
    parts = [*collate.shares(exercise), *collate.shares(replace(exercise, forced=True))]
    assert shares == pytest.approx(parts)
    assert set(shares[: len(shares) // 2]) == {1.0} != set(shares[len(shares) // 2 :])


@pytest.mark.parametrize("model", chat_models())
def test_strange_words_are_answered_with_the_caption(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "strange", lambda rng: "Who?")
    scene = scenes.compose(random.Random(5), sides=(64, 80))
    about = recipe(model).COLLATE()._about(0, scene, random.Random(0))
    assert [one.answer for one in about if one.words == "Who?"] == [scene.caption()]


def test_the_turn_of_an_exercise_is_that_of_serving() -> None:
    scene = scenes.compose(random.Random(3))
    one = structures.question(scene, random.Random(4))
    exercise = exercises.Exercise(structures.STRUCTURED, (0,), one.prompt, one.answer)
    (turn,) = chats.turns("gemma", exercise)
    assert (turn.role, turn.parts) == ("user", (None, one.prompt))
