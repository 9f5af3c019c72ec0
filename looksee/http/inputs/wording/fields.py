"""The parameters of a text's words, in all dialects that have them, and their checks."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from looksee.core import errors
from looksee.core.texts import Wording
from looksee.http.error_sentences import must_be
from looksee.http.inputs.wording import languages
from looksee.models.registry import REGISTRY, chat_models, offers
from looksee.models.weights.source import resolve
from looksee.settings import Settings

MOST_WORDS, _LONGEST_NAME = 1000, 40
_WORDS: dict[str, Any] = {"minimum": 0, "maximum": MOST_WORDS, "examples": [0]}

# As options of fields.
MAX_WORDS: Any = Field(
    0,
    ge=0,
    le=MOST_WORDS,
    description="words of the text at most: it ends at a word, or better at a sentence's end; 0: no bound",
    json_schema_extra=_WORDS,
)
STRIP_OPENING: Any = Field(
    False, description="cut an opening such as `The image shows` or `a photo of`, which says nothing of the picture"
)
LANGUAGE: Any = Field(
    "",
    description="the text's language, by its ISO 639-1 code or its English name: `fr`, `French`; gemma, intern_vlm",
)


def check(
    model: str,
    settings: Settings,
    *,
    max_words: int,
    strip_opening: bool,
    language: str,
    forced: bool = False,
) -> None:
    """Raises InvalidValue, or TaskNotSupported for what `model` cannot do; `forced`: the answer has a form."""
    if not 0 <= max_words <= MOST_WORDS:
        raise errors.InvalidValue(must_be("max_words", {"type": "integer", **_WORDS}), param="max_words")
    for param, asked in {"max_words": max_words, "strip_opening": strip_opening}.items():
        if asked and model not in REGISTRY:
            raise errors.TaskNotSupported(
                f"The texts of the model '{model}' are not cut: leave '{param}' out.", param=param
            )
        if asked and forced:
            raise errors.InvalidValue(f"'{param}' does not go with an answer that is forced into a form.", param=param)
    if language:
        _check_language(model, settings, language)


def _check_language(model: str, settings: Settings, language: str) -> None:
    if len(language) > _LONGEST_NAME:
        raise errors.InvalidValue(must_be("language", {"type": "string", "maxLength": _LONGEST_NAME}), param="language")
    name = languages.named(language)
    if name is None:
        what = "'language' must be a language's ISO 639-1 code, such as 'fr', or its English name, such as 'French'."
        raise errors.InvalidValue(what, param="language")
    if languages.is_english(name):
        return
    if not offers()[model].chats:
        able = ", ".join(chat_models())
        message = f"The model '{model}' writes English; these write other languages: {able}."
        raise errors.TaskNotSupported(message, param="language")
    if _is_sample(model, settings):
        message = f"The sample weights of '{model}' write English alone; other languages need published weights."
        raise errors.TaskNotSupported(message, param="language")


def wording(max_words: int, strip_opening: bool) -> Wording:
    """What was checked, as a job has it."""
    return Wording(max_words or None, strip_opening)


def in_language(words: str, model: str, settings: Settings, language: str) -> str:
    """The words that ask `model` for a text, with those that ask for the language, which has been checked.

    English too has to be asked for of a model that has learnt several.
    """
    name = languages.named(language) if language else None
    if name is None or not offers()[model].chats or _is_sample(model, settings):
        return words
    return f"{words}\nAnswer in {name}."


def _is_sample(model: str, settings: Settings) -> bool:
    return resolve(model, settings.weights, settings.model(model).weights).kind == "sample"
