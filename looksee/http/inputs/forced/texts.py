"""Answers that are one of several texts, or match a regular expression."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import FailFast, Field

from looksee.core import errors
from looksee.core.tasks import Grammar
from looksee.http.inputs.validation import check_prompt
from looksee.models.registry import forced_models, offers
from looksee.settings import Settings

MOST_CHOICES, LONGEST_REGEX = 100, 1000

# As options of a body's members.
Choices = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    FailFast(),
    Field(max_length=MOST_CHOICES),
]
CHOICES: Any = Field([], description="the answer is one of these texts", examples=[["yes", "no"]])
REGEX: Any = Field(
    "",
    max_length=LONGEST_REGEX,
    description="the whole answer matches this regular expression, which has no look-around",
)


def check(choices: Sequence[str], regex: str, model: str, settings: Settings) -> None:
    """Raises InvalidValue, InvalidRequest, PromptTooLong, or TaskNotSupported where the model cannot be forced."""
    if not choices and not regex:
        return
    param = "choices" if choices else "regex"
    check_able(model, param)
    if choices and regex:
        raise errors.InvalidRequest("'choices' and 'regex' do not go together; send one of them.", param="regex")
    check_prompt("\n".join([*choices, regex]), settings, param=param)
    for number, text in enumerate(choices):
        if not text or text != text.strip():
            place = f"choices.{number}"
            raise errors.InvalidValue(f"'{place}' must be a text without space around it.", param=place)


def grammar(choices: Sequence[str], regex: str) -> Grammar | None:
    """What was checked, as a job has it."""
    if choices:
        return Grammar("choices", json.dumps(list(choices), ensure_ascii=False))
    return Grammar("regex", regex) if regex else None


def check_able(model: str, param: str, form: str = "a form") -> None:
    """Raises TaskNotSupported where the model's answers cannot be forced into a form."""
    if not offers()[model].forces:
        able = ", ".join(forced_models())
        raise errors.TaskNotSupported(
            f"The answers of the model '{model}' cannot be forced into {form}. Those of these can: {able}.",
            param=param,
        )
