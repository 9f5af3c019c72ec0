"""Questions out of a caller's words: checked against the limits, and put into the words of the model that is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import errors
from gateway.desk import Question, Result
from settings import Settings
from vision import prompts
from vision.images import Picture
from vision.tasks import Failure, Task

# New tokens of an answer when the caller does not say; the models end nearly all of theirs well before.
_CAPTION_TOKENS = 100
_COLLECTIVE_TOKENS = 300
_ANSWER_TOKENS = 200
_FLAG_TOKENS = 30


def caption(
    model: str, picture: Picture, settings: Settings, *, prompt: str = "", max_new_tokens: int | None = None
) -> Question:
    """What one picture shows."""
    words = prompts.caption(model, prompt)
    return Question(Task.CAPTION, (picture,), words, _room(settings, max_new_tokens or _CAPTION_TOKENS))


def collective(model: str, pictures: Sequence[Picture], settings: Settings, *, prompt: str = "") -> Question:
    """What the pictures show together."""
    words = prompts.collective(model, prompt)
    return Question(Task.COLLECTIVE, tuple(pictures), words, _room(settings, _COLLECTIVE_TOKENS))


def query(
    model: str, picture: Picture, question: str, settings: Settings, *, max_new_tokens: int | None = None
) -> Question:
    """A question about one picture."""
    words = prompts.query(model, question)
    return Question(Task.QUERY, (picture,), words, _room(settings, max_new_tokens or _ANSWER_TOKENS))


def flag(model: str, pictures: Sequence[Picture], question: str, settings: Settings) -> Question:
    """A question of yes or no about the pictures together."""
    return Question(Task.QUERY, tuple(pictures), prompts.flag(model, question), _room(settings, _FLAG_TOKENS))


def check_prompt(prompt: str, settings: Settings, *, param: str) -> None:
    """Raises PromptTooLong for a prompt over the character limit (a model may have a tighter one, in tokens).

    Raises InvalidValue for one that is no text: JSON can bring half of a surrogate pair.
    """
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise errors.InvalidValue(f"'{param}' is not valid Unicode.", param=param)
    if len(prompt) > settings.max_prompt_chars:
        raise errors.PromptTooLong(
            f"'{param}' has {len(prompt)} characters; at most {settings.max_prompt_chars} are accepted.", param=param
        )


def check_question(question: str, settings: Settings, *, param: str) -> None:
    """As `check_prompt`; raises InvalidValue also where nothing is asked."""
    check_prompt(question, settings, param=param)
    if not question.strip():
        raise errors.InvalidValue(f"'{param}' is empty.", param=param)


def check_new_tokens(count: int | None, settings: Settings, *, param: str = "max_new_tokens") -> None:
    """Raises InvalidValue for a number of new tokens outside of 1 to LOOKSEE_MAX_NEW_TOKENS."""
    if count is not None and not 1 <= count <= settings.max_new_tokens:
        raise errors.InvalidValue(f"'{param}' must be from 1 to {settings.max_new_tokens}.", param=param)


def called(result: Result, param: str) -> Result:
    """The result; a prompt that is too long for the model gets the name that the caller knows it by."""
    if isinstance(result, errors.PromptTooLong):
        return replace(Failure.of(result), param=param).error()  # a new one: the old one may be others' too
    return result


def _room(settings: Settings, tokens: int) -> int:
    return min(tokens, settings.max_new_tokens)
