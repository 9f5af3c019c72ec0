"""Checks of parameters against the limits. Each raises an error that names the parameter as the caller does."""

from __future__ import annotations

import re
from typing import get_args

from looksee.core import errors
from looksee.core.tasks import Length
from looksee.http.error_sentences import must_be, raised
from looksee.http.inputs import parameters
from looksee.models.registry import REGISTRY, offers
from looksee.settings import Settings

LENGTHS: tuple[Length, ...] = get_args(Length)
MOST_OBJECTS = 150
_HALF = re.compile("[\ud800-\udfff]")


def check_prompt(prompt: str, settings: Settings, *, param: str) -> None:
    """Raises PromptTooLong for a prompt over the character limit (a model may have a tighter one, in tokens).

    Raises InvalidValue for one with half of a surrogate pair, which JSON can hold.
    """
    _check_text(prompt, settings.max_prompt_chars, "LOOKSEE_MAX_PROMPT_CHARS", param)


def check_chat(words: str, settings: Settings, *, param: str = "messages") -> None:
    """As `check_prompt`, for all words of a chat: their limit only keeps a runner from counting the tokens of what is
    far beyond any context.
    """
    _check_text(words, settings.max_chat_chars, "LOOKSEE_MAX_CHAT_CHARS", param)


def _check_text(text: str, most: int, variable: str, param: str) -> None:
    if _HALF.search(text):
        raise errors.InvalidValue(f"'{param}' is not valid Unicode: it has half of a surrogate pair.", param=param)
    if len(text) > most:
        raise errors.PromptTooLong(
            f"'{param}' has {len(text)} characters; at most {most} are accepted{raised(variable)}.", param=param
        )


def check_question(question: str, settings: Settings, *, param: str) -> None:
    """As `check_prompt`; raises InvalidValue also for a blank one."""
    check_prompt(question, settings, param=param)
    if not question.strip():
        raise errors.InvalidValue(f"'{param}' is empty; it must be a text that is not blank.", param=param)


def check_new_tokens(count: int | None, settings: Settings, *, param: str = "max_new_tokens") -> None:
    """Raises InvalidValue for a number of new tokens outside of 1 to LOOKSEE_MAX_NEW_TOKENS."""
    if count is not None and not 1 <= count <= settings.max_new_tokens:
        wanted = {"type": "integer", **parameters.NEW_TOKENS}
        raise errors.InvalidValue(must_be(param, wanted, parameters.limits(settings)), param=param)


def checked_length(length: str, model: str, *, prompt: str = "", param: str = "length") -> Length:
    """The length of a caption that `model` can write.

    Raises InvalidValue for an unknown length, and for one beside a prompt, which says by itself what to write;
    TaskNotSupported where the model does not have the length.
    """
    found = next((known for known in LENGTHS if known == length), None)
    if found is None:
        raise errors.InvalidValue(must_be(param, {"enum": LENGTHS}), param=param)
    if found not in offers()[model].lengths:
        able = ", ".join(name for name, offer in offers().items() if found in offer.lengths)
        raise errors.TaskNotSupported(
            f"The model '{model}' has one length of caption: normal. These have '{found}': {able}.", param=param
        )
    if found != "normal" and prompt:
        raise errors.InvalidValue(f"'{param}' is for captions without a prompt; say it in the prompt.", param=param)
    return found


def check_scores(model: str, *, asked: object, param: str = "scores") -> None:
    """Raises TaskNotSupported where scores are asked for of a model that another service answers for."""
    if asked and model not in REGISTRY:
        raise errors.TaskNotSupported(f"The model '{model}' tells no scores: leave '{param}' out.", param=param)


def check_threshold(threshold: float, *, param: str = "threshold") -> None:
    """Raises InvalidValue for a confidence outside of 0 to 1."""
    if not 0 <= threshold <= 1:
        raise errors.InvalidValue(must_be(param, {"type": "number", "minimum": 0, "maximum": 1}), param=param)


def check_objects(count: int | None, *, param: str = "max_objects") -> None:
    """Raises InvalidValue for a number of objects outside of 1 to MOST_OBJECTS."""
    if count is not None and not 1 <= count <= MOST_OBJECTS:
        wanted = {"type": "integer", **parameters.at_most(MOST_OBJECTS)}
        raise errors.InvalidValue(must_be(param, wanted), param=param)
