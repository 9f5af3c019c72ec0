"""What each model is asked. The sample weights have learnt these very words."""

from __future__ import annotations

import pytest

from looksee.models.registry import REGISTRY, prompts


@pytest.mark.parametrize(
    ("model", "own", "words"),
    [
        ("blip", "", ""),
        ("blip2", "", ""),
        ("gemma", "", "Describe the picture in one sentence."),
        ("intern_vlm", "", "Describe the picture in one sentence."),
        *((model, "a photo of", "a photo of") for model in REGISTRY),
        *((model, " As it\n is. ", "As it is.") for model in ("blip", "blip2", "moondream")),
        *((model, " As it\n is. ", "As it\n is.") for model in ("gemma", "intern_vlm")),
        ("gemma", " \n", "Describe the picture in one sentence."),
    ],
)
def test_a_caption(model: str, own: str, words: str) -> None:
    assert prompts.caption(model, own) == words


@pytest.mark.parametrize("model", ["gemma", "intern_vlm"])
def test_a_collective_caption(model: str) -> None:
    assert prompts.collective(model) == "Write one caption for all of the pictures together."
    assert prompts.collective(model, "In French.") == "In French."


@pytest.mark.parametrize(
    ("model", "question", "flag"),
    [
        ("blip2", "Question: Is it red? Answer:", "Question: Is it red? Answer yes or no. Answer:"),
        ("gemma", "Is it red?", "Is it red? Answer yes or no."),
        ("intern_vlm", "Is it red?", "Is it red? Answer yes or no."),
    ],
)
def test_a_question_and_one_of_yes_or_no(model: str, question: str, flag: str) -> None:
    assert prompts.query(model, "Is it red?") == question
    assert prompts.flag(model, "Is it red?") == flag
