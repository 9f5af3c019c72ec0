"""The parameters of the captioning API, checked before any picture is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from looksee.core.tasks import Task
from looksee.http.inputs.validation import check_prompt
from looksee.http.inputs.wording import fields as wording
from looksee.models.registry import offer_for
from looksee.settings import Settings


@dataclass(frozen=True, slots=True)
class CaptionParams:
    """A caption of each picture (Task.CAPTION) or of all together (Task.COLLECTIVE), and the answer to a flag question.

    `flag_prompt` is empty when nothing is asked. With `strict` any failure fails the request.
    """

    model: str
    caption_prompt: str = ""
    flag_prompt: str = ""
    strict: bool = False
    max_words: int = 0
    strip_opening: bool = False
    language: str = ""

    @property
    def words(self) -> dict[str, Any]:
        """The parameters of a TextSkill."""
        names = ("max_words", "strip_opening", "language")
        return {"prompt": self.caption_prompt, **{name: getattr(self, name) for name in names}}


def checked(
    task: Task,
    settings: Settings,
    *,
    model: str,
    caption_prompt: str = "",
    flag_caption_prompt: str = "",
    strict: bool = False,
    max_words: int = 0,
    strip_opening: bool = False,
    language: str = "",
) -> CaptionParams:
    """The parameters of a request. Without a flag question it has LOOKSEE_FLAG_PROMPT; a model that answers no
    questions gets none.

    Raises UnknownModel, TaskNotSupported, PromptTooLong or InvalidValue.
    """
    found = offer_for(model, task)
    check_prompt(caption_prompt, settings, param="caption_prompt")
    check_prompt(flag_caption_prompt, settings, param="flag_caption_prompt")
    wording.check(found.name, settings, max_words=max_words, strip_opening=strip_opening, language=language)
    asked = flag_caption_prompt.strip() or settings.flag_prompt
    asked = asked if Task.QUERY in found.tasks else ""
    return CaptionParams(found.name, caption_prompt, asked, strict, max_words, strip_opening, language)
