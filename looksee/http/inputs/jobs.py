"""Questions out of a caller's words: checked against the limits, and put into the words of the model that is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

from looksee.core import errors
from looksee.core.images import Picture
from looksee.core.tasks import Failure, Length, Task
from looksee.gateway.answering import CacheableJob, Result
from looksee.models.registry import offers, prompts
from looksee.settings import Settings

LENGTHS: tuple[Length, ...] = get_args(Length)
MAX_OBJECTS = 50  # found at most when the caller does not say
MOST_OBJECTS = 150

# New tokens of an answer when the caller does not say; the models end nearly all of theirs well before.
_CAPTION_TOKENS = 100
_TOKENS_BY_LENGTH: dict[Length, int] = {"short": 100, "normal": 200, "long": 500}  # of those who have lengths
_COLLECTIVE_TOKENS = 300
_ANSWER_TOKENS = 200
_FLAG_TOKENS = 30


def caption(
    model: str,
    picture: Picture,
    settings: Settings,
    *,
    prompt: str = "",
    length: Length = "normal",
    max_new_tokens: int | None = None,
    **how: Any,
) -> CacheableJob:
    """What one picture shows; `how` are further fields of a Job."""
    words = prompts.caption(model, prompt)
    tokens = max_new_tokens or (_TOKENS_BY_LENGTH[length] if len(offers()[model].lengths) > 1 else _CAPTION_TOKENS)
    return _question(settings, [picture], Task.CAPTION, words, tokens, length=length, **how)


def collective(
    model: str,
    pictures: Sequence[Picture],
    settings: Settings,
    *,
    prompt: str = "",
    max_new_tokens: int | None = None,
    **how: Any,
) -> CacheableJob:
    """What the pictures show together; `how` are further fields of a Job."""
    words = prompts.collective(model, prompt)
    return _question(settings, pictures, Task.COLLECTIVE, words, max_new_tokens or _COLLECTIVE_TOKENS, **how)


def query(
    model: str,
    picture: Picture | None,
    question: str,
    settings: Settings,
    *,
    max_new_tokens: int | None = None,
    **how: Any,
) -> CacheableJob:
    """A question about one picture, or about none; `how` are further fields of a Job."""
    words = prompts.query(model, question)
    pictures = [] if picture is None else [picture]
    return _question(settings, pictures, Task.QUERY, words, max_new_tokens or _ANSWER_TOKENS, **how)


def chat(
    pictures: Sequence[Picture], settings: Settings, *, prompt: str = "", max_new_tokens: int | None = None, **how: Any
) -> CacheableJob:
    """What comes next in a chat: to a `prompt` about the pictures, or to the last of the `turns` in `how`."""
    return _question(settings, pictures, Task.QUERY, prompt, max_new_tokens or settings.max_new_tokens, **how)


def flag(model: str, pictures: Sequence[Picture], question: str, settings: Settings) -> CacheableJob:
    """A question of yes or no about the pictures together."""
    return _question(settings, pictures, Task.QUERY, prompts.flag(model, question), _FLAG_TOKENS)


def detect(picture: Picture, thing: str, *, max_objects: int | None = None) -> CacheableJob:
    """A box around each `thing`, a word or a few."""
    return CacheableJob.about([picture], Task.DETECT, thing.strip(), max_objects=max_objects or MAX_OBJECTS)


def point(picture: Picture, thing: str, *, max_objects: int | None = None, **how: Any) -> CacheableJob:
    """A point on each `thing`; `how` as in a Job."""
    return CacheableJob.about([picture], Task.POINT, thing.strip(), max_objects=max_objects or MAX_OBJECTS, **how)


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


def checked_length(length: str, model: str, *, prompt: str = "", param: str = "length") -> Length:
    """The length of a caption that `model` can write.

    Raises InvalidValue for one that there is not, or beside a prompt, which says by itself what to write; and
    TaskNotSupported where the model has not got it.
    """
    found = next((known for known in LENGTHS if known == length), None)
    if found is None:
        raise errors.InvalidValue(f"'{param}' must be one of: {', '.join(LENGTHS)}.", param=param)
    if found not in offers()[model].lengths:
        able = ", ".join(name for name, offer in offers().items() if found in offer.lengths)
        raise errors.TaskNotSupported(
            f"The model '{model}' has one length of caption: normal. These have '{found}': {able}.", param=param
        )
    if found != "normal" and prompt:
        raise errors.InvalidValue(f"'{param}' is for captions without a prompt; say it in the prompt.", param=param)
    return found


def check_objects(count: int | None, *, param: str = "max_objects") -> None:
    """Raises InvalidValue for a number of things outside of 1 to MOST_OBJECTS."""
    if count is not None and not 1 <= count <= MOST_OBJECTS:
        raise errors.InvalidValue(f"'{param}' must be from 1 to {MOST_OBJECTS}.", param=param)


def called(result: Result, param: str) -> Result:
    """The result; a prompt that is too long for the model gets the name that the caller knows it by."""
    return named(result, param) if isinstance(result, errors.PromptTooLong) else result


def named(error: errors.LookseeError, param: str) -> errors.LookseeError:
    """The error about what the caller knows as `param`. A new one: the old one may be others' too."""
    return replace(Failure.of(error), param=param).error()


def _question(
    settings: Settings, pictures: Sequence[Picture], task: Task, words: str, tokens: int, **how: Any
) -> CacheableJob:
    return CacheableJob.about(pictures, task, words, max_new_tokens=min(tokens, settings.max_new_tokens), **how)
