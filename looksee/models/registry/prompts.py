"""The words that each model is asked with, made from its registry entry.

BLIP and BLIP-2 continue a text: a caption's prompt is its beginning, and BLIP-2 answers what follows "Answer:". Gemma
and InternVL are given an instruction in a turn of a chat; how a turn is marked is in each checkpoint's chat template.
Moondream2 has a template for each of its skills, captions of three lengths among them; any other instruction is asked
like a question. A model that another service answers for is sent the caller's words as they are.
"""

from __future__ import annotations

from looksee.core.texts import in_one_line
from looksee.models.registry.table import REGISTRY

# The sample weights are trained on these words: with others they have to be trained again.
CAPTION = "Describe the picture in one sentence."
COLLECTIVE = "Write one caption for all of the pictures together."
YES_OR_NO = "Answer yes or no."
# What labels of a picture answer where the caller asks nothing else.
WHICH = "Which of these does the picture show: {labels}?"
IS_THERE = "Is there {label} in the picture?"


def caption(model: str, prompt: str = "") -> str:
    """The words that ask `model` for a caption; `prompt` is the caller's own, if any."""
    words = _in_its_lines(model, prompt)
    return words or (REGISTRY[model].caption_prompt if model in REGISTRY else "")


def collective(model: str, prompt: str = "") -> str:
    """The words that ask `model` for one caption of several pictures."""
    return _in_its_lines(model, prompt) or COLLECTIVE


def query(model: str, question: str) -> str:
    """The words that ask `model` a question about a picture."""
    form = REGISTRY[model].question_format if model in REGISTRY else "{question}"
    return form.replace("{question}", _in_its_lines(model, question))


def flag(model: str, question: str) -> str:
    """The words that ask `model` a question whose answer is yes or no."""
    return query(model, f"{question} {YES_OR_NO}")


def _in_its_lines(model: str, text: str) -> str:
    """A caller's text, in one line for a model that knows no other."""
    return in_one_line(text) if model in REGISTRY and REGISTRY[model].one_line else text.strip()


def in_json(schema: str = "") -> str:
    """The words that ask for an answer in JSON: by a `schema`, or any object."""
    if schema:
        return f"Answer with JSON only, without other text. The JSON follows this JSON Schema:\n{schema}"
    return "Answer with one JSON object only, without other text."
